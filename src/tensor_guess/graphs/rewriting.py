"""Rewrite ops that OpenVINO cannot run into ones that it can; the numbers stay the same."""

from math import isfinite, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.types_pb2 import DT_QUINT8

from tensor_guess.errors import UserError, shown
from tensor_guess.graphs.allowed import MAX_LEFT_OUT_IN_ALL, left_out
from tensor_guess.graphs.builder import Builder
from tensor_guess.graphs.graph import node_of, value_of


def rewritten(graph: GraphDef) -> GraphDef:
    """Return the graph with BatchNormWithGlobalNormalization, BiasAddV1 and Dequantize replaced.

    A Reshape to one row, in a graph for one image at a time, then gives a row for each image.
    Control inputs are removed: no node has an effect that another could wait for.

    Raise UserError if something other than a constant is dequantized, or if inputs do not fit.
    """
    builder = Builder()
    nodes = {node.name: node for node in graph.node}
    _bound(nodes)
    for node in map(_without_control_inputs, graph.node):
        try:
            if node.op == "BatchNormWithGlobalNormalization":
                _batch_norm(builder, node)
            elif node.op == "BiasAddV1":
                builder.floats("BiasAdd", node.name, node.input)
            elif node.op == "Dequantize":
                _dequantize(builder, node, nodes)
            elif node.op == "Reshape":
                _reshape(builder, node, nodes)
            else:
                builder.graph.node.append(node)
        except (IndexError, ValueError) as error:
            raise UserError(f"the inputs of {shown(node.name)} do not fit its op") from error
    builder.graph.versions.CopyFrom(graph.versions)
    return builder.graph


def _bound(nodes: dict[str, NodeDef]) -> None:
    """Raise UserError if dequantizing gives far more than is stored."""
    made, sources = 0, set[str]()
    for node in nodes.values():
        source = nodes.get(node_of(node.input[0])) if node.input else None
        if node.op == "Dequantize" and source and "value" in source.attr:
            made += _floats(source)
            sources.add(source.name)
    stored = sum(_floats(nodes[name]) - 4 * left_out(nodes[name]) for name in sources)
    if made > stored + MAX_LEFT_OUT_IN_ALL:
        raise UserError(
            f"the graph is refused: it dequantizes {made // 1_000_000} MB, "
            f"but stores {stored // 1_000_000} MB"
        )


def _floats(constant: NodeDef) -> int:
    """Return the bytes that a constant of 8 bits takes as float32."""
    return 4 * prod(int(dim.size) for dim in constant.attr["value"].tensor.tensor_shape.dim)


def _without_control_inputs(node: NodeDef) -> NodeDef:
    if not any(each.startswith("^") for each in node.input):
        return node
    copy = NodeDef()
    copy.CopyFrom(node)
    copy.input[:] = [each for each in node.input if not each.startswith("^")]
    return copy


def _constant(nodes: dict[str, NodeDef], tensor: str) -> NDArray[Any] | None:
    node = nodes.get(node_of(tensor))
    return value_of(node) if node else None


def _batch_norm(builder: Builder, node: NodeDef) -> None:
    """Add (t - m) * gamma / sqrt(v + epsilon) + beta, as GraphDef version 8 defined the op."""
    tensor, mean, variance, beta, gamma = node.input
    name = node.name
    epsilon = builder.const(f"{name}/epsilon", np.float32(node.attr["variance_epsilon"].f))
    factor = builder.floats("Add", f"{name}/add_epsilon", (variance, epsilon))
    factor = builder.floats("Rsqrt", f"{name}/rsqrt", (factor,))
    if node.attr["scale_after_normalization"].b:
        factor = builder.floats("Mul", f"{name}/factor", (factor, gamma))
    centred = builder.floats("Sub", f"{name}/centred", (tensor, mean))
    scaled = builder.floats("Mul", f"{name}/scaled", (centred, factor))
    builder.floats("Add", name, (scaled, beta))


def _reshape(builder: Builder, node: NodeDef, nodes: dict[str, NodeDef]) -> None:
    """Add the Reshape; one to [1, ...] becomes [-1, ...], the same for a single image."""
    copy = builder.graph.node.add()
    copy.CopyFrom(node)
    to = _constant(nodes, node.input[1])
    if to is not None and to.ndim == 1 and len(to) and to[0] == 1 and (to > 0).all():
        rows = np.concatenate([np.array([-1], to.dtype), to[1:]])
        copy.input[1] = builder.const(f"{node.name}/rows", rows)


def _dequantize(builder: Builder, node: NodeDef, nodes: dict[str, NodeDef]) -> None:
    """Add a float constant: 256 steps from one bound to the other (MIN_COMBINED, MIN_FIRST)."""
    values, low, high = (_constant(nodes, each) for each in node.input)
    mode = node.attr["mode"].s or b"MIN_COMBINED"
    supported = node.attr["T"].type == DT_QUINT8 and mode in (b"MIN_COMBINED", b"MIN_FIRST")
    if values is None or low is None or high is None or not supported:
        raise UserError(f"{shown(node.name)} dequantizes something other than a constant")
    lowest, highest = float(low.item()), float(high.item())
    scale = (highest - lowest) / 255
    if not isfinite(scale):
        raise UserError(f"{shown(node.name)} dequantizes to NaN or infinity")
    if mode == b"MIN_FIRST" and scale:  # zero is one of the steps
        lowest = round(lowest / scale) * scale
    steps = np.arange(256) * scale + lowest
    builder.const(node.name, steps.astype(np.float32)[values])
