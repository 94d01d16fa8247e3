"""Strangers' picture files, opened safely: file -> bytes and kind -> uint8 array."""

import hashlib
import io
import logging
import os
import stat
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from tensor_guess.errors import Unreadable, reason_of

# Sizes are checked here, by kind, before anything is decoded.
Image.MAX_IMAGE_PIXELS = None
# Damaged metadata is no reason to print: a picture either decodes or is named with a reason.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").setLevel(logging.CRITICAL)

# Pillow's own limit against decompression bombs, for kinds that are decoded whole.
MAX_PIXELS = 89_478_485
# A progressive JPEG's coefficients are all kept while it is decoded, whatever the scale.
MAX_PROGRESSIVE_PIXELS = 250_000_000
# A little more than MAX_PIXELS of uncompressed RGB.
MAX_BYTES = 300_000_000

KINDS = "JPEG, PNG, GIF, BMP, WebP, TIFF, HEIC or AVIF"
_EXTENSIONS = {
    "JPEG": "jpg",
    "PNG": "png",
    "GIF": "gif",
    "BMP": "bmp",
    "WEBP": "webp",
    "TIFF": "tif",
    "HEIF": "heic",
    "AVIF": "avif",
}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}

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

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Picture:
    """One file as it was read, once: everything later speaks of these very bytes."""

    data: bytes
    kind: str
    key: bytes  # SHA-256 of `data`, 32 raw bytes
    status: os.stat_result

    @property
    def extension(self) -> str:
        """The true extension, without the dot: what the content is, not what the name says."""
        return _EXTENSIONS[self.kind]


def read(path: Path) -> Picture:
    """The file's bytes, its kind by content and its SHA-256; nothing is decoded.

    Raises Unreadable: not there, no regular file (a FIFO does not hang), no picture, too large.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise Unreadable("is not a regular file")
            start = file.read(64)
            kind = _kind(start)
            if status.st_size > MAX_BYTES:
                raise Unreadable(f"is larger than {MAX_BYTES // 1_000_000} MB")
            data = start + file.read(MAX_BYTES)
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL byte
        reason = reason_of(error) if isinstance(error, OSError) else str(error)
        raise Unreadable(reason) from error
    return Picture(data, kind, hashlib.sha256(data).digest(), status)


def decode(picture: Picture, size: int) -> NDArray[np.uint8]:
    """The picture upright, in RGB, squeezed to uint8 [size, size, 3].

    A JPEG is decoded at the smallest scale that is at least twice `size`; then antialiased
    bilinear. Transparency becomes white; of an animation the first frame is taken.

    Raises Unreadable: damaged or too large.
    """
    with _opened(picture) as image:
        _check_size(image)
        image.draft(None, (2 * size, 2 * size))
        image.load()
        orientation = _orientation(image)
        small = _rgb(image).resize((size, size), Image.Resampling.BILINEAR)
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
        if picture.kind == "JPEG":
            import simplejpeg

            # Pillow knows what of damage does no harm, and what to say of the rest.
            with suppress(ValueError):
                pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(picture.data, fastdct=True)
                return pixels
        return np.asarray(_eight_bits(image).convert("RGB"))


def same_in_tensorflow(picture: Picture) -> bool:
    """Whether TensorFlow decodes the file to the same pixels: JPEG, PNG, opaque GIF, plain BMP.

    Not one in CMYK, which it turns into RGB with other rounding. Raises Unreadable: damaged.
    """
    if picture.kind not in ("JPEG", "PNG", "GIF", "BMP"):
        return False
    with _opened(picture) as image:
        opaque = picture.kind == "PNG" or not image.has_transparency_data
        # TensorFlow reads no BMP that is compressed.
        plain = picture.kind != "BMP" or not image.info.get("compression")
        return opaque and plain and image.mode != "CMYK"


def ahead(
    work: Callable[[Item], Result], items: Iterable[Item], window: int = 16
) -> Iterator[tuple[Item, Result | Unreadable]]:
    """Each item with work(item), in order, computed by threads up to `window` items ahead.

    Unreadable comes back as the result; any other error is raised.
    """

    def attempt(item: Item) -> Result | Unreadable:
        try:
            return work(item)
        except Unreadable as error:
            return error

    waiting: list[tuple[Item, Future[Result | Unreadable]]] = []
    source = iter(items)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            while True:
                for item in islice(source, window - len(waiting)):
                    waiting.append((item, pool.submit(attempt, item)))
                if not waiting:
                    return
                item, future = waiting.pop(0)
                yield item, future.result()
        finally:
            for _, future in waiting:
                future.cancel()


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _kind(start: bytes) -> str:
    brand = start[8:12] if start[4:8] == b"ftyp" else b""
    if start.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if start.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if start.startswith(b"BM"):
        return "BMP"
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "WEBP"
    if start.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "TIFF"
    if brand in _HEIF_BRANDS:
        return "HEIF"
    if brand in _AVIF_BRANDS:
        return "AVIF"
    raise Unreadable(_what_it_is_instead(start))


def _what_it_is_instead(start: bytes) -> str:
    if not start:
        return "is empty"
    if start.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer; `git lfs pull` fetches the picture"
    if start.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "is a web page, not a picture"
    return f"is no picture of a known kind ({KINDS})"


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


def _check_size(image: Image.Image, *, whole: bool = False) -> None:
    """Nothing comes back; Unreadable where it, decoded scaled or `whole`, is too large."""
    pixels = image.width * image.height
    limit = MAX_PIXELS
    if image.format in ("JPEG", "MPO") and not whole:
        limit = MAX_PROGRESSIVE_PIXELS if image.info.get("progressive") else pixels
    if pixels > limit:
        raise Unreadable(f"has {pixels // 1_000_000} megapixels; at most {limit // 1_000_000} fit")


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged EXIF says nothing; the picture itself is fine
        return 1


def _rgb(image: Image.Image) -> Image.Image:
    image = _eight_bits(image)
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        return _of_wide_values(np.asarray(image, np.float64))
    return image


def _of_wide_values(values: NDArray[np.float64]) -> Image.Image:
    """The values as 8-bit grey: of 16 bits, 8 bits or 0 to 1, by the largest there is."""
    finite = np.where(np.isfinite(values), values, 0)
    largest = finite.max(initial=0)
    scale = 255 if largest <= 1 else 1 if largest <= 255 else 255 / max(largest, 65535)
    return Image.fromarray((finite * scale).clip(0, 255).astype(np.uint8))


def _said(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "it is damaged"
    text = " ".join(str(error).split()) or type(error).__name__
    return text if text.isprintable() else ascii(text)
