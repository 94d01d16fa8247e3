"""Graphs as other programs wrote them, small: the exact names and ops of each generation."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import (
    DT_FLOAT,
    DT_INT32,
    DT_QUINT8,
    DT_STRING,
    DT_UINT8,
)

from tensor_guess.graphs.builder import Builder

LABELS = ("daisy", "dandelion", "roses")
SIZE = 32
INPUTS = {
    "inception_2015": "Mul",
    "mobilenet": "input",
    "mobilenet_quantized": "input",
    "mobilenet_optimized": "input",
    "hub": "Placeholder",
    "imported": "import/input",
}


def made(flavour: str) -> GraphDef:
    """A graph of that flavour, which gives LABELS' scores for SIZE x SIZE pixels."""
    graph = _MAKERS[flavour]().graph
    graph.versions.producer = 8 if flavour == "inception_2015" else 22
    return graph


def _inception_2015() -> Builder:
    """`classify_image_graph_def.pb` of 2015-12-05, retrained: feeds JPEG bytes, scales itself."""
    builder, random = Builder(), np.random.default_rng(1)
    builder.placeholder("DecodeJpeg/contents", DT_STRING, ())
    builder.op("DecodeJpeg", "DecodeJpeg", ("DecodeJpeg/contents",), channels=3)
    types = {"SrcT": AttrValue(type=DT_UINT8), "DstT": AttrValue(type=DT_FLOAT)}
    builder.op("Cast", "Cast", ("DecodeJpeg",), **types)
    builder.const("ExpandDims/dim", np.int32(0))
    builder.floats("ExpandDims", "ExpandDims", ("Cast", "ExpandDims/dim"))
    builder.const("ResizeBilinear/size", np.array([SIZE, SIZE], np.int32))
    builder.floats("ResizeBilinear", "ResizeBilinear", ("ExpandDims", "ResizeBilinear/size"))
    builder.const("Sub/y", np.float32(128))
    builder.floats("Sub", "Sub", ("ResizeBilinear", "Sub/y"))
    builder.const("Mul/y", np.float32(1 / 128))
    builder.floats("Mul", "Mul", ("Sub", "Mul/y"))
    branches = []
    for name, width in (("conv", 8), ("mixed/tower/conv", 4)):
        builder.const(f"{name}/conv2d_params", _normal(random, 3, 3, 3, width))
        builder.floats(
            "Conv2D",
            f"{name}/Conv2D",
            ("Mul", f"{name}/conv2d_params"),
            strides=(1, 2, 2, 1),
            padding="SAME",
        )
        norm = f"{name}/batchnorm"
        values = (_normal(random, width), _positive(random, width), _normal(random, width))
        for key, value in zip(("moving_mean", "moving_variance", "beta"), values, strict=True):
            builder.const(f"{norm}/{key}", value)
        builder.const(f"{norm}/gamma", np.ones(width, np.float32))
        inputs = [f"{norm}/{key}" for key in ("moving_mean", "moving_variance", "beta", "gamma")]
        builder.floats(
            "BatchNormWithGlobalNormalization",
            norm,
            (f"{name}/Conv2D", *inputs),
            variance_epsilon=0.001,
            scale_after_normalization=False,
        )
        branches.append(builder.floats("Relu", name, (norm,)))
    builder.const("mixed/join/concat_dim", np.int32(3))
    count = {"N": AttrValue(i=len(branches))}
    builder.floats("Concat", "mixed/join", ("mixed/join/concat_dim", *branches), **count)
    half = SIZE // 2
    builder.floats(
        "AvgPool",
        "pool_3",
        ("mixed/join",),
        ksize=(1, half, half, 1),
        strides=(1, 1, 1, 1),
        padding="VALID",
    )
    builder.const("pool_3/_reshape/shape", np.array([1, 12], np.int32))
    builder.floats("Reshape", "pool_3/_reshape", ("pool_3", "pool_3/_reshape/shape"))
    _head(builder, random, "pool_3/_reshape", 12, "final_training_ops")
    return builder


def _mobilenet(*, quantized: bool = False, shape: bool = True, under: str = "") -> Builder:
    """`--architecture mobilenet_..`: fed pixels, its logits are the bottleneck."""
    builder, random = Builder(), np.random.default_rng(2)
    builder.placeholder(f"{under}input", DT_FLOAT, (1, SIZE, SIZE, 3))
    if not shape:  # optimize_for_inference leaves it out
        del builder.graph.node[0].attr["shape"]
    scope = f"{under}MobilenetV1/Conv2d_0"
    kernel = _normal(random, 3, 3, 3, 6)
    if quantized:
        _quantized(builder, f"{scope}/weights", kernel)
    else:
        builder.const(f"{scope}/weights", kernel)
    builder.floats("Identity", f"{scope}/weights/read", (f"{scope}/weights",))
    sides = {"strides": (1, SIZE, SIZE, 1), "padding": "SAME"}
    builder.floats("Conv2D", f"{scope}/Conv2D", (f"{under}input", f"{scope}/weights/read"), **sides)
    builder.floats("Relu6", f"{scope}/Relu6", (f"{scope}/Conv2D",))
    pooled = {"ksize": (1, 1, 1, 1), "strides": (1, 1, 1, 1), "padding": "VALID"}
    builder.floats("AvgPool", f"{under}AvgPool_1a/AvgPool", (f"{scope}/Relu6",), **pooled)
    squeezed = builder.floats(
        "Squeeze", f"{under}SpatialSqueeze", (f"{under}AvgPool_1a/AvgPool",), squeeze_dims=(1, 2)
    )
    builder.const(f"{under}Predictions/Reshape/shape", np.array([-1, 6], np.int32))
    builder.floats(
        "Reshape", f"{under}Predictions/Reshape", (squeezed, f"{under}Predictions/Reshape/shape")
    )
    _head(builder, random, f"{under}Predictions/Reshape", 6, "final_training_ops", under)
    return builder


