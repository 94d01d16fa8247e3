"""The files below a folder, and why some are left out."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tensor_guess.config import HIDDEN
from tensor_guess.errors import reason_of, shown
from tensor_guess.system import reading


@dataclass(frozen=True)
class LeftOut:
    """A file that is not used, and why."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"left out {shown(self.path)}: {self.reason}"


# A file, why it is left out, and the names of those beside it that go with it.
Listed = tuple[Path, str | None, tuple[str, ...]]
# The sorted names of a folder -> each with those that go with it.
Units = Callable[[Sequence[str]], Iterable[tuple[str, tuple[str, ...]]]]


@dataclass
class Files:
    """The files below a folder and its subfolders, in a fixed order; none outside it.

    Iterating yields (path, None), or (path, reason) for a file that is left out. Hidden files and
    folders (`.DS_Store`, `._photo.jpg`, `.ipynb_checkpoints`) are skipped and counted in `hidden`,
    but for those of this program.
    """

    root: Path
    hidden: int = field(default=0, init=False)

    def __iter__(self) -> Iterator[tuple[Path, str | None]]:
        for path, reason, _ in self.units(_alone):
            yield path, reason

    def units(self, units: Units) -> Iterator[Listed]:
        """Yield the same, each with the names of the files that go with it, by this rule.

        Those are beside it, are not yielded themselves, and have not been looked at.
        """
        folders = [self.root]
        while folders:
            folder = folders.pop()
            try:
                names, deeper = self._listed(folder)
            except OSError as error:
                yield folder, reason_of(error), ()
                continue
            for name, others in units(names):
                path = folder / name
                link = stat.S_ISLNK(_mode(path))
                yield path, self._reason_against_link(path) if link else None, others
            folders.extend(folder / name for name in reversed(deeper))

    def _listed(self, folder: Path) -> tuple[list[str], list[str]]:
        """Return the names in a folder that are not hidden, sorted: of files, and of folders."""
        names, deeper = list[str](), list[str]()
        with os.scandir(folder) as found:
            for entry in found:
                if entry.name.startswith("."):
                    self.hidden += not entry.name.startswith(HIDDEN)
                elif _is_folder(entry):
                    deeper.append(entry.name)
                else:
                    names.append(entry.name)
        return sorted(names), sorted(deeper)

    def _reason_against_link(self, path: Path) -> str | None:
        if reading.leaves(path, self.root):
            return reading.LEAVES
        return "is a link to a folder" if path.is_dir() else None


def _alone(names: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    return ((name, ()) for name in names)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:  # opening it as a file will report why
        return False


def _mode(path: Path) -> int:
    """Return the file's mode; 0 if it cannot be read, as opening the file will report why."""
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0
