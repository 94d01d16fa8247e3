"""Strangers' pictures, decoded within a bound of memory and time: bytes -> uint8 array."""

import ctypes
import io
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import ceil
from threading import Condition
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from tensor_guess.errors import Unreadable
from tensor_guess.images import Picture

# Pillow's own limit against decompression bombs, for kinds that are decoded whole.
MAX_PIXELS = 89_478_485
# A progressive JPEG's coefficients are all kept while it is decoded, whatever the scale.
MAX_PROGRESSIVE_PIXELS = 250_000_000
# Bytes for all pictures that are being decoded together, the files' own included: a little more
# than MAX_PIXELS of an uncompressed file take.
MEMORY = 640_000_000
# A progressive JPEG has ten scans or so; each goes over all of its pixels.
MAX_SCANS = 100
MAX_SCANNED_PIXELS = 2_500_000_000

# What a picture took goes back when it is let go. Of blocks of up to 32 MB glibc would keep those
# of each thread for that thread: a bound for each. mallopt(3): M_MMAP_THRESHOLD, M_TRIM_THRESHOLD.
if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt"):  # musl has none
    for _parameter, _bytes in ((-3, 4_000_000), (-1, 8_000_000)):
        ctypes.CDLL(None).mallopt(_parameter, _bytes)

# Bytes a pixel that Pillow keeps, and that these decoders take besides.
_WIDTHS = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
_BESIDES = {"WEBP": 12, "HEIF": 8, "AVIF": 8}
# What is converted at once.
_STRIP_PIXELS = 2_000_000

# EXIF 2.32, tag 0x0112: what puts the picture upright.
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# TIFF 6.0's tags.
_COMPRESSION, _BITS, _SAMPLES = 259, 258, 277
_ROWS, _MAX_VALUE, _TILE_WIDTH, _TILE_HEIGHT = 278, 281, 322, 323
_MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])", re.DOTALL)
_STARTS_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN, _END = 0xDA, 0xD9


def decode(picture: Picture, size: int) -> NDArray[np.uint8]:
    """The picture upright, in RGB, squeezed to uint8 [size, size, 3].

    A JPEG is decoded at the smallest scale that is at least twice `size`; then antialiased
    bilinear. Transparency becomes white; of an animation the first frame is taken. Of 16-bit grey
    the brightest is white if the file says what that is, else of 10, 12, 14 or 16 bits.

    Raises Unreadable: damaged or too large.
    """
    with _opened(picture) as image:
        _check_size(image)
        image.draft(None, (2 * size, 2 * size))
        with _room(_bytes_for(picture, image) + 4 * size * image.height):
            image.load()
            orientation = _orientation(image)
            small = _squeezed(image, size)
    if orientation in _UPRIGHT:
        small = small.transpose(_UPRIGHT[orientation])
    return np.asarray(small)


def decode_whole(picture: Picture) -> NDArray[np.uint8]:
    """The picture as TensorFlow's `decode_jpeg` and `decode_png` give it: uint8 [H, W, 3].

    Not upright, transparency dropped; a JPEG by the fast DCT, TensorFlow's default, whose pixels
    differ by a level or two from the accurate one's, enough to move a score by 0.03.

    Raises Unreadable: damaged or too large.
    """
    with _opened(picture) as image:
        _check_size(image, whole=True)
        with _room(_bytes_for(picture, image) + 3 * image.width * image.height):
            if picture.kind == "JPEG":
                import simplejpeg

                # Pillow knows what of damage does no harm, and what to say of the rest.
                with suppress(ValueError):
                    pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(picture.data, fastdct=True)
                    return pixels
            image.load()
            found = np.empty((image.height, image.width, 3), np.uint8)
            grey = _grey(image, as_sixteen_bits=True)
            for top, strip in _strips(image):
                plain = grey(strip) if grey else strip
                found[top : top + strip.height] = np.asarray(plain.convert("RGB"))
            return found


