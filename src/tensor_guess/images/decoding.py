"""Decode strangers' pictures within limits of memory and time: bytes -> uint8 array."""

import ctypes
import io
import json
import os
import re
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from datetime import datetime
from functools import cache, partial
from threading import Condition

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from tensor_guess.config import SQUEEZE
from tensor_guess.errors import Unreadable, lacks_memory, words_of
from tensor_guess.images import pieces
from tensor_guess.images.encoded import Picture
from tensor_guess.images.scaling import BORDER, shown_as, shown_part
from tensor_guess.images.tiff import Tiff
from tensor_guess.system import limited
from tensor_guess.system.limited import Workers

# Pillow's own limit against decompression bombs, for kinds that are decoded at full size.
MAX_PIXELS = 89_478_485
# While a progressive JPEG is decoded, all its coefficients are in memory, whatever the scale.
MAX_PROGRESSIVE_PIXELS = 250_000_000
# Bytes for all pictures that are being decoded at one time, including their files: a little more
# than an uncompressed file of MAX_PIXELS needs.
MEMORY = 640_000_000
# The most pixels of a compressed BMP: Pillow unpacks it in Python, byte by byte.
MAX_RUN_LENGTH = 4_000_000

# Return a picture's memory to the system as soon as it is freed. By default glibc keeps freed
# blocks of up to 32 MB for the thread that used them, so each thread would hold its own share of
# MEMORY. mallopt(3): M_MMAP_THRESHOLD, M_TRIM_THRESHOLD.
if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt"):  # musl has none
    for _parameter, _bytes in ((-3, 4_000_000), (-1, 8_000_000)):
        ctypes.CDLL(None).mallopt(_parameter, _bytes)

# Bytes per pixel that Pillow keeps, and that these decoders need in addition.
_WIDTHS = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
_BESIDES = {"WEBP": 12}
# How much is converted at one time.
_STRIP_PIXELS = 2_000_000

# EXIF 2.32, tag 0x0112: how to turn the picture upright.
_ORIENTATION = 0x0112
# Its directory of the exposure: DateTimeOriginal, SubSecTimeOriginal, OffsetTimeOriginal.
_EXIF, _TAKEN = 0x8769, (0x9003, 0x9291, 0x9011)
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TURNED = (5, 6, 7, 8)  # width becomes height
_MAX_VALUE = 281  # TIFF 6.0: MaxSampleValue
_RUN_LENGTHS = (1, 2)  # BMP's BI_RLE8 and BI_RLE4

# These decoders have crashed before, or the size in the header may not be the true one: each of
# their pictures gets a process of its own. The others share workers. A picture may take so many
# seconds of CPU time, and _BEYOND more bytes, for threads and copies.
_APART = {"TIFF", "GIF", "HEIF", "AVIF"}
_BEYOND = 200_000_000 + 10_000_000 * (os.cpu_count() or 1)
_SECONDS = 10
# How many sides an array has, and how long they are.
_SHAPE = struct.Struct("<B3I")

Pixels = NDArray[np.uint8]
# Waits until there is memory for the picture, and for this many bytes more.
_Room = Callable[[int], AbstractContextManager[None]]
# Of the opened picture, its file's bytes, what gives room for it, and `how` it is to be made.
_Make = Callable[..., Pixels]


def decode(picture: Picture, size: int, fit: str = SQUEEZE) -> NDArray[np.uint8]:
    """Return the picture upright, in RGB, made uint8 [size, size, 3] as `fit` says (FITS).

    A JPEG is decoded at the smallest scale that is at least twice what is shown. Resizing is
    antialiased bilinear. Transparency becomes white, and only the first frame of an animation is
    used. In 16-bit grey, white is the maximum that the file declares, else that of 10, 12, 14 or 16
    bits.

    Raise Unreadable if it is damaged or too large.
    """
    return _decoded(picture, _small, size=size, fit=fit)


def decode_within(picture: Picture, size: int, fit: str = SQUEEZE) -> NDArray[np.uint8]:
    """Return the picture as `decode` does, but not squeezed: [H, W, 3], the longer side `size`.

    It is square if it is cropped or padded. Raise Unreadable if it is damaged or too large.
    """
    return _decoded(picture, _within, size=size, fit=fit)


