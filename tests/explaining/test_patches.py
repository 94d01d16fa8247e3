"""Patches: they cover the picture, and the region that turns an answer is no larger than needed."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from tensor_guess.explaining import patches

Floats = NDArray[np.float32]


@given(st.integers(8, 60), st.integers(1, 8))
def test_a_grid_covers_each_pixel_once(size: int, count: int) -> None:
    cells = patches.grid(size, count)
    assert len(cells) == count * count
    assert (np.sum(cells, axis=0) == 1).all()


def test_blurring_is_nearly_a_gaussian_and_keeps_what_is_plain() -> None:
    plain = np.full((64, 64, 3), 100, np.uint8)
    assert (patches.blurred(plain) == 100).all()
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    ours = patches.blurred(noise)
    assert ours.dtype == np.uint8
    theirs = Image.fromarray(noise).filter(ImageFilter.GaussianBlur(5))
    inner = np.s_[20:-20, 20:-20]
    assert np.abs(ours[inner].astype(int) - np.asarray(theirs)[inner].astype(int)).max() <= 4
    floats = patches.blurred(noise.astype(np.float32))
    assert floats.dtype == np.float32
    assert np.abs(floats - ours).max() <= 0.51


def test_only_the_patch_is_changed() -> None:
    image = np.zeros((16, 16, 3), np.uint8)
    mask = patches.grid(16, 4)[5]
    found = patches.changed(image, mask, patches.white(image))
    assert (found[mask] == 255).all()
    assert (found[~mask] == 0).all()
    assert not image.any()


def test_logits_and_margins_are_those_of_softmax() -> None:
    logits = np.array([[2.0, -1.0], [0.5, 3.0]])
    scores = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)
    ahead = logits[:, 0] - logits[:, 1]
    np.testing.assert_allclose(patches.margins(scores, 0, 1), ahead, rtol=1e-5)
    np.testing.assert_allclose(patches.logits(scores)[:, 0], ahead, rtol=1e-5)
    assert np.isfinite(patches.logits(np.array([0, 1], np.float32))).all()


def score(images: Sequence[patches.Image]) -> Floats:
    """The second label is best once both of two corners are white."""
    corners = [int((image[[0, -1], [0, -1], 0] == 255).sum()) for image in images]
    second = np.array([[0.1], [0.4], [0.9]], np.float32)[corners]
    return np.hstack([1 - second, second])


def test_the_region_that_turns_the_answer_is_what_is_needed() -> None:
    image = np.zeros((32, 32, 3), np.uint8)
    cells = patches.grid(32, 4)
    to = patches.white(image)
    drops = np.zeros(16, np.float32)
    drops[[0, 6]] = 1
    drops[3] = 2  # seems to matter, and does not
    found = patches.turning(image, to, cells, drops, score)
    assert found
    np.testing.assert_array_equal(found.mask, cells[0] | cells[15])
    assert found.share == pytest.approx(2 / 16)
    assert found.scores[1] == np.float32(0.9)


def test_without_such_a_region_there_is_none() -> None:
    image = np.zeros((32, 32, 3), np.uint8)
    drops = np.zeros(16, np.float32)
    assert patches.turning(image, image, patches.grid(32, 4), drops, score) is None


def test_the_ground_ends_at_a_step() -> None:
    image = np.full((40, 40, 3), 200, np.uint8)
    image += np.arange(40, dtype=np.uint8)[:, None, None]  # as light falls on a wall
    image[10:30, 10:30] = 30
    image[18:22, 18:22] = 200  # as the ground, but not connected to it
    expected = np.ones((40, 40), bool)
    expected[10:30, 10:30] = False
    np.testing.assert_array_equal(patches.ground(image), expected)
    noise = np.random.default_rng(2).integers(0, 256, (40, 40, 3), np.uint8)
    assert patches.ground(noise).mean() < 0.1
