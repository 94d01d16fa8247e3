"""What a frozen graph may have: ops that only compute, plain attributes, complete constants.

TensorFlow's other ops can read and write files, reach the internet or run Python.
"""

import re
from collections.abc import Iterator
from math import prod

from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import (
    DT_BFLOAT16,
    DT_BOOL,
    DT_DOUBLE,
    DT_FLOAT,
    DT_HALF,
    DT_INT8,
    DT_INT16,
    DT_INT32,
    DT_INT64,
    DT_QINT8,
    DT_QINT32,
    DT_QUINT8,
    DT_RESOURCE,
    DT_STRING,
    DT_UINT8,
    DT_UINT16,
    DT_VARIANT,
)

from tensor_guess.errors import shown

ALLOWED_OPS = frozenset(
    """
    Add AddN AddV2 AvgPool BatchNormWithGlobalNormalization BatchToSpaceND BiasAdd BiasAddV1 Cast
    CheckNumerics Concat ConcatV2 Const Conv2D DecodeJpeg DepthwiseConv2dNative Dequantize Elu
    ExpandDims FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars FusedBatchNorm FusedBatchNormV2
    FusedBatchNormV3 Identity LRN LeakyRelu MatMul MaxPool Maximum Mean Minimum MirrorPad Mul Neg
    NoOp Pack Pad PadV2 Placeholder PlaceholderWithDefault RealDiv Relu Relu6 Reshape
    ResizeBilinear Rsqrt ScaleAndTranslate Shape Sigmoid Softmax SpaceToBatchND Sqrt Square
    SquaredDifference Squeeze StopGradient StridedSlice Sub Tanh Transpose
    """.split()
)
MAX_CONSTANT = 512_000_000  # bytes; VGG16's largest has 411 million
MAX_SIDES = 8
# TensorFlow leaves out the last values of a constant if they are equal: some zeros, an axis. These
# are the most bytes that may be left out, lest a small file ask for much memory.
MAX_LEFT_OUT = 4_000_000
MAX_LEFT_OUT_IN_ALL = 64_000_000

# Why an op is refused, by its name; the first match counts.
_REASONS = (
    (r"PyFunc", "it runs Python (its op {op})"),
    (
        r"Random|Multinomial|TruncatedNormal|StatefulUniform|StatefulStandardNormal|^Rng",
        "it has dropout or something else random left in it (its op {op})",
    ),
    (r"Debug|Rpc|^_?(Host)?(Send|Recv)$|Collective|Bigtable", "its op {op} may reach the internet"),
    (
        r"File|Save|Restore|Checkpoint|Summary|Reader|Fingerprint|^Print",
        "its op {op} may read or write files",
    ),
    (r"Variable|^VarHandle|^Var|^Assign|^Resource", "it has variables (its op {op}): not frozen"),
)
# type -> bytes of one value, and the field of TensorProto that lists values
_STORED = {
    DT_BFLOAT16: (2, "half_val"),
    DT_BOOL: (1, "bool_val"),
    DT_DOUBLE: (8, "double_val"),
    DT_FLOAT: (4, "float_val"),
    DT_HALF: (2, "half_val"),
    DT_INT8: (1, "int_val"),
    DT_INT16: (2, "int_val"),
    DT_INT32: (4, "int_val"),
    DT_INT64: (8, "int64_val"),
    DT_QINT8: (1, "int_val"),
    DT_QINT32: (4, "int_val"),
    DT_QUINT8: (1, "int_val"),
    DT_STRING: (24, "string_val"),
    DT_UINT8: (1, "int_val"),
    DT_UINT16: (2, "int_val"),
}
_LISTS = sorted({field for _, field in _STORED.values()})
_REFERENCES = 100  # types from here on are references to variables


def op_fault(op: str) -> str | None:
    """Return why a graph with this op is refused; None if it is not."""
    if op in ALLOWED_OPS:
        return None
    reason = next((said for name, said in _REASONS if re.search(name, op)), None)
    return (reason or "its op {op} may do more than compute").format(op=shown(op))


def attribute_faults(node: NodeDef) -> Iterator[str]:
    """Yield what is wrong with the attributes of a node, each as the end of a sentence."""
    for key, value in node.attr.items():
        if _is_more_than_a_value(value):
            yield f"the attribute {shown(key)} of {shown(node.name)} is more than a value"
    # node.attr[key] would add a missing key.
    if node.op == "Const" and (
        "value" not in node.attr or not node.attr["value"].HasField("tensor")
    ):
        yield f"the constant {shown(node.name)} has no value"


def left_out(node: NodeDef) -> int:
    """Return how many bytes a constant's value has beyond what is stored; 0 for other nodes.

    Raise ValueError, with the end of a sentence, if what is stored does not fit.
    """
    return sum(
        _left_out(node, each.tensor) for each in node.attr.values() if each.HasField("tensor")
    )


def _left_out(node: NodeDef, tensor: TensorProto) -> int:
    name = f"the constant {shown(node.name)}"
    sides = [dim.size for dim in tensor.tensor_shape.dim]
    if tensor.dtype not in _STORED:
        raise ValueError(f"{name} has a type that no network needs")
    if tensor.tensor_shape.unknown_rank or min(sides, default=0) < 0 or len(sides) > MAX_SIDES:
        raise ValueError(f"{name} has an impossible shape: {sides[: MAX_SIDES + 1]}")
    size, field = _STORED[tensor.dtype]
    declared = prod(sides)
    if declared * size > MAX_CONSTANT:
        raise ValueError(f"{name} would be {sides}, more than {MAX_CONSTANT // 1_000_000} MB")
    listed = len(getattr(tensor, field))
    elsewhere = sum(len(getattr(tensor, each)) for each in _LISTS) - listed
    whole = len(tensor.tensor_content) == declared * size and not listed
    if elsewhere or listed > declared or (tensor.tensor_content and not whole):
        raise ValueError(f"{name} does not store as many values as its shape {sides} has")
    missing = 0 if tensor.tensor_content else (declared - listed) * size
    if missing > MAX_LEFT_OUT:
        raise ValueError(f"{name} stores only {listed} of its {declared} values")
    return missing


def _is_more_than_a_value(value: AttrValue) -> bool:
    """Return whether it is or holds a function, a resource, a variant or a list of tensors."""
    types = [value.type, *value.list.type, value.tensor.dtype]
    return bool(
        value.HasField("func")
        or value.HasField("placeholder")
        or value.list.func
        or value.list.tensor
        or value.tensor.resource_handle_val
        or value.tensor.variant_val
        or any(each in (DT_RESOURCE, DT_VARIANT) or each >= _REFERENCES for each in types)
    )
