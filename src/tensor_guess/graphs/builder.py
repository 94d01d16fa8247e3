"""Write a GraphDef node by node, without TensorFlow."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import (
    DT_BOOL,
    DT_FLOAT,
    DT_INT32,
    DT_INT64,
    DT_STRING,
    DT_UINT8,
)

# The version of GraphDef that TensorFlow 1.15 writes, so that old programs can read ours.
PRODUCER = 134
# The types of our constants.
TYPES: dict[np.dtype[Any], int] = {
    np.dtype(np.float32): DT_FLOAT,
    np.dtype(np.int32): DT_INT32,
    np.dtype(np.int64): DT_INT64,
    np.dtype(np.uint8): DT_UINT8,
    np.dtype(np.bool_): DT_BOOL,
}

# The value of an attribute that names the type of an index.
INT32 = AttrValue(type=DT_INT32)


class Builder:
    """A GraphDef in the making; each method adds a node and returns its name."""

    def __init__(self) -> None:
        self.graph = GraphDef()
        self.graph.versions.producer = PRODUCER

    def const(self, name: str, value: ArrayLike) -> str:
        """Add a constant, and return its name; text becomes a string tensor."""
        array = np.asarray(value)
        tensor = TensorProto()
        for length in array.shape:
            tensor.tensor_shape.dim.add(size=length)
        if array.dtype.kind in "US":
            tensor.dtype = DT_STRING
            tensor.string_val.extend(
                v if isinstance(v, bytes) else v.encode() for v in array.ravel().tolist()
            )
        else:
            tensor.dtype = TYPES[array.dtype]
            tensor.tensor_content = array.tobytes()
        return self.op("Const", name, (), dtype=AttrValue(type=tensor.dtype), value=tensor)

    def op(self, op: str, name: str, inputs: Iterable[str], **attributes: Any) -> str:
        """Add a node, and return its name; for attributes of numbers see AttrValue."""
        node = self.graph.node.add(op=op, name=name, input=inputs)
        for key, value in attributes.items():
            _set(node.attr[key], value)
        return name

    def floats(self, op: str, name: str, inputs: Iterable[str], **attributes: Any) -> str:
        """Add a node that computes on float32 (attribute T), and return its name."""
        return self.op(op, name, inputs, T=AttrValue(type=DT_FLOAT), **attributes)

    def placeholder(self, name: str, dtype: int, shape: Sequence[int]) -> str:
        """Add an input, and return its name; -1 in `shape` is any length."""
        value = AttrValue()
        value.shape.SetInParent()
        for length in shape:
            value.shape.dim.add(size=length)
        return self.op("Placeholder", name, (), dtype=AttrValue(type=dtype), shape=value)


def _set(attribute: AttrValue, value: Any) -> None:
    if isinstance(value, AttrValue):
        attribute.CopyFrom(value)
    elif isinstance(value, TensorProto):
        attribute.tensor.CopyFrom(value)
    elif isinstance(value, bool):
        attribute.b = value
    elif isinstance(value, int):
        attribute.i = value
    elif isinstance(value, float):
        attribute.f = value
    elif isinstance(value, str):
        attribute.s = value.encode()
    else:
        attribute.list.i.extend(value)
