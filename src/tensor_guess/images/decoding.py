"""Strangers' pictures, decoded within a bound of memory and time: bytes -> uint8 array."""

import ctypes
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from threading import Condition

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from tensor_guess.errors import Unreadable, lacks_memory, words_of
from tensor_guess.images import pieces
from tensor_guess.images.encoded import Picture
from tensor_guess.images.tiff import Tiff
from tensor_guess.system import limited

# Pillow's own limit against decompression bombs, for kinds that are decoded whole.
MAX_PIXELS = 89_478_485
# A progressive JPEG's coefficients are all kept while it is decoded, whatever the scale.
MAX_PROGRESSIVE_PIXELS = 250_000_000
# Bytes for all pictures that are being decoded together, the files' own included: a little more
# than MAX_PIXELS of an uncompressed file take.
MEMORY = 640_000_000
# The most bytes, and pixels, of a compressed BMP: Pillow unpacks it in Python, byte by byte.
MAX_RUN_LENGTH = 4_000_000

# What a picture took goes back when it is let go. Of blocks of up to 32 MB glibc would keep those
# of each thread for that thread: a bound for each. mallopt(3): M_MMAP_THRESHOLD, M_TRIM_THRESHOLD.
if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt"):  # musl has none
    for _parameter, _bytes in ((-3, 4_000_000), (-1, 8_000_000)):
        ctypes.CDLL(None).mallopt(_parameter, _bytes)

# Bytes a pixel that Pillow keeps, and that these decoders take besides.
_WIDTHS = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
_BESIDES = {"WEBP": 12}
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
_MAX_VALUE = 281  # TIFF 6.0
_RUN_LENGTHS = (1, 2)  # BMP's BI_RLE8 and BI_RLE4

# Decoders that have crashed before, or are told a size that may not be the true one. They work in
# processes of their own, which may take so much more, for their threads and what they copy.
_APART = {"TIFF", "GIF", "HEIF", "AVIF"}
_BEYOND = 200_000_000 + 10_000_000 * (os.cpu_count() or 1)
_SECONDS = 60

Pixels = NDArray[np.uint8]
_Room = Callable[[int], AbstractContextManager[None]]  # where there is memory, and so much more
_Make = Callable[[Image.Image, _Room], Pixels]


def decode(picture: Picture, size: int) -> NDArray[np.uint8]:
    """The picture upright, in RGB, resized to uint8 [size, size, 3].

    A JPEG is decoded at the smallest scale that is at least twice `size`; then antialiased
    bilinear. Transparency becomes white; of an animation the first frame is taken. Of 16-bit grey
    the brightest is white if the file says what that is, else of 10, 12, 14 or 16 bits.

    Raises Unreadable: damaged or too large.
    """
    return _decoded(picture, partial(_small, size=size))


def decode_whole(picture: Picture) -> NDArray[np.uint8]:
    """The picture as TensorFlow's `decode_jpeg` and `decode_png` give it: uint8 [H, W, 3].

    Not upright, transparency dropped; a JPEG by the fast DCT, TensorFlow's default, whose pixels
    differ by a level or two from the accurate one's, enough to move a score by 0.03.

    Raises Unreadable: damaged or too large.
    """
    return _decoded(picture, partial(_whole, picture=picture), beside=3)


def same_in_tensorflow(picture: Picture) -> bool:
    """Whether TensorFlow decodes the file to the same pixels: JPEG, PNG, opaque GIF, plain BMP.

    Not one in CMYK, which it turns into RGB with other rounding; nor 16-bit grey that is scaled
    here. Raises Unreadable: damaged.
    """
    if picture.kind not in ("JPEG", "PNG", "GIF", "BMP"):
        return False
    return bool(_decoded(picture, partial(_same, kind=picture.kind)))


# --- where it is done


def _decoded(picture: Picture, make: _Make, beside: int = 0) -> Pixels:
    """What `make` makes of the picture. Its own result has `beside` bytes for each pixel."""
    pieces.check(picture.data, picture.kind)
    if picture.kind not in _APART or not limited.CAN_FORK:
        with _opened(picture) as image:
            return make(image, lambda more: _room(_bytes_for(picture, image, beside) + more))
    room = len(picture.data) + pieces.bytes_for(picture.data, picture.kind, beside)
    _load_decoder(picture)  # once, here
    with _room(room):
        data = limited.run(partial(_apart, picture, make), room + _BEYOND, _SECONDS)
    pixels: Pixels = np.load(io.BytesIO(data), allow_pickle=False)
    return pixels


def _apart(picture: Picture, make: _Make) -> bytes:
    file = io.BytesIO()
    with _opened(picture) as image:
        # There is room for it: this is a process that was started then.
        np.save(file, make(image, lambda _: nullcontext()), allow_pickle=False)
    return file.getvalue()


