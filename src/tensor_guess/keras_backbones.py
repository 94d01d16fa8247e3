"""Networks of Keras Applications, frozen. Importing this module imports TensorFlow (seconds)."""

from collections.abc import Callable
from pathlib import Path

from tensorboard.compat.proto.graph_pb2 import GraphDef

from tensor_guess.config import BOTTLENECK, IMAGENET
from tensor_guess.freezing import frozen

import keras  # isort: skip  # after `freezing` has said how TensorFlow is to start

# name -> the network, and the layer whose output is the bottleneck
_NETWORKS: dict[str, tuple[Callable[..., keras.Model], str]] = {
    "inception_v3": (keras.applications.InceptionV3, "avg_pool"),
}


def freeze(name: str, size: int, weights: Path | None) -> GraphDef:
    """The frozen graph: NETWORK_INPUT [N, size, size, 3] -> BOTTLENECK [N, D], IMAGENET [N, 1000].

    `weights`: an .h5 file of Keras Applications; None gives random ones (seed 0), to measure with.
    """
    keras.utils.set_random_seed(0)
    make, layer = _NETWORKS[name]
    network = make(weights=None, include_top=True, input_shape=(size, size, 3))
    if weights:
        network.load_weights(weights)
    both = keras.Model(network.input, [network.get_layer(layer).output, network.output])
    return frozen(lambda x: both(x, training=False), size, (BOTTLENECK, IMAGENET))
