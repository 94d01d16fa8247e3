"""How good a classifier is, said honestly: intervals, and no picture that it has seen."""

import io
from collections.abc import Iterator
from hashlib import sha256
from math import comb, isnan
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image, ImageOps
from sklearn import metrics

from tensor_guess.backbones.backbone import Backbone
from tensor_guess.config import BOTTLENECK
from tensor_guess.evaluation import accuracy as evaluation
from tensor_guess.evaluation.accuracy import Accuracy, NearCopies, Pictures, confusion
from tensor_guess.graphs.network import Network
from tensor_guess.images import decoding, encoded

Floats = NDArray[np.float32]
COUNTS = st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))

# Newcombe 1998 (Statistics in Medicine 17:857), table I, method 3; and R's prop.test without
# continuity correction.
PUBLISHED = [
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0000, 0.1611),
    (1, 29, 0.0061, 0.1718),
    (8, 10, 0.4902, 0.9433),
    (10, 10, 0.7225, 1.0000),
]


@pytest.mark.parametrize(("right", "count", "low", "high"), PUBLISHED)
def test_the_interval_is_the_published_one(right: int, count: int, low: float, high: float) -> None:
    assert Accuracy(right, count).interval() == pytest.approx((low, high), abs=5e-5)


@given(COUNTS)
def test_the_interval_holds_the_value_and_is_one(counts: tuple[int, int]) -> None:
    accuracy = Accuracy(*counts)
    low, high = accuracy.interval()
    assert 0 <= low <= accuracy.value + 1e-12
    assert accuracy.value - 1e-12 <= high <= 1
    assert low < high


@given(COUNTS, st.integers(2, 50))
def test_the_interval_shrinks_with_more_pictures_and_mirrors(
    counts: tuple[int, int], times: int
) -> None:
    right, count = counts
    low, high = Accuracy(right, count).interval()
    smaller = Accuracy(right * times, count * times).interval()
    assert smaller[1] - smaller[0] < high - low
    mirrored = Accuracy(count - right, count).interval()
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-9)


@pytest.mark.parametrize(("true", "count"), [(0.5, 10), (0.8, 20), (0.9, 50), (0.95, 30)])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(true: float, count: int) -> None:
    held = 0.0
    for right in range(count + 1):
        low, high = Accuracy(right, count).interval()
        if low <= true <= high:
            held += comb(count, right) * true**right * (1 - true) ** (count - right)
    assert 0.92 < held < 0.99


def test_it_is_said_with_its_count_and_interval() -> None:
    assert str(Accuracy(8, 10)) == "80.0% (N=10, 95% interval 49.0% to 94.3%)"
    assert str(Accuracy(0, 0)) == "unknown (N=0)"
    assert isnan(Accuracy(0, 0).value)
    assert Accuracy(0, 0).interval() == (0.0, 1.0)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4))))
def test_the_confusion_is_that_of_another_library(pairs: list[tuple[int, int]]) -> None:
    truth, found = (np.array([pair[i] for pair in pairs], np.intp) for i in (0, 1))
    counts = confusion(truth, found, 5)
    assert counts.sum() == len(pairs)
    if pairs:
        expected = metrics.confusion_matrix(truth, found, labels=range(5))
        np.testing.assert_array_equal(counts, expected)


def near_copies(held_out: Floats, training: Floats) -> NDArray[np.bool_]:
    """Which are near copies of training pictures, all of one category."""
    found = of_two_categories(held_out, [0] * len(held_out), training, [0] * len(training))
    assert not found.other.any()
    return found.own


def of_two_categories(
    held_out: Floats, truth: list[int], training: Floats, training_truth: list[int]
) -> NearCopies:
    return evaluation.near_copies(
        Pictures(held_out, np.array(truth, np.intp)),
        Pictures(training, np.array(training_truth, np.intp)),
    )


ROWS = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 8), st.just(5)),
    elements=st.floats(0, 100, width=32, allow_subnormal=False),
)


@given(ROWS, st.floats(0.01, 100))
def test_a_picture_is_a_near_copy_of_itself_however_bright(
    rows: NDArray[np.float32], factor: float
) -> None:
    found = near_copies(rows, rows * np.float32(factor))
    empty = np.linalg.norm(rows, axis=1) < 1e-3  # says nothing, so it is no copy
    assert (found | empty).all()


def test_pictures_that_have_nothing_in_common_are_no_copies() -> None:
    rows = np.eye(6, dtype=np.float32)
    assert not near_copies(rows[:3], rows[3:]).any()
    assert near_copies(rows[:3], rows[2:]).tolist() == [False, False, True]


def test_what_all_logits_have_in_common_makes_no_copies() -> None:
    random = np.random.default_rng(9)
    common = random.normal(size=50) * 8 - 2
    training = (common + random.normal(size=(40, 50))).astype(np.float32)
    others = (common + random.normal(size=(5, 50))).astype(np.float32)
    copies = training[:3] + random.normal(size=(3, 50)).astype(np.float32) / 10
    found = near_copies(np.concatenate([copies, others]), training)
    assert found.tolist() == [True] * 3 + [False] * 5