def _load_decoder(picture: Picture) -> None:
    """Load what a decoder of that kind needs, which takes longer than many a picture."""
    if picture.kind == "HEIF":
        import pi_heif

        pi_heif.register_heif_opener(thumbnails=False)
    elif picture.kind in _APART:
        Image.init()


@contextmanager
def _opened(picture: Picture) -> Iterator[Image.Image]:
    """The picture, open; whatever goes wrong inside comes out as Unreadable."""
    _load_decoder(picture)
    try:
        with Image.open(io.BytesIO(picture.data), formats=[picture.kind]) as image:
            yield image
    except Unreadable:
        raise
    except Exception as error:  # decoders raise anything at all on hostile bytes
        raise Unreadable(f"cannot be decoded: {_reason(error)}") from error


# --- how much it would take


def _check_size(image: Image.Image, *, whole: bool = False) -> None:
    """Raise Unreadable where it has too many pixels to be decoded scaled, or `whole`."""
    pixels = image.width * image.height
    limit = MAX_PIXELS
    if image.format == "BMP" and image.info.get("compression") in _RUN_LENGTHS:
        limit = MAX_RUN_LENGTH
    if image.format in ("JPEG", "MPO") and not whole:
        limit = MAX_PROGRESSIVE_PIXELS if image.info.get("progressive") else pixels
    if pixels > limit:
        raise Unreadable(f"has {pixels // 1_000_000} megapixels; at most {limit // 1_000_000} fit")


def _bytes_for(picture: Picture, image: Image.Image, beside: int) -> int:
    """What decoding takes, with the file's own bytes; from the header alone.

    `image` is of the size that it will have. The result has `beside` bytes for each pixel.
    """
    if picture.kind in _APART:
        return len(picture.data) + pieces.bytes_for(picture.data, picture.kind, beside)
    each = _WIDTHS.get(image.mode, 4) + _BESIDES.get(picture.kind, 0) + beside
    kept = pieces.coefficients(picture.data) if picture.kind == "JPEG" else 0
    return len(picture.data) + image.width * image.height * each + kept


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


def _small(image: Image.Image, room: _Room, *, size: int) -> Pixels:
    _check_size(image)
    image.draft(None, (2 * size, 2 * size))
    with room(4 * size * image.height):
        image.load()
        orientation = _orientation(image)
        small = _resized(image, size)
    if orientation in _UPRIGHT:
        small = small.transpose(_UPRIGHT[orientation])
    return np.asarray(small)


def _whole(image: Image.Image, room: _Room, *, picture: Picture) -> Pixels:
    _check_size(image, whole=True)
    with room(0):
        if picture.kind == "JPEG":
            import simplejpeg

            # Pillow knows what of damage does no harm, and what to say of the rest.
            with suppress(ValueError):
                pixels: Pixels = simplejpeg.decode_jpeg(picture.data, fastdct=True)
                return pixels
        image.load()
        found = np.empty((image.height, image.width, 3), np.uint8)
        grey = _grey(image, as_sixteen_bits=True)
        for top, strip in _strips(image):
            plain = grey(strip) if grey else strip
            found[top : top + strip.height] = np.asarray(plain.convert("RGB"))
        return found


def _same(image: Image.Image, _: _Room, *, kind: str) -> Pixels:
    opaque = kind == "PNG" or not image.has_transparency_data
    # TensorFlow reads no BMP that is compressed.
    plain = kind != "BMP" or not image.info.get("compression")
    same = opaque and plain and image.mode != "CMYK" and not image.mode.startswith("I;16")
    return np.array(same, np.uint8)


def _orientation(image: Image.Image) -> int:
    try:
        for exif in _exif(image):
            Tiff(exif).check()  # Pillow reads all of its tags
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF says nothing; the picture itself is fine
        return 1


def _exif(image: Image.Image) -> Iterator[bytes]:
    """The picture's EXIF, as Pillow finds it."""
    yield image.info.get("exif", b"").removeprefix(b"Exif\0\0")
    text = image.info.get("Raw profile type exif", "")  # ImageMagick's, in a PNG
    yield bytes.fromhex("".join(text.split("\n")[3:])).removeprefix(b"Exif\0\0")


def _resized(image: Image.Image, size: int) -> Image.Image:
    """The picture in RGB, size x size, antialiased bilinear.

    A large one that is not RGB yet is converted and resized across, strip by strip, then down: as
    Pillow resizes the whole, but for one level of rounding if it resizes down first.
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


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "it is damaged"
    if lacks_memory(error):
        return "that takes too much memory"
    return words_of(error)
