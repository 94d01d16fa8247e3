"""Freeze networks of Keras Applications. Importing this module imports TensorFlow (seconds)."""

from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.graph_pb2 import GraphDef

from tensor_guess.backbones.catalogue import CATALOGUE, KerasWeights
from tensor_guess.backbones.freezing import frozen
from tensor_guess.config import BOTTLENECK, IMAGENET

import keras  # isort: skip  # after `freezing`, which sets how TensorFlow starts


def freeze(name: str, size: int, weights: Path | None) -> GraphDef:
    """Freeze it: NETWORK_INPUT [N, size, size, 3] -> BOTTLENECK [N, D], IMAGENET [N, 1000].
    `weights`: an .h5 file of Keras Applications; None means random ones (seed 0), for measuring.
    """
    keras.utils.set_random_seed(0)
    network = build(name, size)
    if weights:
        network.load_weights(weights)
    both = keras.Model(network.input, [bottleneck_of(name, network), network.output])
    prepare = preparation(name)
    return frozen(lambda x: both(prepare(x), training=False), size, (BOTTLENECK, IMAGENET))


def build(name: str, size: int) -> keras.Model:
    """Return Keras' own network with random weights: prepared images -> scores [N, 1000]."""
    weights = _weights(name)
    make = attrgetter(weights.network)(keras.applications)
    shape = (size, size, 3)
    return make(weights=None, include_top=True, input_shape=shape, **weights.options)


def bottleneck_of(name: str, network: keras.Model) -> Any:
    """Return the network's tensor that is the bottleneck, [N, D]."""
    layer = _weights(name).layer
    if layer:
        return network.get_layer(layer).output
    pooling = keras.layers.GlobalAveragePooling2D
    pooled = [each for each in network.layers if isinstance(each, pooling)][-1].output
    return pooled if len(pooled.shape) == 2 else keras.layers.Flatten()(pooled)


def preparation(name: str) -> Callable[[Any], Any]:
    """Return a function to apply to scaled images first: Keras' own if they are plain pixels."""
    scaling = CATALOGUE[name].scaling
    if (scaling.mean, scaling.std) != (0, 1):
        return lambda images: images
    module = _weights(name).network.partition(".")[0]
    prepare: Callable[[Any], Any] = getattr(keras.applications, module).preprocess_input
    return prepare


def _weights(name: str) -> KerasWeights:
    weights = CATALOGUE[name].weights
    assert isinstance(weights, KerasWeights)
    return weights
