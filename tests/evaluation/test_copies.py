"""Near copies: found among all pictures, missing none, and put into groups that are all alike."""

import io
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image, ImageOps

from tensor_guess.backbones.backbone import Backbone
from tensor_guess.config import BOTTLENECK
from tensor_guess.evaluation import copies
from tensor_guess.evaluation.copies import NEAR_COPY, NearCopies, Pictures
from tensor_guess.graphs.network import Network
from tensor_guess.images import decoding, encoded

Floats = NDArray[np.float32]
Pairs = set[tuple[int, int]]


def near_copies(held_out: Floats, training: Floats) -> NDArray[np.bool_]:
    """Which are near copies of training pictures, all of one category."""
    found = of_two_categories(held_out, [0] * len(held_out), training, [0] * len(training))
    assert not found.other.any()
    return found.own


def of_two_categories(
    held_out: Floats, truth: list[int], training: Floats, training_truth: list[int]
) -> NearCopies:
    return copies.near_copies(
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


# --- all pairs, and their groups


def clustered(seed: int, count: int, length: int, shift: float = 0) -> Floats:
    """Rows around a few centres, some nearly equal; `shift` makes logits of them."""
    random = np.random.default_rng(seed)
    rows = random.gamma(0.5, 1, (5, length))[random.integers(5, size=count)]
    rows *= random.normal(1, random.choice([0.1, 0.3, 0.6], (count, 1)), rows.shape)
    return (rows - shift).astype(np.float32)


def by_hand(rows: Floats) -> tuple[Pairs, Pairs]:
    """The pairs that are near copies for sure, and those that may be, by every product."""
    exact = rows.astype(np.float64)
    exact -= exact.mean(axis=0) if rows.min() < -1 else 0
    exact /= np.maximum(np.linalg.norm(exact, axis=1, keepdims=True), 1e-30)
    cosines = np.tril(exact @ exact.T, -1)
    sure, maybe = (np.argwhere(cosines >= NEAR_COPY + by) for by in (1e-5, -1e-5))
    return {(int(i), int(j)) for i, j in sure}, {(int(i), int(j)) for i, j in maybe}


def flat(rows: Floats) -> Pairs:
    return {(own, int(other)) for own, others in copies.pairs(rows) for other in others}


@pytest.mark.parametrize("directions", [False, True])
@pytest.mark.parametrize("shift", [0, 4])
@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 90))
def test_no_pair_is_missed_and_none_is_invented(
    directions: bool, shift: float, seed: int, count: int
) -> None:
    rows = clustered(seed, count, 24, shift)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copies, "_BLOCK", 32)
        if directions:
            patch.setattr(copies, "_FEW", 0)
            patch.setattr(copies, "_DIRECTIONS", 5)
            patch.setattr(copies, "_SAMPLE", 20)
            patch.setattr(copies, "_SINGLE", 10)
        sure, maybe = by_hand(rows)
        assert sure <= flat(rows) <= maybe


@pytest.mark.slow
def test_thousands_are_compared_in_a_few_directions_first() -> None:
    rows = clustered(1, 5000, 300)
    sure, maybe = by_hand(rows)
    assert len(sure) > 1000
    assert sure <= flat(rows) <= maybe


def test_rows_come_in_order_each_with_earlier_ones() -> None:
    rows = np.eye(4, dtype=np.float32)[[0, 1, 0, 2, 1, 0]]
    found = [(own, others.tolist()) for own, others in copies.pairs(rows)]
    assert found == [(2, [0]), (4, [1]), (5, [0, 2])]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_black_pictures_and_none_at_all_have_no_copies(count: int) -> None:
    assert not flat(np.zeros((count, 8), np.float32))


def listed(found: Pairs) -> Iterator[tuple[int, NDArray[np.intp]]]:
    for own in sorted({own for own, _ in found}):
        yield own, np.array(sorted(other for each, other in found if each == own), np.intp)


PAIRS = st.sets(
    st.tuples(st.integers(0, 11), st.integers(0, 11)).filter(lambda pair: pair[0] > pair[1])
)


@given(PAIRS)
def test_groups_are_cliques_and_every_copy_is_accounted_for(found: Pairs) -> None:
    groups = copies.cliques(listed(found))
    assert groups == sorted(groups)
    inside = [{(i, j) for i in group for j in group if i > j} for group in groups]
    assert set().union(*inside) == found
    # None is a part of another.
    assert not any(one < other for one in inside for other in inside)


@given(PAIRS)
def test_chains_join_all_that_copies_lead_to(found: Pairs) -> None:
    number = copies.chains(12, listed(found))
    assert all(number[i] == number[j] for i, j in found)
    joined = {frozenset(np.flatnonzero(number == each).tolist()) for each in number}
    for group in joined:  # nothing can be taken off a group without cutting a pair
        for part in ({i for i in group if i <= cut} for cut in range(12)):
            rest = group - part
            crossing = any((i in part) != (j in part) for i, j in found if {i, j} <= group)
            assert not part or not rest or crossing


def test_a_chain_is_two_groups_not_one() -> None:
    chain = {(1, 0), (2, 1)}
    assert copies.cliques(listed(chain)) == [[0, 1], [1, 2]]
    assert copies.cliques(listed(chain | {(2, 0)})) == [[0, 1, 2]]
    assert copies.chains(4, listed(chain)).tolist() == [0, 0, 0, 3]


@pytest.mark.slow
def test_thousands_of_copies_of_one_picture_are_one_group() -> None:
    alike = copies.pairs_soon(np.ones((3000, 1), np.float32))
    assert alike is not None
    assert copies.cliques(alike) == [list(range(3000))]


def test_what_is_known_to_be_no_copy_is_not_found_again() -> None:
    found = {(1, 0), (2, 0), (2, 1), (3, 2)}
    keys = [b"a", b"b", b"c", b"d"]
    known = {frozenset((b"a", b"c")), frozenset((b"d", b"c"))}
    left = copies.without(listed(found), keys, known)
    assert [(own, others.tolist()) for own, others in left] == [(1, [0]), (2, [1])]
    assert {own for own, _ in copies.without(listed(found), keys, set())} == {1, 2, 3}


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
