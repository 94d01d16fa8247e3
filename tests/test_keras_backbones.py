"""Keras' networks, frozen: the same numbers without Keras."""

from pathlib import Path

import numpy as np
import pytest

from tensor_guess.config import BOTTLENECK, IMAGENET
from tensor_guess.graph import Scaling, check
from tensor_guess.network import Network


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras' own
def test_a_frozen_inception_computes_what_keras_predicts(tmp_path: Path) -> None:
    import keras

    from tensor_guess.keras_backbones import freeze

    # As small as the architecture allows; the sizes of its layers are as ever.
    scaling = Scaling(75, 127.5, 127.5)
    keras.utils.set_random_seed(7)
    network = keras.applications.InceptionV3(weights=None, input_shape=(75, 75, 3))
    # Statistics as of a network that was trained on these pictures, in one pass.
    random = np.random.default_rng(7)
    coarse = random.integers(0, 256, (8, 5, 5, 3), np.uint8)
    pixels = coarse.repeat(15, axis=1).repeat(15, axis=2)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    network((pixels - np.float32(127.5)) / 127.5, training=True)
    weights = tmp_path / "inception.weights.h5"
    network.save_weights(weights)

    graph = freeze("inception_v3", 75, weights)
    check(graph, "inception_v3")
    layer = network.get_layer("avg_pool")
    both = keras.Model(network.input, [layer.output, network.output])
    predicted = both.predict((pixels - np.float32(127.5)) / 127.5, verbose=0)
    for output, theirs in zip((BOTTLENECK, IMAGENET), predicted, strict=True):
        compiled = Network(graph, scaling, output, "float32")
        ours = np.stack([row for _, row in compiled.run(enumerate(pixels))])
        assert ours.shape == theirs.shape
        # Random weights magnify rounding; what the pictures differ in must still be the same.
        difference = theirs - theirs.mean(axis=0)
        assert np.abs(difference).max() > 0.01 * theirs.max()
        assert np.abs(ours - theirs).max() < 0.01 * np.abs(difference).max()