def decode_upright(picture: Picture, longest: int) -> NDArray[np.uint8]:
    """Return the picture as `decode` does, but in its own shape and never enlarged: [H, W, 3].

    The longer side has at most `longest` pixels. Raise Unreadable if it is damaged or too large.
    """
    return _decoded(picture, _upright, longest=longest)


def decode_whole(picture: Picture) -> NDArray[np.uint8]:
    """Return the picture as TensorFlow's `decode_jpeg` and `decode_png` do: uint8 [H, W, 3].

    It is not turned upright, and transparency is dropped. A JPEG is decoded with the fast DCT,
    TensorFlow's default: its pixels differ from the accurate DCT's by a level or two, enough to
    change a score by 0.03.

    Raise Unreadable if it is damaged or too large.
    """
    return _decoded(picture, _whole, beside=3)


def same_in_tensorflow(picture: Picture) -> bool:
    """Return whether TensorFlow decodes the file to the same pixels.

    It does for JPEG, PNG, opaque GIF and uncompressed BMP; but not for CMYK, which it rounds
    differently in RGB, and not for 16-bit grey, which is scaled here. Raise Unreadable if the file
    is damaged.
    """
    if picture.kind not in ("JPEG", "PNG", "GIF", "BMP"):
        return False
    return bool(_decoded(picture, _same, kind=picture.kind))


def squared(image: Pixels, size: int, fit: str) -> Pixels:
    """Return the upright RGB image [H, W, 3] as `decode` returns a picture."""
    whole = Image.fromarray(image)
    return np.asarray(_squared(whole, size, fit, shown_as(*whole.size, size, fit)))


def size_of(picture: Picture) -> tuple[int, int]:
    """Return the width and height in pixels that the file declares; decode nothing.

    Raise Unreadable if the file is damaged.
    """
    width, height = _decoded(picture, _size).view(np.uint32)
    return int(width), int(height)


def taken_at(picture: Picture) -> datetime | None:
    """Return when the picture was taken, as EXIF's DateTimeOriginal says; None if it does not.

    It has a zone if EXIF has one. Raise Unreadable if the file is damaged.
    """
    if picture.kind == "JPEG":
        tiff = Tiff(pieces.exif(picture.data))
    elif picture.kind == "TIFF":
        tiff = Tiff(picture.data)
    else:
        tiff = Tiff(bytes(_decoded(picture, _first_exif)))
    tags = tiff.below(_EXIF)
    date, fraction, zone = (tiff.text(tags.get(tag)) for tag in _TAKEN)
    found = re.match(r"(\d{4}):(\d\d):(\d\d) (\d\d:\d\d:\d\d)", date)
    if not found:
        return None
    digits = re.match(r"\d{1,6}", fraction)
    offset = re.match(r"[+-]\d\d:\d\d", zone)
    text = f"{found[1]}-{found[2]}-{found[3]}T{found[4]}.{digits[0] if digits else 0:0<6}"
    for end in (offset[0] if offset else "", ""):
        with suppress(ValueError):  # a camera whose clock was never set says 0000:00:00
            return datetime.fromisoformat(text + end)
    return None


# --- in which process


def _decoded(picture: Picture, make: _Make, beside: int = 0, **how: int | str) -> Pixels:
    """Return what `make` makes of the picture, a result of `beside` bytes for each pixel."""
    data, kind = picture.data, picture.kind
    if not limited.CAN_FORK:
        pieces.check(data, kind)
        with _opened(data, kind) as image:
            return make(
                image, data, lambda more: _room(_bytes_for(data, image, beside) + more), **how
            )
    if kind not in _APART:
        job = json.dumps((kind, make.__name__, beside, how)).encode()
        return _array(_workers().run(job, data, _room))
    pieces.check(data, kind)
    needed = len(data) + pieces.bytes_for(data, kind, beside)
    _load_decoder(kind)  # here, so that it is loaded once and not in every process
    with _room(needed):
        work = partial(_apart, kind, data, partial(make, **how))
        return _array(limited.run(work, needed + _BEYOND, _SECONDS))