def test_a_copy_in_another_category_is_told_apart() -> None:
    rows = np.eye(4, dtype=np.float32)
    found = of_two_categories(rows, [0, 1, 0, 0], rows[:3][[0, 1, 2, 2]], [0, 0, 0, 1])
    assert found.own.tolist() == [True, False, True, False]
    assert found.other.tolist() == [False, True, True, False]


def test_no_pictures_give_no_copies() -> None:
    rows, none = np.eye(6, dtype=np.float32), np.empty((0, 6), np.float32)
    assert near_copies(none, rows).tolist() == []
    assert near_copies(rows, none).tolist() == [False] * 6


def test_thousands_are_compared_with_thousands() -> None:
    random = np.random.default_rng(8)
    training = random.normal(size=(3000, 40)).astype(np.float32)
    held_out = random.normal(size=(2500, 40)).astype(np.float32)
    copied = random.choice(2500, 50, replace=False)
    held_out[copied] = training[random.choice(3000, 50, replace=False)]
    assert np.flatnonzero(near_copies(held_out, training)).tolist() == sorted(copied)


# --- on real pictures, by the real network


def jpeg(image: Image.Image, quality: int) -> encoded.Picture:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    data = file.getvalue()
    return encoded.Picture(data, "JPEG", sha256(data).digest(), Path(__file__).stat())


def versions(path: Path) -> Iterator[tuple[str, encoded.Picture]]:
    """The picture as it is, and as people have it twice."""
    picture = encoded.read(path)
    with Image.open(io.BytesIO(picture.data)) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
    w, h = image.size
    yield "itself", picture
    yield "saved again", jpeg(image, 60)
    yield (
        "cropped",
        jpeg(image.crop((w * 3 // 100, h * 3 // 100, w * 97 // 100, h * 97 // 100)), 90),
    )
    yield "half the size", jpeg(image.resize((w // 2, h // 2), Image.Resampling.LANCZOS), 90)


@pytest.fixture(scope="module")
def measured(lite0: Backbone) -> "Measure":
    return Measure(lite0)


class Measure:
    """Bottlenecks [N, D] of a folder's pictures, by version."""

    def __init__(self, backbone: Backbone) -> None:
        self.backbone = backbone
        self.network = Network(backbone.graph, backbone.scaling, BOTTLENECK, "float32")

    def __call__(self, paths: list[Path]) -> dict[str, NDArray[np.float32]]:
        size = self.backbone.scaling.size
        pairs = (
            (version, decoding.decode(picture, size))
            for path in paths
            for version, picture in versions(path)
        )
        rows: dict[str, list[NDArray[np.float32]]] = {}
        for version, row in self.network.run(pairs):
            rows.setdefault(version, []).append(row)
        return {version: np.stack(each) for version, each in rows.items()}


def caught(rows: dict[str, NDArray[np.float32]], version: str) -> float:
    """How many of the pictures are found to be a near copy of their own other version."""
    pairs = zip(rows[version], rows["itself"], strict=True)
    return float(np.mean([near_copies(one[None], two[None])[0] for one, two in pairs]))


def alone(rows: NDArray[np.float32]) -> float:
    """How many of the pictures are no near copy of any other."""
    others = [np.delete(rows, n, axis=0) for n in range(len(rows))]
    return float(
        np.mean(
            [not near_copies(row[None], rest)[0] for row, rest in zip(rows, others, strict=True)]
        )
    )


@pytest.mark.slow
def test_photos_of_flowers_are_told_from_their_copies(measured: Measure, shared: Path) -> None:
    paths = sorted((shared / "flowers_5").rglob("*.jpg"))[::2]
    rows = measured(paths)
    assert len(rows["itself"]) >= 70
    assert alone(rows["itself"]) == 1
    assert caught(rows, "itself") == 1
    assert caught(rows, "saved again") > 0.75
    assert caught(rows, "cropped") > 0.85


@pytest.mark.slow
def test_pictures_of_the_web_are_told_from_their_copies(measured: Measure, shared: Path) -> None:
    paths = sorted((shared / "vader_elsa" / "train").rglob("*.jpg"))[::5]
    rows = measured(paths)
    assert len(rows["itself"]) >= 70
    assert alone(rows["itself"]) > 0.97
    assert caught(rows, "saved again") > 0.95
    assert caught(rows, "cropped") > 0.85
    assert caught(rows, "half the size") > 0.35


@pytest.mark.slow
def test_playing_cards_that_look_alike_are_mostly_no_copies(
    measured: Measure, shared: Path
) -> None:
    # The hardest: many photos of the same sixteen things.
    paths = sorted((shared / "cards_16" / "train").rglob("*.jpg"))[::4]
    pairs = ((path, decoding.decode(encoded.read(path), 224)) for path in paths)
    rows = np.stack([row for _, row in measured.network.run(pairs)])
    assert len(rows) >= 90
    assert alone(rows) > 0.9
