"""Open strangers' picture files safely: file -> bytes and kind."""

import hashlib
import logging
import os
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

from PIL import Image

from tensor_guess.errors import Unreadable
from tensor_guess.images import camera_raw
from tensor_guess.system import reading

# `decoding` checks the size, by kind, before it decodes anything.
Image.MAX_IMAGE_PIXELS = None
# Damaged metadata need not be reported: a picture that cannot be decoded is named with a reason.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").setLevel(logging.CRITICAL)

# A little more than 89 megapixels of uncompressed RGB.
MAX_BYTES = 300_000_000
# The most bytes of all files that are read ahead together; a single file may be larger.
_AHEAD_BYTES = 64_000_000
# Into how many groups the items that are ahead are divided.
_GROUPS = 4
# Work that takes less is done by one thread: several would mostly wait for Python's lock.
_QUICK_SECONDS = 0.0005
# Files of so many bytes are not small.
_SMALL_BYTES = 1_000_000
_CHUNK = 1_000_000
# Most small files are read by a single call: what they are is known before more is read.
_START = 65_536

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

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Picture:
    """One file, read once: everything that follows uses exactly these bytes.

    `data` is b"" if the bytes were let go.
    """

    data: bytes
    kind: str
    key: bytes  # SHA-256 of `data`, 32 raw bytes
    status: os.stat_result

    @property
    def size(self) -> int:
        """Return how many bytes the file has."""
        return len(self.data) or self.status.st_size

    @property
    def extension(self) -> str:
        """Return the extension that fits the content, without the dot, whatever the file's name."""
        return _EXTENSIONS[self.kind]


def read(path: Path, *, inside: Path | None = None) -> Picture:
    """Return the file's bytes, its kind by content and its SHA-256; decode nothing.

    `inside`: see `reading.opened`. Raise Unreadable if the file is missing, not regular (a FIFO
    does not hang), not a picture, too large, or outside of that folder.
    """
    with reading.opened_anywhere(path, inside=inside) as file:
        status = reading.status_of(file)
        data = file.read(_START)
        camera_raw.check(data)
        kind = _kind(data[:64])
        if len(data) != status.st_size:
            file.seek(0)
            data = reading.rest(file, MAX_BYTES)
            camera_raw.check(data)
    return Picture(data, kind, hashlib.sha256(data).digest(), status)


def of_bytes(data: bytes) -> Picture:
    """Return the picture that came as bytes and not as a file: it has no key and no times.

    Raise Unreadable if it is not a picture.
    """
    camera_raw.check(data)
    return Picture(data, _kind(data[:64]), b"", os.stat_result((0,) * 10))


def any_file(path: Path, *, inside: Path | None = None) -> Picture:
    """Return any regular file as a picture whose bytes were let go, and of no kind.

    It may have any size, and is no link. Raise Unreadable as `read` does.
    """
    digest = hashlib.sha256()
    with reading.opened_anywhere(path, follow=False, inside=inside) as file:
        status = reading.status_of(file)
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return Picture(b"", "", digest.digest(), status)


def let_go(picture: Picture) -> Picture:
    """Return the picture without its bytes; `again` reads them again."""
    return replace(picture, data=b"")


def again(path: Path, picture: Picture) -> Iterator[bytes]:
    """Yield the picture's bytes, read again a piece at a time.

    Raise Unreadable, after the last piece, if they are not the bytes that were read before.
    """
    digest = hashlib.sha256()
    with reading.opened_anywhere(path) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            yield chunk
    if digest.digest() != picture.key:
        raise Unreadable(reading.CHANGED)


def size_of(path: Path) -> int:
    """Return how many bytes the file has, or 0 if that is not known."""
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return 0


def ahead(
    work: Callable[[Item], Result],
    items: Iterable[Item],
    window: int = 16,
    weigh: Callable[[Item], int] = lambda _: 0,
) -> Iterator[tuple[Item, Result | Unreadable]]:
    """Yield each item with work(item), in order; threads compute up to `window` items ahead.

    `weigh` returns the bytes of an item's file; the sum of those ahead is bounded too. If `work`
    raises Unreadable, that is the result; any other error is raised.
    """
    quick = False  # whether the last items were

    def attempt(several: Sequence[Item]) -> list[Result | Unreadable]:
        nonlocal quick
        found, started = list[Result | Unreadable](), time.perf_counter()
        for item in several:
            try:
                found.append(work(item))
            except Unreadable as error:
                found.append(error)
        quick = time.perf_counter() - started < _QUICK_SECONDS * len(several)
        return found

    waiting: deque[tuple[list[Item], int, Future[list[Result | Unreadable]]]] = deque()
    upcoming = deque[tuple[list[Item], int]]()

    def most_together() -> int:
        return window if quick and not waiting else max(1, window // _GROUPS)

    source = _together(items, weigh, most_together)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            while True:
                most = 1 if quick else min(window, _GROUPS)
                while len(waiting) < most and (upcoming or _take(upcoming, source)):
                    weight = upcoming[0][1] + sum(each for _, each, _ in waiting)
                    if waiting and weight > _AHEAD_BYTES:
                        break
                    several, weight = upcoming.popleft()
                    waiting.append((several, weight, pool.submit(attempt, several)))
                if not waiting:
                    return
                several, _, future = waiting.popleft()
                yield from zip(several, future.result(), strict=True)
        finally:
            for _, _, future in waiting:
                future.cancel()


def _together(
    items: Iterable[Item], weigh: Callable[[Item], int], most: Callable[[], int]
) -> Iterator[tuple[list[Item], int]]:
    """Yield small files together, at most so many, and what they weigh.

    To hand one to a thread costs more than to read it.
    """
    several, weight = list[Item](), 0
    for item in items:
        several.append(item)
        weight += weigh(item)
        if len(several) >= most() or weight > _SMALL_BYTES:
            yield several, weight
            several, weight = [], 0
    if several:
        yield several, weight


def _take(into: deque[Item], source: Iterator[Item]) -> bool:
    """Move one item from `source` to `into`; return whether `into` has any."""
    into.extend(islice(source, 1))
    return bool(into)


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
    if start[4:8] == b"ftyp" or start.startswith(b"\x1a\x45\xdf\xa3"):
        return "is a video; `guess --every 1s` names its frames"
    return f"is no picture of a known kind ({KINDS})"
