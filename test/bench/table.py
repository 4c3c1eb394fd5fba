#!/usr/bin/python3
"""The table of run.sh, from what bench and torch_baseline.py measured: the best of all rounds.

  table.py OURS.csv TORCH.csv [--csv RESULTS.csv] [--commit NAME]
"""

import argparse
import csv
import pathlib

COLUMNS = ["commit", "date", "cpu", "blas_core", "ranks", "threads", "case", "label", "precision", "rows", "ms",
           "gflop", "gbyte", "bound_ms", "share_percent", "torch_ms", "torch_threads", "torch_variant", "ratio", "autograd_ms",
           "autograd_ratio", "peak_mb", "torch_peak_mb", "gradient_error"]
FLOWS = ("train", "log_det", "density", "sample")  # cases that are passes of a whole flow
BY_HAND = "fused"  # the variant of PyTorch whose reverse is not left to autograd


def read(path):
    if not pathlib.Path(path).exists():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def ms(row):
    return float(row["ms"])


def fastest(rows):
    """The row of least ms, or none."""
    return min(rows, key=ms, default=None)


def ours_by_case(rows):
    """{(case, label): {ranks: row}}, each row with the best time and the best bound of all rounds."""
    cases = {}
    for row in rows:
        cases.setdefault((row["case"], row["label"]), {}).setdefault(int(row["ranks"]), []).append(row)
    for ranks in cases.values():
        for count, rounds in ranks.items():
            best = dict(fastest(rounds))
            bounds = [float(row["bound_ms"]) for row in rounds if row["bound_ms"]]
            if bounds:
                best["bound_ms"] = min(bounds)
                best["share_percent"] = 100 * min(bounds) / ms(best)
            ranks[count] = best
    return cases


def result_rows(ours, torch, commit):
    """Rows for the file: ours on each number of ranks beside PyTorch at its best number of threads."""
    for (case, _), by_ranks in ours.items():
        best = fastest([row for row in torch if row["case"] == case])
        autograd = fastest([row for row in torch if row["case"] == case and row["variant"] != BY_HAND])
        for row in by_ranks.values():
            result = {key: row.get(key, "") for key in COLUMNS} | {"commit": commit}
            if best:
                result |= {"torch_ms": best["ms"], "torch_threads": best["threads"], "torch_variant": best["variant"],
                           "torch_peak_mb": best["peak_mb"], "ratio": f"{ms(best) / ms(row):.4g}",
                           "autograd_ms": autograd["ms"], "autograd_ratio": f"{ms(autograd) / ms(row):.4g}"}
            yield result


def number(value, form=".4g", suffix=""):
    return f"{float(value):{form}}{suffix}" if value not in ("", None) else "–"


def table(results):
    """Lines for people, at most 100 columns."""
    by_case = {}
    for row in results:
        by_case.setdefault((row["case"], row["label"]), {})[int(row["ranks"])] = row
    flows = {key: ranks for key, ranks in by_case.items() if key[0].split(".")[0] in FLOWS}
    parts = {key: ranks for key, ranks in by_case.items() if key not in flows}
    if flows:
        yield from flow_table(flows)
    if parts:
        yield from part_table(parts)
    yield from remarks(by_case)


def flow_table(by_case):
    """Whole passes of a flow beside PyTorch."""
    yield f"{'':<28}{'one rank':>15}{'two ranks':>21}{'PyTorch':>10}{'ours on two ranks is':>25}"
    yield (f"{'case':<28}{'ms':>9}{'share':>6}{'ms':>9}{'share':>6}{'gain':>6}{'ms':>10}{'faster':>9}"
           f"{'at most':>8}{'autograd':>9}")
    for (case, _), ranks in by_case.items():
        one, two = ranks.get(1, {}), ranks.get(2, {})
        gain = ms(one) / ms(two) if one and two else ""
        torch = two.get("torch_ms", "")
        most = float(torch) / float(two["bound_ms"]) if torch and two.get("bound_ms") else ""
        yield (f"{case:<28}{number(one.get('ms')):>9}{number(one.get('share_percent'), '.0f', ' %'):>6}"
               f"{number(two.get('ms')):>9}{number(two.get('share_percent'), '.0f', ' %'):>6}{number(gain, '.2f'):>6}"
               f"{number(torch):>10}{number(two.get('ratio'), '.2f', '×'):>9}{number(most, '.2f', '×'):>8}"
               f"{number(two.get('autograd_ratio'), '.2f', '×'):>9}")
    yield "share: of the GEMM bound. gain: over one rank. at most: by how much the whole bound would be faster."
    yield "autograd: faster than PyTorch without a reverse by hand."
    yield ""


def part_table(by_case):
    """Kernels, of which every rank runs the whole, reductions and files."""
    yield f"{'case':<46}{'one rank, ms':>14}{'two ranks, ms':>14}{'GFLOP/s':>9}{'GB/s':>8}{'share':>7}"
    for (case, label), ranks in by_case.items():
        one, two = ranks.get(1, {}), ranks.get(2, {})
        rate = lambda key: 1e3 * float(one[key]) / ms(one) if one.get(key) else ""
        yield (f"{f'{case} {label}'.strip():<46}{number(one.get('ms')):>14}{number(two.get('ms')):>14}"
               f"{number(rate('gflop'), '.3g'):>9}{number(rate('gbyte'), '.3g'):>8}"
               f"{number(one.get('share_percent'), '.0f', ' %'):>7}")
    yield "GFLOP/s, GB/s and share: on one rank."
    yield ""


def remarks(by_case):
    """The remarks that fit no column."""
    small, large = (by_case.get((f"train.exact.{name}", ""), {}) for name in ("d43", "d43_1024"))
    if 1 in small and 2 in large:
        yield f"weak scaling, d = 43, 512 rows a rank: efficiency {ms(small[1]) / ms(large[2]):.2f} on two ranks"
    for (case, label), ranks in by_case.items():
        other = by_case.get((case.replace("krylov", "neumann"), label), {})
        for count, row in ranks.items():
            if "krylov" in case and count in other:
                error = float(row["gradient_error"]) / float(other[count]["gradient_error"])
                yield (f"{case} on {count} rank(s): {ms(row) / ms(other[count]):.2f} of the time of Neumann, "
                       f"{error:.2f} of its gradient's error")
        peak = ranks.get(1, {}).get("peak_mb")
        if peak and ranks[1].get("torch_peak_mb"):
            yield f"{case}: at most {float(peak):.0f} MB, PyTorch {float(ranks[1]['torch_peak_mb']):.0f} MB"


def append(path, results):
    path = pathlib.Path(path)
    fresh = not path.exists() or path.stat().st_size == 0
    if not fresh and path.read_text().splitlines()[0] != ",".join(COLUMNS):
        raise SystemExit(f"{path}: begins with other columns; give another file")
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if fresh:
            writer.writeheader()
        writer.writerows(results)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ours")
    parser.add_argument("torch")
    parser.add_argument("--csv", help="file to which the results are appended")
    parser.add_argument("--commit", default="")
    options = parser.parse_args()
    ours = ours_by_case(read(options.ours))
    results = list(result_rows(ours, read(options.torch), options.commit))
    print(*table(results), sep="\n")
    if options.csv:
        append(options.csv, results)


if __name__ == "__main__":
    main()
