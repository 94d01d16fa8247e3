"""Where a picture is on a network's square."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensor_guess.config import CROP, FITS, PAD, SQUEEZE
from tensor_guess.images.scaling import Scaling, shown_as, shown_part

SIDES, SIZES = st.integers(1, 65_535), st.integers(1, 600)


@given(SIDES, SIDES, SIZES)
def test_cropping_shows_the_central_square(width: int, height: int, size: int) -> None:
    left, top, right, bottom = shown_part(width, height, CROP)
    assert right - left == bottom - top == min(width, height)
    assert (left, top) == (width - right, height - bottom)
    assert shown_as(width, height, size, CROP) == (size, size)


@given(SIDES, SIDES, SIZES)
def test_padding_shows_the_whole_picture_in_its_shape(width: int, height: int, size: int) -> None:
    assert shown_part(width, height, PAD) == (0, 0, width, height)
    wide, high = shown_as(width, height, size, PAD)
    assert max(wide, high) == size
    assert (size - wide) % 2 == (size - high) % 2 == 0  # the borders are equal
    # To within a pixel, but never less than one that can be in the middle.
    for shown, side in ((wide, width), (high, height)):
        exact = size * side / max(width, height)
        assert abs(shown - exact) <= 1 or (shown, exact < 1) == (2 - size % 2, True)
    assert shown_as(height, width, size, PAD) == (high, wide)


@given(SIDES, SIDES, SIZES)
def test_squeezing_shows_all_on_all_of_the_square(width: int, height: int, size: int) -> None:
    assert shown_part(width, height, SQUEEZE) == (0, 0, width, height)
    assert shown_as(width, height, size, SQUEEZE) == (size, size)


@given(SIDES, SIZES, st.sampled_from(FITS))
def test_a_square_picture_is_the_same_in_every_fit(side: int, size: int, fit: str) -> None:
    assert shown_part(side, side, fit) == (0, 0, side, side)
    assert shown_as(side, side, size, fit) == (size, size)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("classic", [True, False])
def test_only_squeezing_is_classic(fit: str, classic: bool) -> None:
    found = Scaling(16, 0, 1, classic=classic).fitted(fit)
    assert (found.fit, found.classic) == (fit, classic and fit == SQUEEZE)
    assert found.fitted(SQUEEZE) == Scaling(16, 0, 1, classic=found.classic)


def test_json_has_what_older_versions_wrote_and_a_fit_only_if_it_is_another() -> None:
    old = {"size": 16, "mean": 0, "std": 1, "classic": False}
    assert Scaling(16, 0, 1).plain() == old
    for fit in (CROP, PAD):
        assert Scaling(16, 0, 1, fit=fit).plain() == old | {"fit": fit}
        assert Scaling(**Scaling(16, 0, 1, fit=fit).plain()).fit == fit
