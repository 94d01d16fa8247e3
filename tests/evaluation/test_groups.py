"""Groups of what is alike: every row in one, the same again, and never all products."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from tensor_guess.evaluation import groups
from tensor_guess.evaluation.groups import choose, group, unlike_all, usual_count

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]

rows_of_any_kind = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 30), st.integers(1, 5)),
    elements=st.floats(0, 9, width=16),
)


def blobs(count: int, each: int, width: int = 32) -> tuple[Floats, Indices]:
    """Rows around directions that are far apart, and which each is around; in no order."""
    random = np.random.default_rng(0)
    truth = random.permutation(np.repeat(np.arange(count), each))
    noise = random.uniform(0, 0.3, (len(truth), width))
    return (np.eye(count, width)[truth] * 3 + noise).astype(np.float32), truth


def same(one: Indices, other: Indices) -> bool:
    """Whether both put the same rows together."""
    return bool(((one[:, None] == one) == (other[:, None] == other)).all())


@given(rows_of_any_kind, st.integers(1, 40))
def test_every_row_is_in_one_group_and_larger_groups_come_first(rows: Floats, count: int) -> None:
    found = group(rows, count)
    members = [found.members(k).tolist() for k in range(found.count)]
    assert sorted(i for own in members for i in own) == list(range(len(rows)))
    sizes = list(map(len, members))
    assert sizes == sorted(sizes, reverse=True)
    assert min(sizes) >= 1
    assert len(sizes) <= count
    for own in members:
        assert (np.diff(found.likeness[own]) <= 0).all()
    assert np.isfinite(found.likeness).all()


@given(rows_of_any_kind, st.integers(1, 40))
def test_what_is_chosen_is_each_another_row(rows: Floats, count: int) -> None:
    found = choose(rows, count).tolist()
    assert len(set(found)) == len(found) <= count


def test_what_lies_together_is_found_together() -> None:
    rows, truth = blobs(6, 20)
    assert same(group(rows, 6).number, truth)
    assert sorted(truth[choose(rows, 6)]) == list(range(6))


def test_a_sample_finds_the_groups_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "_SAMPLE", 64)
    monkeypatch.setattr(groups, "_BLOCK", 50)
    rows, truth = blobs(6, 100)
    assert same(group(rows, 6).number, truth)


def test_the_same_rows_give_the_same_groups() -> None:
    rows, _ = blobs(4, 30)
    assert np.array_equal(group(rows, 9).number, group(rows, 9).number)


def test_there_are_no_more_groups_than_different_rows() -> None:
    rows = np.repeat(np.eye(3, dtype=np.float32), 5, axis=0)
    assert group(rows, 10).count == 3
    assert sorted(choose(rows, 10) // 5) == [0, 1, 2]
    assert group(rows[:0], 3).count == 0
    assert len(choose(rows[:0], 3)) == 0


def test_the_most_typical_is_nearest_to_the_middle_of_its_group() -> None:
    rows, truth = blobs(2, 20)
    odd = int(np.flatnonzero(truth == 0)[0])
    rows[odd, :2] = 2.2, 1.8
    found = group(rows, 2)
    assert found.members(int(found.number[odd]))[-1] == odd


def test_what_is_near_nothing_is_told() -> None:
    rows, _ = blobs(3, 40)
    stray = np.zeros((1, rows.shape[1]), np.float32)
    stray[0, -1] = 3
    with_it = np.concatenate([rows, stray])
    found = unlike_all(with_it, group(with_it, 3))
    assert found[-1]
    assert found[:-1].sum() <= 0.02 * len(rows)  # Tukey's fence leaves some out by chance


@pytest.mark.parametrize(("pictures", "count"), [(1, 1), (8, 2), (150, 9), (100_000, 30)])
def test_more_pictures_make_more_groups_up_to_what_one_looks_through(
    pictures: int, count: int
) -> None:
    assert usual_count(pictures) == count


@pytest.mark.slow
def test_many_rows_take_little_more_memory_than_few() -> None:
    rows, _ = blobs(30, 1000, width=64)
    tracemalloc.start()
    try:
        found = group(rows, 30)
        unlike_all(rows, found)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 60_000_000  # all products would be 3,600 MB
