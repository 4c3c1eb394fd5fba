"""The rows of the tables of data/README.md, each of which has a test of its name."""

import os
import pathlib
import re


def rows_of(heading):
    """The first cells of the rows of the first table below a heading of data/README.md."""
    text = (pathlib.Path(os.environ["PUSHFORWARD_SOURCE"]) / "data" / "README.md").read_text()
    below = text.split(f"# {heading}\n", 1)[1]
    lines = below[below.index("\n|"):].strip().splitlines()
    table = lines[:next((i for i, line in enumerate(lines) if not line.startswith("|")), len(lines))]
    return [line.split("|")[1].strip() for line in table[2:]]


def test_name(row):
    """test_names_of_rows for "names of rows"."""
    return "test_" + re.sub(r"[^a-z0-9]+", "_", row.lower()).strip("_")
