#!/usr/bin/python3
"""Puts images of a file side by side, without smoothing. The file is a dataset, or samples from flow_sample.

    sample_sheet.py SAMPLES.h5[:PATH] -o SHEET.png [--columns 10] [--rows 10] [--levels N] [--zoom 4] [--gap 1]

The file has the attribute image_shape (height, width, channels; channels last). The array at PATH has the shape (N,
height · width · channels); PATH is x by default, or train in a dataset. The first images are shown. One channel is
gray, three are red, green and blue. With --levels N, the values 0 … N − 1 go from black to white. Otherwise black is
the least and white the largest finite value that is shown. Values below, and NaN, are black; values above are white.
"""

import argparse
import os

import h5py
import matplotlib.image
import numpy as np


def read_images(place, count):
    """Gives the first `count` images of FILE or FILE:PATH, or all if there are fewer: (N, height, width, channels)."""
    file, _, path = place.rpartition(":")
    if not file or os.path.exists(place):
        file, path = place, ""
    with h5py.File(file) as h5:
        if "image_shape" not in h5.attrs:
            raise SystemExit(f"{file} has no attribute image_shape: its rows are no images")
        shape = tuple(int(n) for n in h5.attrs["image_shape"])
        path = path or next((name for name in ["x", "train"] if name in h5), "x")
        if path not in h5:
            raise SystemExit(f"{file} has no {path}; there are {', '.join(sorted(h5))}")
        rows = h5[path][:count]
    if rows.ndim != 2 or rows.shape[1] != np.prod(shape) or len(rows) == 0:
        raise SystemExit(f"{file}:{path} has the shape {rows.shape}, not (N, {np.prod(shape)}) with N > 0")
    if shape[2] not in (1, 3):
        raise SystemExit(f"{file} has images of {shape[2]} channels; 1 and 3 can be shown")
    return rows.reshape(-1, *shape)


def brightness(images, levels):
    """Gives values as bytes, 0 to 255."""
    finite = images[np.isfinite(images)]
    low, high = (0, levels - 1) if levels else (finite.min(), finite.max()) if finite.size else (0, 1)
    scaled = (np.nan_to_num(images.astype(float), nan=low) - low) / max(high - low, np.finfo(float).tiny)
    return np.round(255 * np.clip(scaled, 0, 1)).astype(np.uint8)


def sheet(images, rows, columns, zoom, gap):
    """Gives the picture (height, width, 3) of images (N, height, width, channels). Each value becomes zoom · zoom
    pixels. Places without an image are black, and the gap between neighbors is gray."""
    places = np.zeros((rows * columns, *images.shape[1:]), np.uint8)
    places[: len(images)] = images
    places = places.repeat(zoom, axis=1).repeat(zoom, axis=2)
    places = np.pad(places, ((0, 0), (0, gap), (0, gap), (0, 0)), constant_values=128)
    height, width, channels = places.shape[1:]
    pixels = places.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    pixels = pixels.reshape(rows * height, columns * width, channels)[: rows * height - gap, : columns * width - gap]
    return np.broadcast_to(pixels, (*pixels.shape[:2], 3))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", metavar="SAMPLES.h5[:PATH]")
    parser.add_argument("-o", "--output", required=True, metavar="SHEET.png")
    for name, default, what in [("columns", 10, "images side by side"), ("rows", 10, "images on top of each other"),
                                ("levels", 0, "values are 0 to levels − 1; 0: any values"),
                                ("zoom", 4, "pixels of the picture for each value, in each direction"),
                                ("gap", 1, "gray pixels between images")]:
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{what} [{default}]")
    arguments = parser.parse_args()
    if min(arguments.columns, arguments.rows, arguments.zoom) < 1 or arguments.gap < 0:
        parser.error("--columns, --rows and --zoom are at least 1, --gap is at least 0")
    if arguments.levels < 0 or arguments.levels == 1:
        parser.error("--levels is 0 or at least 2")
    try:
        images = read_images(arguments.input, arguments.columns * arguments.rows)
    except OSError as error:
        raise SystemExit(f"cannot read {arguments.input}: {error}") from None
    values = brightness(images, arguments.levels)
    # imsave writes one pixel for each element of the array.
    matplotlib.image.imsave(arguments.output, sheet(values, arguments.rows, arguments.columns, arguments.zoom,
                                                    arguments.gap))


if __name__ == "__main__":
    main()
