"""The names that are free in DEST, and the files there that are in no manifest."""

import os
import re
from collections import defaultdict
from pathlib import Path
from threading import Lock

from tensor_guess.config import LINK, SYMLINK
from tensor_guess.errors import Unreadable, UserError, reason_of, shown
from tensor_guess.images.encoded import Picture
from tensor_guess.sorting.manifest import Entry, Manifest
from tensor_guess.sorting.plan import Place
from tensor_guess.system import reading
from tensor_guess.system.durable import is_same, make_folder_in, sweep

# `darth_vader-0.99621-2.jpg`: stem, number, suffix.
_NUMBERED = re.compile(r"(.+)-\d+(\.[^.]*|)", re.DOTALL)


class Names:
    """The names in DEST. Each folder is listed only once.

    So a name costs the same however many pictures share it.
    """

    def __init__(self, manifest: Manifest, *, dry: bool = False) -> None:
        self._manifest, self._root, self._dry = manifest, manifest.destination, dry
        self._told = set(manifest.known.values())
        self._taken = set[str]()
        self._folders = set[str]()
        self._made = set[str]()
        self._numbers: dict[Place, int] = {}
        self._lock = Lock()
        self._untold: dict[Place, list[str]] = defaultdict(list)
        self._digests: dict[str, bytes] = {}

    def entry(self, source: Path, picture: Picture, place: Place) -> tuple[Entry, bool]:
        """Return the entry for a picture, and whether it is in DEST already.

        A run that was killed may have left it there without its line in the manifest.
        """
        way, links_to = self._manifest.way.way, ""
        if way == SYMLINK:
            # Relative, so that both folders can be moved together.
            links_to = os.path.relpath(source, self._root / place.folder)
        image = self._manifest.relative(source)
        self._list(place.folder)
        names = self._untold.get(place, [])
        begun = self._manifest.begun.get(picture.key.hex(), "")
        for name in [begun, *names] if begun and place.has(begun) else names:
            entry = Entry(image, name, way, picture.key.hex(), links_to)
            if self._is_there(entry, picture.size):
                return entry, True
        return Entry(image, self.next(place), way, picture.key.hex(), links_to), False

    def next(self, place: Place) -> str:
        """Return the next path that is free, as far as is known."""
        self._list(place.folder)
        with self._lock:
            while True:
                number = self._numbers[place] = self._numbers.get(place, 0) + 1
                name = place.path(number)
                if name not in self._taken:
                    return name

    def make(self, folder: str) -> None:
        """Make a folder of DEST, after its line in the manifest, unless it is there.

        Raise UserError if that fails, or if it is not a folder of DEST's own.
        """
        if folder in self._made:
            return
        self._list(folder)
        path, missing = self._root / folder, list[str]()
        while path != self._root and not path.is_dir():
            missing.append(os.fspath(path.relative_to(self._root)))
            path = path.parent
        for each in reversed(missing):
            self._manifest.making(each)
            make_folder_in(self._root, self._root / each)
        self._made.add(folder)

    def _list(self, folder: str) -> None:
        """Take in what a folder has. Raise UserError if a link leads to it, or it is none."""
        if folder in self._folders:
            return
        path = self._root / folder
        steps = [each for each in (path, *path.parents) if each.is_relative_to(self._root)]
        for each in reversed(steps[:-1]):
            if os.path.lexists(each) and (each.is_symlink() or not each.is_dir()):
                raise UserError(f"{shown(each)} is not a folder of its own; move it away")
        if not self._dry and path.is_dir():
            sweep(path)
        for name in _listed(path):
            own = f"{folder}/{name}" if folder else name
            self._taken.add(own)
            if own not in self._told:
                self._remember(folder, name, own)
        self._folders.add(folder)

    def _remember(self, folder: str, name: str, own: str) -> None:
        """Keep a file that is in no manifest for the places that it may be at."""
        stem, suffix = os.path.splitext(name)
        self._untold[Place(folder, stem, suffix)].append(own)
        if found := _NUMBERED.fullmatch(name):
            self._untold[Place(folder, found[1], found[2])].append(own)

    def _is_there(self, entry: Entry, size: int) -> bool:
        path = self._root / entry.name
        try:
            if entry.way == SYMLINK:
                return os.readlink(path) == entry.links_to
            if entry.way == LINK:
                return is_same(path, self._manifest.source / entry.image)
            if os.lstat(path).st_size != size:
                return False
            if entry.name not in self._digests:
                self._digests[entry.name] = reading.sha256(path, size, follow=False)
        except (OSError, Unreadable):  # removed meanwhile, or unreadable: its name stays taken
            return False
        return self._digests[entry.name].hex() == entry.sha256


def _listed(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"could not read {shown(folder)}: {reason_of(error)}") from error
