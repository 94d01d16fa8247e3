"""Write a zip that is always the same, and read one without trusting it; all of it in memory.

The format is PKWARE's APPNOTE 6.3.10, sections 4.3 and 4.4.
"""

import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import BinaryIO

from tensor_guess.errors import Unreadable, UserError, shown
from tensor_guess.system import reading

MAX_BYTES = 2**31 - 1  # of the whole zip, so that nothing in it needs the format's 64-bit fields
# Up to this size a member may be compressed to almost nothing, above it to 1/20: weights hardly
# shrink.
_SMALL = 16_000_000
_MAX_RATIO = 20
_MAX_DIRECTORY = 64_000
_END = struct.Struct("<4s4H2LH")
_LOCATOR = 20  # before the end record, in a 64-bit zip
_LOCAL = struct.Struct("<4s5H3L2H")
# The flags that may be set: compression level (bits 1 and 2), names in UTF-8 (bit 11).
_FLAGS = 0x806
_ENCRYPTED = 0x1
_EPOCH = (1980, 1, 1, 0, 0, 0)


class _Refused(Exception):
    """What is wrong with the zip, as the end of a sentence."""


def written(members: Mapping[str, bytes]) -> bytes:
    """Return a zip of these members, in their order; the same members always give the same bytes.

    They are stored uncompressed: weights hardly shrink, and compressed bytes depend on the version
    of the library. Raise UserError if they are too large.
    """
    if sum(map(len, members.values())) > MAX_BYTES - _MAX_DIRECTORY:
        raise UserError("the classifier is too large for a zip (2 GB); share its graph instead")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system = 3  # Unix, whatever system this is
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(info, data)
    return file.getvalue()


def read(path: Path, limits: Mapping[str, int], optional: Collection[str] = ()) -> dict[str, bytes]:
    """Return the members by name: exactly those in `limits`, each at most that many bytes long.

    Those in `optional` may be missing. Everything is checked before it is read, and nothing is read
    beyond the length it states. Raise UserError if the zip is missing, not a zip, damaged or too
    large, or has any other member.
    """
    try:
        with reading.opened(path) as file:
            members = _members(file, limits, optional)
            return {info.filename: _data(file, info) for info in members}
    except Unreadable as error:
        raise UserError(f"could not read {shown(path)}: {error}") from error
    except _Refused as error:
        raise UserError(f"{shown(path)} is refused: {error}; get it again") from error


def most(packed: int) -> int:
    """Return how many bytes may be unpacked from `packed` ones; more would be a zip bomb."""
    return max(_SMALL, _MAX_RATIO * packed)


def _members(
    file: BinaryIO, limits: Mapping[str, int], optional: Collection[str]
) -> list[zipfile.ZipInfo]:
    """Return the members in the order they are stored in: one after another, without a gap."""
    start, count = _end(file)
    try:
        with zipfile.ZipFile(file) as archive:
            members = sorted(archive.infolist(), key=lambda each: each.header_offset)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise _Refused("its list of files is damaged") from error
    for info in members:
        _check(info, limits)
    names = {info.filename for info in members}
    if len(names) < len(members) or len(members) != count:
        raise _Refused("it has two files of the same name, or a wrong number of files")
    for name in limits.keys() - names - set(optional):
        raise _Refused(f"it has no {name}")
    place = 0
    for info in members:
        if info.header_offset != place:
            raise _Refused("its files are not stored one after another")
        place = _start_of_data(file, info) + info.compress_size
    if place != start:
        raise _Refused("its files are not stored one after another")
    return members


def _end(file: BinaryIO) -> tuple[int, int]:
    """Return where the list of files begins, and how many files are in it.

    Raise _Refused unless the list and the end record are short and in their places; nothing else
    is read before that.
    """
    total = os.fstat(file.fileno()).st_size
    if total > MAX_BYTES:
        raise _Refused("it is larger than 2 GB")
    file.seek(max(0, total - _END.size - _LOCATOR))
    tail = file.read(_LOCATOR + _END.size)
    end = tail[-_END.size :]
    if len(end) < _END.size or not end.startswith(b"PK\x05\x06"):
        raise _Refused("it is not a zip, is cut short, or has data after its end")
    _, disk, first_disk, here, count, length, start, comment = _END.unpack(end)
    if disk or first_disk or here != count or comment or tail.startswith(b"PK\x06\x07"):
        raise _Refused("it is in several parts, has a comment, or is a 64-bit zip")
    if length > _MAX_DIRECTORY or start + length + _END.size != total:
        raise _Refused("its list of files is damaged or too long")
    return int(start), int(count)


def _check(info: zipfile.ZipInfo, limits: Mapping[str, int]) -> None:
    """Raise _Refused if what the list says about a file is not acceptable."""
    name = shown(info.orig_filename)
    if info.orig_filename not in limits or info.filename != info.orig_filename:
        raise _Refused(f"it has the file {name}, which does not belong there")
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        raise _Refused(f"{name} in it is a link, or not a regular file")
    if info.flag_bits & _ENCRYPTED:
        raise _Refused(f"{name} in it is encrypted")
    if info.flag_bits & ~_FLAGS or info.compress_type not in (
        zipfile.ZIP_STORED,
        zipfile.ZIP_DEFLATED,
    ):
        raise _Refused(f"{name} in it is compressed by an unsupported method")
    if info.file_size > limits[name]:
        raise _Refused(
            f"{name} in it has {info.file_size} bytes; at most {limits[name]} are allowed"
        )
    stored = info.compress_type == zipfile.ZIP_STORED
    if stored and info.compress_size != info.file_size:
        raise _Refused(f"{name} in it has two sizes")
    if info.file_size > most(info.compress_size):
        raise _Refused(f"{name} in it would grow more than {_MAX_RATIO} times when unpacked")


def _start_of_data(file: BinaryIO, info: zipfile.ZipInfo) -> int:
    """Return where the member's bytes begin. Raise _Refused if its header contradicts the list."""
    file.seek(info.header_offset)
    header = file.read(_LOCAL.size)
    if len(header) < _LOCAL.size:
        raise _Refused("it is cut short")
    mark, _, flags, packed, _, _, crc, size, full_size, name, extra = _LOCAL.unpack(header)
    said = (flags, packed, crc, size, full_size)
    listed = (info.flag_bits, info.compress_type, info.CRC, info.compress_size, info.file_size)
    if mark != b"PK\x03\x04" or said != listed or file.read(name) != info.filename.encode():
        raise _Refused(f"{info.filename} in it does not match the list of files")
    return info.header_offset + _LOCAL.size + int(name) + int(extra)


def _data(file: BinaryIO, info: zipfile.ZipInfo) -> bytes:
    """Return the member's bytes: as many as it states, and never more in memory."""
    file.seek(_start_of_data(file, info))
    data = file.read(info.compress_size)
    if info.compress_type == zipfile.ZIP_DEFLATED:
        data = _inflated(data, info)
    if len(data) != info.file_size or zlib.crc32(data) != info.CRC:
        raise _Refused(f"{info.filename} in it is damaged")
    return data


def _inflated(data: bytes, info: zipfile.ZipInfo) -> bytes:
    unpacking = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        # One byte more than it states, because 0 would mean no limit.
        found = unpacking.decompress(data, info.file_size + 1)
    except zlib.error as error:
        raise _Refused(f"{info.filename} in it is damaged") from error
    if not unpacking.eof or unpacking.unused_data:
        raise _Refused(f"{info.filename} in it does not have the length it states")
    return found
