"""What a network is fed: ours, or the very numbers that TensorFlow's old clients fed."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from tensor_guess.config import AUGMENT, CROP, FITS, PAD, SQUEEZE
from tensor_guess.errors import Unreadable
from tensor_guess.images import augment, decoding, encoded
from tensor_guess.images.pixels import Pixels, fitted, pixels, resize_bilinear
from tensor_guess.images.scaling import BORDER, Scaling

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


SMOOTH = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
LENGTHS = st.integers(1, 300)
# EXIF's orientations, and what turns a picture so that its orientation turns it back.
TURNED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def drawn(width: int, height: int, mode: str = "RGB") -> Image.Image:
    random = np.random.default_rng([width, height])
    return Image.fromarray(random.integers(0, 256, (height, width, 3), np.uint8)).convert(mode)


def in_each_fit(image: Image.Image, size: int) -> dict[str, Pixels]:
    """What Pillow's own functions make of it; for padding, only what is shown."""
    how = Image.Resampling.BILINEAR
    across, down = (
        size - 2 * min(round(size * (1 - side / max(image.size)) / 2 + 1e-9), (size - 1) // 2)
        for side in image.size
    )
    return {
        SQUEEZE: np.asarray(image.resize((size, size), how)),
        CROP: np.asarray(ImageOps.fit(image, (size, size), how)),
        PAD: np.asarray(image.resize((across, down), how)),
    }


def shown_in(square: Pixels, shape: tuple[int, ...]) -> Pixels:
    """The middle of the square; around it there is nothing but the borders' colour."""
    top, left = ((len(square) - side) // 2 for side in shape[:2])
    middle = square[top : top + shape[0], left : left + shape[1]].copy()
    around = square.copy()
    around[top : top + shape[0], left : left + shape[1]] = BORDER
    assert (around == BORDER).all()
    return middle


@given(LENGTHS, LENGTHS, st.integers(1, 64), st.sampled_from(sorted(TURNED)))
@SMOOTH
def test_a_fit_is_that_of_the_upright_picture(
    tmp_path: Path, width: int, height: int, size: int, orientation: int
) -> None:
    image = drawn(width, height)
    turn = TURNED[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = _saved(image if turn is None else image.transpose(turn), tmp_path / "a.png", exif)
    for fit, expected in in_each_fit(image, size).items():
        found = shown_in(pixels(stored, Scaling(size, 0, 1, fit=fit)), expected.shape)
        # Pillow resizes down first or across first, and rounds in between.
        assert np.abs(found.astype(int) - expected).max() <= 1
        if orientation == 1:
            assert np.array_equal(found, expected)


@pytest.mark.parametrize("shape", [(1, 1000), (1000, 1), (1, 1), (2, 3)])
@pytest.mark.parametrize("size", [1, 2, 33, 224])
def test_tiny_and_thin_pictures_are_fitted_too(
    tmp_path: Path, shape: tuple[int, int], size: int
) -> None:
    stored = _saved(drawn(*shape), tmp_path / "a.png")
    for fit, expected in in_each_fit(drawn(*shape), size).items():
        found = pixels(stored, Scaling(size, 0, 1, fit=fit))
        assert np.array_equal(shown_in(found, expected.shape), expected)


@pytest.mark.parametrize("shape", [(2400, 1000), (1000, 2400)])
@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK"])
def test_what_is_resized_in_strips_is_fitted_in_the_same_way(
    tmp_path: Path, shape: tuple[int, int], mode: str
) -> None:
    image = drawn(*shape, mode)
    stored = _saved(image, tmp_path / ("a.tif" if mode == "CMYK" else "a.png"))
    for fit, expected in in_each_fit(image.convert("RGB"), 40).items():
        found = shown_in(pixels(stored, Scaling(40, 0, 1, fit=fit)), expected.shape)
        assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.parametrize(("fit", "scale"), [(SQUEEZE, 2), (CROP, 2), (PAD, 8)])
@pytest.mark.parametrize("shape", [(1600, 720), (720, 1601)])
def test_a_jpeg_is_decoded_at_a_scale_that_does_for_what_is_shown(
    tmp_path: Path, shape: tuple[int, int], fit: str, scale: int
) -> None:
    image = drawn(8, 8).resize(shape, Image.Resampling.BICUBIC)
    stored = _saved(image, tmp_path / "a.jpg")
    # Squeezed or cropped, 720 pixels become 100; padded, 1600 do.
    with Image.open(tmp_path / "a.jpg") as smaller:
        smaller.draft(None, (shape[0] // scale, shape[1] // scale))
        assert smaller.size == tuple(-(-side // scale) for side in shape)
        expected = in_each_fit(smaller.convert("RGB"), 100)[fit]
    found = pixels(stored, Scaling(100, 0, 1, fit=fit))
    assert np.array_equal(shown_in(found, expected.shape), expected)


def test_a_crop_a_frame_and_versions_are_fitted_too(tmp_path: Path) -> None:
    image = drawn(90, 60)
    stored = _saved(image, tmp_path / "a.png")
    for fit, expected in in_each_fit(image, 32).items():
        scaling = Scaling(32, 0, 1, fit=fit)
        assert np.array_equal(
            shown_in(fitted(np.asarray(image), scaling), expected.shape), expected
        )
        whole = pixels(stored, scaling, lambda upright: upright)
        assert np.array_equal(whole, fitted(np.asarray(image), scaling))
    # The middle of a version is the middle of the fitted picture.
    black = _saved(Image.new("RGB", (90, 30)), tmp_path / "black.png")
    for fit, share in ((SQUEEZE, 1.0), (CROP, 1.0), (PAD, 1 / 3)):
        scaling = Scaling(60, 0, 1, fit=fit)
        found = augment.versions(black, scaling, AUGMENT, [bytes(32)])[0]
        assert (np.asarray(found) == 0).mean() == pytest.approx(share, rel=0.3)


def test_classic_pictures_are_squeezed_only() -> None:
    assert set(FITS) == {SQUEEZE, CROP, PAD}
    for fit in (CROP, PAD):
        assert not CLASSIC.fitted(fit).classic
