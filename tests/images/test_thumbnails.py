"""Small copies of pictures: upright, in their own shape, and without what else a file has."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from made.place import ROOT
from tensor_guess.images.thumbnails import jpeg, thumbnails


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_a_thumbnail_is_upright_and_keeps_its_shape(tmp_path: Path) -> None:
    image = Image.new("RGB", (300, 150), "white")
    image.paste("black", (0, 0, 150, 150))  # the left half; on top, when it is turned
    exif = image.getexif()
    exif[0x0112] = 6
    exif[0x010E] = "where I live"
    image.save(tmp_path / "turned.jpg", exif=exif)
    image.save(tmp_path / "plain.png")
    found = thumbnails([tmp_path / "turned.jpg", tmp_path / "plain.png"], 80)
    turned, plain = (opened(data) for data in found.values())
    assert (turned.size, plain.size) == ((40, 80), (80, 40))
    rows = np.asarray(turned.convert("L"))
    assert rows[:30].max() < 50 < 200 < rows[50:].min()
    assert b"where I live" not in found[tmp_path / "turned.jpg"]


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "no.jpg").write_bytes(b"no picture")
    good = ROOT / "test_data/photo01.jpg"
    assert list(thumbnails([tmp_path / "no.jpg", tmp_path / "gone.jpg", good], 32)) == [good]


def test_a_line_of_pixels_has_a_thumbnail_too(tmp_path: Path) -> None:
    Image.new("RGB", (1000, 1)).save(tmp_path / "line.png")
    (data,) = thumbnails([tmp_path / "line.png"], 50).values()
    assert opened(data).size == (50, 1)


def test_a_jpeg_is_small_and_the_same_every_time() -> None:
    image = np.asarray(Image.open(ROOT / "test_data/photo01.jpg").convert("RGB").resize((80, 80)))
    assert jpeg(image) == jpeg(image)
    assert len(jpeg(image)) < 5000
