"""Kills runs of flow_train with SIGKILL at random moments, and lets the same command continue each to the end.

  ninja -C build kills
  kills.py [--runs N] [--seed SEED]     in the environment of that target

Each run is `mpirun -n 2 flow_train --reproducible` with a checkpoint every few steps, so that many kills fall into the
writing of one. Runs take turns over all optimizers and objectives, over kinds of flows, precisions, estimators that
draw, schedules and early stopping. A run passes if every file is readable after the kill, the same command finishes the
run, and weights and history are those of a run that was not killed.
"""

import argparse
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import h5py
import numpy as np

import flows
from harness import TIME_LIMIT, command

RANKS = 2
STEPS = 400
OBJECTIVES = ["likelihood", "flow_matching"]
OPTIMIZERS = ["adam", "adamw", "adamax"]
SETTINGS = [["--train.optimizer", optimizer, "--model.kind", kind, "--model.precision", precision, *more]
            for optimizer, kind, precision, *more in [
                ("adam", "residual", "float", "--log_det.train", "roulette", "--train.schedule", "step"),
                ("adamw", "realnvp", "double", "--train.average", 0),
                ("adamax", "residual", "double", "--train.validate_every", 10, "--train.patience", 15),
                ("adam", "spline", "float"),
                ("adam", "continuous", "double", "--objective.kind", "flow_matching", "--objective.coupling",
                 "optimal_transport", "--objective.likelihood_steps", 100)]]


def words(settings, ranks=RANKS):
    """The command of a run."""
    return command("flow_train", *flows.small(*settings, "--data.rows", 2000, "--train.steps", STEPS,
                                              "--checkpoint.steps", 5, "--output.every", 20, "--restart", "auto"),
                   "--reproducible", ranks=ranks)


def processes_below(pid):
    """The process and all that it has started, last first."""
    parents = {}
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[::-1]


def kill_after(folder, settings, seconds):
    """Starts a run and kills all its processes after some seconds. Gives whether it was still running."""
    with subprocess.Popen(words(settings), cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as run:
        time.sleep(seconds)
        runs = run.poll() is None
        for pid in processes_below(run.pid) if runs else []:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        run.wait(timeout=TIME_LIMIT)
    return runs


def require_readable(folder):
    """Every file with a final name is whole."""
    for path in folder.glob("[!.]*.h5"):
        content = path.read_bytes()
        flows.require_sealed(path, content)
        with h5py.File(path) as file:
            file.visititems(lambda _, o: o[()] if isinstance(o, h5py.Dataset) else None)


def finish(folder, settings, ranks=RANKS):
    """Runs the command to its end. Gives the arrays of the model, and the history without its times."""
    run = subprocess.run(words(settings, ranks), cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                         timeout=TIME_LIMIT)
    if run.returncode != 0:
        raise AssertionError(f"the continued run ended with {run.returncode}: {run.stderr}")
    _, history = flows.read_history(folder / "flow.csv")
    seconds = np.array(history.pop("seconds"), float)
    if np.any(np.diff(seconds) < 0):
        raise AssertionError(f"the history goes back in time: {seconds}")
    arrays = {name: values for name, values in flows.read_h5(folder / "flow.h5").items()
              if not name.startswith("history/seconds")}
    return arrays, history


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name], equal_nan=a[name].dtype.kind == "f")
                                        for name in a)


def check_kills(runs, seed, report=lambda text: None):
    """Raises AssertionError if a run is not as if it had not been killed. Gives how many were killed while running."""
    moments, killed, whole, duration = random.Random(seed), 0, {}, {}
    for number in range(runs):
        settings = SETTINGS[number % len(SETTINGS)]
        key = tuple(settings)
        folder = pathlib.Path(tempfile.mkdtemp(prefix="pushforward-test-"))
        try:
            if key not in whole:
                start = time.monotonic()
                whole[key] = finish(folder, settings)
                duration[key] = time.monotonic() - start
                shutil.rmtree(folder)
                folder.mkdir()
            seconds = moments.uniform(0.1, duration[key])
            killed += kill_after(folder, settings, seconds)
            require_readable(folder)
            has_checkpoint = (folder / "flow.checkpoint.h5").exists()
            arrays, history = finish(folder, settings)
            if not same(arrays, whole[key][0]) or history != whole[key][1]:
                raise AssertionError(f"run {number} ({' '.join(map(str, settings))}), killed after {seconds:.3f} s, is another run")
            report(f"run {number}: {' '.join(map(str, settings[1::2]))}, killed after {seconds:.2f} s"
                   f"{'' if has_checkpoint else ', before the first checkpoint'}: continued, same bits")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return killed


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    hit = check_kills(options.runs, options.seed, print)
    print(f"{options.runs} runs, {hit} of them killed before their end: all were continued with the same bits")
    sys.exit(0)
