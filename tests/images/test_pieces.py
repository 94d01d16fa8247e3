"""A file of more pieces than a picture has is refused before a decoder goes through them."""

import struct
from time import process_time

import pytest
from PIL import Image

from made.hostile_pictures import KINDS, chunk, encoded, head, progressive, scan, sequential
from tensor_guess.errors import Unreadable
from tensor_guess.images import pieces

SMALL = Image.new("RGB", (16, 16), "red")
JPEG, PNG, GIF = (encoded(SMALL, kind) for kind in ("JPEG", "PNG", "GIF"))
EXIF = b"\xff\xe1\0\x10Exif\0\0" + bytes(8)
GIF_START = b"GIF89a\x10\0\x10\0\0\0\0"

TOO_MANY = {
    "JPEG: segments": ("JPEG", JPEG[:2] + b"\xff\xfe\0\2" * 1_000_000 + JPEG[2:], "500 segments"),
    "JPEG: EXIF": ("JPEG", JPEG[:2] + EXIF * 40 + JPEG[2:], "32 segments of EXIF"),
    "PNG: chunks": ("PNG", PNG[:33] + chunk(b"abCd", b"") * 1_000_000, "100000 chunks"),
    "PNG: no pixels": ("PNG", PNG[:33] + chunk(b"IDAT", b"") * 1_000_000, "100000 chunks"),
    "GIF: extensions": ("GIF", GIF_START + b"!\xf9\4\0\0\0\0\0" * 1_000_000, "100000 blocks"),
    "GIF: one of many": ("GIF", GIF_START + b"!\xfe" + b"\1c" * 1_000_000, "100000 blocks"),
    "GIF: what is none": ("GIF", GIF_START + b"\1" * 4_000_000, "100000 blocks"),
}


@pytest.mark.parametrize(("kind", "data", "said"), TOO_MANY.values(), ids=TOO_MANY.keys())
def test_a_file_of_too_many_pieces_is_refused_at_once(kind: str, data: bytes, said: str) -> None:
    start = process_time()
    with pytest.raises(Unreadable, match=f"has more than {said}"):
        pieces.check(data, kind)
    assert process_time() - start < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*KINDS, "MPO"])
def test_what_programs_write_passes(kind: str) -> None:
    large = Image.effect_noise((1200, 800), 90).convert("RGB")
    pieces.check(encoded(large, kind), "JPEG" if kind == "MPO" else kind)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "AVIF"])
def test_any_half_of_a_file_is_counted(kind: str) -> None:
    data = encoded(SMALL, kind)
    for length in range(len(data)):
        pieces.check(data[:length], kind)
        if kind in ("GIF", "TIFF", "AVIF"):
            assert pieces.bytes_for(data[:length], kind) >= 0


# --- JPEG


def test_a_run_of_what_begins_a_marker_is_passed_over_once() -> None:
    """Trying from each byte of the run anew took 130 s for 200 KB."""
    whole = sequential(16, 16)
    data = whole[:-2] + b"\xff" * 2_000_000 + b"\0" + whole[-2:]
    start = process_time()
    pieces.check(data, "JPEG")
    pieces.coefficients(data)
    assert process_time() - start < 1


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        (encoded(SMALL, "JPEG"), 0),
        (sequential(160, 80), 3 * 160 * 80 * 2),
        (progressive(160, 80, 3), 160 * 80 * 2),
        (encoded(SMALL, "JPEG", progressive=True, subsampling=0), 3 * 16 * 16 * 2),
        (head(16, 16, 0xC0)[:-30] + scan([1], 0, 63), 0),
        (b"\xff\xd8" + scan([1], 0, 63), 0),
    ],
    ids=["baseline", "sequential", "progressive", "in colour", "cut", "no frame"],
)
def test_coefficients_are_kept_of_several_scans(data: bytes, kept: int) -> None:
    assert pieces.coefficients(data) == kept


# --- the others: what they take


def gif(screen: tuple[int, int], frame: tuple[int, int, int, int]) -> bytes:
    return (
        GIF_START[:6] + struct.pack("<HH", *screen) + bytes(3) + b"," + struct.pack("<4H", *frame)
    )


@pytest.mark.parametrize(
    ("data", "kind", "taken"),
    [
        (gif((100, 50), (0, 0, 100, 50)), "GIF", 3 * 5000),
        (gif((1, 1), (10, 0, 90, 50)), "GIF", 3 * 5000),
        (encoded(Image.new("RGB", (100, 50)), "AVIF"), "AVIF", 12 * 5000),
        (encoded(Image.new("RGB", (100, 50)), "TIFF"), "TIFF", 4 * 5000),
        (encoded(Image.new("L", (100, 50)), "TIFF"), "TIFF", 5000),
        (encoded(Image.new("I;16", (100, 50)), "TIFF"), "TIFF", 2 * 5000),
        (encoded(Image.new("RGB", (100, 50)), "TIFF", compression="tiff_lzw"), "TIFF", 7 * 5000),
        (encoded(Image.new("RGB", (100, 50)), "TIFF", compression="jpeg"), "TIFF", 13 * 5000),
    ],
)
def test_what_decoding_takes_is_known_from_the_header(data: bytes, kind: str, taken: int) -> None:
    assert pieces.bytes_for(data, kind) == taken
    assert pieces.bytes_for(data, kind, beside=3) == taken + 3 * 5000
