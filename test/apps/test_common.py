"""The behavior that all programs share, on a program that has no other."""

import os
import pty
import resource
import signal
import subprocess

import cases
from harness import ProgramTest, command


def fields(text):
    """The lines of a configuration without comments."""
    return [line for line in text.splitlines() if line and not line.startswith("#")]


class CommandLine(ProgramTest):
    def test_defaults_are_overridden_by_the_file_and_that_by_flags(self):
        config = self.write("run.toml", "[train]\nbatch = 100\n[model]\nhidden = [8, 8]\n")
        run = self.run_program("probe", "m.h5", config, "--model.hidden", "16,16,16")
        self.assertSuccess(run)
        self.assertEqual(run.stdout, "model m.h5, batch 100, hidden 16 16 16, reproducible false\n")

    def test_the_file_may_be_named_by_a_flag_and_flags_may_come_first(self):
        config = self.write("run.toml", "train.batch = 100\n")
        run = self.run_program("probe", "--train.batch=7", "m.h5", "--config", config)
        self.assertIn("batch 7,", run.stdout)

    def test_of_a_flag_given_twice_the_last_counts_and_lists_add_up(self):
        run = self.run_program("probe", "m.h5", "--train.batch", "3", "--train.batch", "4", "--model.hidden", "1,2",
                               "--model.hidden", "3")
        self.assertIn("batch 4, hidden 1 2 3", run.stdout)

    def test_aliases_mean_their_keys(self):
        run = self.run_program("probe", "--data", "a.h5", "--seed", "7", "--print-config")
        self.assertIn('file = "a.h5"', run.stdout)
        self.assertIn("seed = 7", run.stdout)

    def test_a_switch_needs_no_value_and_takes_one(self):
        for arguments, expected in [(["--reproducible", "m.h5"], "true"),
                                    (["m.h5", "--train.reproducible"], "true"),
                                    (["--reproducible", "false", "m.h5"], "false"),
                                    (["--train.reproducible=no", "m.h5"], "false")]:
            run = self.run_program("probe", *arguments)
            self.assertSuccess(run)
            self.assertIn(f"reproducible {expected}", run.stdout)

    def test_negative_numbers_are_values(self):
        run = self.run_program("probe", "m.h5", "--train.learning_rate", "-1e-3")
        self.assertFailure(run, 2, "flag --train.learning_rate: train.learning_rate = -1e-3: must be more than 0")

    def test_dry_run_is_handed_to_the_program(self):
        self.assertIn("dry run: true", self.run_program("probe", "m.h5", "--dry-run").stderr)
        self.assertIn("dry run: false", self.run_program("probe", "m.h5").stderr)

    def test_unknown_flag(self):
        run = self.run_program("probe", "m.h5", "--train.bacth", "5")
        self.assertFailure(run, 2, "probe: unknown flag --train.bacth (did you mean '--train.batch'?)")
        self.assertFailure(self.run_program("probe", "m.h5", "-z"), 2, "-z")

    def test_unexpected_argument(self):
        config = self.write("run.toml", "")
        self.assertFailure(self.run_program("probe", "m.h5", config, "another"), 2, "another")

    def test_missing_argument(self):
        self.assertFailure(self.run_program("probe"), 2, "MODEL is required")

    def test_missing_value(self):
        run = self.run_program("probe", "m.h5", "--train.batch")
        self.assertFailure(run, 2, "--train.batch")
        run = self.run_program("probe", "m.h5", "--data", "--train.batch", "5")
        self.assertFailure(run, 2, "flag --data needs a value, but --train.batch follows")

    def test_value_of_another_type(self):
        run = self.run_program("probe", "m.h5", "--train.batch", "many")
        self.assertFailure(run, 2, "flag --train.batch: train.batch = many: must be an integer")
        run = self.run_program("probe", "m.h5", "--model.hidden", "16,,16")
        self.assertFailure(run, 2, "model.hidden = 16,,16: must be a list of integers")

    def test_value_against_the_rule(self):
        run = self.run_program("probe", "m.h5", "--train.batch", "0")
        self.assertFailure(run, 2, "flag --train.batch: train.batch = 0: must be at least 1 (rows)")
        run = self.run_program("probe", "m.h5", "--train.optimizer", "sgd")
        self.assertFailure(run, 2, "train.optimizer = sgd: must be one of adam, adamw, adamax")


