"""Runs a fuzz target on damaged files.

    fuzz.py READER [--count N] [--seed N] [--seconds S]

Our programs make the undamaged files, small ones, in a folder for each reader below the folder of the executables; then
fuzz_READER damages them N times. With --seconds, libFuzzer searches for S seconds in addition, if there is an executable
for it. Damaged files that make a reader fail are kept in the folder `found`. The last line says how many there were.
"""

import argparse
import bz2
import gzip
import lzma
import os
import pathlib
import shutil
import subprocess
import sys

import h5py
import numpy as np

from harness import command, program_path

SOURCE = pathlib.Path(os.environ["PUSHFORWARD_SOURCE"])
MOST_FAILURES = 20


def run(folder, name, *arguments):
    """Runs one of our programs; gives its output."""
    done = subprocess.run(command(name, *arguments), cwd=folder, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                          env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})
    if done.returncode != 0:
        sys.exit(f"{name} {arguments}: {done.stderr}")
    return done.stdout


def make_rows(folder):
    """A dataset, and a table of text from a model of it."""
    run(folder, "flow_data", "make", "moons", "--output", "data.h5", "--rows", 60)
    train(folder, "model.h5")
    run(folder, "flow_sample", "model.h5", "--output", "table.csv", "--rows", 40)


def train(folder, model, *arguments):
    run(folder, "flow_train", "--data.file", "data.h5", "--train.steps", 2, "--train.batch", 16, "--output.model", model,
        "--model.hidden", "4", "--model.blocks", 1, *arguments)


def csv(work, seeds):
    make_rows(work)
    shutil.copy(work / "table.csv", seeds)
    (seeds / "semicolons.csv").write_text('id;"a ""b""";kind\n1;1,5;x\n2;-2,25;"y;z"\n3;NA;x\n4;1.234,5;\n')
    (seeds / "blanks.txt").write_text("# a  b\n 1 2.5e-3\n\n 0x1p4  -inf\n 3D2 nan\n", newline="\r\n")
    (seeds / "names.csv").write_bytes('é,b\n"1",2\n1 234,"5"\n'.encode("latin-1"))
    (seeds / "separator.csv").write_text("sep=|\n2010|2011\n0.5|1.5\n'1'|2\n")


def npy(work, seeds):
    make_rows(work)
    run(work, "flow_sample", "model.h5", "--output", "x.npy", "--rows", 20)
    shutil.copy(work / "x.npy", seeds)
    np.save(seeds / "fortran.npy", np.asfortranarray(np.arange(24, dtype=">i2").reshape(4, 3, 2)))
    np.save(seeds / "half.npy", np.arange(7, dtype="<f2"))
    records = np.zeros(5, dtype=[("x", "<f8"), ("k", "<i4", (2,)), ("r", [("y", "<f4"), ("s", "S3")])])
    np.save(seeds / "records.npy", records)


def packed_archives(seeds, arrays):
    np.savez(seeds / "one.npz", x=arrays)
    np.savez_compressed(seeds / "two.npz", x=arrays, y=arrays[:3])


def zip_(work, seeds):
    make_rows(work)
    packed_archives(seeds, np.linspace(0, 1, 30).reshape(10, 3))
    shutil.make_archive(str(work / "text"), "zip", work, "table.csv")
    shutil.copy(work / "text.zip", seeds)


def packed(work, seeds):
    make_rows(work)
    text = (work / "table.csv").read_bytes()
    (seeds / "table.csv.gz").write_bytes(gzip.compress(text, mtime=0))
    (seeds / "table.csv.xz").write_bytes(lzma.compress(text))
    (seeds / "table.csv.bz2").write_bytes(bz2.compress(text))
    (seeds / "data.h5.gz").write_bytes(gzip.compress((work / "data.h5").read_bytes(), mtime=0))
    # A frame of zstd with one block that is not compressed.
    line = b"1,2\n3,4\n5,6\n"
    block = (1 | len(line) << 3).to_bytes(3, "little")
    (seeds / "line.csv.zst").write_bytes(b"\x28\xb5\x2f\xfd\x20" + bytes([len(line)]) + block + line)


def idx(_, seeds):
    pixels = bytes(i % 256 for i in range(5 * 6 * 4))
    (seeds / "images.idx").write_bytes(bytes([0, 0, 8, 3]) + b"".join(n.to_bytes(4, "big") for n in (5, 6, 4)) + pixels)
    (seeds / "labels.idx").write_bytes(bytes([0, 0, 8, 1]) + (9).to_bytes(4, "big") + bytes(range(9)))
    doubles = np.arange(6, dtype=">f8").tobytes()
    (seeds / "doubles.idx").write_bytes(bytes([0, 0, 14, 2]) + (3).to_bytes(4, "big") + (2).to_bytes(4, "big") + doubles)


def cifar(_, seeds):
    pixels = bytes(i % 251 for i in range(3072))
    (seeds / "ten.bin").write_bytes((b"\x03" + pixels) * 2)
    (seeds / "hundred.bin").write_bytes(b"\x07\x60" + pixels)


