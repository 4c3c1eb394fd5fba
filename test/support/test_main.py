"""Checks what main.cpp and count.py make of cases that fail."""

import contextlib
import io
import json

import cases
import count
from harness import ProgramTest


class Main(ProgramTest):
    def run_cases(self, *names, ranks):
        return self.run_program("sample", *[f"--run_test=sample/{name}" for name in names], ranks=ranks)

    def test_cases_that_pass(self):
        for ranks in [0, 1, 3]:
            run = self.run_cases("passes", ranks=ranks)
            self.assertSuccess(run)
            self.assertEqual(run.stdout.count("cases: 1 passed, 0 failed"), 1)

    def test_a_case_that_fails_on_some_rank_has_failed(self):
        for name in ["fails_on_the_first_rank", "fails_on_the_last_rank"]:
            run = self.run_cases("passes", name, ranks=3)
            self.assertNotEqual(run.returncode, 0)
            self.assertIn("cases: 1 passed, 1 failed", run.stdout)

    def test_failures_on_different_ranks_are_different_failures(self):
        run = self.run_cases("passes", "fails_on_the_first_rank", "fails_on_the_last_rank", ranks=2)
        self.assertIn("cases: 1 passed, 2 failed", run.stdout)

    def test_an_exception_on_one_rank_ends_the_job(self):
        run = self.run_cases("throws_on_the_last_rank_while_others_wait", ranks=2)
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("thrown as asked", run.stdout)

    def test_a_choice_without_cases_fails(self):
        self.assertNotEqual(self.run_cases("no_such_case", ranks=0).returncode, 0)


class Count(ProgramTest):
    def count(self, *tests):
        """The last line and the exit code for a log of these (result, stdout)."""
        log = self.write("testlog.json", "".join(json.dumps({"name": "t", "result": result, "stdout": stdout}) + "\n"
                                                 for result, stdout in tests))
        with contextlib.redirect_stdout(io.StringIO()) as out:
            code = count.main(self.folder / log)
        return out.getvalue().splitlines()[-1], code

    def test_cases_are_added_up(self):
        tagged = "[1,0]<stdout>:cases: 4 passed, 0 failed\n"
        self.assertEqual(self.count(("OK", "cases: 3 passed, 0 failed\n"), ("OK", tagged)), ("7 passed, 0 failed", 0))
        self.assertEqual(self.count(("OK", "cases: 3 passed, 0 failed"), ("FAIL", "cases: 1 passed, 2 failed")),
                         ("4 passed, 2 failed", 1))

    def test_an_executable_without_a_count_is_one_case(self):
        self.assertEqual(self.count(("OK", "hello"), ("FAIL", "")), ("1 passed, 1 failed", 1))

    def test_a_crash_is_a_failure_whatever_was_counted(self):
        self.assertEqual(self.count(("FAIL", "cases: 3 passed, 0 failed")), ("3 passed, 1 failed", 1))
        self.assertEqual(self.count(("TIMEOUT", ""), ("ERROR", "")), ("0 passed, 2 failed", 1))

    def test_what_is_skipped_does_not_count(self):
        self.assertEqual(self.count(("OK", ""), ("SKIP", "")), ("1 passed, 0 failed", 0))

    def test_no_test_at_all_is_a_failure(self):
        self.assertEqual(self.count(), ("0 passed, 1 failed", 1))


cases.main()
