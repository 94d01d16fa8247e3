"""Unpack a .tar.gz without trusting it: nothing leaves its folder, and memory use stays small.

The format is POSIX's pax (IEEE 1003.1-2017) and GNU tar's: blocks of 512 bytes, for each file a
header and then the content. A header can also describe the next one; `tarfile` reads such a
description whole, however long it is. Here its length is checked before it is read.
"""

import os
import tarfile
import zlib
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from tarfile import TarInfo

from tensor_guess.errors import Unreadable, UserError, shown, words_of
from tensor_guess.system import archive, reading

MAX_BYTES = 2_000_000_000  # unpacked
MAX_FILES = 2_000  # with folders, which count each time they are named
_MAX_DEPTH = 32
# Bytes of headers that describe the next member: its long name, exact times, attributes.
_MAX_SAID = 64_000
_MAX_SAID_IN_ALL = 2_000_000
_MAX_PADDING = 1_000_000  # after the end; by default tar fills up blocks of 10 kB
# GNU's long name of a file or of a link's target; pax records for one file, and for all.
_SAYING = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
)
_BLOCK = 512
_CHUNK = 64 * 1024
_GZIP = 31  # zlib's `wbits` for gzip's header and checksum


class _Refused(Exception):
    """What is not allowed in a module's archive, as the end of a sentence."""


def unpack(path: Path, folder: Path, name: str) -> None:
    """Write the files of the archive at `path` below `folder`; `name` is for messages.

    Raise UserError if it cannot be read, is not a .tar.gz, is damaged or is larger than a module
    can be, if a name leaves the folder, or if it has anything but files and folders.
    """
    try:
        with reading.opened(path) as file:
            packed = os.fstat(file.fileno()).st_size
            most = min(MAX_BYTES, archive.most(packed))
            _unpack(_Stream(file, most + _MAX_PADDING), folder)
    except Unreadable as error:
        raise UserError(f"{name} could not be unpacked: {error}") from error
    except _Refused as error:
        raise UserError(f"{name} is refused: {error}") from error
    except (tarfile.TarError, zlib.error, EOFError) as error:
        raise UserError(
            f"{name} is no .tar.gz of a module, or is damaged: {words_of(error)}"
        ) from error


class _Stream:
    """The unpacked content of a gzip file; never more is unpacked than was asked for."""

    def __init__(self, file: FileIO, limit: int) -> None:
        self._file, self._left = file, limit
        self._unpacking, self._packed = zlib.decompressobj(_GZIP), b""

    def check(self, size: int) -> None:
        """Raise _Refused if the next `size` bytes exceed the limit."""
        if size > self._left:
            raise _Refused("it unpacks to more than a module can be, or to 20 times and more")

    def read(self, size: int) -> bytes:
        """Return the next bytes; fewer only at the end, after the checksum was found correct."""
        self.check(size)
        found = bytearray()
        while len(found) < size and not self._unpacking.eof:
            packed = self._packed or self._file.read(_CHUNK)
            if not packed:
                raise EOFError("it is cut short")
            found += self._unpacking.decompress(packed, size - len(found))
            self._packed = self._unpacking.unconsumed_tail
        self._left -= len(found)
        return bytes(found)

    def content(self, size: int) -> Iterator[bytes]:
        """Yield the next `size` bytes in parts, and skip what fills up their last block."""
        self.check(size)
        for start in range(0, size, _CHUNK):
            yield self._whole(min(_CHUNK, size - start))
        self._whole(-size % _BLOCK)

    def end(self) -> None:
        """Raise _Refused if anything but padding follows."""
        padding = self.read(_MAX_PADDING)
        more = len(padding) == _MAX_PADDING or self._unpacking.unused_data or self._file.read(1)
        if more or any(padding):
            raise _Refused("it has something after its end; pack it again by tar -czf")

    def _whole(self, size: int) -> bytes:
        found = self.read(size)
        if len(found) < size:
            raise EOFError("it is cut short")
        return found


def _unpack(stream: _Stream, folder: Path) -> None:
    count = 0
    for member in _members(stream):
        name = shown(member.name)
        parts = [part for part in member.name.split("/") if part not in ("", ".")]
        count += max(1, len(parts))
        if count > MAX_FILES or len(parts) > _MAX_DEPTH:
            raise _Refused("it has more files and folders than a module can have")
        if ".." in parts:
            raise _Refused(f"{name} leaves its folder")
        target = folder.joinpath(*parts)
        if member.isdir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            file.writelines(stream.content(member.size))


def _members(stream: _Stream) -> Iterator[TarInfo]:
    """Yield the header of each file and folder; a file's content is next in the stream then."""
    said, in_all = dict[bytes, bytes](), 0
    while any(block := stream.read(_BLOCK)):
        member = TarInfo.frombuf(block, "utf-8", "surrogateescape")
        if member.type in _SAYING:
            in_all += _BLOCK + member.size
            if not 0 <= member.size <= _MAX_SAID or in_all > _MAX_SAID_IN_ALL:
                raise _Refused("its headers say more of its files than any need")
            data = b"".join(stream.content(member.size))
            if member.type == tarfile.GNUTYPE_LONGNAME:
                said[b"path"] = data.partition(b"\0")[0]
            elif member.type == tarfile.XHDTYPE:
                said |= _records(data)
            continue
        if b"path" in said:
            member.name = os.fsdecode(said[b"path"])
        if member.size < 0 or b"size" in said or any(key.startswith(b"GNU.") for key in said):
            raise _Refused(f"{shown(member.name)} is stored in a way that is not read")
        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE):
            raise _Refused(f"{shown(member.name)} is a link or device")
        said.clear()
        yield member
    stream.end()


def _records(data: bytes) -> dict[bytes, bytes]:
    """Return the values in a pax header by key; it consists of lines `LENGTH KEY=VALUE`."""
    found, start = {}, 0
    while start < len(data):
        try:
            space = data.index(b" ", start)
            end = start + int(data[start:space])
        except ValueError as error:
            raise tarfile.ReadError("a header is damaged") from error
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not (equals and space < end and data[end - 1 : end] == b"\n"):
            raise tarfile.ReadError("a header is damaged")
        found[key], start = value, end
    return found
