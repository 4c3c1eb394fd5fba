"""The driver notices every kind of failure, by a reader that is wrong (target_broken.cpp)."""

import os
import subprocess

import cases
from harness import ProgramTest, command


class Driver(ProgramTest):
    def setUp(self):
        super().setUp()
        (self.folder / "seeds").mkdir()
        self.write("seeds/right", "right")

    def broken(self, *arguments):
        return subprocess.run(command("fuzz_broken", *arguments), cwd=self.folder, text=True, capture_output=True, check=False,
                              env={**os.environ, "PUSHFORWARD_FUZZ_SEEDS": "seeds",
                                   "ASAN_OPTIONS": "abort_on_error=1:detect_leaks=0:handle_abort=0:handle_segv=0"})

    def test_right_answers(self):
        for text in ("right", "error", ""):
            self.assertSuccess(self.broken("--file", self.write("file", text)))

    def test_failures(self):
        for text, message in {"bug": "a mistake of ours", "x": "an exception of others", "signal": "",
                              "memory": "2097152 bytes are asked for at once; allowed are 1048576",
                              "damaged": "a damaged file was accepted"}.items():
            with self.subTest(text):
                run = self.broken("--file", self.write("file", text))
                self.assertNotEqual(run.returncode, 0)
                self.assertIn(message, run.stderr)

    def test_the_file_is_kept_and_comes_again(self):
        self.write("seeds/right", "r")
        numbers = set()
        for _ in range(2):
            run = self.broken("--count", 100000, "--keep", self.folder, "seeds")
            self.assertNotEqual(run.returncode, 0)
            name = run.stderr.split("FAILED: ")[1].strip()
            self.assertIn((self.folder / name).read_bytes()[:1], (b"b", b"x", b"m", b"s", b"d"))
            numbers.add(name)
        self.assertEqual(len(numbers), 1)


cases.main()
