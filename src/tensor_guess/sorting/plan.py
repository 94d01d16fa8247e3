"""What is to be done with a picture: category, score, its own path -> its place in DEST.

Nothing here touches a file.
"""

import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tensor_guess.config import COPY, FLAT, FOLDERS, MANIFEST, REVIEW, UNKNOWN

# What some file systems (FAT, NTFS) forbid in names, and what shells misread.
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f\ud800-\udfff]')
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")
# `-0.99621-1234567.heic` must fit too.
_MAX_BYTES = 220
_NUMBER = re.compile(r"-(\d{1,9})(?:\.[^./]*)?$")
_SCORED = re.compile(r"(.*)-[01]\.\d{5}")  # as `Places.place` makes it
_INSIDE = re.compile(r"(?!\.)[^/\0]+(?:/(?!\.)[^/\0]+)*")
_LONGEST = 255  # bytes of a name, on nearly every file system
# What DEST has of its own, whatever is sorted.
_OWN = frozenset({REVIEW, MANIFEST})


@dataclass(frozen=True)
class Way:
    """How a folder is sorted: by which of `config.WAYS`, and how names are made.

    `keep_tree`: whether the folders below SRC are made again in DEST.
    """

    way: str = COPY
    layout: str = FLAT
    keep_tree: bool = False

    @property
    def has_folders(self) -> bool:
        """Return whether pictures go into folders of DEST, besides the one for review."""
        return self.layout == FOLDERS or self.keep_tree


class Place(NamedTuple):
    """Where a picture is to be: a folder in DEST ("" is DEST itself), and its name's two ends.

    A number comes between the ends if the name is taken. `beside`: how the names of its companions
    end, which share all but that with its own.
    """

    folder: str
    stem: str
    suffix: str
    beside: tuple[str, ...] = ()

    def path(self, number: int) -> str:
        """Return the path in DEST for the 1st, 2nd ... picture with this name."""
        return self.paths(number)[0]

    def paths(self, number: int) -> tuple[str, ...]:
        """Return the same, and the paths of its companions."""
        middle = f"-{number}" if number > 1 else ""
        endings = [f"{middle}{each}" for each in (self.suffix, *self.beside)]
        stem, room = self.stem, _LONGEST - max(len(os.fsencode(each)) for each in endings)
        while len(os.fsencode(stem)) > room:
            stem = stem[:-1]
        start = f"{self.folder}/{stem}" if self.folder else stem
        return tuple(f"{start}{each}" for each in endings)

    def number(self, path: str) -> int | None:
        """Return the number with which the path is one of these, or None."""
        found = _NUMBER.search(path)
        numbers = (1, int(found[1])) if found else (1,)
        return next((each for each in numbers if self.path(each) == path), None)


class Places:
    """The places of a classifier's pictures: the names of its categories, each its own."""

    def __init__(self, way: Way, categories: Sequence[str]) -> None:
        self._way = way
        taken = {file_name(each).casefold() for each in categories}
        self._unknown = _free(UNKNOWN, taken)
        self._folders = dict[str, str]()
        used = {each.casefold() for each in (self._unknown, *_OWN)}
        for each in categories:
            name = self._folders[each] = _free(file_name(each), used)
            used.add(name.casefold())

    def name(self, category: str, *, unknown: bool = False) -> str:
        """Return the category as it is in names, or the name for the unknown."""
        if unknown:
            return self._unknown
        flat = self._way.layout == FLAT
        return file_name(category) if flat else self._folders[category]

    def category(self, folder: str) -> str | None:
        """Return the category whose folder this is in the layout `folders`, or None."""
        return next((each for each, name in self._folders.items() if name == folder), None)

    def is_undecided(self, folder: str) -> bool:
        """Return whether a folder in DEST is for pictures of which no category was chosen."""
        return folder.casefold() in (self._unknown.casefold(), REVIEW)

    def place(
        self, image: Path, name: str, score: float, extension: str, *, review: bool = False
    ) -> Place:
        """Return the place of a picture; `image` is its path in SRC, `name` its category's."""
        folders = [REVIEW] if review else []
        tree = image.parent.parts if self._way.keep_tree else ()
        if self._way.layout == FOLDERS:
            folders += [name, *tree]
            stem, suffix = os.path.splitext(image.name)
        else:
            folders += [*([_free(tree[0], _OWN)] if tree and not review else tree[:1]), *tree[1:]]
            stem, suffix = f"{name}-{score:.5f}", f".{extension}"
        return Place("/".join(folders), stem, suffix)


def file_name(category: str) -> str:
    """Return the category as the start of a file name that is safe on any file system."""
    safe = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", category)).lstrip("-. ").rstrip(". ")
    if _RESERVED.match(safe) or not safe:
        safe = f"_{safe}"
    return safe.encode()[:_MAX_BYTES].decode(errors="ignore")


def category_in(path: str, way: Way) -> str:
    """Return the category, or the name for the unknown, in a path in DEST that was sorted so."""
    parts = path.removeprefix(f"{REVIEW}/").split("/")
    if way.layout == FOLDERS:
        return parts[0]
    found = _SCORED.match(parts[-1])
    return found[1] if found else ""


def is_inside(path: str) -> bool:
    """Return whether a path leads to a file below a folder, and through no hidden one.

    Sorting reads and writes no other: what says so was not written by us.
    """
    return bool(_INSIDE.fullmatch(path))


def _free(name: str, taken: Iterable[str]) -> str:
    """Return the name, longer if it is taken; on some file systems, it may be so in any case."""
    while name.casefold() in taken:
        name += "_"
    return name
