"""The ops and attributes that TensorFlow 1.15 knows, and nodes reduced to them.

`tf1_ops.txt` lists them: written by tools/list_tf1_ops.py, shown in docs/tf1_ops.md.
"""

import json
from collections import defaultdict
from functools import cache
from pathlib import Path

from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.types_pb2 import DT_FLOAT, DataType

from tensor_guess.errors import UserError, shown
from tensor_guess.graphs.graph import listed

# What TensorFlow 2 adds to a node besides its attributes.
_NOTES = ("experimental_debug_info", "experimental_type")

# Attributes that TensorFlow 2 added, with the value that changes nothing; None: any value, as the
# attribute matters only in training.
_LATER: dict[str, AttrValue | None] = {
    "explicit_paddings": AttrValue(list=AttrValue.ListValue()),
    "narrow_range": AttrValue(b=False),
    "axis": AttrValue(i=-1),
    "dtype": AttrValue(type=DT_FLOAT),
    "exponential_avg_factor": None,
    "grad_a": None,
    "grad_b": None,
}


@cache
def attributes() -> dict[str, dict[str, AttrValue | None]]:
    """Return the attributes of each op: name -> default, or None if a node must state it."""
    found: dict[str, dict[str, AttrValue | None]] = defaultdict(dict)
    for line in Path(__file__).with_suffix(".txt").read_text("utf-8").splitlines():
        op, *words = line.split(maxsplit=3)
        if words:
            name, kind, *default = words
            found[op][name] = _value(kind, default[0]) if default else None
        else:
            found[op] = {}
    return dict(found)


def plain(node: NodeDef) -> NodeDef:
    """Return the node with only those attributes that TensorFlow 1.15 needs to compute the same.

    Defaults, the device, and attributes that matter only to the program that made the node are left
    out. The smallest constants become lists of values (see `listed`). If nothing changes, the node
    itself is returned. Raise UserError if TensorFlow 1.15 cannot compute the same.
    """
    known = attributes()[node.op]
    spare = [name for name, value in node.attr.items() if _is_spare(node, name, value)]
    missing = [name for name, default in known.items() if default is None and name not in node.attr]
    if missing:
        raise UserError(f"{_named(node)} lacks {missing[0]}; freeze the graph again")
    if not spare and not node.device and not any(map(node.HasField, _NOTES)):
        return listed(node)
    copy = NodeDef(name=node.name, op=node.op, input=node.input)
    for name, value in node.attr.items():
        if name not in spare:
            copy.attr[name].CopyFrom(value)
    return listed(copy)


def _is_spare(node: NodeDef, name: str, value: AttrValue) -> bool:
    known = attributes()[node.op]
    if name in known:
        return bool(value == known[name])
    if name.startswith("_"):
        return True
    if name in _LATER and _LATER[name] in (None, value):
        return True
    raise UserError(
        f"{_named(node)} has {shown(name)}, which TensorFlow 1.15 does not know, so old programs "
        "could not read a graph with it; choose another network"
    )


def _named(node: NodeDef) -> str:
    return f"the node {shown(node.name)} ({node.op})"


def _value(kind: str, text: str) -> AttrValue:
    """Return the default of an attribute of that kind from its text in `tf1_ops.txt`."""
    value = AttrValue()
    said = json.loads(text)
    if kind == "string":
        value.s = said.encode()
    elif kind == "int":
        value.i = said
    elif kind == "float":
        value.f = said
    elif kind == "bool":
        value.b = said
    elif kind == "type":
        value.type = DataType.Value(said)
    elif kind == "shape":
        value.shape.unknown_rank = True  # "any", the only one in the list
    else:
        value.list.i.extend(said)
        value.list.SetInParent()
    return value