def _apart(kind: str, data: bytes, make: _Make) -> bytes:
    with _opened(data, kind) as image:
        # This process is started only when there is room.
        return _written(make(image, data, lambda _: nullcontext()))


@cache
def _workers() -> Workers:
    Image.preinit()  # here, so that the decoders are loaded once
    import PIL.WebPImagePlugin  # noqa: F401  # it is not among them

    return Workers(_work, MEMORY + _BEYOND, _SECONDS)


def _work(job: bytes, data: bytes, room: Callable[[int], None]) -> bytes:
    """Return the result of a job in a worker, which keeps its room until the job is done."""
    kind, name, beside, how = json.loads(job)
    pieces.check(data, kind)

    def taken(more: int) -> AbstractContextManager[None]:
        room(_bytes_for(data, image, beside) + more)
        return nullcontext()

    with _opened(data, kind) as image:
        return _written(_MAKES[name](image, data, taken, **how))


def _written(pixels: Pixels) -> bytes:
    """Return the array with its shape, for `_array`: numpy's own format takes longer to read."""
    shape = pixels.shape
    return _SHAPE.pack(len(shape), *shape, *(0,) * (3 - len(shape))) + pixels.tobytes()


def _array(data: bytes) -> Pixels:
    count, *shape = _SHAPE.unpack_from(data)
    return np.frombuffer(data, np.uint8, offset=_SHAPE.size).reshape(shape[:count])


def _load_decoder(kind: str) -> None:
    """Load the decoder for this kind, which can take longer than decoding a picture."""
    if kind == "HEIF":
        import pi_heif

        pi_heif.register_heif_opener(thumbnails=False)
    elif kind in _APART:
        Image.init()


@contextmanager
def _opened(data: bytes, kind: str) -> Iterator[Image.Image]:
    """Yield the opened picture; raise Unreadable for any error inside the `with` block."""
    _load_decoder(kind)
    try:
        with Image.open(io.BytesIO(data), formats=[kind]) as image:
            yield image
    except Unreadable:
        raise
    except Exception as error:  # on hostile bytes, decoders may raise anything
        raise Unreadable(f"cannot be decoded: {_reason(error)}") from error


# --- how much memory


def _check_size(image: Image.Image, *, whole: bool = False) -> None:
    """Raise Unreadable if it has too many pixels to be decoded, at full size if `whole`."""
    pixels = image.width * image.height
    limit = MAX_PIXELS
    if image.format == "BMP" and image.info.get("compression") in _RUN_LENGTHS:
        limit = MAX_RUN_LENGTH
    if image.format in ("JPEG", "MPO") and not whole:
        limit = MAX_PROGRESSIVE_PIXELS if image.info.get("progressive") else pixels
    if pixels > limit:
        raise Unreadable(f"has {pixels // 1_000_000} megapixels; at most {limit // 1_000_000} fit")


def _bytes_for(data: bytes, image: Image.Image, beside: int) -> int:
    """Return how many bytes decoding needs, including the file's own, from the header alone.

    `image` has the size that it will be decoded at. The result has `beside` bytes for each pixel.
    """
    kind = str(image.format)
    if kind in _APART:
        return len(data) + pieces.bytes_for(data, kind, beside)
    each = _WIDTHS.get(image.mode, 4) + _BESIDES.get(kind, 0) + beside
    kept = pieces.coefficients(data) if kind in ("JPEG", "MPO") else 0
    return len(data) + image.width * image.height * each + kept


_free = MEMORY
_freed = Condition()


@contextmanager
def _room(wanted: int) -> Iterator[None]:
    """Wait until there is memory for one more picture; raise Unreadable if there never will be."""
    global _free  # threads decode, and the memory is the process's
    if wanted > MEMORY:
        raise Unreadable(
            f"would take {wanted // 1_000_000} MB to decode; "
            f"at most {MEMORY // 1_000_000} are given"
        )
    with _freed:
        _freed.wait_for(lambda: wanted <= _free)
        _free -= wanted
    try:
        yield
    finally:
        with _freed:
            _free += wanted
            _freed.notify_all()


