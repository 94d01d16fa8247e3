"""Each op on the list is run by OpenVINO with TensorFlow's numbers, or rewritten, or trimmed."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DT_FLOAT, DT_INT32, DT_QUINT8, DT_STRING

from tensor_guess.config import NETWORK_INPUT
from tensor_guess.graphs.allowed import ALLOWED_OPS
from tensor_guess.graphs.builder import Builder
from tensor_guess.graphs.graph import check, cut, serialise
from tensor_guess.graphs.network import Network
from tensor_guess.graphs.rewriting import rewritten
from tensor_guess.images.scaling import Scaling

SIZE = 8
SCALING = Scaling(SIZE, 100, 64)  # by a power of two: no rounding, so that Cast is exact
PIXELS = np.random.default_rng(2).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
ANY = AttrValue()
ANY.shape.unknown_rank = True
INT32, QUINT8 = AttrValue(type=DT_INT32), AttrValue(type=DT_QUINT8)
X = NETWORK_INPUT


@dataclass(frozen=True)
class Made:
    """How an op is made: inputs (by name, constants by value) and attributes."""

    inputs: tuple[object, ...]
    attributes: dict[str, object]


def made(*inputs: object, **attributes: object) -> Made:
    return Made(inputs or (X,), {"T": AttrValue(type=DT_FLOAT)} | attributes)


def untyped(*inputs: object, **attributes: object) -> Made:
    """An op that has no attribute T."""
    return Made(inputs or (X,), attributes)


def vector(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)


def integers(*values: object) -> NDArray[np.int32]:
    return np.array(values, np.int32)


NORM = (vector(1, 2, 3), vector(0.1, 0.2, 0.3), vector(0, 1, -1), vector(1, 2, 0.5))
KERNEL = np.random.default_rng(3).normal(size=(3, 3, 3, 4)).astype(np.float32)
WINDOW: dict[str, object] = {"ksize": (1, 3, 3, 1), "strides": (1, 2, 2, 1), "padding": "SAME"}
SLID: dict[str, object] = {"strides": (1, 2, 2, 1), "padding": "VALID"}
POSITIVE, PADS = "positive", integers([0, 0], [1, 2], [2, 1], [0, 0])
BLOCK, NONE = integers(2, 2), integers([0, 0], [0, 0])

RUN = {
    "Add": made(X, vector(1, 2, 3)),
    "AddN": made(X, X, X, N=3),
    "AddV2": made(X, vector(1, 2, 3)),
    "AvgPool": made(X, **WINDOW),
    "BatchToSpaceND": made("batches", BLOCK, NONE, Tblock_shape=INT32, Tcrops=INT32),
    "BiasAdd": made(X, vector(1, 2, 3)),
    "Cast": untyped("whole", SrcT=INT32, DstT=AttrValue(type=DT_FLOAT)),
    "CheckNumerics": made(POSITIVE, message="no number"),
    "Concat": made(integers(3).reshape(()), X, X, N=2),
    "ConcatV2": made(X, X, integers(2).reshape(()), N=2, Tidx=INT32),
    "Conv2D": made(X, KERNEL, **SLID),
    "DepthwiseConv2dNative": made(X, KERNEL, **SLID),
    "Elu": made(),
    "ExpandDims": made(X, integers(1).reshape(()), Tdim=INT32),
    "FakeQuantWithMinMaxArgs": untyped(min=-1.5, max=2.5, num_bits=8),
    "FakeQuantWithMinMaxVars": untyped(X, np.float32(-1.5), np.float32(2.5)),
    "FusedBatchNorm": made(X, *NORM, epsilon=0.001, is_training=False),
    "FusedBatchNormV2": made(
        X, *NORM, U=AttrValue(type=DT_FLOAT), epsilon=0.001, is_training=False
    ),
    "FusedBatchNormV3": made(
        X, *NORM, U=AttrValue(type=DT_FLOAT), epsilon=0.001, is_training=False
    ),
    "Identity": made(POSITIVE),
    "LRN": made(depth_radius=2, bias=1.0, alpha=0.1, beta=0.75),
    "LeakyRelu": made(alpha=0.2),
    "MatMul": made("flat", np.ones((3 * SIZE * SIZE, 4), np.float32) / 50),
    "MaxPool": made(X, **WINDOW),
    "Maximum": made(X, vector(0, 1, -1)),
    "Mean": made(X, integers(1, 2), Tidx=INT32),
    "Minimum": made(X, vector(0, 1, -1)),
    "MirrorPad": made(X, PADS, Tpaddings=INT32, mode="REFLECT"),
    "Mul": made(X, vector(2, 0.5, -1)),
    "Neg": made(),
    "Pack": made(X, X, N=2, axis=1),
    "Pad": made(X, PADS, Tpaddings=INT32),
    "PadV2": made(X, PADS, np.float32(0.25), Tpaddings=INT32),
    "PlaceholderWithDefault": untyped(POSITIVE, dtype=AttrValue(type=DT_FLOAT), shape=ANY),
    "RealDiv": made(X, vector(2, 0.5, -1)),
    "Relu": made(),
    "Relu6": made(),
    "Reshape": made(X, integers(-1, SIZE * SIZE, 3), Tshape=INT32),
    "ResizeBilinear": made(X, integers(11, 5), align_corners=False),
    "Rsqrt": made(POSITIVE),
    "Sigmoid": made(),
    "Softmax": made("flat"),
    "SpaceToBatchND": made(X, BLOCK, NONE, Tblock_shape=INT32, Tpaddings=INT32),
    "Sqrt": made(POSITIVE),
    "Square": made(),
    "SquaredDifference": made(X, vector(0, 1, -1)),
    "Squeeze": made("column", squeeze_dims=(1,)),
    "StopGradient": made(POSITIVE),
    "StridedSlice": made(
        X, integers(0, 1, 2), integers(0, 7, 0), integers(1, 2, 1),
        Index=INT32, begin_mask=1, end_mask=5,
    ),
    "Sub": made(X, vector(0, 1, -1)),
    "Tanh": made(),
    "Transpose": made(X, integers(0, 2, 1, 3), Tperm=INT32),
    # Rewritten first, with the same numbers.
    "BatchNormWithGlobalNormalization": made(
        X, vector(0, 1, -1), vector(1, 2, 0.5), vector(0.1, 0.2, 0.3), vector(1, 2, 3),
        variance_epsilon=0.001, scale_after_normalization=True,
    ),
    "BiasAddV1": made(X, vector(1, 2, 3)),
    "Dequantize": made("bytes", np.float32(-1.5), np.float32(2.5), T=QUINT8),
}  # fmt: skip
REWRITTEN = {"BatchNormWithGlobalNormalization", "BiasAddV1", "Dequantize"}
# What each of the rest is for, and why OpenVINO never has to run it for a picture.
OTHERWISE = {
    "Const": "in every graph of this table",
    "Placeholder": "in every graph of this table: what pictures are fed to",
    "Shape": "in the decode stage; elsewhere folded, see the test below",
    "NoOp": "control inputs are taken away",
    "DecodeJpeg": "the decode stage is trimmed",
    "ScaleAndTranslate": "the decode stage is trimmed",
}


def graph_with(op: str) -> GraphDef:
    """The smallest graph of `op` that gives `out`; what it is fed comes of the picture."""
    builder = Builder()
    builder.placeholder(X, DT_FLOAT, (-1, SIZE, SIZE, 3))
    how = RUN[op]
    names = [
        each if isinstance(each, str) and each == X
        else _given(builder, each) if isinstance(each, str)
        else builder.const(f"c{number}", each)  # type: ignore[arg-type]
        for number, each in enumerate(how.inputs)
    ]  # fmt: skip
    if op == "Dequantize":  # a constant, which is added to what comes of the picture
        builder.op(op, "result", names, **how.attributes)
        builder.floats("Add", "out", (X, "result"))
    elif op == "PlaceholderWithDefault":  # whose name OpenVINO forgets
        builder.op(op, "result", names, **how.attributes)
        builder.floats("Neg", "out", ("result",))
    elif op == "SpaceToBatchND":  # more rows than pictures, made one again
        builder.op(op, "result", names, **how.attributes)
        to = builder.const("to", integers(-1, 3 * SIZE * SIZE))
        builder.floats("Reshape", "out", ("result", to), Tshape=INT32)
    else:
        builder.op(op, "out", names, **how.attributes)
    return builder.graph


def _given(builder: Builder, what: str) -> str:
    """What an op wants that is no picture, made of the picture."""
    if what == POSITIVE:
        square = builder.floats("Square", "square", (X,))
        return builder.floats("AddV2", POSITIVE, (square, builder.const("one", np.float32(1))))
    if what == "flat":
        to = builder.const("to", integers(-1, 3 * SIZE * SIZE))
        return builder.floats("Reshape", what, (X, to), Tshape=INT32)
    if what == "column":
        to = builder.const("to", integers(-1, 1, 3 * SIZE * SIZE))
        return builder.floats("Reshape", what, (X, to), Tshape=INT32)
    if what == "whole":
        return builder.op("Cast", what, (X,), SrcT=AttrValue(type=DT_FLOAT), DstT=INT32)
    if what == "batches":
        inputs = (X, builder.const("block", BLOCK), builder.const("none", NONE))
        return builder.floats("SpaceToBatchND", what, inputs, Tblock_shape=INT32, Tpaddings=INT32)
    values = TensorProto(dtype=DT_QUINT8, tensor_content=bytes([0, 100, 255]))
    values.tensor_shape.dim.add(size=3)
    return builder.op("Const", what, (), dtype=QUINT8, value=values)


def by_tensorflow(graph: GraphDef, output: str) -> NDArray[np.float32]:
    import tensorflow as tf

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        definition = tf.compat.v1.GraphDef.FromString(serialise(graph))
        if any(node.op == "BiasAddV1" for node in definition.node):
            definition.versions.producer = 20
        tf.import_graph_def(definition, name="")
        fed = (PIXELS[None].astype(np.float32) - SCALING.mean) / SCALING.std
        found: NDArray[np.float32] = session.run(f"{output}:0", {f"{X}:0": fed})
        return found.ravel()


def by_openvino(graph: GraphDef, output: str) -> NDArray[np.float32]:
    check(graph, "x.pb")
    ((_, found),) = Network(rewritten(graph), SCALING, output, "float32", few=True).run(
        [(None, PIXELS)]
    )
    return found.ravel()


def test_something_is_said_of_every_op_on_the_list() -> None:
    assert RUN.keys() | OTHERWISE.keys() == ALLOWED_OPS
    assert not RUN.keys() & OTHERWISE.keys()


@pytest.mark.tensorflow
@pytest.mark.parametrize("op", RUN)
def test_an_op_gives_tensorflows_numbers(op: str) -> None:
    graph = graph_with(op)
    ops = {node.op for node in rewritten(graph).node}
    assert (op in ops) is (op not in REWRITTEN)
    if op == "BatchNormWithGlobalNormalization":  # TensorFlow removed it in 2017
        mean, variance, beta, gamma = (each for each in RUN[op].inputs[1:])
        scaled = (PIXELS.astype(np.float32) - SCALING.mean) / SCALING.std
        expected = ((scaled - mean) * gamma / np.sqrt(variance + 0.001) + beta).ravel()  # type: ignore[operator]
    else:
        expected = by_tensorflow(graph, "out")
    found = by_openvino(graph, "out")
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.tensorflow
def test_a_shape_of_the_picture_is_folded() -> None:
    """As Keras flattens: to [batch, everything else]."""
    builder = Builder()
    builder.placeholder(X, DT_FLOAT, (-1, SIZE, SIZE, 3))
    builder.floats("Shape", "shape", (X,), out_type=INT32)
    bounds = [builder.const(f"b{n}", integers(n)) for n in (0, 1)]
    first = ("shape", bounds[0], bounds[1], bounds[1])
    builder.op("StridedSlice", "n", first, T=INT32, Index=INT32, shrink_axis_mask=1)
    rest = builder.const("rest", np.int32(3 * SIZE * SIZE))
    to = builder.op("Pack", "to", ("n", rest), N=2, T=INT32, axis=0)
    builder.floats("Reshape", "out", (X, to), Tshape=INT32)
    expected = by_tensorflow(builder.graph, "out")
    np.testing.assert_allclose(by_openvino(builder.graph, "out"), expected, atol=1e-5)


def test_what_waits_and_what_decodes_is_trimmed() -> None:
    builder = Builder()
    builder.placeholder("bytes", DT_STRING, ())
    builder.op("DecodeJpeg", "decoded", ("bytes",), channels=3)
    builder.op("NoOp", "wait", ("^decoded",))
    two = [builder.const(f"t{n}", vector(n, n)) for n in (0, 1)]
    size = builder.const("size", integers(SIZE, SIZE))
    builder.floats("ScaleAndTranslate", X, ("decoded", size, two[1], two[0]))
    builder.floats("Relu", "out", (X, "^wait"))
    check(builder.graph, "x.pb")
    left = {node.op for node in cut(rewritten(builder.graph), SCALING, "out")}
    assert left == {"Placeholder", "Relu"}
    scaled = (PIXELS.astype(np.float32) - SCALING.mean) / SCALING.std
    np.testing.assert_allclose(by_openvino(builder.graph, "out"), scaled.clip(0).ravel(), atol=1e-6)
