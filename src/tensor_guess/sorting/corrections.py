"""What people have said of pictures: by moving sorted ones to another folder, and in data/.

A picture is known by its SHA-256, so another name in the same folder says nothing. Nothing here
writes to a file.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tensor_guess.config import FOLDERS, MANIFEST, SYMLINK
from tensor_guess.errors import Unreadable, UserError, WrongUsage, shown
from tensor_guess.images import encoded
from tensor_guess.images.dataset import label_of
from tensor_guess.images.files import Files, LeftOut
from tensor_guess.sorting.companions import units
from tensor_guess.sorting.manifest import Begun, Entry, Run, Told, Undoing, Undone, read
from tensor_guess.sorting.plan import Places, Way
from tensor_guess.sorting.staging import digest
from tensor_guess.system import progress, reading
from tensor_guess.system.durable import Journal
from tensor_guess.system.reading import real


@dataclass(frozen=True, slots=True)
class Correction:
    """A sorted picture that a person moved: its path, its SHA-256, and its category by now."""

    path: Path
    sha256: str
    category: str


@dataclass
class Corrections:
    """What is found in DEST: the pictures that were moved, in the order of their paths.

    `strange`: how many pictures in each category's folder are in no manifest. `left_out`: what
    cannot be read, or is in the folders of several categories.
    """

    moved: list[Correction] = field(default_factory=list)
    strange: Counter[str] = field(default_factory=Counter)
    left_out: list[LeftOut] = field(default_factory=list)


class Categories:
    """The categories that the folders of DEST stand for, of a classifier with these categories."""

    def __init__(self, known: Sequence[str]) -> None:
        self._places = Places(Way(layout=FOLDERS), known)
        self._by_label = {label_of(each): each for each in known}

    def of(self, folder: str) -> str | None:
        """Return the category of a folder; None if it decides nothing.

        That is DEST itself (""), and what sorting has for review and for the unknown. Any other
        folder is the category of that name, or the one with the same label.
        """
        if not folder or self._places.is_undecided(folder):
            return None
        found = self._places.category(folder) or self._by_label.get(label_of(folder))
        return found or folder


def find(destination: Path, categories: Categories) -> Corrections:
    """Return what a person has moved in DEST since it was sorted; read all of its pictures.

    Only what was sorted is looked for: a picture in no manifest may be an edited one that lies
    where the classifier had put it, and a guess must not be learned as a truth.

    Raise WrongUsage if DEST is no folder, or was sorted without folders for the categories. Raise
    UserError if nothing was sorted into it.
    """
    if not destination.is_dir():
        raise WrongUsage(f"there is no folder {shown(destination)}")
    root = real(destination)
    if not os.path.lexists(root / MANIFEST):
        raise UserError(f"nothing was sorted into {shown(destination)}: it has no {MANIFEST}")
    with Journal(root / MANIFEST, read_only=True) as journal:
        sorted_ = _Sorted(journal)
    if not sorted_.has_folders:
        raise WrongUsage(
            f"{shown(destination)} was sorted without folders, so no picture can be moved to "
            f"another category there; sort with --layout {FOLDERS}"
        )
    return _Finding(root, categories, sorted_).found()


class _Sorted:
    """What is in the manifest: SHA-256 -> the folders that the picture was sorted into.

    `links`: where a symbolic link leads -> SHA-256. `trees`: folders of DEST that are folders of
    SRC, and no category's.
    """

    def __init__(self, journal: Journal) -> None:
        self.has_folders = False
        self.folders: dict[str, set[str]] = defaultdict(set)
        self.links, self.trees = dict[str, str](), set[str]()
        names: dict[str, tuple[str, str]] = {}  # path in DEST -> SHA-256, folder
        runs = dict[str, Run]()
        for event in read(journal):
            match event:
                case Run(run=run):
                    runs[run] = event
                    self.has_folders |= event.way.layout == FOLDERS
                # Killed before it was told: the picture may be there all the same.
                case Begun(run=run, entries=entries):
                    for each in (each for each in entries if not each.companion_of):
                        names[each.name] = each.sha256, self._folder(each, runs.get(run))
                case Told(run=run, entry=entry) if not entry.companion_of:
                    names[entry.name] = entry.sha256, self._folder(entry, runs.get(run))
                case Undoing(names=gone) | Undone(names=gone):
                    for name in gone:
                        names.pop(name, None)
        for sha256, folder in names.values():
            self.folders[sha256].add(folder)

    def _folder(self, entry: Entry, run: Run | None) -> str:
        if entry.way == SYMLINK:
            self.links[entry.links_to] = entry.sha256
        first, slash, _ = entry.name.partition("/")
        if run and run.way.layout == FOLDERS:
            return first
        if slash:
            self.trees.add(first)
        return ""


class _Finding:
    def __init__(self, root: Path, categories: Categories, sorted_: _Sorted) -> None:
        self._root, self._categories, self._sorted = root, categories, sorted_
        self._found = Corrections()

    def found(self) -> Corrections:
        there: dict[str, list[Path]] = defaultdict(list)
        files = Files(self._root).units(units)
        total = sum(1 for _ in Files(self._root).units(units)) if progress.on_terminal() else 0
        looked = encoded.ahead(self._look, files, weigh=lambda item: encoded.size_of(item[0]))
        for (path, _, _), sha256 in progress.track(looked, total, "Looking"):
            if isinstance(sha256, Unreadable):
                self._leave_out(path, str(sha256))
            elif sha256 in self._sorted.folders:
                there[sha256].append(path)
            elif sha256 and (category := self._category(path)):
                self._found.strange[category] += 1
        for sha256, paths in there.items():
            self._add(sha256, paths)
        return self._found

    def _add(self, sha256: str, paths: list[Path]) -> None:
        now = {category: path for path in reversed(paths) if (category := self._category(path))}
        if len(now) > 1:
            names = ", ".join(map(shown, sorted(now)))
            self._leave_out(paths[0], f"is in several categories: {names}; leave it in one")
            return
        before = {self._categories.of(folder) for folder in self._sorted.folders[sha256]}
        self._found.moved += [
            Correction(path, sha256, category)
            for category, path in now.items()
            if category not in before
        ]

    def _category(self, path: Path) -> str | None:
        parts = path.relative_to(self._root).parts
        folder = parts[0] if len(parts) > 1 else ""
        category = self._categories.of(folder)
        # Unless a category has the name of a folder of SRC too.
        return None if category == folder and folder in self._sorted.trees else category

    def _look(self, item: tuple[Path, str | None, Sequence[str]]) -> str | None:
        """Return the SHA-256 of a picture; None if it is none, or a link of somebody else's."""
        path, _, _ = item
        if path.is_symlink():
            return self._sorted.links.get(os.readlink(path))
        try:
            return encoded.read(path, inside=self._root).key.hex()
        except Unreadable:
            with reading.opened(path, follow=False):  # raises what is the matter with it, if so
                return None

    def _leave_out(self, path: Path, reason: str) -> None:
        self._found.left_out.append(LeftOut(path, reason))
        progress.warn(str(self._found.left_out[-1]))


