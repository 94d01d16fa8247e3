"""Shapes are TensorFlow's own, and what would not fit into memory is refused before it is made."""

import time
from pathlib import Path

import numpy as np
import pytest
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.types_pb2 import DT_FLOAT, DT_INT32

from peak import growth
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.errors import UserError
from tensor_guess.graphs import shapes
from tensor_guess.graphs.builder import Builder
from tensor_guess.graphs.graph import cut, parse, serialise
from tensor_guess.graphs.rewriting import rewritten
from tensor_guess.images.scaling import Scaling


def by_tensorflow(graph: GraphDef) -> dict[str, tuple[int, ...]]:
    """The shape of each node's first output, as TensorFlow infers it."""
    import tensorflow as tf

    with tf.Graph().as_default() as imported:
        definition = tf.compat.v1.GraphDef.FromString(serialise(graph))
        for node in definition.node:
            if node.op.startswith("Placeholder"):
                node.attr["shape"].shape.dim[0].size = 1
        tf.import_graph_def(definition, name="")
        tensors = [op.outputs[0] for op in imported.get_operations() if op.outputs]
        return {tensor.op.name: tuple(tensor.shape) for tensor in tensors}


def same_as_tensorflow(graph: GraphDef) -> None:
    assert shapes.check(graph.node) == by_tensorflow(graph)


@pytest.mark.tensorflow
def test_the_lite_backbone(lite0: Backbone) -> None:
    same_as_tensorflow(lite0.graph)


@pytest.mark.tensorflow
@pytest.mark.parametrize("path", ["graphs/glasses/retrained_graph.pb",
    "classic_run_2017/retrained_graph.pb", "graphs/mobilenet_v1_0.25_224/quantized_graph.pb",
    "graphs/mobilenet_v1_0.25_224/frozen_graph.pb"])  # fmt: skip
def test_the_classics(shared: Path, path: str) -> None:
    same_as_tensorflow(rewritten(parse((shared / path).read_bytes(), path)))


@pytest.mark.tensorflow
def test_each_op_that_has_a_rule_of_its_own() -> None:
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default() as made:
        x = v1.placeholder(tf.float32, (1, 13, 17, 3), name="Mul")
        k = tf.ones((3, 5, 3, 4))
        for padding in ("SAME", "VALID", [[0, 0], [1, 2], [3, 4], [0, 0]]):
            tf.nn.conv2d(x, k, 2, padding)
        tf.nn.conv2d(x, k, 1, "VALID", dilations=2)
        tf.nn.depthwise_conv2d(x, k, [1, 2, 2, 1], "SAME")
        tf.nn.max_pool2d(x, 3, 2, "VALID")
        tf.nn.avg_pool2d(x, 3, 2, "SAME")
        tf.reduce_mean(x, [1, -2])
        tf.reduce_mean(x, [1, 2], keepdims=True)
        flat = tf.reshape(x, [-1, 51])
        tf.matmul(flat, flat, transpose_b=True)
        tf.matmul(flat, flat, transpose_a=True)
        tf.squeeze(tf.expand_dims(x, -1))
        tf.squeeze(tf.expand_dims(x, 1), [1])
        tf.pad(x, [[0, 0], [1, 2], [3, 4], [0, 0]])
        tf.pad(x, [[0, 0], [1, 2], [3, 4], [0, 0]], "REFLECT")
        tf.concat([x, x, x], -1)
        tf.stack([x, x], 2)
        tf.transpose(x, [0, 3, 1, 2])
        v1.image.resize_bilinear(x, [7, 9])
        tf.space_to_batch(x[:, :12, :16], [2, 2], [[0, 0], [0, 0]])
        tf.batch_to_space(tf.tile(x, [4, 1, 1, 1])[:4], [2, 2], [[0, 1], [1, 0]])
        tf.reshape(x, tf.stack([tf.shape(x)[0], -1]))
        x[:, 1:9:2, ::-1, 0]
        tf.add_n([x, x])
    graph = GraphDef.FromString(made.as_graph_def().SerializeToString())
    tile = next(node for node in graph.node if node.op == "Tile")
    tile.op = "ConcatV2"  # what it is by ops that are allowed
    axis = graph.node.add(op="Const", name="axis")
    axis.attr["dtype"].type = DT_INT32
    axis.attr["value"].tensor.dtype = DT_INT32
    axis.attr["value"].tensor.int_val.append(0)
    axis.attr["value"].tensor.tensor_shape.SetInParent()
    tile.input[:] = ["Mul"] * 4 + ["axis"]
    del tile.attr["Tmultiples"]
    tile.attr["N"].i = 4
    tile.attr["Tidx"].type = DT_INT32
    same_as_tensorflow(graph)