def _hub() -> Builder:
    """tensorflow/hub's retrain.py: a module's own nodes, its own scaling of 0 to 1."""
    builder, random = Builder(), np.random.default_rng(3)
    builder.placeholder("Placeholder", DT_FLOAT, (-1, SIZE, SIZE, 3))
    scope = "module_apply_default"
    builder.const(f"{scope}/hub_input/Mul/y", np.float32(2))
    builder.floats("Mul", f"{scope}/hub_input/Mul", ("Placeholder", f"{scope}/hub_input/Mul/y"))
    builder.const(f"{scope}/hub_input/Sub/y", np.float32(1))
    doubled, one = f"{scope}/hub_input/Mul", f"{scope}/hub_input/Sub/y"
    builder.floats("Sub", f"{scope}/hub_input/Sub", (doubled, one))
    kernel = builder.const("module/Conv2d/weights", _normal(random, 3, 3, 3, 8))
    builder.floats(
        "Conv2D",
        f"{scope}/Conv2D",
        (f"{scope}/hub_input/Sub", kernel),
        strides=(1, 2, 2, 1),
        padding="SAME",
    )
    inputs = [
        builder.const(f"module/BatchNorm/{name}", value)
        for name, value in (
            ("gamma", _positive(random, 8)),
            ("beta", _normal(random, 8)),
            ("moving_mean", _normal(random, 8)),
            ("moving_variance", _positive(random, 8)),
        )
    ]
    builder.floats(
        "FusedBatchNorm", f"{scope}/norm", (f"{scope}/Conv2D", *inputs), is_training=False
    )
    builder.floats("Relu", f"{scope}/Relu", (f"{scope}/norm:0",))
    axes = builder.const(f"{scope}/Mean/axes", np.array([1, 2], np.int32))
    builder.floats("Mean", f"{scope}/Mean", (f"{scope}/Relu", axes), Tidx=AttrValue(type=DT_INT32))
    _head(builder, random, f"{scope}/Mean", 8, "final_retrain_ops")
    return builder


def _head(
    builder: Builder,
    random: np.random.Generator,
    bottleneck: str,
    width: int,
    scope: str,
    under: str = "",
) -> None:
    """What retrain.py added, of all generations: scores of the bottleneck."""
    fed = f"{under}input_1/BottleneckInputPlaceholder"
    shape = AttrValue()
    shape.shape.dim.add(size=-1)
    shape.shape.dim.add(size=width)
    kinds = {"dtype": AttrValue(type=DT_FLOAT), "shape": shape}
    builder.op("PlaceholderWithDefault", fed, (bottleneck,), **kinds)
    weights, biases = f"{under}{scope}/weights/final_weights", f"{under}{scope}/biases/final_biases"
    builder.const(weights, _normal(random, width, len(LABELS)))
    builder.const(biases, _normal(random, len(LABELS)))
    for name in (weights, biases):
        builder.floats("Identity", f"{name}/read", (name,))
    product = f"{under}{scope}/Wx_plus_b/MatMul"
    builder.floats("MatMul", product, (fed, f"{weights}/read"))
    logits = f"{under}{scope}/Wx_plus_b/add"
    builder.floats("Add", logits, (product, f"{biases}/read"))
    builder.floats("Softmax", f"{under}final_result", (logits,))


def _quantized(builder: Builder, name: str, values: NDArray[np.float32]) -> None:
    """The constant as quantize_graph.py's eight_bit weights: quint8 between two bounds."""
    low, high = float(values.min()), float(values.max())
    steps = np.round((values - low) / (high - low) * 255).astype(np.uint8)
    quint8 = AttrValue(type=DT_QUINT8)
    tensor = TensorProto(dtype=DT_QUINT8, tensor_content=steps.tobytes())
    for side in values.shape:
        tensor.tensor_shape.dim.add(size=side)
    builder.op("Const", f"{name}_quint8_const", (), dtype=quint8, value=tensor)
    bounds = [
        builder.const(f"{name}_{end}", np.float32(bound))
        for end, bound in (("min", low), ("max", high))
    ]
    builder.op("Dequantize", name, (f"{name}_quint8_const", *bounds), T=quint8, mode="MIN_FIRST")


def _normal(random: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    return random.normal(size=shape).astype(np.float32)


def _positive(random: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    return random.uniform(0.5, 2, size=shape).astype(np.float32)


_MAKERS: dict[str, Callable[[], Builder]] = {
    "inception_2015": _inception_2015,
    "mobilenet": _mobilenet,
    "mobilenet_quantized": lambda: _mobilenet(quantized=True),
    "mobilenet_optimized": lambda: _mobilenet(shape=False),
    "hub": _hub,
    "imported": lambda: _mobilenet(under="import/"),
}
