"""Lists what netCDF4 reads of a file."""

import sys

import netCDF4

from listing import report


def walk(group):
    path = group.path.rstrip("/")
    for name in group.ncattrs():
        report(path or "/", name, lambda name=name: group.getncattr(name))
    for name, variable in group.variables.items():
        variable.set_auto_maskandscale(False)
        report(f"{path}/{name}", None, lambda variable=variable: variable[...])
        for attribute in variable.ncattrs():
            report(f"{path}/{name}", attribute, lambda variable=variable, a=attribute: variable.getncattr(a))
    for inner in group.groups.values():
        walk(inner)


walk(netCDF4.Dataset(sys.argv[1]))
