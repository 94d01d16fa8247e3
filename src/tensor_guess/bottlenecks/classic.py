"""A folder of bottlenecks as `retrain.py` kept them: one text file a photo, of any generation.

    <folder>/<category>/<photo>.txt                                  TensorFlow 0.8 to 1.2
    <folder>/<category>/<photo>_mobilenet_0.25_128.txt               1.3 to 1.7, --architecture
    <folder>/<category>/<photo>_https~tfhub.dev~google~...~1.txt     TensorFlow Hub, --tfhub_module

Each file is one line of numbers with commas between them. Nothing in the folder is ever changed.
"""

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tensor_guess.errors import Unreadable, UserError, reason_of, shown
from tensor_guess.images.files import LeftOut
from tensor_guess.system import reading

# The longest bottleneck known has 4096 numbers (VGG16), of at most 25 characters.
MAX_BYTES = 1_000_000
# `retrain.py` took photos of these names only, and wrote what it computed them with after that.
_NAME = re.compile(
    r"(?P<photo>.+\.(?:jpe?g|png))(?P<made_with>_.+)?\.txt", re.IGNORECASE | re.DOTALL
)
_INCEPTION_2015 = ("", "inception_v3")
_MOBILENET = re.compile(r"mobilenet_(?P<width>[0-9]\.[0-9]{1,5})_(?P<size>[0-9]{1,4})(_quantized)?")
# Filters in the first layer of a width-1.0 MobileNet.
_CHANNELS = 32
# Files that are opened to find how long the bottlenecks are.
_LOOKED_AT = 16

Item = TypeVar("Item")


@dataclass(frozen=True)
class Group:
    """The files that one network gave; `files`: by category, then by the photo's name.

    `made_with` is what their names say of it: "" (Inception of 2015), `mobilenet_0.25_128`,
    `https~tfhub.dev~...`.
    """

    made_with: str
    files: dict[str, dict[str, Path]]

    def __len__(self) -> int:
        return sum(map(len, self.files.values()))

    def __str__(self) -> str:
        return shown(self.made_with) if self.made_with else "Inception of 2015"

    @property
    def is_inception_2015(self) -> bool:
        """Whether it was the one Inception that `retrain.py` had before TensorFlow Hub."""
        return self.made_with in _INCEPTION_2015

    @property
    def size(self) -> int | None:
        """The side of the pixels that the network took, where the names say it."""
        found = _MOBILENET.fullmatch(self.made_with)
        return int(found["size"]) if found else None

    @property
    def channels(self) -> int | None:
        """How many the network's first layer has, where the names say it."""
        found = _MOBILENET.fullmatch(self.made_with)
        return round(_CHANNELS * float(found["width"])) if found else None

    @property
    def input(self) -> str:
        """The name of the network's input in graphs of that generation."""
        if self.is_inception_2015:
            return "Mul"
        return "Placeholder" if "~" in self.made_with else "input"

    def is_of(self, handle: str) -> bool:
        """Whether the names say that it was this TF Hub module."""
        return self.made_with == re.sub(r"://|[/:\\]", "~", handle)

    def length(self) -> int | None:
        """How many numbers each file has, by what most of some have; None: all are damaged."""
        counts = Counter[int]()
        for path in islice(spread(map(dict.values, self.files.values())), _LOOKED_AT):
            try:
                counts[len(read(path)[1])] += 1
            except Unreadable:
                continue  # it is named when its turn comes
        return max(counts, key=lambda length: counts[length], default=None)


@dataclass(frozen=True)
class Stored:
    """A folder of `retrain.py`'s bottlenecks: its groups, the largest first.

    `strays`: text files that are not named as bottlenecks are.
    """

    folder: Path
    groups: tuple[Group, ...]
    strays: tuple[LeftOut, ...]


def index(folder: Path) -> Stored | None:
    """What is in the folder, by names alone; None where that is no bottleneck of `retrain.py`.

    Links inside are not followed. Raises UserError where it cannot be listed.
    """
    groups: dict[str, Group] = {}
    strays = []
    try:
        for category in _listed(folder) if folder.is_dir() else ():
            for file in _listed(category) if category.is_dir(follow_symlinks=False) else ():
                name = _NAME.fullmatch(file.name)
                if name:
                    made_with = (name["made_with"] or "")[1:]
                    group = groups.setdefault(made_with, Group(made_with, {}))
                    group.files.setdefault(category.name, {})[name["photo"]] = Path(file)
                elif file.name.endswith(".txt"):
                    strays.append(LeftOut(Path(file), "is not named as `retrain.py` names them"))
    except OSError as error:
        raise UserError(f"could not read {shown(folder)}: {reason_of(error)}") from error
    largest_first = sorted(groups.values(), key=len, reverse=True)
    return Stored(folder, tuple(largest_first), tuple(strays)) if groups else None


def read(path: Path, length: int | None = None) -> tuple[bytes, NDArray[np.float32]]:
    """SHA-256 of the file's bytes; its numbers, float32 [D].

    Raises Unreadable where it is damaged, or has not `length` of them.
    """
    data = reading.read(path, MAX_BYTES, follow=False)
    if not data.strip():
        raise Unreadable("is empty")
    try:
        with np.errstate(over="ignore"):
            row = np.array(data.split(b","), np.float32)
    except ValueError as error:
        raise Unreadable("is no list of numbers") from error
    if length is not None and len(row) != length:
        raise Unreadable(f"has {len(row)} numbers, not {length}")
    if not np.isfinite(row).all():
        raise Unreadable("has numbers that are not finite")
    return hashlib.sha256(data).digest(), row


def spread(lists: Iterable[Iterable[Item]]) -> Iterator[Item]:
    """The first of each list, then the second of each, and so on."""
    for each in zip_longest(*lists):
        yield from (item for item in each if item is not None)


def _listed(folder: os.PathLike[str]) -> Iterator[os.DirEntry[str]]:
    """What is in the folder, sorted by name; nothing hidden."""
    with os.scandir(folder) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".")]
    return iter(sorted(visible, key=lambda entry: entry.name))
