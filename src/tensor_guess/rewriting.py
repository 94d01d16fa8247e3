"""Ops that OpenVINO cannot run as they are, rewritten as it can; the numbers stay the same."""

import numpy as np
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.types_pb2 import DT_QUINT8

from tensor_guess.errors import UserError, shown
from tensor_guess.graph import Builder, array, node_of


def rewritten(graph: GraphDef) -> GraphDef:
    """The graph with BatchNormWithGlobalNormalization, BiasAddV1 and Dequantize replaced.

    A Reshape to one row, of graphs that took one image at a time, gives a row an image.

    Raises UserError where something other than a constant is dequantized.
    """
    builder = Builder()
    for node in graph.node:
        if node.op == "BatchNormWithGlobalNormalization":
            _batch_norm(builder, node)
        elif node.op == "BiasAddV1":
            builder.floats("BiasAdd", node.name, node.input)
        elif node.op == "Dequantize":
            _dequantize(builder, node, graph)
        elif node.op == "Reshape":
            _reshape(builder, node, graph)
        else:
            builder.graph.node.append(node)
    builder.graph.versions.CopyFrom(graph.versions)
    return builder.graph


def _batch_norm(builder: Builder, node: NodeDef) -> None:
    """(t - m) * gamma / sqrt(v + epsilon) + beta, as GraphDef version 8 defined the op."""
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


def _reshape(builder: Builder, node: NodeDef, graph: GraphDef) -> None:
    """To [1, ...], if that is what it is, as to [-1, ...]: the same for a single image."""
    copy = builder.graph.node.add()
    copy.CopyFrom(node)
    to = array(graph, node_of(node.input[1]))
    if to is not None and to.ndim == 1 and len(to) and to[0] == 1 and (to > 0).all():
        rows = np.concatenate([np.array([-1], to.dtype), to[1:]])
        copy.input[1] = builder.const(f"{node.name}/rows", rows)


def _dequantize(builder: Builder, node: NodeDef, graph: GraphDef) -> None:
    """A float constant: 256 steps from the one bound to the other (MIN_COMBINED, MIN_FIRST)."""
    values, low, high = (array(graph, each.partition(":")[0]) for each in node.input)
    mode = node.attr["mode"].s or b"MIN_COMBINED"
    known = node.attr["T"].type == DT_QUINT8 and mode in (b"MIN_COMBINED", b"MIN_FIRST")
    if values is None or low is None or high is None or not known:
        raise UserError(f"{shown(node.name)} dequantizes something else than a constant")
    scale = (high.item() - low.item()) / 255
    lowest = low.item()
    if mode == b"MIN_FIRST" and scale:  # zero is one of the steps
        lowest = round(lowest / scale) * scale
    floats = values.astype(np.float64) * scale + lowest
    builder.const(node.name, floats.astype(np.float32))
