"""Graphs rewritten so that OpenVINO runs them, for any number of images; the numbers stay the same.

Ops that it has no rule for become ones it has.
"""

import numpy as np
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.types_pb2 import DT_QUINT8

from tensor_guess.errors import UserError, shown
from tensor_guess.graph import Builder, array, node_of


def rewritten(graph: GraphDef) -> GraphDef:
    """The graph without BatchNormWithGlobalNormalization, BiasAddV1 and Dequantize.

    A Reshape to one image (Inception of 2015: [1, 2048]) is one to as many as come.
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
        elif node.op == "Reshape" and len(node.input) == 2:
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
    shape, source = array(graph, node_of(node.input[1])), node.input[1]
    if shape is not None and shape.size and shape.flat[0] == 1 and (shape > 0).all():
        # What is left after the other sides is 1 wherever it was: of one image nothing changes.
        sides = shape.copy()
        sides.flat[0] = -1
        source = builder.const(f"{node.name}/any_number", sides)
    builder.graph.node.append(node)
    builder.graph.node[-1].input[1] = source


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
