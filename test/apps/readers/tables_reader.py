"""Lists what PyTables reads of a file."""

import sys
import warnings

import tables

from listing import report

warnings.simplefilter("ignore")


def refuse():
    """PyTables gives a node that it cannot read without an error."""
    raise TypeError("PyTables does not know this type")


with tables.open_file(sys.argv[1]) as file:
    for node in file.walk_nodes("/"):
        if isinstance(node, tables.UnImplemented):
            report(node._v_pathname, None, refuse)
        elif isinstance(node, tables.Leaf):
            report(node._v_pathname, None, node.read)
        for name in node._v_attrs._v_attrnames:
            report(node._v_pathname, name, lambda node=node, name=name: node._v_attrs[name])
