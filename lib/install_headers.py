#!/usr/bin/env python3
"""Run by `meson install`: copies the headers that the source tree has at that moment, so no list of them can be stale.

  install_headers.py SOURCE INCLUDEDIR

Headers keep their folders: SOURCE/pushforward/module/file.hpp becomes INCLUDEDIR/pushforward/module/file.hpp, where
INCLUDEDIR is relative to the prefix, or absolute. DESTDIR and `meson install --dry-run` count.
"""

import os
import pathlib
import shutil
import sys


def destination(includedir):
    """The folder on this machine, below DESTDIR if there is one."""
    if os.path.isabs(includedir):
        return pathlib.Path(os.environ.get("DESTDIR", "") + includedir)
    return pathlib.Path(os.environ["MESON_INSTALL_DESTDIR_PREFIX"]) / includedir


def main(source, includedir):
    source, to = pathlib.Path(source), destination(includedir)
    for header in sorted(source.glob("pushforward/**/*.hpp")):
        copy = to / header.relative_to(source)
        if not os.environ.get("MESON_INSTALL_QUIET"):
            print(f"Installing {header} to {copy.parent}")
        if not os.environ.get("MESON_INSTALL_DRY_RUN"):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(header, copy)


if __name__ == "__main__":
    main(*sys.argv[1:])
