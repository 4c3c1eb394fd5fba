"""Helpers for the tests of flow_train, flow_density, flow_sample and flow_check: data, small models, readings of files.

Small models are trained once for each file of tests and kept in a folder of its own.
"""

import atexit
import contextlib
import csv
import functools
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import h5py
import numpy as np

from harness import TIME_LIMIT, ProgramTest, command

SOURCE = pathlib.Path(os.environ["PUSHFORWARD_SOURCE"])
sys.path.insert(0, str(SOURCE / "examples"))

# Published raw files lie beside the source tree, or where PUSHFORWARD_DATA says.
DATA = pathlib.Path(os.environ.get("PUSHFORWARD_DATA", SOURCE.parent / "shared" / "data"))

COLUMNS = ["step", "seconds", "train_nll", "validation_nll", "learning_rate", "gradient_norm"]

# Flags of a model that trains in a moment.
SMALL = ["--model.blocks", 2, "--model.hidden", "8,8", "--train.steps", 30, "--train.batch", 64, "--train.warmup", 5,
         "--train.learning_rate", 0.02]


TWICE = ["--model.precision", "double", "--output.every", 1]  # the arithmetic and the rows of a comparison


def small(*arguments):
    """The arguments behind SMALL, without what they say themselves, as a list's flag that is given twice adds up, and
    without what the kind has no use for: a file's chain is written out in it."""
    said = set(map(str, arguments))
    if any(word.endswith(".toml") for word in said):
        said |= {"--model.blocks", "--model.hidden"}
    if said & {"planar", "radial"}:
        said.add("--model.hidden")
    if "continuous" in said:
        said.add("--model.blocks")
    pairs = zip(SMALL[::2], SMALL[1::2])
    return [word for flag, value in pairs if flag not in said for word in (flag, value)] + list(arguments)


def rows(d, n=400, seed=0):
    """(n, d) rows of a density without any symmetry: neither columns nor signs can be exchanged."""
    generator = np.random.default_rng([seed, d])
    z = generator.normal(size=(n, d))
    x = z + 0.6 * np.sin(1.5 * np.roll(z, 1, axis=1) + 1) + 0.3 * np.log1p(np.exp(z))
    return 3 + x * np.geomspace(0.5, 2, d)


def toml(settings):
    """A configuration file. settings: values by key; those of model.chain are tables."""
    def assignments(values):
        return [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]

    lines = assignments({key: value for key, value in settings.items() if key != "model.chain"})
    for table in settings.get("model.chain", []):
        lines += ["[[model.chain]]", *assignments(table)]
    return "\n".join(lines) + "\n"


def write_h5(path, arrays, **attributes):
    """A file with these arrays, by path, and attributes of the root."""
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values
        file.attrs.update(attributes)


def read_h5(path):
    """All arrays of a file by path. Texts have a fixed length, so that their bytes can be compared."""
    arrays = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, o: arrays.update({name: o[()]}) if isinstance(o, h5py.Dataset) else None)
    return {name: x.astype("S") if getattr(x, "dtype", None) == object else x for name, x in arrays.items()}


def text(attribute):
    """An attribute as str: h5py gives text of fixed length as bytes."""
    return attribute.decode() if isinstance(attribute, bytes) else attribute


def attributes(h5_object):
    """The attributes of an object of a file, by name, with texts as str."""
    return {name: text(value) for name, value in h5_object.attrs.items()}


def texts(dataset):
    """The texts of a dataset (N, bytes) of bytes."""
    return [bytes(row).rstrip(b"\0").decode() for row in dataset[()]]


SEAL_BYTES = 512


def seal(path):
    """Puts the seal of its present bytes in front of a model file, so that a test may change it."""
    content = path.read_bytes()[SEAL_BYTES:]
    text = f"pushforward seal 1\nbytes {len(content)}\nsha256 {hashlib.sha256(content).hexdigest()}\n"
    path.write_bytes(text.encode().ljust(SEAL_BYTES, b"\0") + content)


def require_sealed(path, content):
    """Raises AssertionError unless a model or a checkpoint agrees with its seal."""
    number, digest = (content[:SEAL_BYTES].rstrip(b"\0").decode().split("\n")[line].split()[1] for line in (1, 2))
    if (int(number), digest) != (len(content) - SEAL_BYTES, hashlib.sha256(content[SEAL_BYTES:]).hexdigest()):
        raise AssertionError(f"{path} does not agree with its seal")


@contextlib.contextmanager
def edited_model(path):
    """A model file of h5py that may be changed, with a good seal afterwards."""
    with h5py.File(path, "r+") as file:
        yield file
    seal(path)


def read_history(path):
    """The header and the columns (name: list of texts) of a history."""
    with open(path, newline="") as file:
        header, *lines = csv.reader(file)
    return header, dict(zip(header, map(list, zip(*lines))))


