"""EfficientNet-Lite0 in Keras, with the weights that our own is built from, for what is compared.

Importing this module imports TensorFlow.
"""

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from tensor_guess.backbones import torch_weights
from tensor_guess.backbones.catalogue import CATALOGUE
from tensor_guess.backbones.efficientnet_lite import STRIDES
from tensor_guess.system import packages

SIZE = 224


class Lite0:
    """The network up to its bottleneck: `pictures` [N, 224, 224, 3], 0 to 255 -> `bottleneck`.

    `load` gives it its weights, after the model that it is part of is made.
    """

    def __init__(self) -> None:
        packaged = CATALOGUE["efficientnet_lite0"].weights
        found = packages.find(packaged.package, packaged.file)  # type: ignore[union-attr]
        assert found
        self._weights = torch_weights.read(found.read_bytes(), "lite0")
        self._own: list[tuple[keras.layers.Layer, list[NDArray[np.float32]]]] = []
        self.pictures = keras.Input((SIZE, SIZE, 3))
        scaled = layers.Rescaling(1 / 128, -127 / 128)(self.pictures)
        x = self._convolved(scaled, "_conv_stem", "_bn0", 2)
        before, strides = 0, iter(STRIDES)
        for number in range(16):
            key, start = f"_blocks.{number}.", x
            filters = len(self._weights[key + "_project_conv.weight"])
            first = filters != before
            if key + "_expand_conv.weight" in self._weights:
                x = self._convolved(x, key + "_expand_conv", key + "_bn0")
            stride = next(strides) if first else 1
            x = self._convolved(x, key + "_depthwise_conv", key + "_bn1", stride)
            x = self._convolved(x, key + "_project_conv", key + "_bn2", relu=False)
            x = x if first else layers.Add()([x, start])
            before = filters
        x = self._convolved(x, "_conv_head", "_bn1")
        self.bottleneck = layers.GlobalAveragePooling2D()(x)

    def load(self) -> None:
        """Set the weights."""
        for layer, values in self._own:
            layer.set_weights(values)

    def _convolved(
        self,
        x: keras.KerasTensor,
        name: str,
        norm: str,
        stride: int = 1,
        *,
        relu: bool = True,
    ) -> keras.KerasTensor:
        kernel = self._weights[name + ".weight"].transpose(2, 3, 1, 0)
        how = {"strides": stride, "padding": "same", "use_bias": False}
        if "depthwise" in name:
            kernel = kernel.transpose(0, 1, 3, 2)
            layer = layers.DepthwiseConv2D(kernel.shape[0], **how)
        else:
            layer = layers.Conv2D(kernel.shape[3], kernel.shape[0], **how)
        still = layers.BatchNormalization(epsilon=1e-3, trainable=False)
        x = still(layer(x))
        parts = ("weight", "bias", "running_mean", "running_var")
        self._own += [(layer, [kernel]), (still, [self._weights[f"{norm}.{p}"] for p in parts])]
        return layers.ReLU(6)(x) if relu else x
