"""Keras' networks, frozen: the same numbers without Keras."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tensorboard.compat.proto.graph_pb2 import GraphDef

from tensor_guess.backbones.catalogue import CATALOGUE, KerasWeights
from tensor_guess.config import BOTTLENECK, FINAL_TENSOR, IMAGENET
from tensor_guess.graphs.files import Record
from tensor_guess.graphs.graph import check, parse, serialise
from tensor_guess.graphs.network import Network
from tensor_guess.graphs.own import Head, with_head
from tensor_guess.images.scaling import Scaling

pytestmark = pytest.mark.tensorflow
KERAS = [name for name, each in CATALOGUE.items() if isinstance(each.weights, KerasWeights)]
# The smallest network, and one that has Keras' own preprocessing inside; few pixels.
CHEAP = [("mobilenet_0.25_128", 128), ("efficientnet_v2_b0", 64)]
# Of the widths of MobileNet v1 one is enough.
WHOLE = [
    (name, CATALOGUE[name].scaling.size)
    for name in KERAS
    if not name.startswith(("mobilenet_0", "mobilenet_1"))
]


def pictures(size: int) -> NDArray[np.uint8]:
    """Eight pictures of 5 x 5 coloured squares."""
    coarse = np.random.default_rng(7).integers(0, 256, (8, 5, 5, 3), np.uint8)
    side = -(-size // 5)
    return coarse.repeat(side, axis=1).repeat(side, axis=2)[:, :size, :size]


def trained_on(network: Any, images: NDArray[np.float32]) -> None:
    """Random weights as those of a network that has seen these images and tells them apart.

    The statistics of batch normalisation are theirs, in one pass, and logits differ by 2.
    """
    import keras

    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    network(images, training=True)
    logits = np.log(network.predict(images, verbose=0))
    last = [layer for layer in network.layers if layer.weights][-1]
    kernel, *rest = last.get_weights()
    last.set_weights([kernel * 2 / (logits - logits.mean(axis=0)).std(), *rest])


def rows(graph: GraphDef, scaling: Scaling, output: str, pixels: Any) -> NDArray[np.float32]:
    """What our network computes."""
    network = Network(graph, scaling, output, "float32")
    return np.stack([row for _, row in network.run(enumerate(pixels))])


def exported(graph: GraphDef, scaling: Scaling, head: Head) -> GraphDef:
    """The classifier's graph, as it is read from its file."""
    labels = tuple(f"label {i}" for i in range(len(head.biases)))
    record = Record(labels, labels, scaling, "x", "x", "float32")
    return parse(serialise(with_head(graph, head, record)), "x")


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """Half a gigabyte of VGG16 is not kept for the next test."""
    import keras

    yield
    keras.backend.clear_session()


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras' own
@pytest.mark.parametrize(
    ("name", "size"),
    [*CHEAP, *(pytest.param(*each, marks=pytest.mark.long) for each in WHOLE)],
)
def test_a_frozen_network_computes_what_keras_predicts(
    name: str, size: int, tmp_path: Path
) -> None:
    import keras

    from tensor_guess.backbones.keras_networks import bottleneck_of, build, freeze, preparation

    scaling = replace(CATALOGUE[name].scaling, size=size)
    pixels = pictures(size)
    images = preparation(name)((pixels - np.float32(scaling.mean)) / np.float32(scaling.std))
    keras.utils.set_random_seed(7)
    network = build(name, size)
    trained_on(network, images)
    weights = tmp_path / "x.weights.h5"
    network.save_weights(weights)

    graph = freeze(name, size, weights)
    check(graph, name)
    both = keras.Model(network.input, [bottleneck_of(name, network), network.output])
    bottlenecks, scores = both.predict(images, verbose=0)
    assert bottlenecks.shape[1] == CATALOGUE[name].bottleneck
    random = np.random.default_rng(3)
    kernel = random.normal(size=(bottlenecks.shape[1], 3)).astype(np.float32)
    head = Head(kernel, np.zeros(3, np.float32))
    ours = exported(graph, scaling, head)
    for output, found, theirs in (
        (BOTTLENECK, graph, bottlenecks),
        (BOTTLENECK, ours, bottlenecks),
        (IMAGENET, graph, scores),
    ):
        # The pictures are told apart, so that being near each other says something.
        assert (theirs - theirs.mean(axis=0)).std() > 5e-3
        np.testing.assert_allclose(rows(found, scaling, output, pixels), theirs, atol=1e-4)
    assert scores.max() > 0.1
    logits = bottlenecks @ kernel
    softmax = np.exp(logits - logits.max(axis=1, keepdims=True))
    softmax /= softmax.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(rows(ours, scaling, FINAL_TENSOR, pixels), softmax, atol=1e-3)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras' own
def test_scaling_is_what_keras_preprocesses() -> None:
    import keras

    from tensor_guess.backbones.keras_networks import preparation

    pixels = pictures(10).astype(np.float32)
    for name in KERAS:
        source = CATALOGUE[name]
        assert isinstance(source.weights, KerasWeights)
        if source.weights.options.get("include_preprocessing") is False:
            continue  # Keras' network does that itself: see its own source
        module = getattr(keras.applications, source.weights.network.partition(".")[0])
        scaled = (pixels - np.float32(source.scaling.mean)) / np.float32(source.scaling.std)
        theirs = module.preprocess_input(pixels.copy())
        np.testing.assert_allclose(preparation(name)(scaled), theirs, atol=1e-5)
