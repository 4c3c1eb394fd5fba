"""Runs that stop, are killed, fail and go on."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
import tomllib

import h5py
import numpy as np

import cases
import flows
import kills
from flows import FlowTest
from harness import SANITIZED, SLOWER, TIME_LIMIT, command

AUTO = ["--data.rows", 2000, "--restart", "auto", "--reproducible"]
END = 10 * SLOWER  # seconds within which a run with a fault must have ended
LONG = [*AUTO, "--train.steps", 1_000_000, "--train.warmup", 0, "--checkpoint.seconds", 0]


def faulty(call, name="", at=1, calls=1, rank=None):
    """An environment in which some calls fail, on one rank or on all (faults.c)."""
    chosen = {} if rank is None else {"FAULT_RANK": str(rank)}
    return os.environ | chosen | {"LD_PRELOAD": os.environ["PUSHFORWARD_FAULTS"], "FAULT_CALL": call,
                                  "FAULT_NAME": name, "FAULT_AT": str(at), "FAULT_FOR": str(calls)}


class RestartTest(FlowTest):
    def start(self, *arguments, ranks=2):
        """A run that goes on while the test does something to it."""
        run = subprocess.Popen(command("flow_train", *flows.small(*arguments), ranks=ranks), cwd=self.folder, text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(self.end, run)
        return run

    def end(self, run):
        for pid in kills.processes_below(run.pid) if run.poll() is None else []:
            os.kill(pid, signal.SIGKILL)
        run.communicate()

    def await_condition(self, run, holds):
        end = time.monotonic() + 60
        while time.monotonic() < end and run.poll() is None:
            if holds():
                return
            time.sleep(0.02)
        self.fail(f"the run did not begin: {run.communicate()[1]}")

    def await_history(self, run, lines=1):
        """Waits until the history has more lines than so many. The first one is the header."""
        path = self.folder / "flow.csv"
        self.await_condition(run, lambda: path.exists() and path.read_text().count("\n") > lines)

    def ended(self, run, code):
        """What the run printed on standard error, once it has ended with this code, within ten seconds."""
        _, errors = run.communicate(timeout=END)
        self.assertEqual(run.returncode, code, errors)
        return errors

    def step_of_checkpoint(self, name="flow.checkpoint.h5"):
        path = self.folder / name
        flows.require_sealed(path, path.read_bytes())
        with h5py.File(path) as file:
            return int(file["state/step"][0])

    def steps_of_history(self):
        return list(map(int, flows.read_history(self.folder / "flow.csv")[1]["step"]))

    def weights(self):
        return {name: values for name, values in flows.read_h5(self.folder / "flow.h5").items()
                if name.startswith("flow/")}

    def assertSameWeights(self, a, b):
        self.assertTrue(kills.same(a, b))


class Killed(RestartTest):
    def test_every_optimizer_and_objective_takes_part(self):
        usage = " ".join(self.succeed("flow_train", "--help").stdout.split())
        for key, names in [("train.optimizer", kills.OPTIMIZERS), ("objective.kind", kills.OBJECTIVES)]:
            self.assertIn(f"one of {', '.join(names)} [", usage[usage.index(f"--{key} TEXT"):])
        self.assertEqual({settings[1] for settings in kills.SETTINGS}, set(kills.OPTIMIZERS))

    def test_runs_go_on_with_the_same_bits(self):
        self.assertGreater(kills.check_kills(10, seed=3), 5)

    def test_the_twin_another_run_has_other_bits(self):
        first = kills.finish(self.folder, kills.SETTINGS[0])[0]
        shutil.rmtree(self.folder)
        self.folder.mkdir()
        second = kills.finish(self.folder, [*kills.SETTINGS[0], "--seed", "2"])[0]
        self.assertFalse(kills.same(first, second))


class Requests(RestartTest):
    def stop(self, how, code=7, ranks=2):
        run = self.start(*LONG, ranks=ranks)
        self.await_history(run)
        how(run)
        errors = self.ended(run, code)
        self.assertIn("the same command goes on from flow.checkpoint.h5", errors)
        return self.step_of_checkpoint()

    def test_signals_stop_with_a_checkpoint(self):
        for number in [signal.SIGUSR2, signal.SIGTERM, signal.SIGINT]:
            with self.subTest(number.name):
                # A program without mpirun gets each signal itself; mpirun passes on SIGUSR2.
                ranks = 2 if number == signal.SIGUSR2 else 0
                before = self.step_of_checkpoint() if (self.folder / "flow.checkpoint.h5").exists() else 0
                (self.folder / "flow.csv").unlink(missing_ok=True)
                after = self.stop(lambda run: run.send_signal(number), ranks=ranks)
                self.assertGreater(after, before)
                self.assertTrue((self.folder / "flow.h5").exists())

    def test_a_batch_system_ends_all_ranks(self):
        run = self.start(*LONG)
        self.await_history(run)
        run.send_signal(signal.SIGTERM)  # mpirun ends the ranks after two seconds, whatever they do
        run.communicate(timeout=END)
        self.assertNotEqual(run.returncode, 0)
        self.assertGreater(self.step_of_checkpoint(), 0)

    def test_a_checkpoint_on_demand(self):
        run = self.start(*LONG)
        self.await_history(run)
        self.assertFalse((self.folder / "flow.checkpoint.h5").exists())
        run.send_signal(signal.SIGUSR1)
        end = time.monotonic() + 10
        while not (self.folder / "flow.checkpoint.h5").exists() and time.monotonic() < end:
            time.sleep(0.02)
        first = self.step_of_checkpoint()
        run.send_signal(signal.SIGUSR2)
        self.ended(run, 7)
        self.assertGreater(self.step_of_checkpoint(), first)
        self.assertEqual(self.step_of_checkpoint("flow.checkpoint.previous.h5"), first)

    def test_a_file_stops_the_run(self):
        self.stop(lambda run: self.write("STOP", ""))
        self.assertFalse((self.folder / "STOP").exists())

    def test_a_limit_of_time(self):
        run = self.run_program("flow_train", *flows.small(*LONG, "--max-time", "0:00:02"), ranks=2)
        self.assertEqual(run.returncode, 7, run.stderr)
        self.assertIn("stopped by request", run.stderr)
        for text in ["2", "1:00", "0:0:0", "a:b:c", "-1:00:00"]:
            self.assertFailure(self.run_program("flow_train", "--max-time", text), 2, "train.max_time", "11:30:00")


class Continued(RestartTest):
    def test_on_other_numbers_of_ranks(self):
        self.train(*AUTO)
        whole = self.weights()
        for ranks in [(1, 2, 3), (8, 1, 2)]:
            self.clean()
            for k, number in enumerate(ranks):
                steps = 10 * (k + 1)
                self.train(*AUTO, "--train.steps", steps, "--train.schedule", "constant", "--train.validate_every", 5,
                           ranks=number)
            parts = self.weights()
            self.clean()
            self.train(*AUTO, "--train.schedule", "constant", "--train.validate_every", 5)
            self.assertSameWeights(self.weights(), parts)
            self.assertFalse(kills.same(self.weights(), whole))  # the twin

    def clean(self):
        for path in self.folder.iterdir():
            path.unlink()

    def test_without_reproducible_up_to_rounding(self):
        arguments = ["--data.rows", 2000, "--restart", "auto", "--model.precision", "double", "--train.schedule",
                     "constant"]
        self.train(*arguments)
        whole = self.weights()
        self.clean()
        self.train(*arguments, "--train.steps", 12, ranks=2)
        self.train(*arguments, "--train.steps", 30, ranks=3)
        for name, values in self.weights().items():
            self.assertNear(values, whole[name], 1e-9)

    def test_a_grid_that_was_made_finer(self):
        """The steps of a continuous flow's grid are a part of the state."""
        arguments = [*AUTO, "--model.kind", "continuous", "--model.hidden", "16,16", "--model.solver", "euler",
                     "--model.steps", 1, "--data.toy", "8gaussians", "--train.learning_rate", 0.05, "--train.schedule",
                     "constant", "--train.validate_every", 20]
        run = self.train(*arguments, "--train.steps", 160)
        self.assertIn("the grid has 2 instead of 1 steps", run.stderr)
        whole = self.weights()
        with h5py.File(self.folder / "flow.h5") as file:
            steps = file["flow/transforms/000"].attrs["steps"]
        self.assertGreater(steps, 1)
        self.clean()
        self.train(*arguments, "--train.steps", 100)
        with h5py.File(self.folder / "flow.checkpoint.h5") as file:
            self.assertGreater(file["state/grids/000/steps"][0], 1)
        self.train(*arguments, "--train.steps", 160)
        self.assertSameWeights(self.weights(), whole)
        with h5py.File(self.folder / "flow.h5") as file:
            self.assertEqual(file["flow/transforms/000"].attrs["steps"], steps)

    def test_a_killed_run_doubles_no_rows(self):
        run = self.start(*LONG, "--checkpoint.steps", 7, "--output.every", 1)
        self.await_condition(run, (self.folder / "flow.checkpoint.h5").exists)
        time.sleep(0.5)
        self.end(run)
        # A checkpoint takes the place of the last one by two renames. Between them, only the previous one is there.
        newest = "flow.checkpoint.h5"
        has_newest = (self.folder / newest).exists()
        step = self.step_of_checkpoint(newest if has_newest else "flow.checkpoint.previous.h5")
        self.assertGreaterEqual(self.steps_of_history()[-1], step)
        lines = len(self.steps_of_history()) + 1
        run = self.start(*LONG, "--checkpoint.steps", 7, "--output.every", 1)
        self.await_history(run, lines + 7)
        run.send_signal(signal.SIGUSR2)
        self.ended(run, 7)
        self.assertEqual(self.steps_of_history(), list(range(1, self.steps_of_history()[-1] + 1)))
        self.assertGreater(self.steps_of_history()[-1], step)

    def test_restart(self):
        self.assertFailure(self.run_program("flow_train", *flows.small(*AUTO[:2], "--restart", "always")), 5,
                           "there is no checkpoint flow.checkpoint.h5")
        self.train(*AUTO)
        run = self.run_program("flow_train", *flows.small(*AUTO, "--train.batch", 65), ranks=2)
        self.assertEqual(run.returncode, 3)
        self.assertIn("flow.checkpoint.h5 is the checkpoint of another run: train.batch (was 64, is 65)", run.stderr)
        self.assertIn("--restart never", run.stderr)
        self.assertIn("continued  from step 30", self.train(*AUTO).stderr)
        self.assertNotIn("continued", self.train(*AUTO[:2], "--train.batch", 65).stderr)

    def test_data_that_has_changed(self):
        x = flows.split_rows(2)
        self.put("a.h5", x)
        arguments = ["--data", "a.h5", "--restart", "auto"]
        self.train(*arguments)
        os.rename(self.folder / "a.h5", self.folder / "b.h5")
        self.assertIn("continued", self.train("--data", "b.h5", "--restart", "auto").stderr)  # the same rows elsewhere
        x["train"][7, 1] += 1e-9
        self.put("a.h5", x)
        self.assertFailure(self.run_program("flow_train", *flows.small(*arguments)), 3,
                           "the checkpoint of a run on other data: a.h5 has been changed since", "--restart never")

    def test_another_file_after_a_finished_run(self):
        for name, n in [("a.h5", 400), ("b.h5", 500)]:
            self.put(name, flows.split_rows(2, n))
        self.train("--data", "a.h5", "--restart", "auto", ranks=2)
        run = self.train("--data", "b.h5", "--restart", "auto", ranks=2)
        self.assertIn("flow.checkpoint.h5 is the checkpoint of a finished run on another file", run.stderr)
        self.assertNotIn("continued", run.stderr)
        expected = self.weights()
        self.train("--data", "b.h5", "--restart", "never", ranks=2)
        self.assertSameWeights(self.weights(), expected)
        # The twin: a run that is not finished is not replaced.
        run = self.run_program("flow_train", *flows.small("--data", "a.h5", "-o", "c.h5", *LONG[2:], "--max-time", "0:0:1"))
        self.assertEqual(run.returncode, 7, run.stderr)
        self.assertFailure(self.run_program("flow_train", *flows.small("--data", "b.h5", "-o", "c.h5", *LONG[2:])), 3,
                           "the checkpoint of a run on other data")

    def test_damaged_checkpoints(self):
        self.train(*AUTO, "--checkpoint.steps", 20)
        whole = self.weights()
        path = self.folder / "flow.checkpoint.h5"
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        run = self.train(*AUTO, "--checkpoint.steps", 20, ranks=2)
        self.assertIn("warning: flow.checkpoint.h5: is damaged", run.stderr)
        self.assertIn("continued  from step 20 of flow.checkpoint.previous.h5", run.stderr)
        self.assertSameWeights(self.weights(), whole)
        for name in ["flow.checkpoint.h5", "flow.checkpoint.previous.h5"]:
            (self.folder / name).write_bytes(content[: len(content) // 3])
        self.assertFailure(self.run_program("flow_train", *flows.small(*AUTO)), 5,
                           "no checkpoint can be used: flow.checkpoint.h5: is truncated", "--restart never")
        shutil.copy(self.folder / "flow.h5", path)
        (self.folder / "flow.checkpoint.previous.h5").unlink()
        self.assertFailure(self.run_program("flow_train", *flows.small(*AUTO)), 5, "is not a checkpoint of flow_train")


def growth(values, of=np.median):
    """The median, or another number, of the last quarter of a series less that of the second quarter."""
    quarter = len(values) // 4
    return of(values[-quarter:]) - of(values[quarter:2 * quarter])


class Long(RestartTest):
    def test_many_checkpoints_leave_nothing_behind(self):
        """20,000 steps with 400 checkpoints: memory and open files stay as they were, and the history goes on."""
        run = self.start(*AUTO, "--train.steps", 20_000, "--checkpoint.steps", 50, "--output.every", 100, ranks=0)
        kilobytes, files, checkpoints = [], [], set()
        while run.poll() is None:
            try:
                status = pathlib.Path(f"/proc/{run.pid}/status").read_text()
                kilobytes.append(int(re.search(r"VmRSS:\s+(\d+)", status).group(1)))
                files.append(len(os.listdir(f"/proc/{run.pid}/fd")))
                checkpoints.add((self.folder / "flow.checkpoint.h5").stat().st_mtime_ns)  # the numbers of inodes come again
            except (OSError, AttributeError):  # the run has not begun, or it has ended
                pass
            time.sleep(0.02)
        self.ended(run, 0)
        self.assertGreater(len(checkpoints), 10)
        if not SANITIZED:  # sanitizers keep freed memory for a while, and report leaks themselves
            self.assertLess(growth(kilobytes), 1000)
        # On a busy machine most looks may meet a checkpoint that is being written, with its file open.
        self.assertLess(growth(files, np.min), 1)
        self.assertEqual(self.steps_of_history(), list(range(100, 20_001, 100)))
        # The twin: 10 kB or a tenth of a file for each checkpoint are seen.
        self.assertGreater(growth([k + 4000 * i / len(kilobytes) for i, k in enumerate(kilobytes)]), 1000)
        self.assertGreater(growth([f + 40 * i / len(files) for i, f in enumerate(files)], np.min), 1)


class Faults(RestartTest):
    """On 2 and 8 ranks: an error within ten seconds, a defined code, no torn file."""

    def test_a_rank_is_killed(self):
        for ranks in [2, 8]:
            with self.subTest(ranks):
                run = self.start(*LONG, "--checkpoint.steps", 50, ranks=ranks)
                self.await_history(run)
                os.kill(kills.processes_below(run.pid)[0], signal.SIGKILL)
                start = time.monotonic()
                run.communicate(timeout=END)
                self.assertLess(time.monotonic() - start, END)
                self.assertNotEqual(run.returncode, 0)
                kills.require_readable(self.folder)
                (self.folder / "flow.csv").unlink()

    def test_a_full_disk(self):
        """At each write of a checkpoint in turn. The run goes on, and the next checkpoint is good."""
        self.train(*AUTO, "--checkpoint.steps", 6)
        whole = self.weights()
        for at in range(1, 6):
            with self.subTest(at):
                self.clean()
                run = self.train(*AUTO, "--checkpoint.steps", 6, env=faulty("write", "checkpoint", at))
                self.assertIn(f"warning: no checkpoint after step {6 * at}: writing flow.checkpoint.h5: No space left",
                              run.stderr)
                self.assertSameWeights(self.weights(), whole)
                self.assertEqual(self.step_of_checkpoint(), 30 if at < 5 else 24)
                self.assertIn("continued", self.train(*AUTO, "--checkpoint.steps", 6).stderr)
                self.assertSameWeights(self.weights(), whole)

    def clean(self):
        for path in self.folder.iterdir():
            path.unlink()

    def assertFault(self, code, *messages, ranks, env, arguments=AUTO, program="flow_train"):
        """A run with a fault ends with this code within ten seconds, says these words, and leaves no torn file."""
        start = time.monotonic()
        words = flows.small(*arguments) if program == "flow_train" else arguments
        run = self.run_program(program, *words, ranks=ranks, env=env)
        self.assertLess(time.monotonic() - start, END)
        self.assertEqual(run.returncode, code, run.stderr)
        for message in messages:
            self.assertIn(message, run.stderr)
        kills.require_readable(self.folder)

    def test_an_error_of_mpi(self):
        for ranks in [2, 8]:
            for rank in [0, ranks - 1]:
                with self.subTest(ranks=ranks, rank=rank):
                    self.clean()
                    self.assertFault(6, f"flow_train: rank {rank} on ", "MPI_Allreduce: MPI_ERR_TRUNCATE", ranks=ranks,
                                     env=faulty("allreduce", at=40, rank=rank))
        # The twin: a run without an error among the first million calls.
        self.clean()
        self.assertFault(0, ranks=2, env=faulty("allreduce", at=1_000_000))

    def test_data_that_one_rank_cannot_read(self):
        self.succeed("flow_data", "make", "moons", "--rows", 2000, "-o", "data.hdf5")
        model = flows.model(2)
        for ranks in [2, 8]:
            for call, reason in [("open", "Permission denied"), ("read", "Input/output error")]:
                # One rank of a node reads the rows for training; each rank reads its own for the others.
                for rank, program, arguments in [(0, "flow_train", ["--data", "data.hdf5"]),
                                                 (ranks - 1, "flow_density", [model, "data.hdf5", "-o", "p.h5"])]:
                    with self.subTest(ranks=ranks, call=call, program=program):
                        self.assertFault(5, "data.hdf5", reason, *[f"[rank {rank}, host "] * (rank > 0), ranks=ranks,
                                         env=faulty(call, "data.hdf5", calls=1000, rank=rank), arguments=arguments,
                                         program=program)
                        self.assertEqual([path.name for path in self.folder.iterdir()], ["data.hdf5"])

    def test_a_lock_that_is_refused(self):
        self.succeed("flow_data", "make", "moons", "--rows", 2000, "-o", "data.hdf5")
        for ranks in [2, 8]:
            self.assertFault(5, "data.hdf5", "set HDF5_USE_FILE_LOCKING=FALSE", ranks=ranks,
                             env=faulty("lock", "data.hdf5", calls=1000), arguments=["--data", "data.hdf5"])
        # The advice works.
        self.assertFault(0, ranks=2, env=faulty("lock", "data.hdf5", calls=1000) | {"HDF5_USE_FILE_LOCKING": "FALSE"},
                         arguments=["--data", "data.hdf5"])

    def test_a_folder_that_is_read_only(self):
        for ranks in [2, 8]:
            with self.subTest(ranks):
                self.clean()
                self.assertFault(5, "flow.", "Read-only file system", ranks=ranks,
                                 env=faulty("create", "flow.", calls=1000))
                self.assertEqual(list(self.folder.iterdir()), [])

    def test_a_folder_that_becomes_read_only(self):
        """The checkpoint before it is kept, and the run goes on from it."""
        self.train(*AUTO, "--checkpoint.steps", 6)
        whole = self.weights()
        for ranks in [2, 8]:
            with self.subTest(ranks):
                self.clean()
                arguments = [*AUTO, "--checkpoint.steps", 6]
                self.assertFault(5, "warning: no checkpoint after step 24", "flow.h5: Read-only file system",
                                 ranks=ranks, env=faulty("create", ".part", at=4, calls=1000), arguments=arguments)
                self.assertEqual(self.step_of_checkpoint(), 18)
                self.assertIn("continued", self.train(*arguments, ranks=ranks).stderr)
                self.assertSameWeights(self.weights(), whole)

    def test_a_folder_that_disappears(self):
        for ranks in [2, 8]:
            with self.subTest(ranks):
                (self.folder / "out").mkdir()
                run = self.start(*LONG, "--checkpoint.steps", 100, "-o", "out/flow.h5", ranks=ranks)
                while not (self.folder / "out" / "flow.checkpoint.h5").exists():
                    self.assertIsNone(run.poll())
                    time.sleep(0.02)
                os.rename(self.folder / "out", self.folder / f"gone_{ranks}")  # at once, whatever is being written
                run.send_signal(signal.SIGUSR2)
                self.assertIn("flow_train: cannot write out/flow.h5: there is no folder out", self.ended(run, 5))

    def test_a_history_that_cannot_be_written(self):
        for ranks in [2, 8]:
            run = self.run_program("flow_train", *flows.small(), ranks=ranks, env=faulty("write", "flow.csv", 2, 1000))
            self.assertEqual(run.returncode, 5, run.stderr)
            self.assertIn("cannot write the history flow.csv: No space left", run.stderr)
            self.assertTrue((self.folder / "flow.h5").exists())  # the model is not lost
            (self.folder / "flow.h5").unlink()
        # Once there is room again, the history is whole.
        self.train("--output.every", 1, env=faulty("write", "flow.csv", 4, 3))
        self.assertEqual(self.steps_of_history(), list(range(1, 31)))

    def test_a_rank_that_hangs(self):
        for ranks in [2, 8]:
            run = self.start(*LONG, "--hang-timeout", 2, ranks=ranks)
            self.await_history(run)
            os.kill(kills.processes_below(run.pid)[0], signal.SIGSTOP)
            _, errors = run.communicate(timeout=20)
            self.assertEqual(run.returncode, 8, errors)
            self.assertIn("has not moved for 2 s: after step", errors)
            self.assertIn("in all-reduce", errors)
            (self.folder / "flow.csv").unlink()


class NotFinite(RestartTest):
    """exp() of one training row overflows, behind a transform with parameters, so that every fifth step fails."""

    CHAIN = """
[[model.chain]]
kind = "coupling"
[[model.chain]]
kind = "elementwise"
function = "exp"
columns = [1]
[[model.chain]]
kind = "coupling"
mask = "odd"
"""

    def setUp(self):
        super().setUp()
        x = {name: rows - 3 for name, rows in flows.split_rows(2).items()}
        x["train"][17, 1] = 1000
        self.put("a.h5", x)
        self.write("chain.toml", "[model]\nkind = 'chain'\n" + self.CHAIN)
        self.arguments = ["chain.toml", "--data", "a.h5"]

    def test_the_run_stops_and_says_where(self):
        run = self.run_program("flow_train", *flows.small(*self.arguments), ranks=2)
        self.assertEqual(run.returncode, 4, run.stderr)
        with open(self.folder / "flow.diagnosis.toml", "rb") as file:
            diagnosis = tomllib.load(file)
        self.assertIn(17, diagnosis["rows"])
        self.assertEqual(len(diagnosis["rows"]), 64)
        self.assertIn(f"step {diagnosis['step']}: ", diagnosis["reason"])
        self.assertIn("training row 17", diagnosis["reason"])
        self.assertTrue(all(np.isfinite(norm) for norm in diagnosis["norms"].values()))

    def test_steps_are_left_out(self):
        run = self.train(*self.arguments, "--train.on_nonfinite", "skip", ranks=2)
        left_out = int(re.findall(r"(\d+) of them left out, not finite", run.stderr)[0])
        self.assertEqual(left_out, len(re.findall(r"warning: step \d+: .* not finite", run.stderr)))
        self.assertGreater(left_out, 1)
        few = self.run_program("flow_train", *flows.small(*self.arguments, "--train.on_nonfinite", "skip",
                                                          "--train.nonfinite_limit", left_out - 1))
        self.assertEqual(few.returncode, 4, few.stderr)
        self.train("chain.toml", "--data", flows.data(2))  # the twin: without that row, all steps are finite
        self.assertFailure(self.run_program("flow_train", *flows.small("--train.nonfinite_limit", 5)), 2,
                           "train.nonfinite_limit")

    def test_back_to_the_last_checkpoint(self):
        run = self.run_program("flow_train", *flows.small(*self.arguments, "--train.on_nonfinite", "back",
                                                          "--train.nonfinite_limit", 3), ranks=2)
        self.assertEqual(run.returncode, 4, run.stderr)
        self.assertIn("3 returns to a checkpoint", run.stderr)


cases.main()
