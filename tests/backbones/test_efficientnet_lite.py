"""The real EfficientNet-Lite0, from its weights: it knows what ImageNet's classes look like."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tensor_guess.backbones.backbone import Backbone
from tensor_guess.config import BOTTLENECK, IMAGENET, NETWORK_INPUT
from tensor_guess.graphs.allowed import ALLOWED_OPS
from tensor_guess.graphs.graph import check, serialise
from tensor_guess.graphs.network import Network
from tensor_guess.images import decoding, encoded


def by_tensorflow(
    backbone: Backbone, pixels: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The bottlenecks and scores that TensorFlow computes of the same frozen graph."""
    import tensorflow as tf

    v1 = tf.compat.v1
    graph = v1.GraphDef.FromString(serialise(backbone.graph))
    scaled = (pixels.astype(np.float32) - backbone.scaling.mean) / backbone.scaling.std
    with tf.Graph().as_default(), v1.Session() as session:
        tf.import_graph_def(graph, name="")
        fetched = session.run([f"{BOTTLENECK}:0", f"{IMAGENET}:0"], {f"{NETWORK_INPUT}:0": scaled})
        return fetched[0], fetched[1]


@pytest.mark.tensorflow
def test_openvino_and_tensorflow_compute_the_same(lite0: Backbone) -> None:
    pixels = np.random.default_rng(5).integers(0, 256, (6, 224, 224, 3), np.uint8)
    for output, theirs in zip((BOTTLENECK, IMAGENET), by_tensorflow(lite0, pixels), strict=True):
        network = Network(lite0.graph, lite0.scaling, output, "float32")
        ours = np.stack([row for _, row in network.run(enumerate(pixels))])
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


# Scores as the network's authors prepare pictures: the middle 7/8, bicubic.
SEEN = {
    "parrot.jpg": ("macaw", 0.90),
    "hot_dog.jpg": ("hotdog", 0.98),
    "dragonfly.bmp": ("dragonfly", 0.95),
}


def middle(path: Path, size: int) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        side = min(image.size) * 7 // 8
        left, top = (image.width - side) // 2, (image.height - side) // 2
        square = image.convert("RGB").crop((left, top, left + side, top + side))
    return np.asarray(square.resize((size, size), Image.Resampling.BICUBIC))


@pytest.mark.slow
@pytest.mark.parametrize(("photo", "expected"), SEEN.items())
def test_things_of_imagenet_are_known(
    lite0: Backbone, shared: Path, photo: str, expected: tuple[str, float]
) -> None:
    folder = shared / "sample_images"
    # The first of 1001 labels is no class of ImageNet's.
    lines = (folder / "imagenet_labels.txt").read_text().splitlines()[1:]
    labels = [line.partition(",")[0] for line in lines]
    network = Network(lite0.graph, lite0.scaling, IMAGENET, "float32", few=True)
    pixels = {
        "theirs": middle(folder / photo, 224),
        "ours": decoding.decode(encoded.read(folder / photo), 224),
    }
    scores = dict(network.run(pixels.items()))
    for each in scores.values():
        assert len(each) == len(labels) == 1000
        assert labels[each.argmax()] == expected[0]
        assert each.sum() == pytest.approx(1, abs=1e-4)
    assert scores["theirs"].max() == pytest.approx(expected[1], abs=0.01)


def test_the_graph_is_small_plain_and_always_the_same(lite0: Backbone) -> None:
    check(lite0.graph, "x")
    assert {node.op for node in lite0.graph.node} < ALLOWED_OPS
    # Batch normalisation is folded into the kernels, so that nothing of it is left.
    assert not [node.name for node in lite0.graph.node if "Norm" in node.op]
    # The weights as float32 (13 MB of network, 5 MB of ImageNet's layer) and little else.
    assert 18_000_000 < len(serialise(lite0.graph)) < 19_000_000
