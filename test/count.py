#!/usr/bin/python3
"""Adds up the test cases in meson's testlog.json; ends with "N passed, N failed" and the exit code that fits.

An executable says how many of its cases passed in a line "cases: N passed, M failed"; one without such a line counts as
one case, and so does one that failed without a failed case: it crashed or met its time limit.
"""

import json
import pathlib
import re
import sys

CASES = re.compile(r"cases: (\d+) passed, (\d+) failed")


def cases_of(test):
    """The numbers of passed and of failed cases of one entry of the log."""
    succeeded = test["result"] in ("OK", "EXPECTEDFAIL")
    counts = CASES.findall(test.get("stdout", ""))
    passed, failed = map(int, counts[-1]) if counts else (int(succeeded), 0)
    return passed, failed if succeeded else max(failed, 1)


def main(log):
    passed = failed = 0
    lines = pathlib.Path(log).read_text(errors="replace").splitlines() if pathlib.Path(log).exists() else []
    for test in map(json.loads, lines):
        if test["result"] == "SKIP":
            print(f"skipped: {test['name']}")
            continue
        more_passed, more_failed = cases_of(test)
        passed, failed = passed + more_passed, failed + more_failed
        if more_failed:
            print(f"failed: {test['name']}, {more_failed} of {more_passed + more_failed}")
    if not lines:
        print("No test ran.")
        failed = 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
