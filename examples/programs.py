"""Runs our programs from Python. The scripts beside this file import it."""

import os
import pathlib
import shutil
import subprocess
import sys


def program(name, folder=None):
    """Gives the path of a program: that in the folder, or in build/apps/, or from the PATH."""
    built = (folder or pathlib.Path(__file__).resolve().parent.parent / "build/apps") / name
    return str(built) if built.exists() else shutil.which(name) or sys.exit(f"{name} is not built")


def run(name, folder, *arguments):
    """Runs a program on one rank with one thread. Raises CalledProcessError, with its messages, if it fails."""
    subprocess.run([program(name, folder), *map(str, arguments)], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.PIPE, text=True, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"})


def exit_with(main):
    """Ends the script with what main() returns, or with the messages and the command of the program that failed."""
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error.stderr}{' '.join(error.cmd)}: exit code {error.returncode}")
