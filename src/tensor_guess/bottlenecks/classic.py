"""Read a folder of bottlenecks that any generation of `retrain.py` kept: one text file per photo.
    <folder>/<category>/<photo>.txt                                  TensorFlow 0.8 to 1.2
    <folder>/<category>/<photo>_mobilenet_0.25_128.txt               1.3 to 1.7, --architecture
    <folder>/<category>/<photo>_https~tfhub.dev~google~...~1.txt     TensorFlow Hub, --tfhub_module

Each file is one line of numbers, separated by commas. Nothing in the folder is ever changed.
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

# The longest known bottleneck has 4096 numbers (VGG16) of at most 25 characters.
MAX_BYTES = 1_000_000
# `retrain.py` used only photos with such names, and appended what computed the bottleneck.
_NAME = re.compile(
    r"(?P<photo>.+\.(?:jpe?g|png))(?P<made_with>_.+)?\.txt", re.IGNORECASE | re.DOTALL
)
_INCEPTION_2015 = ("", "inception_v3")
_MOBILENET = re.compile(r"mobilenet_(?P<width>[0-9]\.[0-9]{1,5})_(?P<size>[0-9]{1,4})(_quantized)?")
# Filters in the first layer of a width-1.0 MobileNet.
_CHANNELS = 32
# How many files are opened to find out how long the bottlenecks are.
_LOOKED_AT = 16

Item = TypeVar("Item")


@dataclass(frozen=True)
class Group:
    """The bottleneck files of one network; `files`: by category, then by the photo's name.

    `made_with` is the network according to the files' names: "" (Inception of 2015),
    `mobilenet_0.25_128`, `https~tfhub.dev~...`.
    """

    made_with: str
    files: dict[str, dict[str, Path]]

    def __len__(self) -> int:
        return sum(map(len, self.files.values()))

    def __str__(self) -> str:
        return shown(self.made_with) if self.made_with else "Inception of 2015"

    @property
    def is_inception_2015(self) -> bool:
        """Return whether it is the one Inception that `retrain.py` had before TensorFlow Hub."""
        return self.made_with in _INCEPTION_2015

    @property
    def size(self) -> int | None:
        """Return the side of the network's input in pixels if the names include it, else None."""
        found = _MOBILENET.fullmatch(self.made_with)
        return int(found["size"]) if found else None

    @property
    def channels(self) -> int | None:
        """Return how many channels the network's first layer has; None if the names do not tell."""
        found = _MOBILENET.fullmatch(self.made_with)
        return round(_CHANNELS * float(found["width"])) if found else None

    @property
    def input(self) -> str:
        """Return the name of the network's input in graphs of that generation."""
        if self.is_inception_2015:
            return "Mul"
        return "Placeholder" if "~" in self.made_with else "input"

    def is_of(self, handle: str) -> bool:
        """Return whether the names are those for this TF Hub module."""
        return self.made_with == re.sub(r"://|[/:\\]", "~", handle)

    def length(self) -> int | None:
        """Return the most common count of numbers among some files; None if all are damaged."""
        counts = Counter[int]()
        for path in islice(spread(map(dict.values, self.files.values())), _LOOKED_AT):
            try:
                counts[len(read(path)[1])] += 1
            except Unreadable:
                continue  # it is reported when its turn comes
        return max(counts, key=lambda length: counts[length], default=None)


@dataclass(frozen=True)
class Stored:
    """A folder of `retrain.py`'s bottlenecks: its groups, largest first.

    `strays`: text files whose names are not those of bottlenecks.
    """

    folder: Path
    groups: tuple[Group, ...]
    strays: tuple[LeftOut, ...]


def index(folder: Path) -> Stored | None:
    """Return what is in the folder, judging by names alone; None if no bottleneck of `retrain.py`.

    Links inside are not followed. Raise UserError if the folder cannot be listed.
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
    """Return the SHA-256 of the file's bytes, and its numbers, float32 [D].

    Raise Unreadable if it is damaged or does not have `length` numbers.
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
    """Yield the first item of every list, then the second of every list, and so on."""
    for each in zip_longest(*lists):
        yield from (item for item in each if item is not None)


def _listed(folder: os.PathLike[str]) -> Iterator[os.DirEntry[str]]:
    """Return what is in the folder, sorted by name, without hidden entries."""
    with os.scandir(folder) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".")]
    return iter(sorted(visible, key=lambda entry: entry.name))
