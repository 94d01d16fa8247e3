"""Two categories in one picture: two halves that are sure of different things."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from tensor_guess.evaluation.both import both

MAPS = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(2, 4)),
    elements=st.floats(-9, 9, width=32),
)


def halves(one: int, other: int, sure: float = 9) -> NDArray[np.float32]:
    """Logits [7, 7, 3] whose left half shows one category, and whose right half the other."""
    logits = np.zeros((7, 7, 3), np.float32)
    logits[:, :3, one] = logits[:, 4:, other] = sure
    return logits


def test_side_by_side_and_one_above_the_other_are_both() -> None:
    assert both(halves(2, 0)) == (2, 0)
    assert both(halves(2, 0).transpose(1, 0, 2)) == (2, 0)


def test_one_thing_and_unsure_halves_are_not() -> None:
    assert both(halves(1, 1)) is None
    assert both(halves(0, 1, sure=1)) is None
    assert both(halves(0, 1, sure=1), least=0.5) == (0, 1)


@given(MAPS)
def test_mirrored_it_is_the_same_two(logits: NDArray[np.float32]) -> None:
    found = both(logits, 0.7)
    mirrored = both(logits[::-1, ::-1], 0.7)
    assert (found and {*found}) == (mirrored and {*mirrored})
    assert found is None or found[0] != found[1]


@given(MAPS, st.floats(-9, 9, width=32))
def test_what_is_added_to_all_logits_changes_nothing(
    logits: NDArray[np.float32], more: float
) -> None:
    small = np.round(logits)
    assert both(small + np.float32(round(more))) == both(small)


@pytest.mark.parametrize("shape", [(1, 1, 2), (1, 7, 1), (7, 7, 1)])
def test_nothing_to_compare_is_no_pair(shape: tuple[int, ...]) -> None:
    assert both(np.ones(shape, np.float32)) is None
