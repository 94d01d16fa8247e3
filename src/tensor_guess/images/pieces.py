"""Count the pieces of a picture's file before a decoder goes through them.

A small file can have a million pieces that each cost a decoder time and memory, or it can make a
decoder go over all pixels many times. A photo has a few dozen pieces.
"""

import re
from collections.abc import Callable, Iterator
from itertools import islice
from math import ceil
from typing import NamedTuple

from tensor_guess.errors import Unreadable
from tensor_guess.images import tiff
from tensor_guess.images.tiff import Tiff

# A progressive JPEG has about ten scans, and each goes over all of its pixels.
MAX_SCANS = 100
MAX_SCANNED_PIXELS = 2_500_000_000

_MOST_SEGMENTS = 500

_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])", re.DOTALL)
_STARTS_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN, _END, _APP1 = 0xDA, 0xD9, 0xE1
# In a GIF, the bytes that begin an extension, a frame and the end.
_EXTENSION, _FRAME, _TRAILER = b"!", b",", b";"
# Values of TIFF 6.0's tags.
_UNCOMPRESSED, _JPEG_IN_TIFF, _YCBCR, _SIGNED = 1, {6, 7}, 6, 2
# How a HEIF or AVIF file declares the size of an image in it.
_SIZE = re.compile(rb"ispe\0{4}(.{4})(.{4})", re.DOTALL)
# Bytes per pixel that their decoders need, including the picture as Pillow keeps it.
_WIDTH_OF_HEIF, _WIDTH_OF_GIF = 12, 3


def check(data: bytes, kind: str) -> None:
    """Raise Unreadable if the file has more pieces than any real picture has."""
    if kind == "TIFF":
        Tiff(data).check()
    elif kind in _COUNTED:
        walk, most, what = _COUNTED[kind]
        if sum(1 for _ in islice(walk(data), most + 1)) > most:
            raise Unreadable(f"has more than {most} {what}")
        if kind == "JPEG" and sum(1 for each in _segments(data) if each[1][:4] == b"Exif") > 32:
            # Pillow joins each of them to all before it.
            raise Unreadable("has more than 32 segments of EXIF")


def _chunks(data: bytes) -> Iterator[int]:
    """Yield the offset of each chunk of a PNG."""
    at = 8
    while at < len(data):
        yield at
        at += 12 + int.from_bytes(data[at : at + 4], "big")


def _blocks(data: bytes) -> Iterator[int]:
    """Yield the offset of each block of a GIF up to the first frame; the rest is not decoded."""
    colours = data[10] if len(data) > 10 else 0
    at = 13 + (6 << (colours & 7) if colours & 0x80 else 0)
    while (here := data[at : at + 1]) not in (b"", _FRAME, _TRAILER):
        yield at
        at += 1  # decoders skip a byte that begins nothing known
        if here == _EXTENSION:
            at += 1
            while length := data[at : at + 1].strip(b"\0"):
                yield at
                at += 1 + length[0]
            at += 1
    yield at


# --- JPEG


class _Frame(NamedTuple):
    """What a JPEG's header declares; `samplings` has each component's sampling factors."""

    progressive: bool
    height: int
    width: int
    samplings: tuple[tuple[int, int], ...]


def coefficients(data: bytes) -> int:
    """Return the bytes of coefficients that libjpeg keeps: all of them if a JPEG has several scans.

    Raise Unreadable if there are more scans than any real picture has.
    """
    frame, scans = None, 0
    for marker, segment in _segments(data):
        if marker in _STARTS_OF_FRAME and len(segment) >= 6:
            frame = _frame(marker, segment)
        elif marker == _START_OF_SCAN:
            scans += 1
            if frame is None or not frame.samplings:
                return 0  # damaged: the decoder will report how
            if not frame.progressive and segment[:1] == bytes([len(frame.samplings)]):
                return 0
            if scans > MAX_SCANS or scans * frame.width * frame.height > MAX_SCANNED_PIXELS:
                raise Unreadable(f"is a JPEG of too many scans ({scans} and more)")
    return _kept(frame) if frame and scans else 0


