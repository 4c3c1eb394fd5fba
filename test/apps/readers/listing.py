"""The listing that each reader prints: a line for each array and attribute, with tabs between the fields.

    number    PATH    ATTRIBUTE    COUNT    SUM of the finite values
    text      PATH    ATTRIBUTE    COUNT    all characters in hexadecimal UTF-8, without those that are zero
    error     PATH    ATTRIBUTE             message

ATTRIBUTE is empty for an array.
"""

import numpy as np


def listed(path, attribute, value):
    """The line of a value."""
    values = np.ma.asarray(value).data if isinstance(value, np.ma.MaskedArray) else np.asarray(value)
    if values.dtype.kind in "biuf":
        numbers = values.astype(float).ravel()
        return ["number", path, attribute or "", str(numbers.size), repr(float(numbers[np.isfinite(numbers)].sum()))]
    texts = [text if isinstance(text, bytes) else str(text).encode() for text in values.ravel().tolist()]
    return ["text", path, attribute or "", str(len(texts)), b"".join(texts).replace(b"\0", b"").hex()]


def report(path, attribute, read):
    """Reads a value and prints its line, or that of the error."""
    try:
        line = listed(path, attribute, read())
    except Exception as error:  # whatever a reader throws is its verdict
        line = ["error", path, attribute or "", "", f"{type(error).__name__}: {error}".replace("\n", " ")]
    print("\t".join(line), flush=True)
