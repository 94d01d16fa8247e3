"""The shape of every tensor of a graph, before anything computes one of them.

A small file can ask for gigabytes (`Const [200000, 1] * Const [1, 200000]`), and a compiler that
folds constants would make them. The rules are those of TensorFlow's ops (tensorflow.org/api_docs).
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.tensor_pb2 import TensorProto

from tensor_guess.allowed import MAX_CONSTANT, MAX_SIDES
from tensor_guess.errors import UserError, shown
from tensor_guess.graph import values

Shape = tuple[int, ...]

# What any tensor may have that is computed, at batch 1.
MAX_TENSOR = 256_000_000
# And all of them together, were none given up again; and how many products make one image.
# EfficientNetV2-L, of 480 x 480, has 53e9.
MAX_COMPUTED = 4_000_000_000
MAX_PRODUCTS = 1e12
# Larger lists of integers are no shapes, axes or paddings.
_MAX_VALUES = 64
_ELEMENTWISE = frozenset(
    """
    BatchNormWithGlobalNormalization BiasAdd BiasAddV1 Cast CheckNumerics Dequantize Elu
    FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars FusedBatchNorm FusedBatchNormV2
    FusedBatchNormV3 Identity LRN LeakyRelu Neg PlaceholderWithDefault Relu Relu6 Rsqrt Sigmoid
    Softmax Sqrt Square StopGradient Tanh
    """.split()
)
_BROADCAST = frozenset("Add AddN AddV2 Maximum Minimum Mul RealDiv SquaredDifference Sub".split())


def check(nodes: Sequence[NodeDef], batch: int = 1) -> dict[str, Shape]:
    """The shape of each node's first output, for `batch` images; nodes may be in any order.

    Raises UserError where one is larger than MAX_TENSOR (a constant: MAX_CONSTANT), or cannot be
    told.
    """
    graph = _Graph({node.name: node for node in nodes}, batch)
    for node in nodes:
        graph.shape(node.name)
    return graph.shapes


class _Graph:
    def __init__(self, nodes: dict[str, NodeDef], batch: int) -> None:
        self.nodes, self.batch = nodes, batch
        self.shapes: dict[str, Shape] = {}
        self._known: dict[str, list[int]] = {}
        self._edges = sum(len(node.input) for node in nodes.values())
        self._computed = self._products = 0

    def shape(self, name: str) -> Shape:
        """The shape of `name`, whose inputs are looked at first, without recursion."""
        stack = [name]
        while stack:
            if len(stack) > 1 + self._edges:
                raise UserError("the graph is refused: its nodes go round in a circle")
            node = self.nodes.get(stack[-1])
            if node is None:
                raise UserError(f"the graph is damaged: there is no node {shown(stack[-1])}")
            missing = [each for each in _inputs(node) if each not in self.shapes]
            if missing:
                stack.extend(missing)
                continue
            stack.pop()
            if node.name not in self.shapes:
                self.shapes[node.name] = self._infer(node)
        return self.shapes[name]

    def known(self, name: str) -> list[int]:
        """The integers that a tensor is, where the graph alone says them."""
        if name not in self._known:
            raise ValueError("a shape that depends on the picture")
        return self._known[name]

    def _infer(self, node: NodeDef) -> Shape:
        inputs = [self.shapes[each] for each in _inputs(node)]
        try:
            if node.op in _ELEMENTWISE:
                shape = inputs[0]
            elif node.op in _BROADCAST:
                shape = np.broadcast_shapes(*inputs)
            else:
                shape = _RULES[node.op](self, node, inputs)
        except (ValueError, IndexError, KeyError, ZeroDivisionError, OverflowError) as error:
            raise UserError(
                f"the graph is refused: how large {shown(node.name)} ({shown(node.op)}) is cannot "
                f"be told: {shown(str(error))}"
            ) from error
        self._bound(node, inputs, shape)
        if node.op in ("Identity", "Cast") and _inputs(node)[0] in self._known:
            self._known[node.name] = self._known[_inputs(node)[0]]
        return shape

    def _bound(self, node: NodeDef, inputs: list[Shape], shape: Shape) -> None:
        """Nothing comes back; UserError where this tensor, or all so far, are too much."""
        would = f"the graph is refused: {shown(node.name)} would be {list(shape[: MAX_SIDES + 1])}"
        if any(side < 0 for side in shape) or len(shape) > MAX_SIDES:
            raise UserError(f"{would}, which no tensor can be")
        # Weights are stored whole; what is computed from them is bounded more tightly.
        stored = node.op in ("Const", "Identity")
        limit = MAX_CONSTANT if stored else MAX_TENSOR
        if 4 * prod(shape) > limit:
            raise UserError(f"{would}, more than {limit // 1_000_000} MB")
        if stored:
            return
        self._computed += 4 * prod(shape)
        if self._computed > MAX_COMPUTED:
            raise UserError(
                "the graph is refused: its tensors would be more than "
                f"{MAX_COMPUTED // 1_000_000} MB together"
            )
        self._products += _products(node, inputs, shape)
        if self._products > MAX_PRODUCTS:
            raise UserError(
                f"the graph is refused: an image would take more than {MAX_PRODUCTS:.0e} products"
            )

    def remember(self, node: NodeDef, integers: Sequence[int]) -> None:
        """Nothing comes back; what the tensor is, is known."""
        self._known[node.name] = [int(each) for each in integers]


Rule = Callable[[_Graph, NodeDef, list[Shape]], Shape]


def _inputs(node: NodeDef) -> list[str]:
    return [each.partition(":")[0] for each in node.input if not each.startswith("^")]


def _attribute(node: NodeDef, key: str) -> AttrValue:
    # node.attr[key] would add what is not there.
    return node.attr[key] if key in node.attr else AttrValue()


def _const(graph: _Graph, node: NodeDef, _: list[Shape]) -> Shape:
    tensor: TensorProto = _attribute(node, "value").tensor
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    if prod(shape) <= _MAX_VALUES:
        found = values(tensor)
        if found is not None and found.dtype.kind == "i":
            graph.remember(node, found.ravel().tolist())
    return shape


def _placeholder(graph: _Graph, node: NodeDef, _: list[Shape]) -> Shape:
    sides = [dim.size for dim in _attribute(node, "shape").shape.dim]
    if any(side < 0 for side in sides[1:]):
        raise ValueError("its own shape is not fixed")
    return (graph.batch, *sides[1:]) if sides else ()


def _products(node: NodeDef, inputs: list[Shape], shape: Shape) -> int:
    """How many multiplications (or the like) a node takes; at least one for each number."""
    each = 1
    if node.op == "Conv2D":
        each = prod(inputs[1][:-1])
    elif node.op == "DepthwiseConv2dNative":
        each = prod(inputs[1][:2])
    elif node.op == "MatMul":
        each = inputs[0][0 if _attribute(node, "transpose_a").b else 1]
    elif node.op in ("AvgPool", "MaxPool"):
        each = prod(_attribute(node, "ksize").list.i)
    elif node.op == "LRN":
        each = 2 * _attribute(node, "depth_radius").i + 1
    return prod(shape) * max(1, each)


def _convolution(_: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    (batch, *sides, _channels), (*kernel, channels_in, channels_out) = inputs
    if node.op == "DepthwiseConv2dNative":
        channels_out *= channels_in
    dilations = list(_attribute(node, "dilations").list.i) or [1] * 4
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations[1:3], strict=True)]
    return (batch, *_slid(node, sides, reach), channels_out)


def _pool(_: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    ((batch, *sides, channels),) = inputs
    return (batch, *_slid(node, sides, list(_attribute(node, "ksize").list.i)[1:3]), channels)


def _slid(node: NodeDef, sides: list[int], reach: list[int]) -> list[int]:
    """The sides after a window of `reach` slid over them."""
    if _attribute(node, "data_format").s not in (b"", b"NHWC"):
        raise ValueError("only NHWC is read")
    strides = list(_attribute(node, "strides").list.i)[1:3]
    padding = _attribute(node, "padding").s
    if padding == b"SAME":
        return [-(-side // stride) for side, stride in zip(sides, strides, strict=True)]
    extra = [0, 0]
    if padding == b"EXPLICIT":
        pads = list(_attribute(node, "explicit_paddings").list.i)
        extra = [pads[2] + pads[3], pads[4] + pads[5]]
    return [
        (side + more - window) // stride + 1
        for side, more, window, stride in zip(sides, extra, reach, strides, strict=True)
    ]


def _matmul(_: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    (rows, inner), (inner_too, columns) = inputs
    if _attribute(node, "transpose_a").b:
        rows, inner = inner, rows
    if _attribute(node, "transpose_b").b:
        inner_too, columns = columns, inner_too
    if inner != inner_too:
        raise ValueError(f"{inner} columns by {inner_too} rows")
    return rows, columns


def _mean(graph: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    rank = len(inputs[0])
    gone = {axis % rank for axis in graph.known(_inputs(node)[1])}
    if _attribute(node, "keep_dims").b:
        return tuple(1 if i in gone else side for i, side in enumerate(inputs[0]))
    return tuple(side for i, side in enumerate(inputs[0]) if i not in gone)


def _reshape(graph: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    wanted, total = list(graph.known(_inputs(node)[1])), prod(inputs[0])
    if wanted.count(-1) == 1:
        rest = prod(side for side in wanted if side != -1)
        wanted[wanted.index(-1)] = total // rest
    if prod(wanted) != total:
        raise ValueError(f"{list(inputs[0])} does not fit into {wanted}")
    return tuple(wanted)


def _squeeze(_: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    (shape,) = inputs
    axes = {axis % len(shape) for axis in _attribute(node, "squeeze_dims").list.i}
    gone = axes or {i for i, side in enumerate(shape) if side == 1}
    return tuple(side for i, side in enumerate(shape) if i not in gone)


def _expand(graph: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    (axis,) = graph.known(_inputs(node)[1])
    at = axis % (len(inputs[0]) + 1)
    return (*inputs[0][:at], 1, *inputs[0][at:])


def _pad(graph: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    pairs = graph.known(_inputs(node)[1])
    return tuple(side + pairs[2 * i] + pairs[2 * i + 1] for i, side in enumerate(inputs[0]))


def _concat(graph: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    names, first = _inputs(node), node.op == "Concat"
    (axis,) = graph.known(names[0 if first else -1])
    parts = inputs[1:] if first else inputs[:-1]
    axis %= len(parts[0])
    return (*parts[0][:axis], sum(part[axis] for part in parts), *parts[0][axis + 1 :])


def _pack(graph: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    axis = _attribute(node, "axis").i % (len(inputs[0]) + 1)
    names = _inputs(node)
    if not inputs[0] and all(name in graph._known for name in names):
        graph.remember(node, [graph.known(name)[0] for name in names])
    return (*inputs[0][:axis], len(inputs), *inputs[0][axis:])


def _shape(graph: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    graph.remember(node, inputs[0])
    return (len(inputs[0]),)


def _slice(graph: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    """StridedSlice: of each axis a range, or (shrink_axis_mask) one; no new axis."""
    kinds = ("begin_mask", "end_mask", "shrink_axis_mask", "ellipsis_mask")
    masks = {key: _attribute(node, key).i for key in kinds}
    if _attribute(node, "new_axis_mask").i:
        raise ValueError("a new axis")
    bounds = zip(*(graph.known(name) for name in _inputs(node)[1:]), strict=True)
    index: list[Any] = []
    for i, (begin, end, stride) in enumerate(bounds):
        if masks["ellipsis_mask"] >> i & 1:
            index.append(...)
        elif masks["shrink_axis_mask"] >> i & 1:
            index.append(begin)
        else:
            start = None if masks["begin_mask"] >> i & 1 else begin
            index.append(slice(start, None if masks["end_mask"] >> i & 1 else end, stride))
    source = _inputs(node)[0]
    if source in graph._known:
        found = np.array(graph.known(source)).reshape(inputs[0])[tuple(index)]
        graph.remember(node, np.ravel(found).tolist())
    # A view: no memory is asked for, whatever the shape.
    return tuple(np.broadcast_to(np.int8(0), inputs[0])[tuple(index)].shape)


def _transpose(graph: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    order = graph.known(_inputs(node)[1])
    if sorted(order) != list(range(len(inputs[0]))):
        raise ValueError(f"an order of axes {order}")
    return tuple(inputs[0][axis] for axis in order)


def _resize(graph: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    height, width = graph.known(_inputs(node)[1])
    return (inputs[0][0], height, width, inputs[0][3])


def _space_to_batch(graph: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    block, pads = (graph.known(name) for name in _inputs(node)[1:3])
    batch, *rest = inputs[0]
    for i, size in enumerate(block):
        rest[i] = (rest[i] + pads[2 * i] + pads[2 * i + 1]) // size
    return (batch * prod(block), *rest)


def _batch_to_space(graph: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    block, crops = (graph.known(name) for name in _inputs(node)[1:3])
    batch, *rest = inputs[0]
    for i, size in enumerate(block):
        rest[i] = rest[i] * size - crops[2 * i] - crops[2 * i + 1]
    return (batch // prod(block), *rest)


_RULES: dict[str, Rule] = {
    "AvgPool": _pool,
    "BatchToSpaceND": _batch_to_space,
    "Concat": _concat,
    "ConcatV2": _concat,
    "Const": _const,
    "Conv2D": _convolution,
    "DepthwiseConv2dNative": _convolution,
    "ExpandDims": _expand,
    "MatMul": _matmul,
    "MaxPool": _pool,
    "Mean": _mean,
    "MirrorPad": _pad,
    "NoOp": lambda graph, node, inputs: (),
    "Pack": _pack,
    "Pad": _pad,
    "PadV2": _pad,
    "Placeholder": _placeholder,
    "Reshape": _reshape,
    "ResizeBilinear": _resize,
    "ScaleAndTranslate": _resize,
    "Shape": _shape,
    "SpaceToBatchND": _space_to_batch,
    "Squeeze": _squeeze,
    "StridedSlice": _slice,
    "Transpose": _transpose,
}
