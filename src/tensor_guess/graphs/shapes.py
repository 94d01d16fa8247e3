"""Find the shape of every tensor in a graph before any of them is computed.

A small file can ask for gigabytes (`Const [200000, 1] * Const [1, 200000]`), and a compiler that
folds constants would allocate them. The rules are those of TensorFlow's ops
(tensorflow.org/api_docs).
"""

from collections.abc import Callable, KeysView, Sequence
from math import prod
from typing import Any

import numpy as np
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DT_INT32, DT_INT64

from tensor_guess.errors import UserError, shown, words_of
from tensor_guess.graphs.allowed import MAX_CONSTANT, MAX_SIDES
from tensor_guess.graphs.graph import values

Shape = tuple[int, ...]

# The largest tensor that may be computed, in bytes, for one image.
MAX_TENSOR = 256_000_000
# All of them together, if none were freed, in bytes; and how many products one image may take.
# EfficientNetV2-L, with 480 x 480 pixels, takes 53e9.
MAX_COMPUTED = 4_000_000_000
MAX_PRODUCTS = 1e12
# The same for what depends on no picture: a compiler computes it once, and slowly. The weights of
# an Inception v3 of 2015 take 100,000 products.
MAX_FOLDED = 512_000_000
MAX_FOLDED_PRODUCTS = 1e9
# Longer lists of integers are not shapes, axes or paddings.
_MAX_VALUES = 64
# Ops of one tensor that keep its shape.
_ELEMENTWISE = frozenset(
    """
    CheckNumerics Elu FakeQuantWithMinMaxArgs LeakyRelu Neg PlaceholderWithDefault
    Relu Relu6 Rsqrt Sigmoid Softmax Sqrt Square StopGradient Tanh
    """.split()
)
# Ops of two tensors, broadcast.
_BROADCAST = frozenset("Add AddV2 Maximum Minimum Mul RealDiv SquaredDifference Sub".split())
# Ops whose output never depends on the picture.
_OF_NO_PICTURE = frozenset(["Const", "NoOp", "Shape"])


def check(nodes: Sequence[NodeDef], batch: int = 1) -> dict[str, Shape]:
    """Return the shape of each node's first output for `batch` images; nodes may be in any order.

    Raise UserError if one is larger than MAX_TENSOR (a constant: MAX_CONSTANT), or not known.
    """
    graph = _Graph({node.name: node for node in nodes}, batch)
    for node in nodes:
        graph.shape(node.name)
    return graph.shapes


class _Sum:
    """The bytes and products of several tensors, which share a limit."""

    def __init__(self, what: str, most_bytes: int, most_products: float) -> None:
        self._what, self._most = what, (most_bytes, most_products)
        self._bytes = self._products = 0

    def add(self, size: int, products: int) -> None:
        """Count a tensor. Raise UserError if the sum exceeds the limit."""
        self._bytes += size
        self._products += products
        most_bytes, most_products = self._most
        if self._bytes > most_bytes:
            raise UserError(
                f"the graph is refused: {self._what} would be more than "
                f"{most_bytes // 1_000_000} MB in all"
            )
        if self._products > most_products:
            raise UserError(
                f"the graph is refused: {self._what} would take more than "
                f"{most_products:.0e} products"
            )