# --- the results


def _small(
    image: Image.Image, data: bytes, room: _Room, *, size: int, fit: str = SQUEEZE
) -> Pixels:
    _check_size(image)
    width, height = shown_as(*image.size, size, fit)
    image.draft(None, (2 * width, 2 * height))
    with room(4 * size * image.height):
        image.load()
        orientation = _orientation(image)
        small = _squared(image, size, fit, (width, height))
    return _turned(small, orientation)


def _squared(image: Image.Image, size: int, fit: str, shown: tuple[int, int]) -> Image.Image:
    """Return the picture on a square of `size`, what is shown of it as large as `shown`.

    That depends on the picture's own size, and this one may have been decoded at a smaller scale.
    """
    small = _resized(image, shown, shown_part(*image.size, fit))
    if shown == (size, size):
        return small
    square = Image.new("RGB", (size, size), (BORDER,) * 3)
    square.paste(small, ((size - small.width) // 2, (size - small.height) // 2))
    return square


def _upright(image: Image.Image, data: bytes, room: _Room, *, longest: int) -> Pixels:
    _check_size(image)
    shrink = max(1, max(image.size) / longest)
    width, height = (max(1, round(side / shrink)) for side in image.size)
    image.draft(None, (2 * width, 2 * height))
    with room(4 * width * image.height):
        image.load()
        orientation = _orientation(image)
        small = _resized(image, (width, height))
    return _turned(small, orientation)


def _turned(image: Image.Image, orientation: int) -> Pixels:
    return np.asarray(image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image)


def _within(image: Image.Image, data: bytes, room: _Room, *, size: int, fit: str) -> Pixels:
    if fit != SQUEEZE:
        return _small(image, data, room, size=size, fit=fit)
    shape = [max(1, round(side * size / max(image.size))) for side in image.size]
    small = Image.fromarray(_small(image, data, room, size=size))
    if _orientation(image) in _TURNED:
        shape.reverse()
    return np.asarray(small.resize((shape[0], shape[1]), Image.Resampling.BILINEAR))


def _whole(image: Image.Image, data: bytes, room: _Room) -> Pixels:
    _check_size(image, whole=True)
    with room(0):
        if image.format in ("JPEG", "MPO"):
            import simplejpeg

            # For a damaged file, use Pillow: it ignores harmless damage and describes the rest.
            with suppress(ValueError):
                pixels: Pixels = simplejpeg.decode_jpeg(data, fastdct=True)
                return pixels
        image.load()
        found = np.empty((image.height, image.width, 3), np.uint8)
        grey = _grey(image, as_sixteen_bits=True)
        for top, strip in _strips(image):
            plain = grey(strip) if grey else strip
            found[top : top + strip.height] = np.asarray(plain.convert("RGB"))
        return found


def _size(image: Image.Image, data: bytes, room: _Room) -> Pixels:
    return np.array(image.size, np.uint32).view(np.uint8)


def _same(image: Image.Image, data: bytes, room: _Room, *, kind: str) -> Pixels:
    opaque = kind == "PNG" or not image.has_transparency_data
    # TensorFlow does not read compressed BMP files.
    plain = kind != "BMP" or not image.info.get("compression")
    same = opaque and plain and image.mode != "CMYK" and not image.mode.startswith("I;16")
    return np.array(same, np.uint8)


def _first_exif(image: Image.Image, data: bytes, room: _Room) -> Pixels:
    with suppress(ValueError):  # a profile that is not in hexadecimal
        return np.frombuffer(next(filter(None, _exif(image)), b""), np.uint8)
    return np.empty(0, np.uint8)


# What a worker can be told to make.
_MAKES: dict[str, _Make] = {
    each.__name__: each for each in (_small, _upright, _within, _whole, _size, _same, _first_exif)
}


def _orientation(image: Image.Image) -> int:
    try:
        for exif in _exif(image):
            Tiff(exif).check()  # because Pillow reads all of its tags
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # EXIF may be damaged while the picture is fine
        return 1


def _exif(image: Image.Image) -> Iterator[bytes]:
    """Yield the picture's EXIF from each place where Pillow looks for it."""
    yield (image.info.get("exif") or b"").removeprefix(b"Exif\0\0")
    text = image.info.get("Raw profile type exif", "")  # ImageMagick's, in a PNG
    yield bytes.fromhex("".join(text.split("\n")[3:])).removeprefix(b"Exif\0\0")


def _resized(
    image: Image.Image, size: tuple[int, int], part: tuple[float, float, float, float] | None = None
) -> Image.Image:
    """Return the picture in RGB, of `size` (width, height), antialiased bilinear.

    `part`: left, top, right and bottom of what is wanted of it, which need not be whole pixels.

    A large picture that is not RGB yet is converted and resized horizontally, strip by strip, and
    then vertically. The result is what Pillow makes of the whole picture; it can differ by one
    level of rounding if Pillow resizes vertically first.
    """
    how = Image.Resampling.BILINEAR
    left, top, right, bottom = part or (0, 0, *image.size)
    if image.mode == "RGB" and not image.has_transparency_data:
        return image.resize(size, how, (left, top, right, bottom))
    grey = _grey(image)
    if image.width * image.height <= _STRIP_PIXELS:
        plain = _on_white(grey(image) if grey else image)
        return plain.resize(size, how, (left, top, right, bottom))
    narrow = Image.new("RGB", (size[0], image.height))
    for row, strip in _strips(image):
        plain = _on_white(grey(strip) if grey else strip)
        across = plain.resize((size[0], strip.height), how, (left, 0, right, strip.height))
        narrow.paste(across, (0, row))
    return narrow.resize(size, how, (0, top, size[0], bottom))


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Yield the picture from top to bottom, a few rows at a time, as (first row, strip)."""
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _on_white(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _grey(
    image: Image.Image, *, as_sixteen_bits: bool = False
) -> Callable[[Image.Image], Image.Image] | None:
    """Return a function that turns a strip of the picture into 8-bit grey; None if it has 8 bits.

    `as_sixteen_bits`: white is 65535, whatever the largest value.
    """
    if image.mode.startswith("I;16"):
        bits = 16 if as_sixteen_bits else _bits(image)
        clear = None if as_sixteen_bits else image.info.get("transparency")

        def shifted(strip: Image.Image) -> Image.Image:
            values = np.asarray(strip)
            grey = np.minimum(values >> (bits - 8), 255).astype(np.uint8)
            if isinstance(clear, int):
                grey[values == clear] = 255
            return Image.fromarray(grey)

        return shifted
    if image.mode in ("I", "F"):
        scale = 255 / _white(max(_finite(strip).max(initial=0) for _, strip in _strips(image)))
        return lambda strip: Image.fromarray((_finite(strip) * scale).clip(0, 255).astype(np.uint8))
    return None


def _bits(image: Image.Image) -> int:
    """Return how many of 16 bits are used: as a TIFF declares, else 10, 12, 14 or 16.

    Without a declaration, the largest value decides. Cameras, microscopes and scanners store 10 to
    14 bits in 16.
    """
    said = getattr(image, "tag_v2", {}).get(_MAX_VALUE)
    said = said[0] if isinstance(said, tuple) and said else said
    if isinstance(said, int) and 255 < said <= 65535:
        return said.bit_length()
    largest = max(int(np.asarray(strip).max()) for _, strip in _strips(image))
    return next(bits for bits in (10, 12, 14, 16) if largest < 1 << bits)


def _white(largest: float) -> float:
    """Return the value of white, given the largest: 1, or the maximum of 8 to 16 bits."""
    usual = (1, 255, 1023, 4095, 16383, 65535)
    return next((white for white in usual if largest <= white), largest)


def _finite(strip: Image.Image) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # a signalling NaN
        values = np.asarray(strip, np.float64)
    return np.where(np.isfinite(values), values, 0)


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "it is damaged"
    if lacks_memory(error):
        return "that takes too much memory"
    return words_of(error)