def same_in_tensorflow(picture: Picture) -> bool:
    """Whether TensorFlow decodes the file to the same pixels: JPEG, PNG, opaque GIF, plain BMP.

    Not one in CMYK, which it turns into RGB with other rounding; nor 16-bit grey that is scaled
    here. Raises Unreadable: damaged.
    """
    if picture.kind not in ("JPEG", "PNG", "GIF", "BMP"):
        return False
    with _opened(picture) as image:
        opaque = picture.kind == "PNG" or not image.has_transparency_data
        # TensorFlow reads no BMP that is compressed.
        plain = picture.kind != "BMP" or not image.info.get("compression")
        return opaque and plain and image.mode != "CMYK" and not image.mode.startswith("I;16")


@contextmanager
def _opened(picture: Picture) -> Iterator[Image.Image]:
    """The picture, open; whatever goes wrong inside comes out as Unreadable."""
    if picture.kind == "HEIF":
        import pi_heif  # loads a decoder of its own: only where such a picture is

        pi_heif.register_heif_opener(thumbnails=False)
    try:
        with Image.open(io.BytesIO(picture.data), formats=[picture.kind]) as image:
            yield image
    except Unreadable:
        raise
    except Exception as error:  # decoders raise anything at all on hostile bytes
        raise Unreadable(f"cannot be decoded: {_said(error)}") from error


# --- how much it would take


def _check_size(image: Image.Image, *, whole: bool = False) -> None:
    """Raise Unreadable where it has too many pixels to be decoded scaled, or `whole`."""
    pixels = image.width * image.height
    limit = MAX_PIXELS
    if image.format in ("JPEG", "MPO") and not whole:
        limit = MAX_PROGRESSIVE_PIXELS if image.info.get("progressive") else pixels
    if pixels > limit:
        raise Unreadable(f"has {pixels // 1_000_000} megapixels; at most {limit // 1_000_000} fit")


def _bytes_for(picture: Picture, image: Image.Image) -> int:
    """What decoding takes, with the file's own bytes; from the header alone."""
    pixels = image.width * image.height
    each = _WIDTHS.get(image.mode, 4) + _BESIDES.get(picture.kind, 0)
    found = len(picture.data) + pixels * each
    if picture.kind == "JPEG":
        found += _coefficients(picture.data)
    if picture.kind == "TIFF":
        found += _strip_of_tiff(image)
    return found


def _strip_of_tiff(image: Image.Image) -> int:
    """The bytes of a strip or tile, which libtiff decompresses as one."""
    tags = getattr(image, "tag_v2", {})
    if tags.get(_COMPRESSION, 1) == 1:
        return 0
    if _TILE_WIDTH in tags:
        pixels = tags[_TILE_WIDTH] * tags.get(_TILE_HEIGHT, 1)
    else:
        pixels = image.width * min(tags.get(_ROWS, image.height), image.height)
    bits = tags.get(_BITS, (1,))
    return int(pixels * tags.get(_SAMPLES, 1) * ceil(max(bits) / 8))


class _Frame(NamedTuple):
    """What a JPEG's header says of its picture: of each component how often it is sampled."""

    progressive: bool
    height: int
    width: int
    samplings: tuple[tuple[int, int], ...]


def _coefficients(data: bytes) -> int:
    """The bytes of the coefficients that libjpeg keeps: of a JPEG of several scans, all of them.

    Raises Unreadable where there are more scans than a picture has.
    """
    frame, scans = None, 0
    for marker, segment in _segments(data):
        if marker in _STARTS_OF_FRAME and len(segment) >= 6:
            frame = _frame(marker, segment)
        elif marker == _START_OF_SCAN:
            scans += 1
            if frame is None or not frame.samplings:
                return 0  # damaged: the decoder says how
            if not frame.progressive and segment[:1] == bytes([len(frame.samplings)]):
                return 0
            if scans > MAX_SCANS or scans * frame.width * frame.height > MAX_SCANNED_PIXELS:
                raise Unreadable(f"is a JPEG of too many scans ({scans} and more)")
    return _kept(frame) if frame and scans else 0


