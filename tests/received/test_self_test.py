"""The self-test tells a classifier from any other, on every machine, without anybody's photos."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tensorboard.compat.proto.graph_pb2 import GraphDef

from made.graphs import head_for, record_for
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.config import SELF_TEST
from tensor_guess.errors import UserError
from tensor_guess.graphs.classifier import Classifier, of_bytes
from tensor_guess.graphs.graph import serialise
from tensor_guess.graphs.own import with_head
from tensor_guess.received import self_test

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def known(ours: GraphDef) -> Classifier:
    return of_bytes(serialise(ours), "x.pb", tuple)


@pytest.fixture(scope="module")
def made(known: Classifier) -> Files:
    return self_test.made(known)


def test_there_are_five_pictures_and_their_scores(known: Classifier, made: Files) -> None:
    vectors = json.loads(made[SELF_TEST])["vectors"]
    assert [each["picture"] for each in vectors] == [f"self_test/{n}.png" for n in range(1, 6)]
    assert list(made) == [SELF_TEST, *(each["picture"] for each in vectors)]
    for each in vectors:
        assert tuple(each["scores"]) == known.record.labels
        assert sum(each["scores"].values()) == pytest.approx(1, abs=1e-5)
        with Image.open(io.BytesIO(made[each["picture"]])) as image:
            assert (image.size, image.mode, image.format) == ((16, 16), "RGB", "PNG")


def test_the_same_classifier_gives_the_same_bytes(known: Classifier, made: Files) -> None:
    assert self_test.made(known) == made
    assert self_test.worst(known, made, "x.zip") == pytest.approx(0, abs=1e-6)


def test_pictures_differ_and_go_from_blots_to_grain(known: Classifier, made: Files) -> None:
    steps = []
    for name in self_test.PICTURES:
        with Image.open(io.BytesIO(made[name])) as image:
            pixels = np.asarray(image, np.float64)
        assert pixels.std() > 10
        steps.append(np.abs(np.diff(pixels, axis=0)).mean())
    assert steps[0] < steps[1] < steps[2] < steps[3]


def test_it_is_float32_whatever_the_classifier_computes_in(known: Classifier, made: Files) -> None:
    fast = replace(known, record=replace(known.record, precision="bf16"))
    assert self_test.made(fast) == made
    assert self_test.worst(fast, made, "x.zip") < 1e-6


@pytest.mark.parametrize("seed", range(1, 6))
def test_another_head_fails(tiny: Backbone, made: Files, seed: int) -> None:
    graph = with_head(tiny.graph, head_for(12, seed=seed), record_for(tiny))
    other = of_bytes(serialise(graph), "x.pb", tuple)
    with pytest.raises(UserError, match=r"the self-test of x\.zip fails: a score of self_test/1"):
        self_test.worst(other, made, "x.zip")


def changed(files: Files, change: Callable[[Any], object]) -> bytes:
    kept = json.loads(files[SELF_TEST])
    change(kept)
    return json.dumps(kept).encode()


def moved(by: float) -> Callable[[Any], object]:
    def change(kept: Any) -> None:
        scores = kept["vectors"][4]["scores"]
        label = min(scores, key=lambda each: abs(scores[each] - 0.5))
        scores[label] += by

    return change


def test_a_score_may_differ_by_what_processors_differ_by(known: Classifier, made: Files) -> None:
    for by in (5e-5, -5e-5):
        files = made | {SELF_TEST: changed(made, moved(by))}
        assert self_test.worst(known, files, "x.zip") == pytest.approx(5e-5, abs=1e-6)
    for by in (2e-4, -2e-4):
        files = made | {SELF_TEST: changed(made, moved(by))}
        with pytest.raises(UserError, match=r"self_test/5\.png differs by 0\.0002"):
            self_test.worst(known, files, "x.zip")


@pytest.mark.parametrize(
    "change",
    [
        lambda kept: kept.update(format=2),
        lambda kept: kept.pop("vectors"),
        lambda kept: kept.update(vectors=None),
        lambda kept: kept["vectors"].pop(),
        lambda kept: kept["vectors"].reverse(),
        lambda kept: kept["vectors"][0].pop("scores"),
        lambda kept: kept["vectors"][0].update(picture="/etc/passwd"),
        lambda kept: kept["vectors"][0]["scores"].popitem(),
        lambda kept: kept["vectors"][0]["scores"].update(another=0.0),
        lambda kept: kept["vectors"][0]["scores"].update(elsa=float("nan")),
        lambda kept: kept["vectors"][0]["scores"].update(elsa=float("inf")),
        lambda kept: kept["vectors"][0]["scores"].update(elsa=10**400),
        lambda kept: kept["vectors"][0]["scores"].update(elsa="0.5"),
        lambda kept: kept["vectors"][0]["scores"].update(elsa=None),
    ],
)
def test_damaged_scores_are_refused(
    known: Classifier, made: Files, change: Callable[[Any], object]
) -> None:
    with pytest.raises(UserError, match=r"self_test\.json in x\.zip is damaged"):
        self_test.worst(known, made | {SELF_TEST: changed(made, change)}, "x.zip")


def png(size: tuple[int, int], mode: str = "RGB", kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "cannot be decoded"),
        (b"\x89PNG\r\n\x1a\n", "cannot be decoded"),
        (png((16, 16))[:-40], "cannot be decoded"),
        (png((16, 16), kind="BMP"), "cannot be decoded"),
        (png((16, 17)), "is not 16 x 16 pixels of RGB"),
        (png((16, 16), "L"), "is not 16 x 16 pixels of RGB"),
        (png((5000, 5000), "1"), "is not 16 x 16 pixels of RGB"),
    ],
)
def test_damaged_pictures_are_refused(
    known: Classifier, made: Files, data: bytes, said: str
) -> None:
    with pytest.raises(UserError, match=rf"self_test/2\.png in x\.zip {said}"):
        self_test.worst(known, made | {"self_test/2.png": data}, "x.zip")


@pytest.mark.parametrize("data", [b"", b"[]", b"3", b"\xff", b"[" * 100_000, b'{"vectors": [1]}'])
def test_scores_that_are_no_object_are_refused(known: Classifier, made: Files, data: bytes) -> None:
    with pytest.raises(UserError, match="is damaged"):
        self_test.worst(known, made | {SELF_TEST: data}, "x.zip")
