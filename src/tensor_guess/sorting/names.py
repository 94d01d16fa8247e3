"""The names that are free in DEST, and the files there that are in no manifest."""

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from operator import or_
from pathlib import Path
from threading import Lock

from tensor_guess.config import LINK, SYMLINK
from tensor_guess.errors import Unreadable, UserError, reason_of, shown
from tensor_guess.images.encoded import Picture
from tensor_guess.sorting.manifest import Entry, Manifest
from tensor_guess.sorting.plan import Place
from tensor_guess.system import reading
from tensor_guess.system.durable import is_same, make_folder_in, sweep
from tensor_guess.system.reading import Remote

# `darth_vader-0.99621-2.jpg`: stem, number, suffix.
_NUMBERED = re.compile(r"(.+)-\d+(\.[^.]*|)", re.DOTALL)


class Names:
    """The names in DEST. Each folder is listed only once.

    So a name costs the same however many pictures share it.
    """

    def __init__(self, manifest: Manifest, *, dry: bool = False) -> None:
        self._manifest, self._root, self._dry = manifest, manifest.destination, dry
        self._told = set(manifest.known.values()) | manifest.companions
        self._taken = set[str]()
        self._folders = set[str]()
        self._made = set[str]()
        self._numbers = defaultdict[Place, int](int)
        self._lock = Lock()
        self._untold: dict[Place, list[str]] = defaultdict(list)
        self._digests: dict[str, bytes] = {}

    def entries(
        self, members: Sequence[tuple[Path, Picture]], place: Place
    ) -> list[tuple[Entry, bool]]:
        """Return the entries of a picture and its companions, and which are in DEST already.

        `members`: where they are, the picture first; the others in the order of `place.beside`. A
        run that was killed may have left some there without their lines in the manifest.
        """
        self._list(place.folder)
        begun = self._manifest.begun.get(members[0][1].key.hex(), "")
        if place.number(begun) and (found := self._left(members, place, begun, begun=True)):
            return found
        for name in self._untold.get(_alone(place), []):
            if found := self._left(members, place, name):
                return found
        return [(each, False) for each in self._entries(members, self.next(place))]

    def next(self, place: Place) -> tuple[str, ...]:
        """Return the next paths that are free, as far as is known, for all of a unit."""
        self._list(place.folder)
        alone = _alone(place)
        with self._lock:
            while True:
                self._numbers[alone] += 1
                names = place.paths(self._numbers[alone])
                if self._taken.isdisjoint(names):
                    # Two pictures whose names differ in their ends may have sidecars that do not.
                    self._taken.update(names if place.beside else ())
                    return names

    def renamed(self, entries: Sequence[Entry], place: Place) -> list[Entry]:
        """Return the entries of a unit with the next names."""
        names = self.next(place)
        unit = ("", *(names[0] for _ in names[1:]))
        return [
            replace(entry, name=name, companion_of=picture)
            for entry, name, picture in zip(entries, names, unit, strict=True)
        ]

    def make(self, folder: str) -> None:
        """Make a folder of DEST, after its line in the manifest, unless it is there.

        Raise UserError if that fails, or if it is not a folder of DEST's own.
        """
        if isinstance(self._root, Remote):
            return
        path, missing = self._root / folder, list[str]()
        if folder in self._made and path.is_dir():  # somebody may have removed it since
            return
        self._list(folder)
        while path != self._root and not path.is_dir():
            missing.append(os.fspath(path.relative_to(self._root)))
            path = path.parent
        for each in reversed(missing):
            self._manifest.making(each)
            make_folder_in(self._root, self._root / each)
        self._made.add(folder)

    def _entries(
        self, members: Sequence[tuple[Path, Picture]], names: Sequence[str]
    ) -> list[Entry]:
        way, found = self._manifest.way.way, list[Entry]()
        for (source, picture), name in zip(members, names, strict=True):
            links_to = ""
            if way == SYMLINK:
                # Relative, so that both folders can be moved together.
                links_to = os.path.relpath(source, (self._root / name).parent)
            image, unit = self._manifest.relative(source), names[0] if found else ""
            found.append(Entry(image, name, way, picture.key.hex(), links_to, unit))
        return found

    def _left(
        self,
        members: Sequence[tuple[Path, Picture]],
        place: Place,
        name: str,
        *,
        begun: bool = False,
    ) -> list[tuple[Entry, bool]] | None:
        """Return the entries if a killed run left the picture as `name`, or some of a unit.

        None if it did not, or if the rest of the unit can no longer come there.
        """
        number = place.number(name)
        names = place.paths(number) if number else (name,)
        if len(names) != len(members):
            return None
        entries = self._entries(members, names)
        sizes = [picture.size for _, picture in members]
        there = [self._is_there(*each) for each in zip(entries, sizes, strict=True)]
        free = (not reading.is_there(self._root / each) for each in names)
        if not (any(there) if begun else there[0]) or not all(map(or_, there, free)):
            return None
        return list(zip(entries, there, strict=True))

    def _list(self, folder: str) -> None:
        """Take in what a folder has. Raise UserError if a link leads to it, or it is none."""
        if folder in self._folders:
            return
        path = self._root / folder
        if not isinstance(path, Remote):
            self._check_own(path)
            if not self._dry and path.is_dir():
                sweep(path)
        for name in _listed(path):
            own = f"{folder}/{name}" if folder else name
            self._taken.add(own)
            if own not in self._told:
                self._remember(folder, name, own)
        self._folders.add(folder)

    def _check_own(self, path: Path) -> None:
        """Raise UserError if a link leads to a folder, or it is none."""
        steps = [each for each in (path, *path.parents) if each.is_relative_to(self._root)]
        for each in reversed(steps[:-1]):
            if os.path.lexists(each) and (each.is_symlink() or not each.is_dir()):
                raise UserError(f"{shown(each)} is not a folder of its own; move it away")

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
            if path.lstat().st_size != size:
                return False
            if entry.name not in self._digests:
                self._digests[entry.name] = reading.sha256(path, size, follow=False)
        except (OSError, Unreadable):  # removed meanwhile, or unreadable: its name stays taken
            return False
        return self._digests[entry.name].hex() == entry.sha256


def _alone(place: Place) -> Place:
    return place._replace(beside=())


def _listed(folder: Path) -> list[str]:
    try:
        if isinstance(folder, Remote):
            parts = list(folder.scan())
            return [name for part in parts for name in (*dict(part.files), *part.folders)]
        return os.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"could not read {shown(folder)}: {reason_of(error)}") from error
