"""Sorting without a network: what a picture shows follows from its bytes. And whole trees."""

import os
import stat
from hashlib import sha256
from pathlib import Path

from tensor_guess.config import MANIFEST
from tensor_guess.images.encoded import Picture, any_file
from tensor_guess.images.files import Files
from tensor_guess.sorting.apply import Applying
from tensor_guess.sorting.companions import ending, units
from tensor_guess.sorting.manifest import Manifest
from tensor_guess.sorting.plan import Places, Way

CATEGORIES = ("elsa", "darth_vader", "review")

# By path: what it is, its permissions; of a file also bytes and time, of a link where it leads.
Tree = dict[str, tuple[object, ...]]


def sort_files(source: Path, destination: Path, way: Way, *, classifier: str = "digest") -> int:
    """Sort all files as pictures, or with them, as `sort` does; return how many pictures."""
    places, claimed = Places(way, CATEGORIES), set[bytes]()
    with (
        Manifest(destination, source, classifier, way) as manifest,
        Applying(manifest) as applying,
    ):
        applying.finish(manifest.unfinished)
        for path, reason, names in Files(source).units(units):
            if reason or path.is_symlink():
                continue
            data = path.read_bytes()
            picture = Picture(data, "JPEG", sha256(data).digest(), path.stat())
            if picture.key in claimed or picture.key.hex() in manifest.known:
                continue
            claimed.add(picture.key)
            name, review = places.name(CATEGORIES[picture.key[0] % 3]), picture.key[1] % 4 == 0
            place = places.place(path.relative_to(source), name, 0.5, "jpg", review=review)
            place = place._replace(beside=tuple(ending(path.name, n, place.suffix) for n in names))
            own = [(path.with_name(each), any_file(path.with_name(each))) for each in names]
            applying.add(path, picture, (name, review), place, {name: 0.5, "other": 0.25}, own)
    return applying.counts.total() + applying.finished


def tree(folder: Path, *, left: bool = False) -> Tree:
    """What is below a folder, but for the manifest, and what is half-written unless `left`."""
    found: Tree = {}
    for path in folder.rglob("*"):
        status, name = path.lstat(), os.fspath(path.relative_to(folder))
        mode = stat.S_IMODE(status.st_mode)
        if path.name == MANIFEST or (not left and path.name.startswith(".tensor-guess-")):
            continue
        if path.is_symlink():
            found[name] = "link", os.readlink(path)
        elif path.is_dir():
            found[name] = "folder", mode
        elif not path.is_file():
            found[name] = "other", mode
        else:
            found[name] = "file", mode, path.read_bytes(), status.st_mtime_ns
    return found