class Answers(ProgramTest):
    def test_help_is_within_100_columns_with_defaults_and_units_by_table(self):
        run = self.run_program("probe", "--help")
        self.assertSuccess(run)
        lines = run.stdout.splitlines()
        self.assertLessEqual(max(map(len, lines)), 100)
        self.assertIn("train:", lines)
        text = " ".join(run.stdout.split())
        self.assertIn("--data.file,--data TEXT input file [built-in]", text)
        self.assertIn("whatever the number of ranks; at least 1 (rows) [250]", text)
        self.assertIn("--model.hidden LIST widths of the hidden layers; at least 1 (units) [48,48]", text)
        self.assertIn("MODEL model file (required)", text)
        self.assertIn("Exit codes: 0 done, 2 usage or configuration", text)

    def test_version(self):
        run = self.run_program("probe", "--version")
        self.assertSuccess(run)
        self.assertRegex(run.stdout, r"^probe \d+\.\d+\.\d+\n$")

    def test_a_key_of_very_many_parts_is_refused(self):
        for text in (".".join(["a"] * 100000) + " = 1\n", "\n[" + ".".join(["a"] * 100000) + "]\n"):
            config = self.write("run.toml", text)
            line = text.index("a.") and 2 or 1
            self.assertFailure(self.run_program("probe", "m.h5", config), 2,
                               f"run.toml, line {line}: a key of more than 1000 parts")

    def test_the_printed_configuration_reads_back_to_itself(self):
        first = self.run_program("probe", "--print-config", "--train.learning_rate", "0.1", "--data", 'a "b"\\\tc',
                                 "--data.columns", "x,y", "--data.fractions", "0.7,1e-300,0.30000000000000004",
                                 "--train.seed", "9223372036854775807", "--reproducible")
        self.assertSuccess(first)
        self.assertIn("seed = 9223372036854775807", first.stdout)
        self.assertIn("fractions = [0.7, 1e-300, 0.30000000000000004]", first.stdout)
        config = self.write("printed.toml", first.stdout)
        second = self.run_program("probe", "m.h5", config, "--print-config")
        self.assertSuccess(second)
        self.assertEqual(first.stdout, second.stdout)

    def test_the_printed_configuration_has_the_help_as_comments(self):
        run = self.run_program("probe", "--print-config")
        self.assertIn("[train]\n# rows of the global batch, of which", run.stdout)
        self.assertEqual(fields(run.stdout)[:3], ["[data]", 'file = "built-in"', "fractions = [0.8, 0.1, 0.1]"])


