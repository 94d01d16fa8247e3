"""Read the tags of TIFF files, and of EXIF and camera RAW, which have the same format.

It reads TIFF 6.0 and BigTIFF, whose numbers are twice as wide. Values are read only on demand.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from tensor_guess.errors import Unreadable

WIDTH, HEIGHT, BITS, COMPRESSION, COLOURS, MAKER = 256, 257, 258, 259, 262, 271
SAMPLES, ROWS, TILE_WIDTH, TILE_HEIGHT, DEEPER, SAMPLE_FORMAT = 277, 278, 322, 323, 330, 339

STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# How many bytes a value of each kind has, and how to unpack whole numbers.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8}
_FORMS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_BYTES = {1, 2, 6, 7}
_FRACTIONS = {5, 10, 11, 12}
# Kodak's files have 200 tags. The longest lists are of a scan's strips, one for each row.
_MAX_FOLDERS, _MAX_TAGS = 32, 1000
_MAX_NUMBERS, _MAX_FRACTIONS = 1_000_000, 10_000


@dataclass(frozen=True)
class Tag:
    """What a tag declares about its values: their kind, their count, and their offset."""

    kind: int
    count: int
    at: int

    @property
    def size(self) -> int:
        """Return how many bytes its values have."""
        return _SIZES.get(self.kind, 0) * self.count


Tags = Mapping[int, Tag]


class Tiff:
    """The bytes of such a file; nothing in them is trusted."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._order = ">" if data[:2] == b"MM" else "<"
        self._big = data[2:4] in (b"+\0", b"\0+")
        self._wide = "Q" if self._big else "I"
        self._entry = struct.Struct(f"{self._order}HH{self._wide}")
        self._width = self._entry.size + (8 if self._big else 4)

    def folders(self) -> Iterator[Tags]:
        """Yield the tags of each image file directory, including nested ones."""
        seen: set[int] = set()
        queue = self._unpacked(self._wide, 8 if self._big else 4)
        while queue and len(seen) < _MAX_FOLDERS:
            at = queue.pop(0)
            if at in seen:
                continue
            seen.add(at)
            tags, end = self._folder(at)
            if not tags:
                continue
            yield tags
            if DEEPER in tags:
                queue += self.numbers(tags[DEEPER], _MAX_FOLDERS)
            queue += self._unpacked(self._wide, end)

    def below(self, tag: int) -> Tags:
        """Return the tags of the directory that a tag of the first one leads to; {} if none."""
        for at in self.numbers(next(self.folders(), {}).get(tag), 1):
            return self._folder(at)[0]
        return {}

    def numbers(self, tag: Tag | None, most: int = 8) -> list[int]:
        """Return a tag's whole numbers, at most the first `most`; [] if it has none."""
        if tag is None or tag.kind not in _FORMS:
            return []
        return self._unpacked(f"{min(tag.count, most)}{_FORMS[tag.kind]}", tag.at)

    def text(self, tag: Tag | None) -> str:
        """Return the start of a tag's text, or "" if it has none."""
        if tag is None:
            return ""
        return self._data[tag.at : tag.at + min(tag.count, 64)].decode("latin1")

    def check(self) -> None:
        """Raise Unreadable if the first directory has more than a real picture's.

        Pillow reads all of it: many tags may point to the same bytes, and each number becomes an
        object.
        """
        first = self._unpacked(self._wide, 8 if self._big else 4)
        if first and self._start(first[0])[1] > _MAX_TAGS:
            raise Unreadable(f"has more than {_MAX_TAGS} tags")
        tags = next(self.folders(), {}).values()
        there = [tag for tag in tags if tag.at + tag.size <= len(self._data)]
        if sum(tag.size for tag in there) > len(self._data):
            raise Unreadable("has tags that say more than it has")
        for tag in there:
            most = _MAX_FRACTIONS if tag.kind in _FRACTIONS else _MAX_NUMBERS
            if tag.kind not in _BYTES and tag.count > most:
                raise Unreadable(f"has a tag of {tag.count} numbers; at most {most} are read")

    def _folder(self, at: int) -> tuple[Tags, int]:
        """Return the tags of the directory at that offset, and the offset of its end."""
        start, count = self._start(at)
        end = start + min(count, _MAX_TAGS) * self._width
        if not count or end > len(self._data):
            return {}, end
        return dict(map(self._tag, range(start, end, self._width))), end

    def _start(self, folder: int) -> tuple[int, int]:
        """Return the offset of a directory's first tag, and how many tags it declares."""
        count = self._unpacked("Q" if self._big else "H", folder)
        return folder + (8 if self._big else 2), count[0] if count and folder >= 8 else 0

    def _tag(self, at: int) -> tuple[int, Tag]:
        number, kind, count = self._entry.unpack_from(self._data, at)
        tag = Tag(kind, count, at + self._entry.size)
        if tag.size > self._width - self._entry.size:  # the values are elsewhere
            tag = replace(tag, at=self._unpacked(self._wide, tag.at)[0])
        return number, tag

    def _unpacked(self, form: str, at: int) -> list[int]:
        """Return the numbers at that offset; [] if the file ends before."""
        form = self._order + form
        if at + struct.calcsize(form) > len(self._data):
            return []
        return list(struct.unpack_from(form, self._data, at))
