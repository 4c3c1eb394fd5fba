"""Lists what xarray reads of a file, one group after the other."""

import sys

import netCDF4
import xarray

from listing import report


def groups(group):
    yield group.path
    for inner in group.groups.values():
        yield from groups(inner)


with netCDF4.Dataset(sys.argv[1]) as file:
    paths = list(groups(file))
for path in paths:
    with xarray.open_dataset(sys.argv[1], group=path, engine="netcdf4", mask_and_scale=False) as data:
        at = path.rstrip("/")
        for name, value in data.attrs.items():
            report(path, name, lambda value=value: value)
        for name, variable in data.variables.items():
            report(f"{at}/{name}", None, lambda variable=variable: variable.values)
            for attribute, value in variable.attrs.items():
                report(f"{at}/{name}", attribute, lambda value=value: value)
            if "_Encoding" in variable.encoding:
                report(f"{at}/{name}", "_Encoding", lambda variable=variable: variable.encoding["_Encoding"])
