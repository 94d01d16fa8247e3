"""What TensorFlow 1.15 knows of an op, and nodes as it can read them.

`tf1_ops.txt` is its list: written by tools/list_tf1_ops.py, shown in docs/tf1_ops.md.
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

# What TensorFlow 2 notes at a node besides its attributes.
_NOTES = ("experimental_debug_info", "experimental_type")

# What TensorFlow 2 added to these ops, with the value that leaves them as they were.
# Some only matter to training; those may have any value (None).
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
    """The attributes of each op: name -> default, None where a node must say it."""
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
    """The node with no attribute but those that TensorFlow 1.15 needs to compute the same.

    Defaults, and attributes that only say something to the program that made the node, are left
    out; so is the device. The smallest constants are lists of values (see `listed`). The node
    itself comes back where there is nothing to do.
    Raises UserError where TensorFlow 1.15 could not compute the same.
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
        f"{_named(node)} has {shown(name)}, which TensorFlow 1.15 does not know; old programs "
        "could not read a graph with it: take another network"
    )


def _named(node: NodeDef) -> str:
    return f"the node {shown(node.name)} ({node.op})"


def _value(kind: str, text: str) -> AttrValue:
    """The default of an attribute of that kind, as `tf1_ops.txt` writes it."""
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
        value.shape.unknown_rank = True  # "any", the only one there is
    else:
        value.list.i.extend(said)
        value.list.SetInParent()
    return value
