#!/usr/bin/python3
"""Prints which share of the lines and branches the tests reached, for each room, from a summary in JSON by gcovr.

  gcovr --json-summary | test/coverage.py
"""

import collections
import json
import sys


def room_of(path):
    """The room of a file: lib/pushforward/flow/chain.cpp is in flow, apps/cli/help.cpp in apps/cli."""
    parts = path.split("/")
    if parts[:2] == ["lib", "pushforward"]:
        return parts[2]
    return "/".join(parts[:-1])


def by_room(summary):
    """[lines, lines reached, branches, branches reached] of each room, and of all as "total"."""
    sums = collections.defaultdict(lambda: [0] * 4)
    for file in summary["files"]:
        counts = [file[key] for key in ["line_total", "line_covered", "branch_total", "branch_covered"]]
        for room in [room_of(file["filename"]), "total"]:
            sums[room] = [a + b for a, b in zip(sums[room], counts)]
    total = sums.pop("total", [0] * 4)
    return dict(sorted(sums.items())) | {"total": total}


def share(reached, of):
    return f"{100 * reached / of:6.1f}" if of else "      "


def table(summary):
    lines = [f"{'room':24}{'lines':>8}{'reached':>9}{'%':>6}{'branches %':>12}"]
    for room, (total, reached, branches, taken) in by_room(summary).items():
        lines.append(f"{room:24}{total:8}{reached:9}{share(reached, total)}{share(taken, branches):>12}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(json.load(sys.stdin)))