class _Graph:
    def __init__(self, nodes: dict[str, NodeDef], batch: int) -> None:
        self.nodes, self.batch = nodes, batch
        self.shapes: dict[str, Shape] = {}
        self._known: dict[str, list[int]] = {}
        self._constant: set[str] = set()
        self._edges = sum(len(node.input) for node in nodes.values())
        self._computed = _Sum("its tensors", MAX_COMPUTED, MAX_PRODUCTS)
        self._folded = _Sum("what it computes from constants", MAX_FOLDED, MAX_FOLDED_PRODUCTS)

    def shape(self, name: str) -> Shape:
        """Return the shape of `name`, after those of its inputs; without recursion."""
        stack = [name]
        while stack:
            if len(stack) > 1 + self._edges:
                raise UserError("the graph is refused: its nodes form a circle")
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

    @property
    def known_names(self) -> KeysView[str]:
        """Return the names of the tensors whose values `known` returns."""
        return self._known.keys()

    def known(self, name: str) -> list[int]:
        """Return the integers in a tensor. Raise ValueError if they depend on the picture."""
        if name not in self._known:
            raise ValueError("a shape that depends on the picture")
        return self._known[name]

    def _infer(self, node: NodeDef) -> Shape:
        inputs = [self.shapes[each] for each in _inputs(node)]
        try:
            if node.op in _ELEMENTWISE:
                (shape,) = inputs
            elif node.op in _BROADCAST:
                one, other = inputs
                shape = np.broadcast_shapes(one, other)
            else:
                shape = _RULES[node.op](self, node, inputs)
        except (ValueError, IndexError, KeyError, ZeroDivisionError, OverflowError) as error:
            raise UserError(
                f"the graph is refused: the size of {shown(node.name)} ({shown(node.op)}) is "
                f"unknown: {words_of(error)}"
            ) from error
        self._bound(node, inputs, shape)
        return shape

    def _bound(self, node: NodeDef, inputs: list[Shape], shape: Shape) -> None:
        """Count this tensor. Raise UserError if it, or all so far, are too large."""
        would = f"the graph is refused: {shown(node.name)} would be {list(shape[: MAX_SIDES + 1])}"
        # A list, as of axes, may be empty; a tensor without numbers is no part of a network.
        least = 0 if len(shape) < 2 else 1
        if any(side < least for side in shape) or len(shape) > MAX_SIDES:
            raise UserError(f"{would}, which is not a possible shape")
        # Weights are stored in full; what is computed from them has a tighter bound.
        stored = node.op in ("Const", "Identity")
        limit = MAX_CONSTANT if stored else MAX_TENSOR
        size = 4 * prod(shape)
        if size > limit:
            raise UserError(f"{would}, more than {limit // 1_000_000} MB")
        constant = node.op in _OF_NO_PICTURE or (
            bool(inputs) and self._constant.issuperset(_inputs(node))
        )
        if constant:
            self._constant.add(node.name)
        if stored:
            return
        products = _products(node, inputs, shape)
        self._computed.add(size, products)
        if constant:
            self._folded.add(size, products)

    def remember(self, node: NodeDef, integers: Sequence[int]) -> None:
        """Keep the integers in the node's tensor, for `known`."""
        self._known[node.name] = [int(each) for each in integers]


Rule = Callable[[_Graph, NodeDef, list[Shape]], Shape]


def _inputs(node: NodeDef) -> list[str]:
    return [each.partition(":")[0] for each in node.input if not each.startswith("^")]


def _attribute(node: NodeDef, key: str) -> AttrValue:
    # node.attr[key] would add a missing key.
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
    """Return how many multiplications (or the like) a node takes; at least one for each number."""
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
    (batch, *sides, channels), (*kernel, channels_in, channels_out) = inputs
    if channels != channels_in:
        raise ValueError(f"{channels} channels, but a kernel for {channels_in}")
    if node.op == "DepthwiseConv2dNative":
        channels_out *= channels_in
    dilations = _window(node, "dilations", [1] * 4)
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    return (batch, *_slid(node, sides, reach), channels_out)


