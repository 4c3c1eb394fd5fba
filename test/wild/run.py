"""Puts files of other programs through `flow_data import` and compares with independent readers.

    /usr/bin/python3 test/wild/run.py --programs build/apps > test/wild/log.txt

The files come from Debian packages, which are downloaded (apt-get download) and unpacked (dpkg -x) into a cache;
nothing is installed. files.py says for each file what is right: the numbers of an independent reader, or a refusal with
certain words. A file whose package cannot be fetched, or whose reader is not installed, is skipped, and the table says
so. The exit code is 1 if a verdict is wrong.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import h5py
import numpy as np

from files import FILES
from readers import difference

TIME_LIMIT = 300  # seconds for one file


def fetch(package, cache):
    """The folder with the unpacked package, or None if it cannot be fetched."""
    folder = cache / package
    if folder.is_dir():
        return folder
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        return None
    with tempfile.TemporaryDirectory(dir=cache) as temporary:
        run = subprocess.run(["apt-get", "download", package], cwd=temporary, capture_output=True, check=False)
        archives = list(pathlib.Path(temporary).glob("*.deb"))
        if run.returncode != 0 or len(archives) != 1:
            return None
        target = pathlib.Path(temporary) / "content"
        if subprocess.run(["dpkg", "-x", archives[0], target], capture_output=True, check=False).returncode != 0:
            return None
        target.rename(folder)
    return folder


def version_of(package):
    """The version of a package that apt would download, or "?"."""
    if shutil.which("apt-cache") is None:
        return "?"
    run = subprocess.run(["apt-cache", "show", "--no-all-versions", package], capture_output=True, text=True,
                         check=False)
    return next((line.split()[1] for line in run.stdout.splitlines() if line.startswith("Version:")), "?")


def run_import(program, path, arguments, folder):
    """Exit code, report or message, names and rows of an import whose rows are all for training."""
    output = folder / "out.h5"
    output.unlink(missing_ok=True)
    environment = {**os.environ, "OMPI_MCA_ess_singleton_isolated": "1"}
    run = subprocess.run([program, "import", path, *arguments, "--split", "1,0,0", "-o", output], capture_output=True,
                         text=True, timeout=TIME_LIMIT, stdin=subprocess.DEVNULL, env=environment, check=False)
    if run.returncode != 0:
        return run.returncode, run.stderr.strip(), None, None
    with h5py.File(output) as file:
        rows = file["train"][()]
        names = names_in(file)
    return 0, run.stdout.strip(), names, rows


def names_in(file):
    """The names of the columns."""
    rows = file["feature_names"][()] if "feature_names" in file else []
    return [bytes(row).rstrip(b"\0").decode() for row in rows]


def judge(entry, path, program, folder):
    """(what happened, verdict) for a file; the verdict is "right" or begins with "WRONG"."""
    location = f"{path}:{entry.inside}" if entry.inside else str(path)
    code, said, names, rows = run_import(program, location, entry.arguments, folder)
    first = said.splitlines()[0].replace(str(path), path.name) if said else ""
    if entry.words:
        happened = f"refused: {first.removeprefix('flow_data: ')}" if code else f"accepted: {first}"
        missing = [word for word in entry.words if word not in said]
        if code not in (3, 5):
            return happened, f"WRONG: exit code {code}"
        return happened, f"WRONG: does not say {missing[0]!r}" if missing else "right"
    if code:
        return f"refused: {first}", "WRONG: it can be read"
    expected_names, expected = entry.read(path)
    if "--drop-nonfinite" in entry.arguments:
        expected = expected[np.isfinite(expected).all(axis=1)]
    wrong = difference(names, rows, expected_names, expected)
    return first, f"WRONG: {wrong}" if wrong else f"right: {rows.size} values"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", default="build/apps", help="folder of flow_data")
    parser.add_argument("--cache", default=pathlib.Path.home() / ".cache" / "pushforward-wild", type=pathlib.Path)
    parser.add_argument("--only", default="", help="files whose path contains this text")
    options = parser.parse_args()
    cache = options.cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    program = pathlib.Path(options.programs).resolve() / "flow_data"
    print("# Made by: /usr/bin/python3 test/wild/run.py --programs build/apps > test/wild/log.txt")
    print("# file | package, version | flow_data import | what happened | verdict")
    counts = {"right": 0, "WRONG": 0, "skipped": 0}
    versions = {}
    with tempfile.TemporaryDirectory() as folder:
        for entry in FILES:
            if options.only not in entry.path:
                continue
            root = fetch(entry.package, cache)
            found = sorted(root.rglob(entry.path)) if root else []
            version = versions.setdefault(entry.package, version_of(entry.package))
            try:
                if not found:
                    happened, verdict = "", "skipped: no such package" if not root else "skipped: no such file in it"
                else:
                    happened, verdict = judge(entry, found[0], program, pathlib.Path(folder))
            except ImportError as error:
                happened, verdict = "", f"skipped: {error}"
            counts[verdict.split(":")[0]] += 1
            shown = entry.path + (f":{entry.inside}" if entry.inside else "")
            print(" | ".join([shown, f"{entry.package} {version}", " ".join(entry.arguments) or "-", happened, verdict]),
                  flush=True)
            if entry.why:
                print(f"    {entry.why}")
    print(f"# {counts['right']} right, {counts['WRONG']} wrong, {counts['skipped']} skipped")
    sys.exit(1 if counts["WRONG"] else 0)


if __name__ == "__main__":
    main()
