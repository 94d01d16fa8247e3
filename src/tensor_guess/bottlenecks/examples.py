"""The images to train and test on: each readable one once, with its category, split and row."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tensor_guess.bottlenecks.computing import Rows
from tensor_guess.config import Training
from tensor_guess.errors import UserError, shown
from tensor_guess.images import dataset
from tensor_guess.images.dataset import Dataset, Split
from tensor_guess.images.files import LeftOut


@dataclass
class Examples:
    """The images, ordered by category and then by key, so that file names do not matter.

    These lists have one entry for each image: `paths`, `keys` (SHA-256 of its bytes), `truth` (the
    number of its category), `parts` (its split), `rows` (the row of its bottleneck). `copies`
    counts files with the same bytes as another file in their category.
    """

    data: Dataset
    paths: list[Path] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    truth: list[int] = field(default_factory=list)
    parts: list[Split] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    copies: int = 0

    def digest(self) -> str:
        """Return the SHA-256 of the sorted lines `<SHA-256 of the image>  <label>`.

        It depends on every image and its label, but not on the files' names or order.
        """
        lines = sorted(
            f"{key.hex()}  {self.data.categories[k].label}\n".encode()
            for key, k in zip(self.keys, self.truth, strict=True)
        )
        return hashlib.sha256(b"".join(lines)).hexdigest()

    def holding_out(self, keys: frozenset[bytes]) -> "Examples":
        """Return the same with these images as the testing split, and all others to train on."""
        parts = [Split.TESTING if key in keys else Split.TRAINING for key in self.keys]
        return replace(self, parts=parts)

    def of(self, part: Split) -> list[NDArray[np.intp]]:
        """Return, for each category, the positions of its images in that part."""
        found: list[list[int]] = [[] for _ in self.data.categories]
        for i, (k, own) in enumerate(zip(self.truth, self.parts, strict=True)):
            if own is part:
                found[k].append(i)
        return [np.array(each, np.intp) for each in found]


def arrange(data: Dataset, rows: Rows, options: Training) -> Examples:
    """Return the readable images, each once, with their parts.

    Leave out images that are in several categories. Raise UserError if a category has none left.
    """
    examples = Examples(data, left_out=[*data.left_out, *rows.left_out])
    row_of = {path: row for row, path in enumerate(rows.paths)}
    homes = _homes(data, rows, row_of)
    for k, category in enumerate(data.categories):
        own: dict[bytes, Path] = {}
        for path in category.files:
            if path not in row_of:
                continue
            key = rows.keys[row_of[path]]
            if len(homes[key]) > 1:
                names = " and ".join(shown(data.categories[i].name) for i in sorted(homes[key]))
                examples.left_out.append(LeftOut(path, f"the same picture is in {names}"))
            elif own.setdefault(key, path) is not path:
                examples.copies += 1
        if not own:
            first = next(each for each in examples.left_out if each.path in category.files)
            raise UserError(
                f"no picture in category {shown(category.name)} can be used; "
                f"the first of them: {first}"
            )
        keys = sorted(own)
        examples.paths += [own[key] for key in keys]
        examples.keys += keys
        examples.rows += [row_of[own[key]] for key in keys]
        examples.truth += [k] * len(keys)
        examples.parts += dataset.split(
            keys, options.validation_percentage, options.testing_percentage
        )
    return examples


def _homes(data: Dataset, rows: Rows, row_of: dict[Path, int]) -> dict[bytes, set[int]]:
    """Return, for each picture's key, the numbers of the categories that it is in."""
    homes: dict[bytes, set[int]] = {}
    for k, category in enumerate(data.categories):
        for path in category.files:
            if path in row_of:
                homes.setdefault(rows.keys[row_of[path]], set()).add(k)
    return homes
