"""Any file at all becomes an upright RGB picture, or one sentence why not."""

import io
import os
import resource
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from tensor_guess import images
from tensor_guess.errors import Unreadable

ROOT = Path(__file__).resolve().parent.parent
KINDS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "AVIF")
# What Pillow opens besides the kinds that are taken.
NOT_TAKEN = ("ICO", "PPM", "PSD")
# tiff/ of the nasty files: libtiff fails there in some versions and not in others.
EITHER = {"unicode_names/Crémieux11.tiff"}


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def decoded(path: Path, data: bytes, size: int = 8) -> NDArray[np.uint8]:
    path.write_bytes(data)
    return images.decode(images.read(path), size)


def attempt(path: Path, size: int) -> NDArray[np.uint8] | Unreadable:
    """A picture of that size, or a reason that fits on a line; anything else fails the test."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # Pillow's, on damaged metadata
            pixels = images.decode(images.read(path), size)
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
        images.decode(images.read(folder / f"{shape}_{n}.jpg"), 64).astype(int) for n in range(1, 9)
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
    ours = images.decode(picture, size).astype(int)
    with Image.open(io.BytesIO(picture.data)) as image:
        full = ImageOps.exif_transpose(image).convert("RGB")
        whole = full.resize((size, size), Image.Resampling.BILINEAR)
    assert np.abs(ours - np.asarray(whole).astype(int)).mean() < 3


GROWTH = """
import resource, sys
from pathlib import Path
from tensor_guess import images
small = images.read(Path(sys.argv[2]))
images.decode(small, 299)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
images.decode(images.read(Path(sys.argv[1])), 299)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_large_photo_is_never_held_at_full_size(shared: Path) -> None:
    photos = shared / "sample_images"
    done = subprocess.run(
        [sys.executable, "-c", GROWTH, photos / "photo_16mp.jpg", photos / "owl.jpg"],
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    # 16 Mpx of RGB are 48 MB; the file itself is 3 MB.
    assert int(done.stdout) < 20_000


def jpeg_header(width: int, height: int, progressive: bool) -> bytes:
    """A JPEG that claims a size, by its own header."""
    data = bytearray(encoded(quarters(), "JPEG", progressive=progressive))
    start = data.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    data[start + 5 : start + 9] = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return bytes(data)


def png_header(width: int, height: int) -> bytes:
    import struct
    import zlib

    start = b"IHDR" + struct.pack(">II", width, height) + b"\x08\x02\0\0\0"
    rest = encoded(quarters())[33:]
    return b"\x89PNG\r\n\x1a\n\0\0\0\r" + start + struct.pack(">I", zlib.crc32(start)) + rest


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
    "script that only claims to be a GIF": (b"GIF89a/*<script>*/", "cannot be decoded"),
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
        "import sys; from pathlib import Path; from tensor_guess import images\n"
        "for path in sys.argv[1:]: images.decode(images.read(Path(path)), 32)"
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


def fifo(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def named_socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # such a name may have 107 bytes only
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def link_to_nothing(path: Path) -> None:
    path.symlink_to("nothing")


def link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


NO_FILES: list[tuple[Callable[[Path], None], str]] = [
    (fifo, "is not a regular file"),
    (folder, "is a directory"),
    (named_socket, "no such device or address"),
    (link_to_nothing, "no such file or directory"),
    (link_to_itself, "too many levels of symbolic links"),
    (device, "is not a regular file"),
]


@pytest.mark.parametrize(
    ("make", "reason"), NO_FILES, ids=lambda each: getattr(each, "__name__", "")
)
def test_what_is_no_regular_file_neither_hangs_nor_is_read(
    tmp_path: Path, make: Callable[[Path], None], reason: str
) -> None:
    path = tmp_path / "x.jpg"
    make(path)
    with pytest.raises(Unreadable, match=reason):
        images.read(path)


def test_a_name_that_cannot_be_is_unreadable() -> None:
    for name in ("a\0b", "n" * 300, "missing.jpg"):
        with pytest.raises(Unreadable):
            images.read(Path(name))


def test_a_link_to_a_picture_is_that_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(quarters()))
    (tmp_path / "b.png").symlink_to("a.png")
    assert images.read(tmp_path / "b.png").key == images.read(tmp_path / "a.png").key


def test_files_that_are_left_out_leave_nothing_open(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "text").write_text("hello")
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = len(os.listdir("/dev/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (opened + 50, limit[1]))
    try:
        for _ in range(100):
            for name in ("folder", "fifo", "text"):
                with pytest.raises(Unreadable, match=r"^is "):
                    images.read(tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)


def test_a_file_larger_than_any_picture_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(encoded(quarters()))
    os.truncate(path, 400_000_000)  # sparse: takes no space
    with pytest.raises(Unreadable, match="is larger than 300 MB"):
        images.read(path)


def test_work_ahead_comes_back_in_order_with_its_failures() -> None:
    def work(n: int) -> int:
        if n % 3 == 0:
            raise Unreadable(str(n))
        return n * n

    pairs = list(images.ahead(work, range(100), window=7))
    assert [item for item, _ in pairs] == list(range(100))
    for item, result in pairs:
        if item % 3:
            assert result == item * item
        else:
            assert isinstance(result, Unreadable)
            assert str(result) == str(item)


def test_work_is_taken_only_a_window_ahead_and_by_other_threads() -> None:
    taken: list[int] = []
    threads: set[int] = set()

    def source() -> Iterator[int]:
        for n in range(1000):
            taken.append(n)
            yield n

    def work(n: int) -> int:
        threads.add(threading.get_ident())
        return n

    stream = images.ahead(work, source(), window=5)
    for n in range(10):
        assert next(stream) == (n, n)
        assert len(taken) <= n + 5
    del stream  # what was waiting is cancelled
    assert len(taken) <= 15
    assert threading.get_ident() not in threads


def test_an_error_that_is_no_picture_s_fault_is_raised() -> None:
    def work(n: int) -> float:
        return 1 / n

    with pytest.raises(ZeroDivisionError):
        list(images.ahead(work, [3, 2, 1, 0, 1]))


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
    assert images.same_in_tensorflow(images.read(tmp_path / "x")) is same


def test_tensorflow_puts_black_behind_a_gif(tmp_path: Path) -> None:
    Image.new("P", (4, 4)).save(tmp_path / "x", "GIF", transparency=0)
    assert not images.same_in_tensorflow(images.read(tmp_path / "x"))
