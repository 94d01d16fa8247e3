"""Modules of both generations of TensorFlow become frozen graphs that compute the same."""

from pathlib import Path

import numpy as np
import pytest

from made.hub import of_hub
from tensor_guess.config import BOTTLENECK
from tensor_guess.errors import UserError
from tensor_guess.graphs.graph import check
from tensor_guess.graphs.network import Network
from tensor_guess.images.scaling import Scaling


@pytest.mark.parametrize("kind", ["tf1", "tf1_hub", "tf2", "called"])
def test_the_frozen_module_computes_what_the_module_does(kind: str, modules: Path) -> None:
    from tensor_guess.backbones import saved_models

    graph = saved_models.freeze(modules / kind, 64)
    check(graph, kind)
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    network = Network(graph, Scaling(64, 0, 255), BOTTLENECK, "float32", few=True)
    ((_, found),) = network.run([(None, image)])
    expected = of_hub(str(modules / kind), image)
    assert expected.any()
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("map", "its output is no vector for each image"),
        ("text", "it is no image module"),
        ("trains", "it can only be called as in training"),
        ("nothing", "cannot be loaded as a SavedModel"),
    ],
)
def test_what_is_no_module_of_image_vectors_is_said(kind: str, said: str, modules: Path) -> None:
    from tensor_guess.backbones import saved_models

    with pytest.raises(UserError, match=said):
        saved_models.freeze(modules / kind, 224)
