"""Wrong labels are found, worst first."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from tensor_guess.evaluation.label_errors import self_confidence, suspects

LOGITS = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 20), st.integers(2, 4)),
    elements=st.floats(-50, 50, width=32),
)


@given(LOGITS, st.integers(0, 100))
def test_self_confidence_is_the_log_of_the_own_score(
    logits: NDArray[np.float32], seed: int
) -> None:
    truth = np.random.default_rng(seed).integers(logits.shape[1], size=len(logits))
    found = self_confidence(logits, truth)
    scores = np.exp(logits.astype(np.float64))
    scores /= scores.sum(axis=1, keepdims=True)
    expected = np.log(scores[np.arange(len(truth)), truth])
    np.testing.assert_allclose(found, expected, atol=1e-4)


@given(LOGITS, st.integers(0, 100))
def test_suspects_are_worst_first_and_are_taken_for_others(
    logits: NDArray[np.float32], seed: int
) -> None:
    truth = np.random.default_rng(seed).integers(logits.shape[1], size=len(logits))
    found = suspects(logits, truth)
    assert len(set(found.tolist())) == len(found)
    own = self_confidence(logits, truth)[found]
    assert (np.diff(own) >= 0).all()


@pytest.mark.parametrize("classes", [2, 5])
def test_flipped_labels_come_first(classes: int) -> None:
    random = np.random.default_rng(classes)
    real = np.arange(200) % classes
    logits = random.normal(0, 1, (200, classes)).astype(np.float32)
    logits[np.arange(200), real] += 8
    truth = real.copy()
    flipped = random.choice(200, 10, replace=False)
    truth[flipped] = (truth[flipped] + 1) % classes
    assert set(suspects(logits, truth)[:10].tolist()) == set(flipped.tolist())
    assert not len(suspects(logits, real))


def test_a_category_that_is_never_sure_is_not_suspected_throughout() -> None:
    # The second is always a little less likely, as a category with few pictures is.
    logits = np.array([[3, 0], [3, 0], [0.2, 0], [0.2, 0]], np.float32)
    assert suspects(logits, np.array([0, 0, 1, 1])).tolist() == []
