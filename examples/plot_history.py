#!/usr/bin/python3
"""Draws validation NLL against time and steps of several runs: python3 plot_history.py RUN.csv... [-o PICTURE.png]"""

import argparse
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("histories", nargs="+")
    arguments.add_argument("-o", "--output", default="history.png")
    options = arguments.parse_args()
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), sharey=True, layout="constrained")
    for path in options.histories:
        history = np.genfromtxt(path, delimiter=",", names=True)
        loss = next(name for name in history.dtype.names if name.startswith("validation_"))
        history = history[np.isfinite(history[loss])]
        axes[0].plot(history["seconds"], history[loss], ".-", label=Path(path).stem)
        axes[1].plot(history["step"], history[loss], ".-", label=Path(path).stem)
    axes[0].set_xlabel("seconds")
    axes[1].set_xlabel("steps")
    axes[0].set_ylabel("validation NLL, nats" if loss == "validation_nll" else loss.replace("_", " "))
    axes[0].legend()
    for each in axes:
        each.grid(alpha=0.3)
    figure.savefig(options.output, dpi=90)
    print(f"wrote {options.output}")


if __name__ == "__main__":
    main()
