"""The network that others get is the whole of it, whatever its nodes are called."""

import json

import numpy as np
import pytest
from tensorboard.compat.proto.graph_pb2 import GraphDef

from made.graphs import LABELS, copy_of, head_for, record_for
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.exporting.portable import PIXELS, SCORES, graph_of, labels_text, record_text
from tensor_guess.graphs.classifier import Classifier
from tensor_guess.graphs.network import Network
from tensor_guess.graphs.own import record_of, with_head
from tensor_guess.images.scaling import Scaling


def classifier_of(graph: GraphDef) -> Classifier:
    return Classifier(graph, record_of(graph, "x"), lambda: "")


@pytest.mark.slow
@pytest.mark.parametrize("final_tensor", ["final_result", PIXELS, SCORES, "network/Mul"])
def test_it_takes_pixels_and_scales_them_itself(tiny: Backbone, final_tensor: str) -> None:
    record = record_for(tiny, final_tensor)
    known = classifier_of(with_head(tiny.graph, head_for(12), record))
    images = list(np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8))
    graph = graph_of(known)
    # Seen from outside: a graph that is fed PIXELS, and needs no scaling.
    graph.node[0].name = "Mul"
    for node in graph.node:
        node.input[:] = ["Mul" if each == PIXELS else each for each in node.input]
    plain = Network(graph, Scaling(16, 0.0, 1.0), SCORES, "float32")
    expected = [scores for _, scores in known.network(few=False).run(enumerate(images))]
    found = [scores for _, scores in plain.run(enumerate(images))]
    assert np.abs(np.array(found) - np.array(expected)).max() < 1e-6


def test_devices_and_neighbours_of_the_makers_nodes_are_left_out(ours: GraphDef) -> None:
    graph = copy_of(ours)
    for node in graph.node:
        node.device = "/job:worker/gpu:7"
        node.attr["_class"].list.s.append(b"loc:@gone")
    for node in graph_of(classifier_of(graph)).node:
        assert not node.device
        assert "_class" not in node.attr


def test_labels_and_record_as_text(ours: GraphDef) -> None:
    record = record_of(ours, "x")
    assert labels_text(record).splitlines() == list(LABELS)
    assert "東京" in record_text(record)
    assert json.loads(record_text(record))["labels"] == list(LABELS)
