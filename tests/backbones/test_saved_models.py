"""Modules of both generations of TensorFlow become frozen graphs that compute the same."""

from pathlib import Path

import numpy as np
import pytest

from tensor_guess.config import BOTTLENECK
from tensor_guess.errors import UserError
from tensor_guess.graphs.graph import check
from tensor_guess.graphs.network import Network
from tensor_guess.images.scaling import Scaling


@pytest.mark.parametrize("kind", ["tf1", "tf2"])
def test_the_frozen_module_computes_what_the_module_does(kind: str, modules: Path) -> None:
    import tensorflow as tf

    from tensor_guess.backbones import saved_models

    graph = saved_models.freeze(modules / kind, 224)
    check(graph, kind)
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    network = Network(graph, Scaling(64, 0, 255), BOTTLENECK, "float32", few=True)
    ((_, found),) = network.run([(None, image)])
    module = tf.saved_model.load(str(modules / kind), tags=[] if kind == "tf1" else None)
    signature = module.signatures["default" if kind == "tf1" else "serving_default"]
    (expected,) = signature(images=tf.constant(image[None] / np.float32(255))).values()
    np.testing.assert_allclose(found, expected.numpy()[0], atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("map", "its output is no vector for each image"),
        ("text", "it is no image module"),
        ("nothing", "cannot be loaded as a SavedModel"),
    ],
)
def test_what_is_no_module_of_image_vectors_is_said(kind: str, said: str, modules: Path) -> None:
    from tensor_guess.backbones import saved_models

    with pytest.raises(UserError, match=said):
        saved_models.freeze(modules / kind, 224)
