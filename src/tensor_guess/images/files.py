"""The files below a folder, and why some are left out."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tensor_guess.errors import reason_of, shown
from tensor_guess.system import reading


@dataclass(frozen=True)
class LeftOut:
    """A file that is not used, and why."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"left out {shown(self.path)}: {self.reason}"


@dataclass
class Files:
    """The files below a folder and its subfolders, in a fixed order; none outside it.

    Iterating yields (path, None), or (path, reason) for a file that is left out. Hidden files and
    folders (`.DS_Store`, `._photo.jpg`, `.ipynb_checkpoints`) are skipped and counted in `hidden`.
    """

    root: Path
    hidden: int = field(default=0, init=False)

    def __iter__(self) -> Iterator[tuple[Path, str | None]]:
        folders = [self.root]
        while folders:
            folder = folders.pop()
            try:
                names = sorted(os.listdir(folder))
            except OSError as error:
                yield folder, reason_of(error)
                continue
            deeper = []
            for name in names:
                path = folder / name
                mode = _mode(path)
                if name.startswith("."):
                    self.hidden += 1
                elif stat.S_ISLNK(mode):
                    yield path, self._reason_against_link(path)
                elif stat.S_ISDIR(mode):
                    deeper.append(path)
                else:
                    yield path, None
            folders.extend(reversed(deeper))

    def _reason_against_link(self, path: Path) -> str | None:
        if reading.leaves(path, self.root):
            return reading.LEAVES
        return "is a link to a folder" if path.is_dir() else None


def _mode(path: Path) -> int:
    """Return the file's mode; 0 if it cannot be read, as opening the file will report why."""
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0