BOMBS = ("outer product", "matrix product", "padding", "resizing", "splat", "doubling")


def bomb(kind: str) -> Builder:
    """A small graph that asks for gigabytes."""
    builder = Builder()
    builder.placeholder("Mul", DT_FLOAT, (-1, 224, 224, 3))
    ones = np.ones((40_000, 1), np.float32)
    column = builder.const("column", ones)
    row = builder.const("row", ones.T)
    if kind == "outer product":
        builder.floats("Mul", "out", (column, row))
    elif kind == "matrix product":
        builder.floats("MatMul", "out", (column, row))
    elif kind == "padding":
        pads = builder.const("pads", np.array([[0, 0], [9**6, 9**6], [0, 0], [0, 0]], np.int32))
        builder.floats("Pad", "out", ("Mul", pads), Tpaddings=AttrValue(type=DT_INT32))
    elif kind == "resizing":
        size = builder.const("size", np.array([90_000, 90_000], np.int32))
        builder.floats("ResizeBilinear", "out", ("Mul", size))
    elif kind == "splat":
        node = builder.graph.node.add(op="Const", name="out")
        node.attr["value"].tensor.dtype = DT_FLOAT
        node.attr["value"].tensor.float_val.append(1)
        node.attr["value"].tensor.tensor_shape.dim.add(size=2**40)
    else:
        name = column
        for i in range(20):
            axis = builder.const(f"axis{i}", np.int32(0))
            name = builder.floats("ConcatV2", f"twice{i}", (name, name, axis), N=2)
    return builder


@pytest.mark.parametrize("kind", BOMBS)
def test_bombs_are_refused_at_once(kind: str) -> None:
    nodes = list(bomb(kind).graph.node)
    started = time.process_time()
    with pytest.raises(UserError, match=r"more than (256|512) MB"):
        shapes.check(nodes)
    assert time.process_time() - started < 1


def refused_all() -> None:
    for kind in BOMBS:
        with pytest.raises(UserError):
            shapes.check(list(bomb(kind).graph.node))


def test_bombs_take_no_memory() -> None:
    assert growth(refused_all) < 300_000_000


@pytest.mark.parametrize(
    ("op", "inputs"), [("Reshape", ("Mul", "Mul")), ("DecodeJpeg", ()), ("Pad", ("Mul", "Mul"))]
)
def test_what_cannot_be_told_is_refused(op: str, inputs: tuple[str, ...]) -> None:
    builder = Builder()
    builder.placeholder("Mul", DT_FLOAT, (-1, 8, 8, 3))
    builder.floats(op, "out", inputs)
    with pytest.raises(UserError, match="is unknown"):
        shapes.check(cut(builder.graph, Scaling(8, 0, 1), "out"))


def test_a_circle_is_refused() -> None:
    builder = Builder()
    builder.floats("Relu", "a", ("b",))
    builder.floats("Relu", "b", ("a",))
    with pytest.raises(UserError, match="circle"):
        shapes.check(builder.graph.node)


def test_zeros_that_are_left_out_are_known() -> None:
    """As TensorFlow writes a constant of zeros: with its shape, and no numbers."""
    builder = Builder()
    builder.placeholder("Mul", DT_FLOAT, (-1, 8, 8, 3))
    node = builder.graph.node.add(op="Const", name="axis")
    node.attr["value"].tensor.dtype = DT_INT32
    builder.floats("ExpandDims", "out", ("Mul", "axis"))
    assert shapes.check(builder.graph.node, 4)["out"] == (1, 4, 8, 8, 3)


def test_what_an_ellipsis_stands_for_is_kept() -> None:
    """`x[..., ::-1]`, as Keras turns RGB round for VGG16."""
    builder = Builder()
    builder.placeholder("Mul", DT_FLOAT, (-1, 8, 8, 3))
    bounds = [builder.const(name, np.array([0, n], np.int32)) for name, n in
              (("begin", 0), ("end", 0), ("stride", -1))]  # fmt: skip
    masks = {"ellipsis_mask": 1, "begin_mask": 2, "end_mask": 2}
    builder.floats("StridedSlice", "out", ("Mul", *bounds), **masks)
    assert shapes.check(builder.graph.node, 4)["out"] == (4, 8, 8, 3)