def exif(data: bytes) -> bytes:
    """Return the EXIF of a JPEG, as far as its first segment has it; b"" if there is none."""
    at = 2
    for _ in range(_MOST_SEGMENTS):
        found = _MARKER.search(data, at)
        if not found or found[1][0] in (_START_OF_SCAN, _END):
            break
        marker, at = found[1][0], found.end()
        end = at + int.from_bytes(data[at : at + 2], "big")
        if marker == _APP1 and data[at + 2 : at + 8] == b"Exif\0\0":
            return data[at + 8 : end]
        at = end
    return b""


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
    """Yield each marker of a JPEG's first picture, with the start of its segment."""
    at = 2
    while found := _MARKER.search(data, at):
        marker, at = found[1][0], found.end()
        if marker == _END:
            return
        length = int.from_bytes(data[at : at + 2], "big")
        yield marker, data[at + 2 : at + min(length, 64)]
        at += length


# A segment has at most 64 KB, a chunk of pixels usually 8 KB or more, a block at most 255 bytes.
_COUNTED: dict[str, tuple[Callable[[bytes], Iterator[object]], int, str]] = {
    "JPEG": (_segments, _MOST_SEGMENTS, "segments"),
    "PNG": (_chunks, 100_000, "chunks"),
    "GIF": (_blocks, 100_000, "blocks before its first frame"),
}


# --- the memory needed, without asking a decoder


def bytes_for(data: bytes, kind: str, beside: int = 0) -> int:
    """Return how many bytes decoding a TIFF, GIF, HEIF or AVIF needs, judging by its header.

    This is only a hint: a decoder may read the header differently. `beside` bytes are added for
    each pixel.
    """
    if kind == "TIFF":
        return _bytes_for_tiff(data, beside)
    if kind == "GIF":
        return (_WIDTH_OF_GIF + beside) * _pixels_of_gif(data)
    sizes = [
        int.from_bytes(width, "big") * int.from_bytes(height, "big")
        for width, height in _SIZE.findall(data)
    ]
    return (_WIDTH_OF_HEIF + beside) * max(sizes, default=0)


def _pixels_of_gif(data: bytes) -> int:
    """Return how many pixels the screen has, enlarged to hold the first frame."""
    width, height = (int.from_bytes(data[at : at + 2], "little") for at in (6, 8))
    *_, last = _blocks(data)
    left, top, across, down = (
        int.from_bytes(data[at : at + 2], "little") for at in range(last + 1, last + 9, 2)
    )
    return max(width, left + across) * max(height, top + down)


def _bytes_for_tiff(data: bytes, beside: int) -> int:
    """Return the bytes of the picture in Pillow, and of one strip or tile that libtiff unpacks."""
    file = Tiff(data)
    tags = next(file.folders(), {})

    def number(tag: int, usual: int = 1) -> int:
        return next(iter(file.numbers(tags.get(tag), 1)), usual)

    width, height = number(tiff.WIDTH, 0), number(tiff.HEIGHT, 0)
    bits = max(file.numbers(tags.get(tiff.BITS)), default=1)
    samples, compression = number(tiff.SAMPLES), number(tiff.COMPRESSION)
    narrow = samples == 1 and bits <= 16 and number(tiff.SAMPLE_FORMAT) != _SIGNED
    found = width * height * ((ceil(bits / 8) if narrow else 4) + beside)
    if compression == _UNCOMPRESSED:
        return found
    if tiff.TILE_WIDTH in tags:
        pixels = number(tiff.TILE_WIDTH) * number(tiff.TILE_HEIGHT)
    else:
        pixels = width * min(number(tiff.ROWS, height), height)
    found += pixels * samples * ceil(bits / 8)
    if compression in _JPEG_IN_TIFF:
        found += 2 * pixels * samples  # its JPEG coefficients
    elif number(tiff.COLOURS, 0) == _YCBCR:
        found += 4 * pixels  # libtiff converts it to RGB
    return found
