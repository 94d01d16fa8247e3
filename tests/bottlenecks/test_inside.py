"""What a network computes on the way: the parts give the scores, with real graphs of all makers."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from made.graphs import head_for, record_for
from made.place import ROOT, SHARED
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.bottlenecks.inside import Inside
from tensor_guess.errors import UserError
from tensor_guess.evaluation.calibration import softmax
from tensor_guess.graphs.classifier import of_bytes
from tensor_guess.graphs.graph import serialise
from tensor_guess.graphs.own import Head, Layer, with_head
from tensor_guess.guessing.loading import load
from tensor_guess.images import encoded
from tensor_guess.images.pixels import pixels

PHOTOS = [ROOT / "test_data" / name for name in ("photo01.jpg", "photo02.png", "photo07.gif")]


def scores_of(head: Head, bottleneck: NDArray[np.float32]) -> NDArray[np.float32]:
    scores: NDArray[np.float32] = softmax(head.logits(bottleneck[None]))[0]
    return scores


@pytest.mark.slow
@pytest.mark.parametrize("few", [True, False])
def test_our_scores_come_from_the_bottleneck_and_that_from_the_map(
    trained: Path, few: bool
) -> None:
    known = load(trained)
    images = [pixels(encoded.read(path), known.record.scaling) for path in PHOTOS]
    inside = Inside(known, few)
    plain = [scores for _, scores in known.network(few).run(enumerate(images))]
    for i, seen in inside.run(enumerate(images)):
        np.testing.assert_allclose(seen.scores, plain[i], atol=1e-6)
        np.testing.assert_allclose(scores_of(inside.head, seen.bottleneck), plain[i], atol=1e-6)
        assert seen.map is not None
        np.testing.assert_allclose(seen.map.mean((0, 1)), seen.bottleneck, atol=1e-5)


def test_hidden_layers_are_the_heads_and_there_is_no_map(tiny: Backbone) -> None:
    random = np.random.default_rng(2)
    hidden = [
        Layer(random.normal(size=each).astype(np.float32), np.full(each[1], 0.1, np.float32))
        for each in ((12, 7), (7, 5))
    ]
    last = head_for(5)
    deep = Head(last.weights, last.biases, tuple(hidden))
    graph = with_head(tiny.graph, deep, record_for(tiny))
    known = of_bytes(serialise(graph), "deep.pb", lambda: ())
    image = pixels(encoded.read(PHOTOS[0]), known.record.scaling)
    ((_, seen),) = Inside(known, few=True).run([(0, image)])
    found = Inside(known, few=True).head
    assert [len(layer.weights) for layer in found.hidden] == [12, 7]
    assert (found.width, seen.map) == (12, None)
    rows = seen.bottleneck[None]
    np.testing.assert_allclose(scores_of(deep, seen.bottleneck), seen.scores, atol=1e-6)
    np.testing.assert_array_equal(found.logits(rows), deep.logits(rows))


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data are not here")
@pytest.mark.parametrize("graph", ["classic_run_2017/retrained_graph.pb", "graphs/glasses"])
def test_another_program_s_head_is_found(graph: str) -> None:
    known = load(SHARED / graph)
    inside = Inside(known, few=True)
    image = pixels(encoded.read(PHOTOS[0]), known.record.scaling)
    ((_, seen),) = inside.run([(0, image)])
    np.testing.assert_allclose(scores_of(inside.head, seen.bottleneck), seen.scores, atol=1e-6)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data are not here")
def test_a_network_without_such_a_head_is_a_sentence() -> None:
    known = load(SHARED / "graphs/mobilenet_v1_0.25_224/frozen_graph.pb")
    with pytest.raises(UserError, match="scores are not softmax"):
        Inside(known, few=True)
