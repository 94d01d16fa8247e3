"""What a network is fed: ours, or the very numbers that TensorFlow's old clients fed."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tensor_guess.errors import Unreadable
from tensor_guess.images import decoding, encoded
from tensor_guess.images.pixels import pixels, resize_bilinear
from tensor_guess.images.scaling import Scaling

OURS, CLASSIC = Scaling(32, 0, 255), Scaling(32, 0, 255, classic=True)


@pytest.mark.tensorflow
@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 50), st.integers(0, 99))
@settings(deadline=None, max_examples=50)
def test_resizing_is_tensorflow_1s(height: int, width: int, size: int, seed: int) -> None:
    import tensorflow as tf

    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    expected = tf.compat.v1.image.resize_bilinear(image[None].astype(np.float32), [size, size])
    np.testing.assert_array_equal(resize_bilinear(image, size), expected[0])


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    "folder",
    ["vader_elsa/test", "classic_run_2017/test_photos", "flowers_5/roses", "sample_images"],
)
def test_pixels_are_those_that_tensorflow_decodes(shared: Path, folder: str) -> None:
    import tensorflow as tf

    seen = 0
    for path in sorted((shared / folder).iterdir()):
        data = path.read_bytes()
        if data.startswith((b"\xff\xd8", b"\x89PNG")):
            found = decoding.decode_whole(encoded.read(path))
            decode = tf.io.decode_jpeg if data.startswith(b"\xff\xd8") else tf.io.decode_png
            np.testing.assert_array_equal(found, decode(data, channels=3), str(path))
            seen += 1
    assert seen


def _saved(image: Image.Image, path: Path, exif: Image.Exif | None = None) -> encoded.Picture:
    image.save(path, exif=exif or Image.Exif())
    return encoded.read(path)


def test_classic_pixels_are_not_turned_and_have_no_background(tmp_path: Path) -> None:
    left_red = Image.new("RGB", (64, 32))
    left_red.paste("red", (0, 0, 32, 32))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down, and so right is left
    turned = _saved(left_red, tmp_path / "turned.png", exif=exif)
    assert pixels(turned, OURS)[0, 0].tolist() == [0, 0, 0]
    assert pixels(turned, CLASSIC)[0, 0].tolist() == [255, 0, 0]
    clear = _saved(Image.new("RGBA", (32, 32), (0, 255, 0, 0)), tmp_path / "clear.png")
    assert pixels(clear, OURS)[0, 0].tolist() == [255, 255, 255]
    assert pixels(clear, CLASSIC)[0, 0].tolist() == [0, 255, 0]


def test_damage_is_treated_alike(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.effect_noise((200, 200), 50).convert("RGB").save(file, "jpeg")
    (tmp_path / "cut.jpg").write_bytes(file.getvalue()[:2000])
    (tmp_path / "extra.jpg").write_bytes(file.getvalue() + b"more")
    for scaling in (OURS, CLASSIC):
        with pytest.raises(Unreadable, match="truncated"):
            pixels(encoded.read(tmp_path / "cut.jpg"), scaling)
        pixels(encoded.read(tmp_path / "extra.jpg"), scaling)


def test_a_photo_that_is_decoded_whole_has_its_limit(tmp_path: Path) -> None:
    huge = _saved(Image.new("L", (9500, 9500)), tmp_path / "huge.jpg")
    pixels(huge, OURS)
    with pytest.raises(Unreadable, match="has 90 megapixels; at most 89 fit"):
        pixels(huge, CLASSIC)


def test_a_crop_is_of_the_upright_picture_and_comes_in_the_same_form(tmp_path: Path) -> None:
    image = Image.new("RGB", (200, 100))
    image.paste("red", (0, 0, 50, 100))
    exif = Image.Exif()
    exif[0x0112] = 6  # its left is the top
    turned = _saved(image, tmp_path / "turned.png", exif)
    seen = []

    def top(upright: NDArray[np.uint8]) -> NDArray[np.uint8]:
        seen.append(upright.shape)
        return upright[:50]

    for scaling, kind in ((OURS, np.uint8), (CLASSIC, np.float32)):
        found = pixels(turned, scaling, top)
        assert found.shape == (32, 32, 3)
        assert found.dtype == kind
        assert (found == [255, 0, 0]).all()
    assert seen == [(200, 100, 3)] * 2


def test_what_a_crop_does_not_find_is_the_reason(tmp_path: Path) -> None:
    def nothing(_: NDArray[np.uint8]) -> NDArray[np.uint8]:
        raise Unreadable("no face found")

    with pytest.raises(Unreadable, match="no face found"):
        pixels(_saved(Image.new("RGB", (9, 9)), tmp_path / "a.png"), OURS, nothing)