def _pool(_: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    ((batch, *sides, channels),) = inputs
    return (batch, *_slid(node, sides, _window(node, "ksize")), channels)


def _window(node: NodeDef, key: str, default: Sequence[int] = ()) -> list[int]:
    """Return height and width of the window that slides over [N, H, W, C], or of its steps."""
    batch, *sides, channels = list(_attribute(node, key).list.i) or default
    if batch != 1 or channels != 1 or len(sides) != 2 or min(sides) < 1:
        raise ValueError(f"{key} of {[batch, *sides, channels]}")
    return sides


def _slid(node: NodeDef, sides: list[int], reach: list[int]) -> list[int]:
    """Return the sides of what a window of `reach`, sliding over `sides`, gives."""
    _check_format(node)
    strides = _window(node, "strides")
    padding = _attribute(node, "padding").s
    if padding == b"SAME":
        return [-(-side // stride) for side, stride in zip(sides, strides, strict=True)]
    extra = [0, 0]
    if padding == b"EXPLICIT":
        *others, top, bottom, left, right = pads = list(
            _attribute(node, "explicit_paddings").list.i
        )[:-2]
        if any(others) or len(pads) != 6 or min(pads) < 0:
            raise ValueError(f"explicit_paddings of {pads}")
        extra = [top + bottom, left + right]
    elif padding != b"VALID":
        raise ValueError("an unknown kind of padding")
    return [
        (side + more - window) // stride + 1
        for side, more, window, stride in zip(sides, extra, reach, strides, strict=True)
    ]


def _check_format(node: NodeDef) -> None:
    if _attribute(node, "data_format").s not in (b"", b"NHWC"):
        raise ValueError("only NHWC is supported")


def _by_channel(_: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    """Return the shape of one tensor, with vectors that have a number for each of its channels."""
    _check_format(node)
    shape, *vectors = inputs
    if len(shape) < 2 or len(vectors) != _VECTORS.get(node.op, 4) or {*vectors} != {shape[-1:]}:
        raise ValueError(f"{[list(each) for each in vectors]} for {shape[-1]} channels")
    return shape


def _between(_: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    """Return the shape of one tensor, with two numbers that bound its values."""
    shape, low, high = inputs
    if low or high:
        raise ValueError("bounds that are not single numbers")
    return shape


def _sum_of_all(_: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    (shape,) = {*inputs}
    return shape


def _local(_: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    ((batch, height, width, channels),) = inputs
    if _attribute(node, "depth_radius").i < 0:
        raise ValueError("a negative depth_radius")
    return batch, height, width, channels


def _cast(graph: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    (source,), (shape,) = _inputs(node), inputs
    kind = _attribute(node, "DstT").type
    # In other types the numbers change: -1 is 255 in 8 bits.
    if source in graph.known_names and kind in (DT_INT32, DT_INT64):
        found = graph.known(source)
        if kind == DT_INT64 or all(-(2**31) <= each < 2**31 for each in found):
            graph.remember(node, found)
    return shape


def _identity(graph: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    (source,), (shape,) = _inputs(node), inputs
    if source in graph.known_names:
        graph.remember(node, graph.known(source))
    return shape


def _matmul(_: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    (rows, inner), (inner_too, columns) = inputs
    if _attribute(node, "transpose_a").b:
        rows, inner = inner, rows
    if _attribute(node, "transpose_b").b:
        inner_too, columns = columns, inner_too
    if inner != inner_too:
        raise ValueError(f"{inner} columns by {inner_too} rows")
    return rows, columns


def _axis(axis: int, rank: int) -> int:
    """Return the axis, counted from the first. Raise ValueError if there is no such axis."""
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} of {rank}")
    return axis % rank


def _mean(graph: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    shape, _ = inputs
    gone = {_axis(each, len(shape)) for each in graph.known(_inputs(node)[1])}
    if _attribute(node, "keep_dims").b:
        return tuple(1 if i in gone else side for i, side in enumerate(shape))
    return tuple(side for i, side in enumerate(shape) if i not in gone)


def _reshape(graph: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    shape, _ = inputs
    wanted, total = list(graph.known(_inputs(node)[1])), prod(shape)
    if wanted.count(-1) == 1:
        rest = prod(side for side in wanted if side != -1)
        wanted[wanted.index(-1)] = total // rest
    if prod(wanted) != total or min(wanted, default=1) < 1:
        raise ValueError(f"{list(shape)} does not fit into {wanted}")
    return tuple(wanted)


def _squeeze(_: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    (shape,) = inputs
    axes = {_axis(each, len(shape)) for each in _attribute(node, "squeeze_dims").list.i}
    gone = axes or {i for i, side in enumerate(shape) if side == 1}
    if any(shape[i] != 1 for i in gone):
        raise ValueError(f"a side of {list(shape)} that is not 1 is removed")
    return tuple(side for i, side in enumerate(shape) if i not in gone)


def _expand(graph: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    shape, _ = inputs
    (axis,) = graph.known(_inputs(node)[1])
    at = _axis(axis, len(shape) + 1)
    return (*shape[:at], 1, *shape[at:])


def _pad(graph: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    shape, form, *value = inputs
    pairs = graph.known(_inputs(node)[1])
    if form != (len(shape), 2) or min(pairs) < 0 or value not in ([], [()]):
        raise ValueError(f"{list(shape)} padded by {pairs}")
    before, after = pairs[::2], pairs[1::2]
    if node.op == "MirrorPad":  # it cannot add more than there is to mirror
        most = [side - (_attribute(node, "mode").s == b"REFLECT") for side in shape]
        if any(
            pad > side for each in (before, after) for pad, side in zip(each, most, strict=True)
        ):
            raise ValueError(f"{list(shape)} mirrored by {pairs}")
    return tuple(map(sum, zip(shape, before, after, strict=True)))


def _concat(graph: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    names, first = _inputs(node), node.op == "Concat"
    (axis,) = graph.known(names[0 if first else -1])
    parts = inputs[1:] if first else inputs[:-1]
    at = _axis(axis, len(parts[0]))
    ((before, after),) = {(part[:at], part[at + 1 :]) for part in parts}
    return (*before, sum(part[at] for part in parts), *after)


def _pack(graph: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    (shape,) = {*inputs}
    axis = _axis(_attribute(node, "axis").i, len(shape) + 1)
    names = _inputs(node)
    if not shape and graph.known_names >= {*names}:
        graph.remember(node, [graph.known(name)[0] for name in names])
    return (*shape[:axis], len(inputs), *shape[axis:])


def _shape(graph: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    (shape,) = inputs
    graph.remember(node, shape)
    return (len(shape),)


def _slice(graph: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    """Return the shape of a StridedSlice: a range of each axis, or one place (shrink_axis_mask)."""
    kinds = ("begin_mask", "end_mask", "shrink_axis_mask", "ellipsis_mask")
    masks = {key: _attribute(node, key).i for key in kinds}
    if _attribute(node, "new_axis_mask").i:
        raise ValueError("a new axis")
    if masks["shrink_axis_mask"] & (masks["begin_mask"] | masks["ellipsis_mask"]):
        raise ValueError("a place on an axis without a begin")
    source, *ends = _inputs(node)
    begins, stops, strides = map(graph.known, ends)
    bounds = zip(begins, stops, strides, strict=True)
    index: list[Any] = []
    for i, (begin, end, stride) in enumerate(bounds):
        if masks["ellipsis_mask"] >> i & 1:
            index.append(...)
        elif masks["shrink_axis_mask"] >> i & 1:
            index.append(begin)
        else:
            start = None if masks["begin_mask"] >> i & 1 else begin
            index.append(slice(start, None if masks["end_mask"] >> i & 1 else end, stride))
    if source in graph.known_names:
        found = np.array(graph.known(source)).reshape(inputs[0])[tuple(index)]
        graph.remember(node, np.ravel(found).tolist())
    # A view, which takes no memory, whatever the shape.
    shape = np.broadcast_to(np.int8(0), inputs[0])[tuple(index)].shape
    if 0 in shape:
        raise ValueError(f"nothing of {list(inputs[0])}")
    return tuple(shape)


def _transpose(graph: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    shape, _ = inputs
    order = graph.known(_inputs(node)[1])
    if sorted(order) != list(range(len(shape))):
        raise ValueError(f"an order of axes {order}")
    return tuple(shape[axis] for axis in order)


def _resize(graph: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    (batch, _, _, channels), *_ = inputs
    height, width = graph.known(_inputs(node)[1])
    return batch, height, width, channels


def _space_to_batch(graph: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    (batch, *sides), blocks, befores, afters = _blocks(graph, node, inputs)
    padded = [sum(each) for each in zip(sides, befores, afters, strict=True)]
    if any(side % block for side, block in zip(padded, blocks, strict=True)):
        raise ValueError(f"{padded} in blocks of {blocks}")
    return (batch * prod(blocks), *(s // b for s, b in zip(padded, blocks, strict=True)))


def _batch_to_space(graph: _Graph, node: NodeDef, inputs: list[Shape]) -> Shape:
    (batch, *sides), blocks, befores, afters = _blocks(graph, node, inputs)
    if batch % prod(blocks):
        raise ValueError(f"{batch} in blocks of {blocks}")
    whole = [side * block for side, block in zip(sides, blocks, strict=True)]
    return (
        batch // prod(blocks),
        *(a - b - c for a, b, c in zip(whole, befores, afters, strict=True)),
    )


def _blocks(
    graph: _Graph, node: NodeDef, inputs: list[Shape]
) -> tuple[Shape, list[int], list[int], list[int]]:
    """Return the shape; and for all axes but the first the block's side, padding or crop."""
    shape, (count,), form = inputs
    blocks, pairs = (graph.known(name) for name in _inputs(node)[1:])
    if form != (count, 2) or min(blocks) < 1 or min(pairs) < 0:
        raise ValueError(f"blocks of {blocks} and {pairs}")
    rest = len(shape) - 1 - count
    befores, afters = ([*each, *[0] * rest] for each in (pairs[::2], pairs[1::2]))
    return shape, [*blocks, *[1] * rest], befores, afters


# How many vectors go with a tensor: the biases; for all other ops four, of a normalisation.
_VECTORS = {"BiasAdd": 1, "BiasAddV1": 1}
_RULES: dict[str, Rule] = {
    "AddN": _sum_of_all,
    "AvgPool": _pool,
    "BatchNormWithGlobalNormalization": _by_channel,
    "BatchToSpaceND": _batch_to_space,
    "BiasAdd": _by_channel,
    "BiasAddV1": _by_channel,
    "Cast": _cast,
    "Concat": _concat,
    "ConcatV2": _concat,
    "Const": _const,
    "Conv2D": _convolution,
    "DepthwiseConv2dNative": _convolution,
    "Dequantize": _between,
    "ExpandDims": _expand,
    "FakeQuantWithMinMaxVars": _between,
    "FusedBatchNorm": _by_channel,
    "FusedBatchNormV2": _by_channel,
    "FusedBatchNormV3": _by_channel,
    "Identity": _identity,
    "LRN": _local,
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