class ConfigurationFile(ProgramTest):
    def assertRefused(self, text, *messages):
        config = self.write("run.toml", text)
        self.assertFailure(self.run_program("probe", "m.h5", config), 2, *messages)

    def test_unknown_key(self):
        self.assertRefused("[train]\n\nbacth = 5\n",
                           "run.toml, line 3: unknown key train.bacth (did you mean 'train.batch'?)")
        self.assertRefused("verbose = 2021-01-01\n", "run.toml, line 1: unknown key verbose")
        self.assertRefused("[[train]]\nbatch = 5\n", "unknown key train")

    def test_unknown_table(self):
        self.assertRefused("[trian]\n", "run.toml, line 1: unknown table [trian]")

    def test_value_of_another_type(self):
        self.assertRefused('[train]\nbatch = "many"\n',
                           'run.toml, line 2: train.batch = "many": must be an integer, not a string')
        self.assertRefused("train.batch = 2.5\n", "train.batch = 2.5: must be an integer, not a number")
        self.assertRefused("train.batch = 2021-01-01\n", "train.batch: must be an integer, not a date or time")
        self.assertRefused("train.batch.x = 1\n", "train.batch: must be an integer, not a table")
        self.assertRefused('model.hidden = [1, "a"]\n', "must be a list of integers, not an array of mixed types")
        self.assertRefused("train.learning_rate = nan\n", "train.learning_rate = nan: must be a number")

    def test_integers_are_numbers_and_an_empty_list_is_any_list(self):
        config = self.write("run.toml", "train.learning_rate = 1\ndata.fractions = [1, 0]\ndata.columns = []\n")
        run = self.run_program("probe", "m.h5", config, "--print-config")
        self.assertIn("learning_rate = 1.0", run.stdout)
        self.assertIn("fractions = [1.0, 0.0]", run.stdout)

    def test_value_against_the_rule(self):
        self.assertRefused("[train]\nbatch = 0\n", "run.toml, line 2: train.batch = 0: must be at least 1 (rows)")
        self.assertRefused("model.hidden = [8, 0]\n", "model.hidden = [8, 0]: must be at least 1 (units)")

    def test_wrong_syntax(self):
        self.assertRefused("[train]\nbatch 5\n", "run.toml, line 2: ")
        self.assertRefused("[train]\nbatch = 5\nbatch = 6\n", "run.toml, line 3: ")

    def test_a_file_that_cannot_be_read(self):
        run = self.run_program("probe", "m.h5", "missing.toml")
        self.assertFailure(run, 5, "probe: cannot read missing.toml: No such file or directory")
        self.assertFailure(self.run_program("probe", "m.h5", "."), 5, "cannot read .: Is a directory")


class Commands(ProgramTest):
    def test_a_command_has_its_own_flags_and_arguments(self):
        run = self.run_program("probe_commands", "make", "moons", "--rows", "5")
        self.assertEqual(run.stdout, "made 5 rows of moons\n")
        run = self.run_program("probe_commands", "make", "-n", "6", "moons")
        self.assertEqual(run.stdout, "made 6 rows of moons\n")
        self.assertEqual(self.run_program("probe_commands", "info", "a.h5").stdout, "about a.h5\n")

    def test_flags_of_another_command_are_unknown(self):
        self.assertFailure(self.run_program("probe_commands", "info", "a.h5", "--rows", "5"), 2, "unknown flag --rows")

    def test_unknown_command(self):
        self.assertFailure(self.run_program("probe_commands", "mkae", "moons"), 2,
                           "unknown command mkae (did you mean 'make'?); the commands are make, info")

    def test_no_command(self):
        self.assertFailure(self.run_program("probe_commands"), 2, "subcommand is required")

    def test_value_against_the_rule(self):
        self.assertFailure(self.run_program("probe_commands", "make", "moons", "--rows", "0"), 2,
                           "flag --rows: rows = 0: must be at least 1 (rows)")

    def test_help_of_a_command(self):
        run = self.run_program("probe_commands", "make", "--help")
        self.assertSuccess(run)
        self.assertIn("number of rows; at least 1 (rows) [1000]", run.stdout)
        self.assertIn("Draws rows of a density.", self.run_program("probe_commands", "--help").stdout)

    def test_configuration_of_a_command(self):
        config = self.write("make.toml", "rows = 12\n")
        run = self.run_program("probe_commands", "make", "moons", "--config", config)
        self.assertEqual(run.stdout, "made 12 rows of moons\n")
        self.assertIn("rows = 1000\n", self.run_program("probe_commands", "make", "--print-config").stdout)


class Errors(ProgramTest):
    CODES = {"option": 2, "data": 3, "shape": 3, "numerical": 4, "io": 5, "mpi": 6, "bug": 6, "memory": 4, "foreign": 6}

    def test_exit_codes_by_cause(self):
        for kind, code in self.CODES.items():
            self.assertFailure(self.run_program("probe", "m.h5", "--fail-last", kind), code, "probe: ")

    def test_an_agreed_error_is_printed_once(self):
        for ranks in [1, 2, 3]:
            run = self.run_program("probe", "m.h5", "--fail", "data", ranks=ranks)
            self.assertFailure(run, 3, "probe: failed as asked: data")
            self.assertEqual(run.stderr.count("failed as asked"), 1)

    def test_an_error_of_one_rank_ends_the_job_and_names_the_rank(self):
        run = self.run_program("probe", "m.h5", "--fail-last", "io", ranks=3)
        self.assertFailure(run, 5, "probe: rank 2 on ", "failed as asked: io")
        self.assertEqual(run.stderr.count("failed as asked"), 1)

    def test_our_own_faults_ask_for_a_report(self):
        self.assertFailure(self.run_program("probe", "m.h5", "--fail", "bug"), 6, "please report it")

    def test_usage_errors_are_printed_once(self):
        run = self.run_program("probe", "m.h5", "--train.batch", "0", ranks=3)
        self.assertFailure(run, 2, "must be at least 1")
        self.assertEqual(run.stderr.count("must be at least 1"), 1)
        run = self.run_program("probe", "m.h5", "missing.toml", ranks=2)
        self.assertFailure(run, 5, "missing.toml")
        self.assertEqual(run.stderr.count("cannot read"), 1)


