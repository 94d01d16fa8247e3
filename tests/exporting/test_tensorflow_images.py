"""TensorFlow's ops give the very pixels that our own preprocessing gives."""

import io
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tensor_guess.config import FITS, PAD, SQUEEZE
from tensor_guess.images import decoding, encoded, pixels
from tensor_guess.images.encoded import Picture
from tensor_guess.images.scaling import Scaling

pytestmark = pytest.mark.tensorflow
ORIENTATION = 0x0112


@cache
def decoder(scaling: Scaling) -> Callable[[bytes], Any]:
    import tensorflow as tf

    from tensor_guess.exporting import tensorflow_images

    spec = [tf.TensorSpec((), tf.string)]
    found = tf.function(lambda data: tensorflow_images.pixels(data, scaling), input_signature=spec)
    return lambda data: found(data).numpy()


def picture(data: bytes, kind: str) -> Picture:
    return Picture(data, kind, b"", os.stat("."))


def drawn(width: int, height: int, mode: str, seed: int) -> Image.Image:
    """Grain and blots: every way of rounding shows."""
    random = np.random.default_rng(seed)
    blots = Image.fromarray(random.integers(0, 256, (4, 4, 4), np.uint8), "RGBA")
    grain = random.integers(-40, 40, (height, width, 4))
    values = np.asarray(blots.resize((width, height))).astype(int) + grain
    return Image.fromarray(values.clip(0, 255).astype(np.uint8), "RGBA").convert(mode)


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 300),
    height=st.integers(1, 300),
    kind=st.sampled_from(["JPEG", "PNG", "BMP"]),
    mode=st.sampled_from(["RGB", "L", "RGBA", "LA", "P"]),
    orientation=st.integers(0, 9),
    little=st.booleans(),
    seed=st.integers(0, 1000),
    fit=st.sampled_from(FITS),
    size=st.sampled_from([32, 33]),
)
def test_pixels_are_equal(
    width: int,
    height: int,
    kind: str,
    mode: str,
    orientation: int,
    little: bool,
    seed: int,
    fit: str,
    size: int,
) -> None:
    if kind != "PNG":
        mode = mode if mode in ("RGB", "L") else "RGB"
    file, options = io.BytesIO(), {}
    if kind == "JPEG":
        exif = Image.Exif()
        exif.endian = "<" if little else ">"
        exif[0x010F] = "a maker"
        exif[ORIENTATION] = orientation
        options = {"exif": exif.tobytes()}
    drawn(width, height, mode, seed).save(file, kind, **options)
    given = picture(file.getvalue(), kind)
    scaling = Scaling(size, 0.0, 1.0, fit=fit)
    assert np.array_equal(decoder(scaling)(given.data), decoding.decode(given, size, fit))


@pytest.mark.parametrize("size", [224, 299])
@pytest.mark.parametrize(
    ("folder", "fit"),
    [("vader_elsa/test", fit) for fit in FITS] + [("flowers_5", SQUEEZE), ("recycle_3", PAD)],
)
def test_pixels_of_real_photos_are_equal(shared: Path, size: int, folder: str, fit: str) -> None:
    paths = [path for path in sorted((shared / folder).rglob("*")) if path.is_file()]
    assert len(paths) >= 20
    for path in paths:
        given = encoded.read(path)
        if not decoding.same_in_tensorflow(given):
            continue
        found = decoder(Scaling(size, 0.0, 1.0, fit=fit))(given.data)
        assert np.array_equal(found, decoding.decode(given, size, fit)), path


def test_a_classic_classifiers_pixels_are_those_of_retrain(shared: Path) -> None:
    scaling = Scaling(224, 128.0, 128.0, classic=True)
    for path in sorted((shared / "vader_elsa/test").iterdir()):
        given = encoded.read(path)
        difference = decoder(scaling)(given.data) - pixels.pixels(given, scaling)
        assert np.abs(difference).max() < 1e-3


@pytest.mark.parametrize("fit", FITS)
def test_upright_as_exif_says(shared: Path, fit: str) -> None:
    paths = sorted((shared / "nasty/exif_orientation").glob("*.jpg"))
    assert len(paths) > 10
    for path in paths:
        given = encoded.read(path)
        found = decoder(Scaling(64, 0.0, 1.0, fit=fit))(given.data)
        assert np.array_equal(found, decoding.decode(given, 64, fit)), path


@pytest.mark.parametrize(
    "exif", [b"", b"II", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff", b"\0" * 40]
)
def test_damaged_exif_says_nothing(exif: bytes) -> None:
    file = io.BytesIO()
    drawn(40, 30, "RGB", 0).save(file, "JPEG", exif=b"Exif\0\0" + exif)
    given = picture(file.getvalue(), "JPEG")
    found = decoder(Scaling(32, 0.0, 1.0))(given.data)
    assert np.array_equal(found, decoding.decode(given, 32))
