"""Versions of pictures: what each option does, the same every time, whatever the others are."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tensor_guess.config import AUGMENT, Augmentation
from tensor_guess.errors import Unreadable
from tensor_guess.images import encoded
from tensor_guess.images.augment import key_of, versions
from tensor_guess.images.encoded import Picture
from tensor_guess.images.pixels import pixels
from tensor_guess.images.scaling import Scaling

SCALING = Scaling(64, 127.5, 127.5)
CLASSIC = replace(SCALING, classic=True)
Bytes = NDArray[np.uint8]


def picture(image: Bytes, folder: Path) -> Picture:
    path = folder / "x.png"
    Image.fromarray(image).save(path)
    return encoded.read(path)


def slope(size: int = 64) -> Bytes:
    """Red grows to the right, green downwards; blue is the same everywhere."""
    to_right = np.tile(np.linspace(20, 230, size), (size, 1))
    return np.stack([to_right, to_right.T, np.full((size, size), 99)], -1).astype(np.uint8)


def made(known: Picture, how: Augmentation, scaling: Scaling = SCALING) -> list[Bytes]:
    keys = [key_of(known.key, how, number) for number in range(how.versions)]
    return [np.asarray(each) for each in versions(known, scaling, how, keys)]


@pytest.mark.parametrize("scaling", [SCALING, CLASSIC])
def test_with_nothing_to_change_a_version_is_the_picture(tmp_path: Path, scaling: Scaling) -> None:
    known = picture(slope(100), tmp_path)
    for each in made(known, Augmentation(versions=2), scaling):
        np.testing.assert_array_equal(each, pixels(known, scaling))


def test_half_are_mirrored(tmp_path: Path) -> None:
    known = picture(slope(), tmp_path)
    found = made(known, Augmentation(flip=True, versions=60))
    mirrored = [np.array_equal(each, slope()[:, ::-1]) for each in found]
    same = [np.array_equal(each, slope()) for each in found]
    assert all(one != other for one, other in zip(mirrored, same, strict=True))
    assert 15 < sum(mirrored) < 45


def test_brightness_is_a_factor_within_its_percent(tmp_path: Path) -> None:
    found = made(picture(slope(), tmp_path), Augmentation(brightness=30, versions=60))
    factors = [float(each[..., 2].mean()) / 99 for each in found]
    assert 0.69 < min(factors) < 0.8
    assert 1.2 < max(factors) < 1.31


def test_a_crop_shows_so_much_of_the_picture_and_moves_over_it(tmp_path: Path) -> None:
    found = made(picture(slope(), tmp_path), Augmentation(crop=25, versions=60))
    spans = [float(each[32, -1, 0]) - float(each[32, 0, 0]) for each in found]
    assert all(abs(span - 210 / 1.25) < 6 for span in spans)
    left = [int(each[32, 0, 0]) for each in found]
    assert min(left) < 30
    assert max(left) > 50


def test_a_scale_enlarges_by_up_to_so_much(tmp_path: Path) -> None:
    found = made(picture(slope(), tmp_path), Augmentation(scale=50, versions=60))
    spans = [float(each[32, -1, 0]) - float(each[32, 0, 0]) for each in found]
    assert min(spans) < 150
    assert max(spans) > 200


def test_a_turn_keeps_the_middle(tmp_path: Path) -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, 28:36] = 255  # an upright bar
    for each in made(picture(image, tmp_path), Augmentation(rotation=90, versions=20)):
        assert each[32, 32, 0] > 200
        assert each[..., 0].mean() == pytest.approx(image[..., 0].mean(), rel=0.5)


@pytest.mark.parametrize(
    "how",
    [
        Augmentation(shift=0.45, versions=20),
        Augmentation(zoom=0.45, versions=20),
        Augmentation(shear=45, versions=20),
        Augmentation(rotation=45, versions=20),
    ],
)
def test_beyond_the_edge_are_the_edges_pixels(tmp_path: Path, how: Augmentation) -> None:
    found = made(picture(np.full((64, 64, 3), 200, np.uint8), tmp_path), how)
    assert {(int(each.min()), int(each.max())) for each in found} == {(200, 200)}
    moved = made(picture(slope(), tmp_path), how)
    assert len({each.tobytes() for each in moved}) == 20


def test_the_same_every_time_and_more_versions_change_none(tmp_path: Path) -> None:
    known = picture(slope(), tmp_path)
    first = made(known, AUGMENT)
    more = made(known, replace(AUGMENT, versions=12))
    assert len({each.tobytes() for each in more}) == 12
    for one, other in zip(first, more, strict=False):
        np.testing.assert_array_equal(one, other)


def test_each_option_and_number_has_a_key_of_its_own() -> None:
    hows = [
        AUGMENT,
        Augmentation(),
        replace(AUGMENT, flip=False),
        replace(AUGMENT, crop=1),
        replace(AUGMENT, scale=1),
        replace(AUGMENT, brightness=1),
        replace(AUGMENT, rotation=1),
        replace(AUGMENT, shear=1),
        replace(AUGMENT, zoom=0.5),
        replace(AUGMENT, shift=0.5),
    ]
    keys = {key_of(b"a" * 32, how, number) for how in hows for number in range(3)}
    assert len(keys) == 3 * len(hows)
    assert key_of(b"a" * 32, AUGMENT, 0) == key_of(b"a" * 32, replace(AUGMENT, versions=99), 0)
    assert key_of(b"b" * 32, AUGMENT, 0) not in keys


@given(
    st.builds(
        Augmentation,
        flip=st.booleans(),
        crop=st.integers(0, 100),
        scale=st.integers(0, 100),
        brightness=st.integers(0, 100),
        rotation=st.floats(0, 180),
        shear=st.floats(0, 60),
        zoom=st.floats(0, 0.9),
        shift=st.floats(0, 0.9),
        versions=st.just(2),
    ),
    st.sampled_from([SCALING, CLASSIC]),
)
def test_any_options_give_pixels(how: Augmentation, scaling: Scaling) -> None:
    with TemporaryDirectory() as folder:
        known = picture(slope(30), Path(folder))
    for each in made(known, how, scaling):
        assert each.shape == (64, 64, 3)
        assert each.dtype == (np.float32 if scaling.classic else np.uint8)
        assert 0 <= each.min() <= each.max() <= 255


def test_a_damaged_picture_says_so(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    with pytest.raises(Unreadable):
        made(encoded.read(tmp_path / "x.png"), AUGMENT)
