"""The end of every file of Python tests: cases.main()."""

import sys
import unittest


def main():
    """Runs all tests of the file; ends the output with the line from which run.sh adds up the total."""
    result = unittest.main(exit=False, verbosity=2).result
    failed = len({getattr(test, "test_case", test).id() for test, _ in result.failures + result.errors})
    print(f"cases: {result.testsRun - failed - len(result.skipped)} passed, {failed} failed")
    sys.exit(0 if result.wasSuccessful() else 1)