def _kept(frame: _Frame) -> int:
    across = max(h for h, _ in frame.samplings)
    down = max(v for _, v in frame.samplings)
    blocks = sum(
        ceil(ceil(frame.width * h / across) / 8) * ceil(ceil(frame.height * v / down) / 8)
        for h, v in frame.samplings
    )
    return 128 * blocks


def _frame(marker: int, segment: bytes) -> _Frame:
    height, width = (int.from_bytes(segment[at : at + 2], "big") for at in (1, 3))
    samplings = [segment[at] for at in range(7, len(segment), 3)][: segment[5]]
    return _Frame(
        marker & 3 == 2,
        height,
        width,
        tuple((max(each >> 4, 1), max(each & 15, 1)) for each in samplings),
    )


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each marker of a JPEG with the start of its segment, until the end of its first picture."""
    at = 2
    while found := _MARKER.search(data, at):
        marker, at = found[1][0], found.end()
        if marker == _END:
            return
        length = int.from_bytes(data[at : at + 2], "big")
        yield marker, data[at + 2 : at + min(length, 64)]
        at += length


_free = MEMORY
_freed = Condition()


@contextmanager
def _room(wanted: int) -> Iterator[None]:
    """Wait until there is memory for one more picture. Raises Unreadable where there never is."""
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


# --- what is made of it


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF says nothing; the picture itself is fine
        return 1


def _squeezed(image: Image.Image, size: int) -> Image.Image:
    """The picture in RGB, size x size, antialiased bilinear.

    A large one that is no RGB yet is converted and squeezed across a strip at a time, then down: as
    Pillow squeezes the whole, but for one level of rounding where it squeezes down first.
    """
    how = Image.Resampling.BILINEAR
    if image.mode == "RGB" and not image.has_transparency_data:
        return image.resize((size, size), how)
    grey = _grey(image)
    if image.width * image.height <= _STRIP_PIXELS:
        return _on_white(grey(image) if grey else image).resize((size, size), how)
    narrow = Image.new("RGB", (size, image.height))
    for top, strip in _strips(image):
        plain = _on_white(grey(strip) if grey else strip)
        narrow.paste(plain.resize((size, strip.height), how), (0, top))
    return narrow.resize((size, size), how)


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The picture from top to bottom, a few rows at a time, each with the number of its first."""
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
    """What makes 8-bit grey of a strip of the picture; None where it has 8 bits.

    `as_sixteen_bits`: white is 65535, whatever values there are.
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
    """How many of 16 bits are used: as a TIFF says, else 10, 12, 14 or 16, by the largest value.

    Cameras, microscopes and scanners keep 10 to 14 bits in 16.
    """
    said = getattr(image, "tag_v2", {}).get(_MAX_VALUE)
    said = said[0] if isinstance(said, tuple) and said else said
    if isinstance(said, int) and 255 < said <= 65535:
        return said.bit_length()
    largest = max(int(np.asarray(strip).max()) for _, strip in _strips(image))
    return next(bits for bits in (10, 12, 14, 16) if largest < 1 << bits)


def _white(largest: float) -> float:
    """The value that is white where `largest` is the largest: of 0 to 1, or of 8 to 16 bits."""
    usual = (1, 255, 1023, 4095, 16383, 65535)
    return next((white for white in usual if largest <= white), largest)


def _finite(strip: Image.Image) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore"):  # a signalling NaN
        values = np.asarray(strip, np.float64)
    return np.where(np.isfinite(values), values, 0)


def _said(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "it is damaged"
    text = " ".join(str(error).split()) or type(error).__name__
    return text if text.isprintable() else ascii(text)
