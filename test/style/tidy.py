#!/usr/bin/python3
"""clang-tidy on the sources of the tree, with the checks of .clang-tidy.

  test/style/tidy.py ROOT BUILD

Prints what it finds, and ends with code 1 if that is anything. A source in which nothing was found is not looked at
again before it, a file of the tree that it includes, or the list of checks changes.
"""

import hashlib
import os
import pathlib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import style

FOLDERS = ["lib", "apps", "examples"]
# The part that every run of the tests checks: rooms that handle files, text and memory, with few headers of templates. A
# source of these takes two seconds of a core, others up to six.
PART = [f"lib/pushforward/{room}" for room in ["core", "comm", "h5", "table", "dataset", "import"]]

# Warnings of the compiler are not findings: GCC compiles every source with warnings as errors. Its errors are findings,
# since the checks see nothing of what they cannot read. (clang 14 does not know all of the standard library's C++20.)
FINDING = re.compile(r"^(?P<file>/[^:]+):(?P<line>\d+):\d+: \w+: (?P<text>.*) \[(?P<check>[^\]]+)\]$", re.M)


def inputs(build):
    """The files of which each object is made, as ninja has recorded them, by the source."""
    text = subprocess.run(["ninja", "-C", build, "-t", "deps"], capture_output=True, text=True).stdout
    found = {}
    for block in text.split("\n\n"):
        files = [(build / line.strip()).resolve() for line in block.splitlines()[1:]]
        if files:
            found[files[0]] = files
    return found


class Fingerprints:
    """Names of the contents of files, each read once."""

    def __init__(self, root, salt):
        self.root, self.salt, self.known = root, salt, {}

    def of_file(self, path):
        if path not in self.known:
            self.known[path] = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "none"
        return self.known[path]

    def of_source(self, files):
        """The fingerprint of a source: of all files of the tree that it includes, and of how it is checked."""
        own = sorted(path for path in files if path.is_relative_to(self.root))
        return hashlib.sha256("\n".join([self.salt, *map(self.of_file, own)]).encode()).hexdigest()


def findings(root, output):
    """The findings in clang-tidy's output, as lines of text."""
    for match in FINDING.finditer(output):
        if match["check"] == "clang-diagnostic-error" or not match["check"].startswith("clang-diagnostic"):
            path = pathlib.Path(os.path.relpath(match["file"], root))
            yield f"{path}:{match['line']}: {match['text']} [{match['check']}]"


def tidy_violations(root, build, cache, folders, jobs=None):
    """Findings in the sources below these folders of root that the build folder compiles."""
    commands = style.compile_commands(build)
    sources = sorted(path for path in commands if any(path.is_relative_to(root / folder) for folder in folders))
    version = subprocess.run(["clang-tidy", "--version"], capture_output=True, text=True).stdout
    fingerprints = Fingerprints(root, version + (root / ".clang-tidy").read_text())
    recorded = inputs(build)
    cache.mkdir(parents=True, exist_ok=True)

    def check(source):
        stamp = cache / str(source.relative_to(root)).replace("/", "_")
        fingerprint = fingerprints.of_source(recorded[source]) if source in recorded else None
        if fingerprint and stamp.exists() and stamp.read_text() == fingerprint:
            return []
        run = subprocess.run(["clang-tidy", "--quiet", str(source), "--", *commands[source][1:]], cwd=build,
                             capture_output=True, text=True)
        found = list(findings(root, run.stdout))
        if fingerprint and not found:
            stamp.write_text(fingerprint)
        return found

    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
        return list(dict.fromkeys(line for found in pool.map(check, sources) for line in found))


def main(root, build):
    root, build = pathlib.Path(root).resolve(), pathlib.Path(build).resolve()
    found = tidy_violations(root, build, build / "test" / "style" / "tidy", FOLDERS)
    print("\n".join(found + [f"clang-tidy: {len(found)} findings"]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
