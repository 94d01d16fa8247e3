"""The map of a picture lies on what it is about, however the picture is turned and fitted."""

from pathlib import Path

import numpy as np
import pytest
from tensorboard.compat.proto.graph_pb2 import GraphDef

from made.coloured import centre, classifier, picture
from made.place import ROOT
from tensor_guess.config import CROP, FITS, FLOAT32, SQUEEZE
from tensor_guess.errors import Unreadable, UserError
from tensor_guess.explaining.explain import Subject
from tensor_guess.graphs.graph import serialise
from tensor_guess.guessing.besides import Besides
from tensor_guess.guessing.loading import Given
from tensor_guess.guessing.mapped import Maps
from tensor_guess.guessing.ready import Ready
from tensor_guess.images import encoded
from tensor_guess.images.pixels import pixels, view

RED, BLUE = 0, 1
PHOTOS = [ROOT / "test_data" / name for name in ("photo01.jpg", "photo02.png", "photo11.jpg")]


def maps_of(data: bytes, folder: Path, *only: str) -> Maps:
    (folder / "x.pb").write_bytes(data)
    ready = Ready(Given(folder / "x.pb", only=only), True, None, Besides(both=True))
    network = ready.network()
    example = pixels(encoded.of_bytes(picture(90, 60)), ready.record.scaling)
    return Maps(ready, network, FLOAT32, [example])


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [(300, 200), (120, 310), (64, 64)], ids=str)
def test_it_lies_on_what_speaks_for_the_label(
    tmp_path: Path, fit: str, size: tuple[int, int]
) -> None:
    maps = maps_of(classifier(fit), tmp_path)
    for orientation in range(1, 9):
        given = encoded.of_bytes(picture(*size, orientation))
        seen = view(given, maps.record.scaling, 240)
        for k, channel, other in ((RED, 0, 2), (BLUE, 2, 0)):
            found = maps.of(given, 240, k)
            assert (found.k, found.drawn.shape) == (k, seen.shape)
            there = centre(seen, channel)
            assert there
            assert centre(found.drawn, channel) == pytest.approx(there, abs=0.02)
            assert centre(found.drawn, other) is None
            assert centre(found.drawn, 1) is None
    # Upright pictures that are not square are turned, or cut, or have borders.
    assert seen.shape[0] == seen.shape[1] or fit == SQUEEZE


def test_it_is_the_evidence_of_explain(ours: GraphDef, tmp_path: Path) -> None:
    data = serialise(ours)
    maps = maps_of(data, tmp_path)
    for path in PHOTOS:
        subject = Subject(Given(tmp_path / "x.pb"), path, True)
        _, shares = subject.evidence()
        for k, share in zip(subject.best, shares, strict=False):
            found = maps.of(encoded.read(path), 48, k)
            assert found.score == pytest.approx(float(subject.scores[k]), abs=1e-6)
            np.testing.assert_allclose(found.share, share, atol=1e-4)
        assert maps.of(encoded.read(path), 48).k == subject.best[0]


def test_only_counts_what_is_asked_for(ours: GraphDef, tmp_path: Path) -> None:
    maps = maps_of(serialise(ours), tmp_path, "elsa", "東京")
    found = [maps.of(encoded.read(PHOTOS[0]), 48, k) for k in (1, 2)]
    assert sum(each.score for each in found) == pytest.approx(1, abs=1e-6)
    # Of two labels, what speaks for one speaks against the other.
    assert not (found[0].share * found[1].share).any()
    assert max(float(each.share.max()) for each in found) == pytest.approx(1)
    with pytest.raises(ValueError, match="0"):
        maps.of(encoded.read(PHOTOS[0]), 48, 0)


def test_a_map_that_does_not_add_up_to_the_scores_is_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not add up"):
        maps_of(classifier(adds_up=False), tmp_path)


def test_one_label_has_no_map(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="one label"):
        maps_of(classifier(), tmp_path, "red")


def test_what_is_no_picture_is_unreadable(tmp_path: Path) -> None:
    maps = maps_of(classifier(CROP), tmp_path)
    with pytest.raises(Unreadable):
        maps.of(encoded.of_bytes(picture(90, 60)[:300]), 48)
