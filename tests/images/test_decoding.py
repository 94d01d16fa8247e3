"""Any file at all becomes an upright RGB picture, or one sentence why not, within a bound."""

import faulthandler
import io
import os
import re
import signal
import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from made.exif import timed
from made.hostile_pictures import (
    KINDS,
    HostilePictures,
    chunk,
    encoded,
    float_tiff,
    large_png,
    png_header,
    progressive,
    sequential,
)
from made.place import ROOT
from made.processes import children, seconds_of
from made.steps import alone
from peak import growth
from tensor_guess.errors import Unreadable
from tensor_guess.images import decoding
from tensor_guess.images import encoded as images
from tensor_guess.system import limited

PHOTO = (ROOT / "test_data/photo01.jpg").read_bytes()
# What Pillow opens besides the kinds that are taken.
NOT_TAKEN = ("ICO", "PPM", "PSD")
# tiff/ of the nasty files: libtiff fails there in some versions and not in others.
EITHER = {"unicode_names/Crémieux11.tiff"}


def decoded(path: Path, data: bytes, size: int = 8) -> NDArray[np.uint8]:
    path.write_bytes(data)
    return decoding.decode(images.read(path), size)


def attempt(path: Path, size: int) -> NDArray[np.uint8] | Unreadable:
    """A picture of that size, or a reason that fits on a line; anything else fails the test."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # Pillow's, on damaged metadata
            pixels = decoding.decode(images.read(path), size)
    except Unreadable as error:
        reason = error
    else:
        assert pixels.shape == (size, size, 3)
        assert pixels.dtype == np.uint8
        return pixels
    assert str(reason).isprintable()
    return reason


def plain(mode: str, colour: Any, **options: Any) -> bytes:
    return encoded(Image.new(mode, (40, 30), colour), **options)


def quarters(size: tuple[int, int] = (96, 64)) -> Image.Image:
    """Red, green / blue, white: which way is up can be seen from any of the eight."""
    small = Image.new("RGB", (2, 2))
    for n, colour in enumerate(["red", "lime", "blue", "white"]):
        small.paste(colour, (n % 2, n // 2, n % 2 + 1, n // 2 + 1))
    return small.resize(size, Image.Resampling.NEAREST)


def sixteen_bits(value: int) -> bytes:
    return encoded(Image.fromarray(np.full((30, 40), value, np.uint16)))


def palette(**options: Any) -> bytes:
    image = Image.new("P", (40, 30), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    return encoded(image, **options)


EXACT: dict[str, tuple[bytes, tuple[int, int, int]]] = {
    "RGB": (plain("RGB", (10, 200, 30)), (10, 200, 30)),
    "grey": (plain("L", 77), (77, 77, 77)),
    "black and white": (plain("1", 1), (255, 255, 255)),
    "palette": (palette(), (10, 200, 30)),
    "palette, transparent": (palette(transparency=1), (255, 255, 255)),
    "palette in a GIF": (palette(kind="GIF"), (10, 200, 30)),
    "alpha: all": (plain("RGBA", (0, 0, 0, 0)), (255, 255, 255)),
    "alpha: none": (plain("RGBA", (10, 200, 30, 255)), (10, 200, 30)),
    # 0.4 of the colour over 0.6 of white
    "alpha: some": (plain("RGBA", (0, 100, 255, 102)), (153, 193, 255)),
    "grey and alpha": (plain("LA", (0, 102)), (153, 153, 153)),
    "RGB with a transparent colour": (
        plain("RGB", (10, 200, 30), transparency=(10, 200, 30)),
        (255, 255, 255),
    ),
    "CMYK": (plain("CMYK", (0, 255, 255, 0), kind="TIFF"), (255, 0, 0)),
    "CMYK in a JPEG": (plain("CMYK", (0, 255, 255, 0), kind="JPEG", quality=100), (255, 0, 0)),
    "16 bits: half": (sixteen_bits(0x8000), (128, 128, 128)),
    "16 bits: full": (sixteen_bits(0xFFFF), (255, 255, 255)),
    "floats 0 to 1": (plain("F", 0.5, kind="TIFF"), (127, 127, 127)),
    "floats 0 to 255": (plain("F", 200.0, kind="TIFF"), (200, 200, 200)),
    "32 bits": (plain("I", 0x8000, kind="TIFF"), (127, 127, 127)),
    "lossless WebP with alpha": (
        plain("RGBA", (0, 0, 0, 0), kind="WEBP", lossless=True),
        (255, 255, 255),
    ),
    "BMP": (plain("RGB", (10, 200, 30), kind="BMP"), (10, 200, 30)),
}


@pytest.mark.parametrize(("data", "colour"), EXACT.values(), ids=EXACT.keys())
def test_every_colour_model_gives_the_colours_it_means(
    tmp_path: Path, data: bytes, colour: tuple[int, int, int]
) -> None:
    pixels = decoded(tmp_path / "x", data)
    assert pixels.shape == (8, 8, 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - colour).max() <= 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), -5.0, 1e38])
def test_numbers_that_are_no_brightness_give_a_picture_and_no_noise(
    tmp_path: Path, value: float
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels = decoded(tmp_path / "x.tif", plain("F", value, kind="TIFF"))
    assert pixels.shape == (8, 8, 3)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_in_every_kind_comes_upright(
    tmp_path: Path, kind: str, orientation: int
) -> None:
    # What a camera stores: the pixels of the upright picture turned the other way.
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = quarters()
    if orientation in turns:
        stored = stored.transpose(turns[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless = {"lossless": True} if kind == "WEBP" else {}
    quality = {"quality": 95} if kind in ("JPEG", "AVIF") else {}
    data = encoded(stored, kind, exif=exif, **lossless, **quality)
    pixels = decoded(tmp_path / "x", data, 16).astype(int)
    wanted = np.asarray(quarters((16, 16))).astype(int)
    inside = [2, 3, 4, 11, 12, 13]
    assert np.abs(pixels - wanted)[np.ix_(inside, inside)].max() <= 12


@pytest.mark.parametrize("shape", ["Landscape", "Portrait"])
def test_the_eight_orientations_of_a_photo_are_one_picture(shared: Path, shape: str) -> None:
    folder = shared / "nasty" / "exif_orientation"
    upright = [
        decoding.decode(images.read(folder / f"{shape}_{n}.jpg"), 64).astype(int)
        for n in range(1, 9)
    ]
    for each in upright[1:]:
        assert np.abs(each - upright[0]).mean() < 6
    # That this means something: the picture is not the same when it is turned.
    assert np.abs(np.rot90(upright[0]) - upright[0]).mean() > 30


def test_the_first_frame_of_an_animation_is_taken(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        pixels = decoded(tmp_path / "x", data)
        assert pixels[..., 0].min() > 250, kind
        assert pixels[..., 1:].max() < 5, kind


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_is_known_by_content_whatever_the_name(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "photo.txt"
    data = encoded(quarters(), kind)
    path.write_bytes(data)
    picture = images.read(path)
    assert (picture.kind, picture.data) == (kind, data)
    proper = tmp_path / f"photo.{picture.extension}"
    path.rename(proper)
    with Image.open(proper) as image:  # Pillow gives each of these kinds its usual extensions
        assert Image.registered_extensions()[proper.suffix] == image.format


@pytest.mark.parametrize("size", [224, 299])
def test_scaled_decoding_of_a_large_photo_keeps_the_picture(shared: Path, size: int) -> None:
    picture = images.read(shared / "sample_images" / "photo_16mp.jpg")
    ours = decoding.decode(picture, size).astype(int)
    with Image.open(io.BytesIO(picture.data)) as image:
        full = ImageOps.exif_transpose(image).convert("RGB")
        whole = full.resize((size, size), Image.Resampling.BILINEAR)
    assert np.abs(ours - np.asarray(whole).astype(int)).mean() < 3


def decoded_one(photo: Path) -> None:
    decoding.decode(images.read(photo), 299)


@pytest.mark.slow
def test_a_large_photo_is_never_held_at_full_size(shared: Path) -> None:
    # 16 Mpx of RGB are 48 MB; the file itself is 3 MB.
    assert growth(decoded_one, shared / "sample_images" / "photo_16mp.jpg") < 20_000_000


def jpeg_header(width: int, height: int, progressive: bool) -> bytes:
    """A JPEG that claims a size, by its own header."""
    data = bytearray(encoded(quarters(), "JPEG", progressive=progressive))
    start = data.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    data[start + 5 : start + 9] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return bytes(data)


TOO_LARGE = {
    "PNG": (png_header(20_000, 20_000), "has 400 megapixels; at most 89 fit"),
    "progressive JPEG": (jpeg_header(60_000, 60_000, True), "has 3600 megapixels; at most 250 fit"),
}


@pytest.mark.parametrize(("data", "reason"), TOO_LARGE.values(), ids=TOO_LARGE.keys())
def test_a_picture_that_claims_too_much_is_refused_before_it_is_decoded(
    tmp_path: Path, data: bytes, reason: str
) -> None:
    with pytest.raises(Unreadable, match=reason):
        decoded(tmp_path / "x", data)


REFUSED = {
    "empty": (b"", "is empty"),
    "Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
    "web page": (b"\n  <!DOCTYPE HTML><html>", "is a web page"),
    "text": (b"hello", "no picture of a known kind"),
    "PDF": (b"%PDF-1.7", "no picture of a known kind"),
    "only the start of a JPEG": (b"\xff\xd8\xff\xe0", "cannot be decoded"),
    "only the start of a PNG": (b"\x89PNG\r\n\x1a\n", "cannot be decoded"),
    "a JPEG cut in half": (encoded(quarters((900, 900)), "JPEG")[:2000], "cannot be decoded"),
    "script that only claims to be a GIF": (b"GIF89a/*<script>*/", "cannot be decoded|would take"),
}


@pytest.mark.parametrize(("data", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_picture_is_refused_with_the_reason(
    tmp_path: Path, data: bytes, reason: str
) -> None:
    with pytest.raises(Unreadable, match=reason) as refused:
        decoded(tmp_path / "x.jpg", data)
    # The same file gives the same sentence: no address of some object in it.
    with pytest.raises(Unreadable) as again:
        decoded(tmp_path / "x.jpg", data)
    assert str(refused.value) == str(again.value)
    assert " at 0x" not in str(refused.value)


def verdicts(folder: Path) -> dict[str, bool]:
    """Whether Pillow itself could decode each of the nasty files."""
    lines = (folder / "nasty_pillow_13.0.0_results.txt").read_text().splitlines()
    found = {}
    for line in lines:
        start, _, verdict = line.partition(" | ")
        found[start.rpartition(" ")[0]] = verdict.rstrip().endswith("| ok")
    return found


@pytest.mark.slow
def test_nasty_files_decode_or_say_why_and_as_pillow_does(
    shared: Path, recwarn: pytest.WarningsRecorder
) -> None:
    folder = shared / "nasty"
    known = verdicts(folder)
    compared = 0
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        name = path.relative_to(folder).as_posix()
        found = attempt(path, 32)
        ok = not isinstance(found, Unreadable)
        taken = path.suffix[1:].upper() not in NOT_TAKEN
        if name in known and name not in EITHER:
            assert ok == (known[name] and taken), name
            compared += 1
    assert compared > 150
    assert [str(each.message) for each in recwarn] == []


def test_remarks_on_damaged_metadata_are_not_shown(shared: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tensor_guess.images import decoding, encoded\n"
        "for path in sys.argv[1:]: decoding.decode(encoded.read(Path(path)), 32)"
    )
    folder = shared / "nasty"
    noisy = [folder / "jpeg_broken/hopper_bad_exif.jpg", folder / "jpeg_broken/corrupted.jpg"]
    done = subprocess.run(
        [sys.executable, "-c", code, *noisy],
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        check=True,
    )
    assert done.stderr == b""


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    where=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6),
    length=st.none() | st.integers(0, 3000),
)
def test_damaged_pictures_decode_or_are_unreadable(
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    where: list[tuple[int, int]],
    length: int | None,
) -> None:
    data = bytearray(encoded(quarters(), kind))[:length]
    for place, value in where:
        if data:
            data[place % len(data)] = value
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(data)
    attempt(path, 8)


@pytest.mark.parametrize(
    ("kind", "mode", "same"),
    [
        ("JPEG", "RGB", True),
        ("JPEG", "L", True),
        ("JPEG", "CMYK", False),
        ("PNG", "RGBA", True),
        ("BMP", "RGB", True),
        ("GIF", "P", True),
        ("WEBP", "RGB", False),
        ("TIFF", "RGB", False),
    ],
)
def test_what_tensorflow_decodes_to_the_same_pixels(
    tmp_path: Path, kind: str, mode: str, same: bool
) -> None:
    Image.new(mode, (4, 4)).save(tmp_path / "x", kind)
    assert decoding.same_in_tensorflow(images.read(tmp_path / "x")) is same


def test_tensorflow_puts_black_behind_a_gif(tmp_path: Path) -> None:
    Image.new("P", (4, 4)).save(tmp_path / "x", "GIF", transparency=0)
    assert not decoding.same_in_tensorflow(images.read(tmp_path / "x"))


# --- strips


def whole(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """The picture over white, resized by Pillow in one go."""
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR))


@settings(max_examples=60, deadline=None)
@given(
    mode=st.sampled_from(["1", "L", "LA", "P", "RGBA", "CMYK"]),
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    size=st.sampled_from([1, 7, 16, 64]),
    strip=st.integers(1, 900),
)
def test_strips_give_what_the_whole_picture_gives(
    mode: str, width: int, height: int, size: int, strip: int
) -> None:
    random = np.random.default_rng(width * height)
    image = Image.fromarray(random.integers(0, 256, (height, width, 4), np.uint8)).convert(mode)
    if mode == "P":
        image.info["transparency"] = 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "_STRIP_PIXELS", strip)
        found = np.asarray(decoding._resized(image, (size, size))).astype(int)
    # Of a tall picture Pillow resizes the height first: one level of rounding.
    assert np.abs(found - whole(image, size)).max() <= (1 if height > width else 0)


# --- 10 to 16 bits


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_grey_of_more_than_8_bits_is_as_bright_as_it_was_meant(
    tmp_path: Path, kind: str, bits: int
) -> None:
    ramp = np.tile(np.linspace(0, 2**bits - 1, 64), (64, 1)).astype(np.uint16)
    pixels = decoded(tmp_path / "x", encoded(Image.fromarray(ramp), kind), 64)
    wanted = np.tile(np.linspace(0, 255, 64), (64, 1))
    assert np.abs(pixels[..., 0] - wanted).max() <= 1


def test_a_tiff_may_say_what_is_white(tmp_path: Path) -> None:
    dark = Image.fromarray(np.full((8, 8), 1000, np.uint16))
    data = encoded(dark, "TIFF", tiffinfo={281: 65535})
    assert decoded(tmp_path / "x", data).max() == 1000 >> 8


def test_the_clear_value_of_16_bit_grey_is_white(tmp_path: Path) -> None:
    values = np.zeros((8, 8), np.uint16)
    values[4:] = 40_000
    file = io.BytesIO()
    Image.fromarray(values).save(file, "PNG")
    data = file.getvalue()
    clear = b"\0\0\0\x02tRNS\0\0"
    clear += zlib.crc32(clear[4:]).to_bytes(4, "big")
    pixels = decoded(tmp_path / "x", data[:33] + clear + data[33:])
    assert pixels[0].min() == 255
    assert pixels[-1].max() == 40_000 >> 8


# --- hostile sizes


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (partial(sequential, 24_000, 24_000), "would take 3... MB to decode"),
        (partial(progressive, 8000, 8000, 400), "too many scans"),
        (partial(jpeg_header, 15_000, 15_000, True), "would take ... MB to decode"),
        (partial(float_tiff, 9400, 9400), "would take 7.. MB to decode"),
        (partial(encoded, Image.new("1", (1, 60_000)), "GIF"), ""),
        (partial(png_header, 1, 80_000_000), "would take ..... MB to decode"),
    ],
    ids=["sequential", "scans", "progressive", "floats", "narrow", "narrower"],
)
def test_what_would_take_too_much_is_refused_at_once(
    tmp_path: Path, make: Callable[[], bytes], reason: str
) -> None:
    (tmp_path / "x").write_bytes(make())
    picture = images.read(tmp_path / "x")
    start = process_time()
    if reason:
        with pytest.raises(Unreadable, match=reason):
            decoding.decode(picture, 224)
    else:
        decoding.decode(picture, 224)
    assert process_time() - start < 1


def gif_of_a_frame(width: int, height: int) -> bytes:
    """A GIF of a small screen, with one frame that is to be cleared afterwards."""
    start = b"GIF89a\1\0\1\0\x80\0\0" + bytes(6) + b"!\xf9\4\x09\0\0\0\0"
    return start + b"," + struct.pack("<4HB", 0, 0, width, height, 0) + b"\2\2\x44\1\0;"


def run_lengths(width: int, height: int) -> bytes:
    """A BMP of a pixel in each row, the rest of which is filled in."""
    data = b"\1\5\0\0" * height
    rest = struct.pack("<iiHHIIiiII", width, height, 1, 8, 1, len(data), 0, 0, 256, 0)
    start = struct.pack("<IHHII", 1078 + len(data), 0, 0, 1078, 40)
    return b"BM" + start + rest + bytes(1024) + data


def overlapping_exif(count: int, length: int) -> bytes:
    """Tags that all point to the same bytes, after one that turns the picture."""
    tags = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    tags += b"".join(struct.pack("<HHII", 1000 + i, 7, length, 9) for i in range(count - 1))
    return b"II*\0" + struct.pack("<IH", 8, count) + tags + bytes(4 + length)


def with_exif(exif: bytes) -> bytes:
    """A PNG with EXIF as ImageMagick writes it: hexadecimal, in compressed text."""
    text = zlib.compress(b"\nexif\n%8d\n" % len(exif) + exif.hex().encode())
    data = encoded(quarters())
    return data[:33] + chunk(b"zTXt", b"Raw profile type exif\0\0" + text) + data[33:]


def avif_of_another_size() -> bytes:
    """It says that it is of 64 x 64 pixels, and its decoder believes that; it is of 144 Mpx."""
    data = encoded(Image.new("RGB", (12_000, 12_000)), "AVIF", speed=10)
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", 64, 64) + data[at + 8 :]


SMALL_AND_COSTLY: dict[str, tuple[Callable[[], bytes], str]] = {
    "GIF that is cleared": (lambda: gif_of_a_frame(65_535, 65_535), "would take 1.... MB"),
    "BMP of runs": (lambda: run_lengths(9000, 9000), "has 81 megapixels; at most 4 fit"),
    "tags that overlap": (lambda: with_exif(overlapping_exif(20_000, 200_000)), ""),
    "AVIF that lies": (avif_of_another_size, "cannot be decoded"),
    "TIFF that is made RGB": (
        lambda: encoded(Image.new("RGB", (64, 64)), "TIFF", compression="tiff_deflate").replace(
            struct.pack("<HHIHH", 262, 3, 1, 2, 0), struct.pack("<HHIHH", 262, 3, 1, 6, 0)
        ),
        "",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL_AND_COSTLY)
def test_what_costs_more_than_its_size_says_is_found_out(tmp_path: Path, name: str) -> None:
    (tmp_path / "x").write_bytes(alone(small_and_costly, name))
    assert growth(costs_little, tmp_path / "x", SMALL_AND_COSTLY[name][1]) < 250_000_000


def small_and_costly(name: str) -> bytes:
    return SMALL_AND_COSTLY[name][0]()


def processor_time() -> float:
    """Seconds that this process and its children have computed, on a busy machine too."""
    return sum(os.times()[:4]) + sum(map(seconds_of, children()))


def costs_little(path: Path, reason: str) -> None:
    start = processor_time()
    found = attempt(path, 32)
    assert processor_time() - start < 1
    if reason:
        assert isinstance(found, Unreadable)
        assert re.search(reason, str(found)), str(found)
    else:
        assert not isinstance(found, Unreadable), str(found)


@pytest.mark.skipif(not limited.CAN_FORK, reason="decoders have no processes of their own here")
@pytest.mark.parametrize("kind", ["TIFF", "GIF", "AVIF", "JPEG", "PNG"])
def test_a_decoder_that_crashes_takes_one_picture_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def crash(*_: object, **__: object) -> None:
        faulthandler.disable()  # pytest's
        os.kill(os.getpid(), signal.SIGSEGV)

    usual = decoded(tmp_path / "x", encoded(quarters(), kind))
    decoding._workers().end()
    with monkeypatch.context() as patch:
        patch.setattr(Image, "open", crash)
        with pytest.raises(Unreadable, match=r"is too much for its decoder \(SIGSEGV\)"):
            decoded(tmp_path / "x", encoded(quarters(), kind))
    assert (decoded(tmp_path / "x", encoded(quarters(), kind)) == usual).all()


@pytest.mark.skipif(not limited.CAN_FORK, reason="decoders have no processes of their own here")
def test_a_file_too_large_to_be_carried_is_decoded_alike(tmp_path: Path) -> None:
    small = encoded(quarters((64, 64)), "JPEG")
    large = small + bytes(9_000_000)  # decoders pass over what follows a picture
    assert (decoded(tmp_path / "x", large) == decoded(tmp_path / "y", small)).all()


def test_a_usual_progressive_photo_is_decoded(tmp_path: Path) -> None:
    large = quarters((2400, 1600))
    for options in ({"progressive": True}, {"progressive": True, "subsampling": 0}):
        assert decoded(tmp_path / "x", encoded(large, "JPEG", **options)).shape == (8, 8, 3)
    assert decoded(tmp_path / "x", sequential(160, 160)).shape == (8, 8, 3)


def decoded_ahead(paths: list[Path]) -> None:
    def work(path: Path) -> tuple[int, ...]:
        return decoding.decode(images.read(path), 224).shape

    found = images.ahead(work, paths, weigh=images.size_of)
    assert [each for _, each in found] == [(224, 224, 3)] * len(paths)


@pytest.mark.slow
def test_a_large_picture_is_converted_in_strips(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(large_png(6000, 6000))
    # The pixels are 144 MB; over white and in RGB they would be 600.
    assert growth(decoded_ahead, [tmp_path / "x.png"]) < 250_000_000


@pytest.mark.slow
def test_large_pictures_are_decoded_one_after_the_other(tmp_path: Path) -> None:
    data = large_png(9000, 9000, colours=2)
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(data)
    # One takes 324 MB. The third finds nothing kept of the first two, whichever threads had them.
    assert growth(decoded_ahead, sorted(tmp_path.iterdir())) < 500_000_000


# --- found by machine


def tried(path: Path, seconds: int) -> None:
    """Decode hostile files for that time of a processor, none of which takes a second of it."""
    start, hostile = processor_time(), HostilePictures()
    end = start + seconds
    while start < end:
        path.write_bytes(hostile.next())
        start = processor_time()
        attempt(path, 32)
        assert processor_time() - start < 1, f"{hostile} is in {path}"
    assert hostile.count > 20 * seconds


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [8, pytest.param(90, marks=pytest.mark.long)])
def test_hostile_pictures_decode_or_say_why_within_a_bound(tmp_path: Path, seconds: int) -> None:
    assert growth(tried, tmp_path / "x", seconds) < 600_000_000


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "TIFF"])
def test_the_size_is_that_of_the_header(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    Image.new("RGB", (30, 20)).save(path, kind)
    assert decoding.size_of(images.read(path)) == (30, 20)


@pytest.mark.parametrize(
    ("mode", "size", "shape"),
    [
        ("RGB", (300, 200), (67, 100, 3)),
        ("RGB", (60, 90), (90, 60, 3)),
        ("L", (2000, 30), (2, 100, 3)),
        ("RGBA", (100, 100), (100, 100, 3)),
        ("CMYK", (90, 3000), (100, 3, 3)),
    ],
)
@pytest.mark.parametrize("orientation", [1, 6])
def test_in_their_own_shape_pictures_are_made_smaller_only(
    tmp_path: Path, mode: str, size: tuple[int, int], shape: tuple[int, ...], orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    kind = "jpg" if mode == "CMYK" else "png"
    Image.new(mode, size).save(tmp_path / f"a.{kind}", exif=exif)
    found = decoding.decode_upright(images.read(tmp_path / f"a.{kind}"), 100)
    height, width, _ = shape
    assert found.shape == ((width, height, 3) if orientation == 6 else shape)


def test_in_its_own_shape_a_small_picture_has_its_own_pixels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (40, 70, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(decoding.decode_upright(images.read(tmp_path / "a.png"), 70), pixels)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_the_time_is_read_from_every_kind(tmp_path: Path, kind: str) -> None:
    (tmp_path / "x").write_bytes(timed(PHOTO, "2021:06:05 13:14:15", "25", "+02:00", kind=kind))
    found = decoding.taken_at(images.read(tmp_path / "x"))
    assert found is not None
    assert found.isoformat() == "2021-06-05T13:14:15.250000+02:00"
    (tmp_path / "x").write_bytes(timed(PHOTO, kind=kind))
    assert decoding.taken_at(images.read(tmp_path / "x")) is None


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("2021:06:05 13:14:15",), "2021-06-05T13:14:15"),
        (("2021:06:05 13:14:15", "123456789", "  :  "), "2021-06-05T13:14:15.123456"),
        (("2021:06:05 13:14:15", "", "-11:30"), "2021-06-05T13:14:15-11:30"),
        (("2021:06:05 13:14:15", "x", "+99:00"), "2021-06-05T13:14:15"),
        (("0000:00:00 00:00:00", "00", "+00:00"), None),
        (("    :  :     :  :  ",), None),
        (("2021:13:05 13:14:15",), None),
        (("2021-06-05 13:14:15",), None),
        (("",), None),
    ],
)
def test_a_time_that_is_none_is_none(
    tmp_path: Path, texts: tuple[str, ...], expected: str | None
) -> None:
    (tmp_path / "x").write_bytes(timed(PHOTO, *texts))
    found = decoding.taken_at(images.read(tmp_path / "x"))
    assert (found and found.isoformat()) == expected


@pytest.mark.filterwarnings("ignore")  # as the program does
@given(st.binary(max_size=80), st.integers(0, 200))
def test_damaged_exif_gives_a_time_or_none(damage: bytes, at: int) -> None:
    data = timed(PHOTO, "2021:06:05 13:14:15", "25", "+02:00")
    at += data.index(b"Exif")
    data = data[:at] + damage + data[at + len(damage) :]
    picture = images.Picture(data, "JPEG", b"", os.stat(os.curdir))
    with suppress(Unreadable):
        decoding.taken_at(picture)