def dataset(work, seeds):
    make_rows(work)
    shutil.copy(work / "data.h5", seeds / "made.h5")
    (work / "named.csv").write_text("a,b,c,w\n" + "".join(f"{i / 7},{i * i},{i % 3},{1 + i % 2}\n" for i in range(40)))
    run(work, "flow_data", "import", "named.csv", "--weight", "w", "--context", "c", "--one-hot", "c", "--output", "named.h5")
    shutil.copy(work / "named.h5", seeds)
    values = np.arange(60, dtype=np.float32).reshape(20, 3)
    with h5py.File(seeds / "chunked.h5", "w") as file:
        packed = file.create_dataset("train", data=values, chunks=(4, 3), compression="gzip", shuffle=True,
                                     fletcher32=True, maxshape=(None, 3))
        packed.attrs["scale_factor"] = 2.0
        file["feature_names"] = ["a", "b", "long name"]
    with h5py.File(seeds / "foreign.h5", "w", libver="latest") as file:
        file["group/records"] = np.zeros(4, dtype=[("x", "<f8"), ("k", "<i2", (2,)), ("s", "S3")])
        file["train"] = np.arange(12, dtype=">i2").reshape(6, 2)
        file["train"].attrs["_FillValue"] = np.int16(3)
        file.create_dataset("scaled", data=np.arange(12), chunks=(4,), scaleoffset=0)
        file["link"] = h5py.SoftLink("/nowhere")
        file.attrs["text"] = "of variable length"


def model(work, seeds):
    make_rows(work)
    shutil.copy(work / "model.h5", seeds)
    train(work, "coupling.h5", "--model.kind", "spline", "--model.precision", "float")
    shutil.copy(work / "coupling.h5", seeds)


def model_content(work, seeds):
    model(work, seeds)
    for name in sorted((SOURCE / "test/golden/version_1/models").glob("*.h5"), key=os.path.getsize)[:1]:
        shutil.copy(name, seeds)


def checkpoint(work, seeds):
    make_rows(work)
    shutil.copy(work / "model.checkpoint.h5", seeds)


def config(work, seeds):
    (seeds / "all.toml").write_text(run(work, "flow_train", "--print-config", "--data.file", "x.h5"))
    (seeds / "chain.toml").write_text('[data]\nfile = "x.h5"\n[train]\nsteps = 10\nlearning_rate = 1e-3\n'
                                      '[model]\nkind = "chain"\n[[model.chain]]\nkind = "actnorm"\n'
                                      '[[model.chain]]\nkind = "residual"\nhidden = [8, 8]\nlipschitz = 0.9\n')


READERS = {"csv": csv, "npy": npy, "zip": zip_, "packed": packed, "idx": idx, "cifar": cifar, "dataset": dataset,
           "model": model, "model_content": model_content, "checkpoint": checkpoint, "checkpoint_content": checkpoint,
           "config": config}


def make_seeds(reader):
    """Makes the undamaged files anew; gives the folders of the reader and of these files."""
    top = pathlib.Path(program_path("fuzz_" + reader)).parent / "files" / reader
    shutil.rmtree(top, ignore_errors=True)
    for name in ("work", "seeds", "found"):
        (top / name).mkdir(parents=True)
    READERS[reader](top / "work", top / "seeds")
    return top


def environment(top):
    """For the targets: a report of a sanitizer ends them, so that the driver keeps the file."""
    return {"PUSHFORWARD_FUZZ_SEEDS": str(top / "seeds"),
            "UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:print_stacktrace=1",
            "ASAN_OPTIONS": "abort_on_error=1:detect_leaks=0:handle_abort=0:handle_segv=0:handle_sigfpe=0",
            "OPENBLAS_NUM_THREADS": "1"}


def run_driver(top, reader, count, seed):
    """Gives the number of files that made the reader fail. Goes on behind each of them."""
    first, failures = 0, 0
    while first < count and failures < MOST_FAILURES:
        words = command("fuzz_" + reader, "--count", count - first, "--first", first, "--seed", seed, "--keep",
                        top / "found", top / "seeds")
        done = subprocess.run(words, text=True, errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env={**os.environ, **environment(top)}, check=False)
        if done.returncode == 0:
            break
        failures += 1
        print(done.stdout[-6000:])
        failed = [line.split()[-1] for line in done.stdout.splitlines() if line.startswith("FAILED:")]
        number = failed[-1].rsplit("-", 1)[-1] if failed else ""
        if not number.isdigit():
            break  # an undamaged file, or no file at all
        first = int(number) + 1
    return failures


def run_libfuzzer(top, reader, seconds):
    """Gives 1 if libFuzzer finds a file that makes the reader fail, else 0."""
    try:
        program_path("libfuzzer_" + reader)
    except FileNotFoundError:
        return 0
    corpus = top / "corpus"
    corpus.mkdir()
    words = command("libfuzzer_" + reader, f"-max_total_time={seconds}", "-timeout=60", "-rss_limit_mb=4096",
                    "-detect_leaks=0", f"-artifact_prefix={top / 'found'}/", corpus, top / "seeds")
    done = subprocess.run(words, text=True, errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, **environment(top)}, check=False)
    print(done.stdout[-3000:] if done.returncode else done.stdout.splitlines()[-1])
    return 1 if done.returncode else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("reader", choices=READERS)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=int, default=0)
    arguments = parser.parse_args()
    top = make_seeds(arguments.reader)
    failures = run_driver(top, arguments.reader, arguments.count, arguments.seed)
    if arguments.seconds > 0:
        failures += run_libfuzzer(top, arguments.reader, arguments.seconds)
    if failures > 0:
        print(f"the files are in {top / 'found'}")
    print(f"{arguments.reader}: {arguments.count} damaged files, {failures} failures")
    return 1 if failures > 0 else 0


if __name__ == "__main__":
    sys.exit(main())