def split_rows(d, n=400):
    """A dataset's arrays: most rows for training, the others for validation and test."""
    x = rows(d, n)
    return {"train": x[: n * 8 // 10], "validation": x[n * 8 // 10 : n * 9 // 10], "test": x[n * 9 // 10 :]}


@functools.cache
def kept_folder():
    """A folder for what several tests use."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pushforward-test-"))
    atexit.register(shutil.rmtree, folder)
    return folder


@functools.cache
def data(d, n=400):
    """A dataset of dimension d."""
    path = kept_folder() / f"data_{d}_{n}.h5"
    write_h5(path, split_rows(d, n))
    return path


@functools.cache
def model(d, *arguments):
    """A small model of data(d), trained with further flags."""
    path = kept_folder() / f"model_{model.cache_info().misses}.h5"
    subprocess.run(command("flow_train", "--data", data(d), "-o", path, *small(*arguments)), check=True,
                   stdin=subprocess.DEVNULL, capture_output=True, timeout=TIME_LIMIT)
    return path


class FlowTest(ProgramTest):
    """With shorthands for the programs, whose success they assert."""

    def succeed(self, name, *arguments, **options):
        run = self.run_program(name, *arguments, **options)
        self.assertSuccess(run)
        return run

    def train(self, *arguments, **options):
        """Trains a small model, flow.h5 unless -o is given."""
        return self.succeed("flow_train", *small(*arguments), **options)

    def density(self, *arguments, output="density.h5", **options):
        """Runs flow_density, and returns what it writes."""
        self.succeed("flow_density", *arguments, "-o", output, **options)
        return read_h5(self.folder / output)

    def sample(self, *arguments, output="samples.h5", **options):
        """Runs flow_sample, and returns what it writes."""
        self.succeed("flow_sample", *arguments, "-o", output, **options)
        return read_h5(self.folder / output)

    def put(self, name, arrays, **attributes):
        """Writes an HDF5 file into self.folder and gives its name."""
        write_h5(self.folder / name, arrays, **attributes)
        return name

    def copy(self, path, name):
        """Copies a file into self.folder and gives where it is."""
        return shutil.copy(path, self.folder / name)

    def files(self):
        """Names of all files in self.folder."""
        return sorted(path.name for path in self.folder.iterdir())

    def assertNear(self, a, b, tolerance):
        """Arrays agree: |a − b| ≤ tolerance · (1 + |b|) everywhere; NaN fails."""
        a, b = np.asarray(a, float), np.asarray(b, float)
        self.assertEqual(a.shape, b.shape)
        error = np.abs(a - b) / (1 + np.abs(b))
        self.assertTrue(np.all(error <= tolerance), f"off by {np.max(error, initial=0)}")

    def assertFar(self, a, b, tolerance):
        """The opposite of assertNear, somewhere in the arrays."""
        self.assertEqual(np.shape(a), np.shape(b))
        with self.assertRaises(AssertionError):
            self.assertNear(a, b, tolerance)


class CourseTest(FlowTest):
    """With runs on some ranks, whose histories are compared."""

    def course(self, *arguments, ranks):
        """History (columns of texts) and model file of a run on some ranks."""
        name = f"on{ranks}"
        self.train("-o", f"{name}.h5", *arguments, ranks=ranks)
        header, columns = read_history(self.folder / f"{name}.csv")
        if "flow_matching" in arguments:
            self.assertEqual(header[2], "train_loss")
            header[2], columns["train_nll"] = "train_nll", columns.pop("train_loss")
            self.assertEqual(header.pop(4), "validation_loss")
        self.assertEqual(header, COLUMNS)
        return columns, self.folder / f"{name}.h5"

    def assertSameCourse(self, a, b, tolerance=1e-9):
        """Two histories agree to a relative tolerance in all that is computed."""
        self.assertEqual(a["step"], b["step"])
        for name in a.keys() - {"step", "seconds"}:
            self.assertEqual([text == "" for text in a[name]], [text == "" for text in b[name]])
            x, y = (np.array([float(text) for text in side[name] if text]) for side in (a, b))
            self.assertTrue(np.all(np.abs(x - y) <= tolerance * np.abs(y)), (name, x, y))

    def assertSameOnRanks(self, *arguments, steps=50):
        """The course on one rank, which is that on 2, 3 and 8 and not that of another seed."""
        first, _ = self.course("--train.steps", steps, *TWICE, *arguments, ranks=1)
        self.assertEqual(first["step"], [str(step) for step in range(1, steps + 1)])
        for ranks in [2, 3, 8]:
            other, _ = self.course("--train.steps", steps, *TWICE, *arguments, ranks=ranks)
            self.assertSameCourse(other, first)
        # The twin: a run that is another one.
        other, _ = self.course("--train.steps", steps, *TWICE, *arguments, "--seed", 2, ranks=1)
        with self.assertRaises(AssertionError):
            self.assertSameCourse(other, first)
        return first