class Labelled:
    """The pictures in folders of categories, as in TF_FILES/data: which category has one.

    Only those are read that have as many bytes as one that is asked for.
    """

    def __init__(self, data: Path) -> None:
        self._by_size: dict[int, list[tuple[str, Path]]] = defaultdict(list)
        self._digests = dict[Path, str | None]()
        for category, path in _labelled(data):
            self._by_size[encoded.size_of(path)].append((category, path))

    def has(self, sha256: str, size: int) -> dict[str, Path]:
        """Return the categories that have a picture of these bytes, each with its path there."""
        found = dict[str, Path]()
        for category, path in self._by_size.get(size, ()):
            if path not in self._digests:
                self._digests[path] = digest(path)
            if self._digests[path] == sha256:
                found.setdefault(category, path)
        return found

    def add(self, category: str, path: Path, sha256: str) -> None:
        """Take in a picture that has just come there."""
        self._by_size[encoded.size_of(path)].append((category, path))
        self._digests[path] = sha256


def names_in(data: Path) -> list[str]:
    """Return the names of the categories in a folder of them, in the order of their labels.

    Raise UserError if it cannot be read.
    """
    try:
        found = [entry.name for entry in data.iterdir() if entry.is_dir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"could not read {shown(data)}: {error.strerror}") from error
    return sorted((name for name in found if name[0] != "."), key=lambda name: label_of(name))


def _labelled(data: Path) -> Iterator[tuple[str, Path]]:
    for category in names_in(data):
        for path, reason in Files(real(data / category)):
            if not reason:
                yield category, path
