"""The sidecar of a picture: which file it is, what is in it, and its next state on disk."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tensor_guess.errors import Unreadable
from tensor_guess.system import reading
from tensor_guess.system.durable import Staged, stage
from tensor_guess.system.reading import CHANGED
from tensor_guess.tagging.xmp import MOST

_SUFFIX = ".xmp"
_LONGEST = 255  # bytes of a name, on nearly every file system


@dataclass(frozen=True)
class Sidecar:
    """A file as it was found; `data` and `status` are None if there is none yet."""

    path: Path
    data: bytes | None = None
    status: os.stat_result | None = None

    def staged(self, data: bytes, run: str) -> Staged:
        """Stage its next state, with the permissions that it has.

        Raise UserError as `stage` does.
        """
        return stage(self.path, data, mode=self.status and self.status.st_mode, run=run)

    def commit(self, staged: Staged) -> None:
        """Put its next state in its place; raise Unreadable if it is not as it was found."""
        try:
            now = os.lstat(self.path)
        except FileNotFoundError:
            now = None
        if _version(now) != _version(self.status):
            raise Unreadable(CHANGED)
        try:
            staged.commit(replace=now is not None)
        except FileExistsError as error:
            raise Unreadable(CHANGED) from error


def name_of(picture: str, companions: Sequence[str]) -> str:
    """Return the name of a picture's sidecar: of those that it has, or else of a new one.

    `a.jpg.xmp` comes before `a.xmp`, in which a person may have meant a RAW file too.
    """
    own = [each for each in companions if each.lower().endswith(_SUFFIX)]
    for start in (picture, os.path.splitext(picture)[0]):
        for each in own:
            if each[: -len(_SUFFIX)] == start:
                return each
    return f"{picture}{_SUFFIX}"


def found(path: Path, root: Path) -> Sidecar:
    """Return the sidecar at `path`, which is below `root`.

    Raise Unreadable if it cannot be read, is a link, is protected, is too large or leaves the
    folder, or if it can have no such name.
    """
    if len(os.fsencode(path.name)) > _LONGEST:
        raise Unreadable("would have too long a name")
    if not os.path.lexists(path):
        return Sidecar(path)
    with reading.opened(path, follow=False, inside=root) as file:
        status = os.fstat(file.fileno())
        if not status.st_mode & 0o200:
            raise Unreadable("is write-protected")
        return Sidecar(path, reading.rest(file, MOST), status)


def _version(status: os.stat_result | None) -> tuple[int, ...]:
    return (status.st_ino, status.st_size, status.st_mtime_ns) if status else ()
