"""A folder per category: folder -> labelled images -> split."""

import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tensor_guess.config import DATA
from tensor_guess.errors import UserError, WrongUsage, reason_of, shown
from tensor_guess.images.files import Files, LeftOut
from tensor_guess.system.reading import real

_LONGEST_NAME = 255  # bytes; Linux' NAME_MAX


class Split(Enum):
    """The part of the images that an image belongs to."""

    TRAINING = "training"
    VALIDATION = "validation"
    TESTING = "testing"


@dataclass(frozen=True)
class Category:
    """One folder of images: `name` goes into file names, `label` is printed."""

    name: str
    label: str
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Dataset:
    """The categories, sorted by label, and the files that are not used."""

    categories: tuple[Category, ...]
    left_out: tuple[LeftOut, ...]
    hidden: int


def label_of(folder_name: str) -> str:
    """Return what is printed for a category: letters, marks and digits of any script, lower case.

    Runs of other characters become one space: `Darth_Vader` -> `darth vader`. For plain ASCII
    names, this is what `retrain.py` does.
    """
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", folder_name).casefold())
    kept = (c if unicodedata.category(c)[0] in "LM" or c.isdecimal() else " " for c in folded)
    return re.sub(" +", " ", "".join(kept)).strip()


def is_category(name: str) -> bool:
    """Return whether a category's folder may have that name: one name, not hidden, with a label."""
    try:
        length = len(os.fsencode(name))
    except UnicodeEncodeError:  # half of a pair, as JSON may have it
        return False
    path = name.startswith(".") or "/" in name or "\0" in name
    return length <= _LONGEST_NAME and not path and label_of(name) != ""


def find(tf_files: Path, image_dir: Path | None = None) -> Dataset:
    """Return the categories in TF_FILES/data (or in `image_dir`) and their files; open none.

    Raise WrongUsage if the folder does not have that form. Raise UserError if it cannot be trained
    on: fewer than two categories, an empty category, or two categories with the same label.
    """
    data = image_dir or tf_files / DATA
    try:
        found = _read(data) if data.is_dir() else None
    except OSError as error:
        raise UserError(f"could not read {shown(data)}: {reason_of(error)}") from error
    if not found:
        raise _no_data(tf_files, data)
    _check(data, found.categories)
    return found


def meant(given: Path) -> Path | None:
    """Return the classifier's folder if `given` is its data folder or a category; else None."""
    if given.name == DATA:
        return given.parent
    is_category = given.parent.name == DATA and not any(each.is_dir() for each in given.iterdir())
    return given.parent.parent if is_category else None


def of_files(folder: Path, files: Mapping[str, Sequence[Path]]) -> Dataset:
    """Return the dataset of these files by category; `folder` has them, and is for messages.
    Raise UserError as `find` does.
    """
    categories = [Category(name, label_of(name), tuple(paths)) for name, paths in files.items()]
    categories.sort(key=lambda category: category.label)
    _check(folder, categories)
    return Dataset(tuple(categories), (), 0)


def part_of(key: bytes, validation: int, testing: int) -> Split:
    """Return the split of an image by the hash of its bytes alone."""
    percent = int.from_bytes(key[:8], "big") * 100 / 2**64
    if percent < validation:
        return Split.VALIDATION
    return Split.TESTING if percent < validation + testing else Split.TRAINING


def split(keys: Sequence[bytes], validation: int, testing: int) -> list[Split]:
    """Return the split of each image of one category, given the SHA-256 of its bytes.

    The hash is read as a percentage: below `validation` the image is for validation, below
    `validation + testing` for testing, else for training. So moving, renaming or adding files
    changes no image's split. If a part is empty and its percentage is not 0, it gets the image with
    the lowest hash from the largest part, as long as one image is left for training.
    """
    parts = [part_of(key, validation, testing) for key in keys]
    lowest_first = sorted(range(len(keys)), key=lambda i: keys[i])
    wanted = [Split.TRAINING]
    wanted += [Split.TESTING] if testing else []
    wanted += [Split.VALIDATION] if validation else []
    for part in wanted:
        if part not in parts and parts:
            largest = max(wanted, key=parts.count)
            if part is Split.TRAINING or parts.count(largest) > 1:
                parts[next(i for i in lowest_first if parts[i] is largest)] = part
    return parts


def _read(data: Path) -> Dataset:
    categories, left_out, hidden = [], [], 0
    for entry in sorted(data.iterdir()):
        if entry.name.startswith("."):
            hidden += 1
        elif entry.is_dir():
            files = Files(real(entry))
            found = list(files)
            hidden += files.hidden
            unused = [LeftOut(path, reason) for path, reason in found if reason]
            paths = tuple(path for path, reason in found if not reason)
            if unused and not paths:
                raise UserError(f"no file of category {shown(entry.name)} is used; {unused[0]}")
            left_out += unused
            categories.append(Category(entry.name, label_of(entry.name), paths))
        else:
            left_out.append(LeftOut(entry, "lies beside the category folders, in none of them"))
    categories.sort(key=lambda category: category.label)
    return Dataset(tuple(categories), tuple(left_out), hidden)


def _no_data(tf_files: Path, data: Path) -> UserError:
    if not tf_files.exists():
        return WrongUsage(f"there is no folder {shown(tf_files)}")
    if not tf_files.is_dir():
        return WrongUsage(f"{shown(tf_files)} is not a folder")
    if data != tf_files / DATA:
        return WrongUsage(f"there is no folder {shown(data)} (--image_dir)")
    folder = meant(tf_files.absolute())
    if folder:
        return WrongUsage(
            f"{shown(tf_files)} is not the classifier's folder; did you mean {shown(folder)}?"
        )
    return UserError(
        f"{shown(tf_files)} has no folder {DATA}; put pictures into "
        f"{shown(data / '<category>')}, a folder for each category"
    )


def _check(data: Path, categories: Sequence[Category]) -> None:
    if len(categories) < 2:
        found = f"only {shown(categories[0].name)}" if categories else "no folder"
        raise UserError(
            f"{shown(data)} needs a folder of pictures for each of two or more categories; "
            f"there is {found}"
        )
    named: dict[str, Category] = {}
    for category in categories:
        if not category.label:
            raise UserError(
                f"the folder {shown(data / category.name)} has no letter or digit in its name "
                "to make a label of; rename it"
            )
        if not category.files:
            raise UserError(
                f"the folder {shown(data / category.name)} has no pictures; add some or remove it"
            )
        twin = named.setdefault(category.label, category)
        if twin is not category:
            raise UserError(
                f"the folders {shown(twin.name)} and {shown(category.name)} in {shown(data)} "
                f"would both be labelled {category.label!r}; rename or join them"
            )