class Output(ProgramTest):
    def test_only_one_rank_prints(self):
        config = self.write("run.toml", "train.batch = 100\n")
        run = self.run_program("probe", "m.h5", config, ranks=3)
        self.assertSuccess(run)
        self.assertEqual(run.stdout, "model m.h5, batch 100, hidden 48 48, reproducible false\n")
        self.assertEqual(run.stderr.count("dry run"), 1)
        self.assertEqual(self.run_program("probe", "--version", ranks=2).stdout.count("probe"), 1)

    def test_a_full_disk_under_standard_output_is_an_error(self):
        with open("/dev/full", "w") as full:
            run = self.run_program("probe", "m.h5", stdout=full)
        self.assertEqual(run.returncode, 5)
        self.assertIn("probe: cannot write to standard output: No space left on device", run.stderr)

    def test_a_closed_pipe_under_standard_output_is_no_error(self):
        reading, writing = os.pipe()
        os.close(reading)
        run = self.run_program("probe", "m.h5", "--lines", 1000, stdout=writing)
        os.close(writing)
        self.assertEqual(run.returncode, 0)
        self.assertNotIn("Broken pipe", run.stderr)

    def test_a_file_size_limit_does_not_kill(self):
        with open(self.folder / "out.txt", "w") as out:
            out.seek(self.FILE_SIZE_LIMIT - 100)
            run = self.run_program("probe", "m.h5", "--lines", 1000, stdout=out, preexec_fn=self.limit_file_size)
        self.assertEqual(run.returncode, 5)
        self.assertIn("File too large", run.stderr)

    FILE_SIZE_LIMIT = 1 << 30  # bytes; well above what MPI needs for itself

    def limit_file_size(self):
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.FILE_SIZE_LIMIT, self.FILE_SIZE_LIMIT))

    def run_on_terminal(self, *arguments, ranks=0):
        """Runs a program with standard error on a terminal, and returns what it writes there."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(command("probe", "m.h5", *arguments, ranks=ranks), cwd=self.folder,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs)
        os.close(theirs)
        text = b""
        while True:
            try:
                part = os.read(ours, 1 << 16)
            except OSError:  # the last writer has closed the terminal
                break
            if not part:
                break
            text += part
        os.close(ours)
        self.assertEqual(process.wait(), 0)
        return text.decode().replace("\r\n", "\n")

    def test_progress_replaces_its_line_on_a_terminal_and_is_cleared_by_messages(self):
        text = self.run_on_terminal("--work", "0.5")
        self.assertRegex(text, r"\r\d+ of 1000 steps, \d %, [\d.]+ steps/s, [\d.]+ m?s left: loss 3.5\x1b\[K\r")
        self.assertTrue(text.endswith("\r\x1b[Kdry run: false\n"), text)

    def test_progress_is_plain_lines_elsewhere_also_under_mpirun(self):
        for text in [self.run_on_terminal("--work", "2.3", ranks=2),
                     self.run_program("probe", "m.h5", "--work", "2.3").stderr]:
            self.assertRegex(text, r"(?m)^\d+ of 1000 steps, \d+ %, [\d.]+ steps/s, [\d.]+ s left: loss 3.5$")
            self.assertEqual(text.count("steps/s"), 1)
            self.assertNotIn("\r", text)


cases.main()
