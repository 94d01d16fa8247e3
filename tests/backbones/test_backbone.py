"""A frozen graph as backbone: its bottleneck, its scaling, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from tensor_guess.backbones.backbone import read
from tensor_guess.config import BOTTLENECK
from tensor_guess.errors import UserError
from tensor_guess.graphs import shapes
from tensor_guess.graphs.graph import check, cut
from tensor_guess.graphs.network import Network
from tensor_guess.images.scaling import Scaling


@pytest.mark.parametrize("name", ["frozen_graph.pb", "quantized_graph.pb"])
def test_the_classics_frozen_backbones(shared: Path, name: str) -> None:
    _, graph, scaling = read(str(shared / "graphs/mobilenet_v1_0.25_224" / name), None)
    check(graph, name)
    assert scaling == Scaling(224, 127.5, 127.5)
    assert shapes.check(cut(graph, scaling, BOTTLENECK))[BOTTLENECK] == (1, 256)


def test_another_bottleneck_can_be_named(shared: Path) -> None:
    path = str(shared / "graphs/mobilenet_v1_0.25_224/frozen_graph.pb")
    _, graph, scaling = read(path, "MobilenetV1/Predictions/Reshape:0")
    assert shapes.check(cut(graph, scaling, BOTTLENECK))[BOTTLENECK] == (1, 1001)
    with pytest.raises(UserError, match="has no tensor nothing"):
        read(path, "nothing")
    with pytest.raises(UserError, match="is no vector for each image"):
        read(path, "MobilenetV1/MobilenetV1/Conv2d_0/Relu6")
    with pytest.raises(UserError, match="input is what the graph is fed, no bottleneck"):
        read(path, "input")


@pytest.mark.tensorflow
def test_a_frozen_backbone_computes_what_tensorflow_does(shared: Path) -> None:
    import tensorflow as tf

    path = shared / "graphs/mobilenet_v1_0.25_224/quantized_graph.pb"
    image = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    _, graph, scaling = read(str(path), None)
    network = Network(graph, scaling, BOTTLENECK, "float32", few=True)
    ((_, found),) = network.run([(None, image)])
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(tf.compat.v1.GraphDef.FromString(path.read_bytes()), name="")
        fed = {"input:0": (image[None] - np.float32(127.5)) / np.float32(127.5)}
        expected = session.run("MobilenetV1/Logits/AvgPool_1a/AvgPool:0", fed).ravel()
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_other_graphs_are_refused_in_words(shared: Path) -> None:
    for path in (
        shared / "graphs/another_network/output_graph.pb",
        shared / "graphs/broken/lfs_pointer_retrained_graph.pb",
        shared / "graphs/broken/one_placeholder_output_graph.pb",
        shared / "sample_images/parrot.jpg",
    ):
        with pytest.raises(UserError) as raised:
            read(str(path), None)
        assert len(str(raised.value).splitlines()) == 1
