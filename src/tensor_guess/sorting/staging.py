"""A picture on its way to its place: staged beside it, and checked to be the one that was meant."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tensor_guess.config import COPY, LINK, SYMLINK
from tensor_guess.errors import Unreadable, UserError, shown
from tensor_guess.images import encoded
from tensor_guess.images.encoded import Picture
from tensor_guess.sorting.manifest import Entry
from tensor_guess.stores import uploads
from tensor_guess.stores.paths import StorePath
from tensor_guess.system import reading
from tensor_guess.system.durable import (
    Staged,
    is_same,
    remove,
    stage,
    stage_clone,
    stage_link,
    stage_symlink,
)
from tensor_guess.system.reading import CHANGED, Remote

_MOST = 1 << 42  # bytes of a file


class Staging:
    """What one run stages; `run` is in the temporary names."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._can_clone = True

    def stage(self, entry: Entry, source: Path, path: Path, picture: Picture) -> Staged:
        """Stage what the entry says for `path`, from `source`: exactly the bytes of `picture`.

        Raise Unreadable if these are not its bytes any more, or if it can have no such name; and
        UserError if the system refuses.
        """
        if entry.way == SYMLINK:
            # A link in SRC is sorted as what it leads to.
            if reading.sha256(source, _MOST) != picture.key:
                raise Unreadable(CHANGED)
            return stage_symlink(path, entry.links_to, run=self._run)
        if entry.way == COPY:
            return self._copied(source, path, picture)
        if entry.way == LINK:
            return self._linked(source, path, picture.key)
        return self._moved(source, path, picture)

    def another(self, source: Path, path: Path, sha256: str) -> Staged:
        """Stage another name of the file; a copy of it, if it can have none there.

        Raise Unreadable if its bytes do not have this SHA-256 (any more).
        """
        picture = Picture(b"", "", bytes.fromhex(sha256), os.lstat(source))
        return self._moved(source, path, picture)

    def _moved(self, source: Path, path: Path, picture: Picture) -> Staged:
        try:
            staged = stage_link(path, source, run=self._run)
        except Unreadable:
            staged = self._copied(source, path, picture)
        return self._checked(staged, picture.key)

    def _linked(self, source: Path, path: Path, key: bytes) -> Staged:
        return self._checked(stage_link(path, source, run=self._run), key)

    def _copied(self, source: Path, path: Path, picture: Picture) -> Staged:
        """Stage a copy that shares the blocks of the source, if the file system can do that."""
        if isinstance(path, StorePath):
            return _uploaded(source, path, picture)
        is_local = not isinstance(source, Remote)
        if is_local and self._can_clone and (cloned := self._cloned(source, path, picture)):
            if _has(cloned.temporary, picture.key):
                return cloned
            cloned.discard()  # it has changed since; the bytes that were looked at are copied
        data = picture.data or encoded.again(source, picture)
        return stage(path, data, like=picture.status, run=self._run)

    def _cloned(self, source: Path, path: Path, picture: Picture) -> Staged | None:
        try:
            with reading.opened(source) as file:
                found = stage_clone(path, file.fileno(), like=picture.status, run=self._run)
        except Unreadable:
            return None
        self._can_clone = found is not None
        return found

    def _checked(self, staged: Staged, key: bytes) -> Staged:
        if not _has(staged.temporary, key):
            staged.discard()
            raise Unreadable(CHANGED)
        return staged


def _uploaded(source: Path, path: StorePath, picture: Picture) -> Staged:
    """Return what is to be put into a store. Large files are read again for that."""

    def data() -> Iterable[bytes]:
        return (picture.data,) if picture.data else encoded.again(source, picture)

    return uploads.stage(path, data, picture.key, picture.size, picture.status.st_mtime_ns)


@dataclass(frozen=True)
class Moved:
    """A file with two names: it was at `source`, and is to be at `path` only."""

    source: Path
    path: Path
    sha256: str


class Stays(Unreadable):
    """A file of a unit cannot be taken away, so none is: `moved` is the one, the text says why."""

    def __init__(self, moved: Moved, reason: str) -> None:
        super().__init__(reason)
        self.moved = moved


def take_away(unit: Sequence[Moved]) -> None:
    """Remove the first names of files that have been moved: a picture's after its companions'.

    `unit`: the picture first. Raise Stays if one is another file by now, before any is removed; or
    if it cannot be removed.
    """
    for each in unit:
        try:
            _check(each.source, each.path, each.sha256)
        except Unreadable as error:
            raise Stays(each, str(error)) from error
    for each in reversed(unit):
        try:
            remove(each.source)
        except UserError as error:
            raise Stays(each, f"is also in {shown(each.path)}: {error}") from error


def _check(source: Path, path: Path, sha256: str) -> None:
    """Raise Unreadable unless `source` is what is at `path` too, or gone."""
    if not os.path.lexists(source):
        return
    if is_same(source, path):
        if os.lstat(path).st_nlink < 2:  # two paths to one name
            raise Unreadable(f"is {shown(path)} itself; it stays there")
    elif not (_is(source, sha256) and _is(path, sha256)):
        raise Unreadable(f"{CHANGED}; it stays there")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, which is no link, in hexadecimal; raise Unreadable."""
    return reading.sha256(path, _MOST, follow=False).hex()


def digest(path: Path) -> str | None:
    """Return the same, or None if it cannot be read."""
    try:
        return sha256_of(path)
    except Unreadable:
        return None


def _is(path: Path, sha256: str) -> bool:
    return digest(path) == sha256


def _has(path: Path, key: bytes) -> bool:
    return digest(path) == key.hex()
