"""Independent readers of files, and the comparison of what they read with what was imported.

A reader is a function of a path. It returns (names, rows): the names of the columns, or None if the file has none, and
the rows as float64. The readers are pandas, numpy, scipy, h5py and netCDF4, with the options that somebody who has
looked at the file would choose. Each library is imported when it is needed, so that the others work without it.
"""

import numpy as np


def table(drop=(), as_written=False, **options):
    """Text, as pandas.read_csv reads it with these options, without the columns `drop`. pandas adds numbers to names that
    occur twice, unless they are wanted `as_written`."""
    def read(path):
        import pandas
        frame = pandas.read_csv(path, float_precision="round_trip", **options).drop(columns=list(drop))
        names = [str(name) for name in frame.columns]
        if as_written:
            names = pandas.read_csv(path, header=None, nrows=1, dtype=str, **options).iloc[0].tolist()
        return names, frame.to_numpy(dtype=np.float64, na_value=np.nan)
    return read


def numbers(**options):
    """Text without names, as numpy.loadtxt reads it with these options."""
    return lambda path: (None, np.loadtxt(path, ndmin=2, **options))


def lines_of_numbers(path):
    """Text without names and with blanks between numbers, read by Python alone."""
    with open(path, encoding="utf-8") as file:
        records = [line.split() for line in file]
    return None, np.array([[float(word) for word in words] for words in records if words])


def hexadecimal(path):
    """Lines of an integer and a hexadecimal number, under a line of names."""
    with open(path, encoding="utf-8") as file:
        records = [[word.strip() for word in line.split(",")] for line in file]
    return records[0], np.array([[float(int(a, 0)), float(int(b, 0))] for a, b in records[1:]])


def flat(array):
    """Rows of an array with any number of axes, the first of which counts the rows."""
    array = np.asarray(array)
    return array.reshape(len(array), -1).astype(np.float64)


def npy(name=None):
    """An array of an NPY file, or the array `name` of an NPZ file."""
    def read(path):
        content = np.load(path)
        return None, flat(content if name is None else content[name])
    return read


def npy_records(name=None):
    """The members of an array of records that are real numbers, as columns."""
    def read(path):
        content = np.load(path)
        records = content if name is None else content[name]
        names = [member for member in records.dtype.names if records[member].dtype.kind in "biuf"]
        return names, np.column_stack([records[member].astype(np.float64) for member in names])
    return read


def array(name, transpose=False):
    """An array of an HDF5 file as it is in the file, or transposed."""
    def read(path):
        import h5py
        with h5py.File(path) as file:
            values = flat(file[name][()])
        return None, values.T if transpose else values
    return read


def columns_of(records, prefix=""):
    """(name, values) of all numbers of an array of records."""
    for member in records.dtype.names:
        values = records[member]
        if values.dtype.names:
            yield from columns_of(values, f"{prefix}{member}.")
        elif values.dtype.kind in "biuf":
            shape = values.shape[1:]
            for index in np.ndindex(*shape):
                at = "".join(f"[{i}]" for i in index)
                yield f"{prefix}{member}{at}", values[(slice(None), *index)].astype(np.float64)


def records(name):
    """An array of records of an HDF5 file: the members that are numbers, as columns."""
    def read(path):
        import h5py
        with h5py.File(path) as file:
            columns = dict(columns_of(file[name][()]))
        return list(columns), np.column_stack(list(columns.values()))
    return read


def netcdf(name):
    """A variable of a netCDF file as netCDF4 gives it, masked and scaled; masked values are NaN."""
    def read(path):
        import netCDF4
        with netCDF4.Dataset(path) as file:
            values = np.ma.asarray(file[name][...])
        return None, flat(np.ma.filled(values.astype(np.float64), np.nan))
    return read


def matlab(name, transpose=True):
    """An array of a MATLAB 7.3 file as MATLAB shows it."""
    return array(name, transpose)


def difference(names, rows, expected_names, expected):
    """What differs between the imported rows and the expected ones, or "". Each value must be equal, or the next
    number of double precision; NaN differs from everything, and names must be equal if there are any."""
    if rows.shape != expected.shape:
        return f"shape {rows.shape}, expected {expected.shape}"
    if expected_names is not None and list(names) != list(expected_names):
        wrong = [pair for pair in zip(names, expected_names) if pair[0] != pair[1]]
        return f"name {wrong[0][0]!r}, expected {wrong[0][1]!r}"
    near = np.abs(rows - expected) <= np.spacing(np.abs(expected))
    same = near | (rows == expected)
    if not same.all():
        at = tuple(np.argwhere(~same)[0])
        return f"{np.count_nonzero(~same)} values differ, the first in row {at[0]}, column {at[1]}: " \
               f"{float(rows[at])!r}, expected {float(expected[at])!r}"
    return ""
