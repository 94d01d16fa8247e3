"""Rewritten ops give what TensorFlow gives for the ones they replace."""

import numpy as np
import pytest
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DT_FLOAT, DT_QUINT8

from tensor_guess.config import NETWORK_INPUT
from tensor_guess.errors import UserError
from tensor_guess.graphs.builder import Builder
from tensor_guess.graphs.graph import array
from tensor_guess.graphs.network import Network
from tensor_guess.graphs.rewriting import rewritten
from tensor_guess.images.scaling import Scaling

SCALING = Scaling(8, 0, 255)
IMAGE = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize("scaled", [True, False])
def test_the_batch_normalization_of_2015(scaled: bool) -> None:
    builder = Builder()
    builder.placeholder(NETWORK_INPUT, DT_FLOAT, (-1, 8, 8, 3))
    mean, variance, beta, gamma = (
        np.array(values, np.float32)
        for values in ([0.1, 0.2, 0.3], [1, 2, 3], [0.5, -0.5, 0], [2, 3, 4])
    )
    inputs = [
        builder.const(name, value)
        for name, value in (("m", mean), ("v", variance), ("beta", beta), ("gamma", gamma))
    ]
    builder.floats(
        "BatchNormWithGlobalNormalization",
        "norm",
        (NETWORK_INPUT, *inputs),
        variance_epsilon=0.001,
        scale_after_normalization=scaled,
    )
    expected = (IMAGE / 255 - mean) / np.sqrt(variance + 0.001)
    expected = expected * gamma + beta if scaled else expected + beta
    found = _run(builder, "norm").reshape(8, 8, 3)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_first_bias_add() -> None:
    builder = Builder()
    builder.placeholder(NETWORK_INPUT, DT_FLOAT, (-1, 8, 8, 3))
    bias = builder.const("bias", np.array([1, 2, 3], np.float32))
    builder.floats("BiasAddV1", "out", (NETWORK_INPUT, bias))
    found = _run(builder, "out").reshape(8, 8, 3)
    np.testing.assert_allclose(found, IMAGE / 255 + [1, 2, 3], atol=1e-6)


@pytest.mark.tensorflow
@pytest.mark.parametrize("mode", ["MIN_COMBINED", "MIN_FIRST"])
def test_quantized_constants_are_tensorflows_own_numbers(mode: str) -> None:
    import tensorflow as tf

    values = np.arange(256, dtype=np.uint8)
    quantized = tf.bitcast(tf.constant(values), tf.quint8)
    expected = tf.raw_ops.Dequantize(input=quantized, min_range=-1.5, max_range=2.5, mode=mode)
    node = _dequantized(values, -1.5, 2.5, mode)
    found = array(rewritten(node.graph), "out")
    assert found is not None
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-6)


def test_what_is_no_constant_is_refused() -> None:
    builder = _dequantized(np.arange(4, dtype=np.uint8), 0, 1, "SCALED")
    with pytest.raises(UserError, match="dequantizes something other"):
        rewritten(builder.graph)


def test_a_graph_that_took_one_image_at_a_time_takes_several() -> None:
    builder = Builder()
    builder.placeholder(NETWORK_INPUT, DT_FLOAT, (-1, 8, 8, 3))
    to = builder.const("to", np.array([1, 192], np.int32))
    builder.floats("Reshape", "out", (NETWORK_INPUT, to))
    network = Network(rewritten(builder.graph), SCALING, "out", "float32")
    images = [np.full((8, 8, 3), n, np.uint8) for n in range(5)]
    rows = [row for _, row in network.run((None, image) for image in images)]
    np.testing.assert_allclose(rows, [[n / 255] * 192 for n in range(5)], atol=1e-6)


def _dequantized(values: np.ndarray, low: float, high: float, mode: str) -> Builder:
    builder = Builder()
    quint8 = AttrValue(type=DT_QUINT8)
    tensor = TensorProto(dtype=DT_QUINT8, tensor_content=values.tobytes())
    tensor.tensor_shape.dim.add(size=len(values))
    builder.op("Const", "values", (), dtype=quint8, value=tensor)
    bounds = [
        builder.const(name, np.float32(bound)) for name, bound in (("low", low), ("high", high))
    ]
    builder.op("Dequantize", "out", ("values", *bounds), T=quint8, mode=mode)
    return builder


def _run(builder: Builder, output: str) -> np.ndarray:
    network = Network(rewritten(builder.graph), SCALING, output, "float32", few=True)
    ((_, vector),) = network.run([(None, IMAGE)])
    return vector
