"""The reference of the public headers, which Doxygen makes of their comments."""

import pathlib
import subprocess
import tempfile


def reference_violations(root):
    """Returns what Doxygen finds wrong with the comments of the headers, by the Doxyfile of root."""
    with tempfile.TemporaryDirectory(prefix="pushforward-test-") as folder:
        settings = (root / "Doxyfile").read_text() + f"\nOUTPUT_DIRECTORY = {folder}\n"
        run = subprocess.run(["doxygen", "-"], cwd=root, input=settings, capture_output=True, text=True)
        if run.returncode == 0 and not run.stderr:
            pages = len(list(pathlib.Path(folder).rglob("*.html")))
            return [] if pages > 2 else ["Doxygen made no pages"]
        lines = run.stderr.replace(f"{root}/", "").splitlines()
        return [line for line in lines if line] or [f"doxygen ended with code {run.returncode}"]
