"""A camera RAW file is named by its kind, whatever its name; a TIFF stays a picture."""

import io
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from made.raw_pictures import LONG, RAW, SHORT, of_maker, tiff
from tensor_guess.errors import Unreadable
from tensor_guess.images import camera_raw, encoded


@pytest.mark.parametrize("kind", RAW)
def test_raw_is_left_out_by_its_kind(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "IMG_1.tif"
    path.write_bytes(RAW[kind])
    with pytest.raises(Unreadable, match=rf"is a camera RAW file \({kind}\); export it as JPEG"):
        encoded.read(path)


def test_a_tiff_is_a_picture_whoever_made_it(tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    for order in "<>":
        path.write_bytes(tiff([(262, SHORT, 1, 2)], [(262, SHORT, 1, 1)], order=order))
        assert encoded.read(path).kind == "TIFF"
    path.write_bytes(of_maker(b"NIKON", 2))
    assert encoded.read(path).kind == "TIFF"
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "TIFF")
    path.write_bytes(file.getvalue())
    assert encoded.read(path).kind == "TIFF"


def test_directories_that_lead_in_circles_end() -> None:
    data = bytearray(tiff([(330, LONG, 1, 8)]))
    data[-4:] = (8).to_bytes(4, "little")
    camera_raw.check(bytes(data))


@given(st.sampled_from(sorted(RAW)), st.data())
def test_damaged_ones_are_raw_or_not_and_nothing_else(kind: str, draw: st.DataObject) -> None:
    data = bytearray(RAW[kind])
    for _ in range(draw.draw(st.integers(0, 5))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    with suppress(Unreadable):
        camera_raw.check(bytes(data[: draw.draw(st.integers(0, len(data)))]))
