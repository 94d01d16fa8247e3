"""A frozen function computes what the function does, with nothing left to fold."""

import numpy as np
import pytest

from tensor_guess.graphs.graph import check
from tensor_guess.graphs.network import Network
from tensor_guess.images.scaling import Scaling


@pytest.mark.tensorflow
def test_variables_and_normalisation_go_into_the_kernels() -> None:
    import keras

    from tensor_guess.backbones.freezing import frozen

    keras.utils.set_random_seed(1)
    network = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(4, 3, use_bias=False),
            keras.layers.BatchNormalization(
                moving_mean_initializer="random_normal",
                moving_variance_initializer=keras.initializers.RandomUniform(0.5, 2),
            ),
            keras.layers.Dropout(0.5),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )
    graph = frozen(lambda x: [network(x, training=False)], 16, ["out"])
    check(graph, "frozen")
    assert {node.op for node in graph.node} <= {
        "Placeholder", "Const", "Conv2D", "AddV2", "Sub", "BiasAdd", "Mean", "Identity"
    }  # fmt: skip
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    ((_, found),) = Network(graph, Scaling(16, 0, 255), "out", "float32", few=True).run(
        [(None, image)]
    )
    expected = network.predict(image[None] / np.float32(255), verbose=0)[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)
