"""Learn: what a person corrected in a sorted folder -> more pictures to train on."""

import os
import secrets
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from tensor_guess.config import COPY, DATA, RECORD
from tensor_guess.errors import Unreadable, UserError, WrongUsage, shown
from tensor_guess.evaluation import story as stories
from tensor_guess.evaluation.accuracy import Accuracy
from tensor_guess.guessing import loading
from tensor_guess.images import encoded
from tensor_guess.images.dataset import label_of
from tensor_guess.images.files import LeftOut
from tensor_guess.sorting import corrections
from tensor_guess.sorting.corrections import Categories, Correction, Labelled
from tensor_guess.sorting.manifest import Entry
from tensor_guess.sorting.plan import Place
from tensor_guess.sorting.staging import Staging
from tensor_guess.system import progress
from tensor_guess.system.durable import (
    Staged,
    check_writable,
    make_folder_in,
    sweep,
    sync_folder,
)
from tensor_guess.system.reading import CHANGED, leaves, real


@dataclass
class Learned:
    """How many pictures of each category came to data/, and which categories are new.

    `known`: how many corrected pictures were there already. `strange`, `left_out`: see Corrections.
    """

    counts: Counter[str] = field(default_factory=Counter)
    new: set[str] = field(default_factory=set)
    known: int = 0
    strange: Counter[str] = field(default_factory=Counter)
    left_out: list[LeftOut] = field(default_factory=list)


def learn(tf_files: Path, destination: Path) -> Learned:
    """Copy what a person corrected in DEST into TF_FILES/data; return what was done.

    Nothing is overwritten, moved or removed. A picture that another category has already is left
    out and named, since only a person can say which is right. A run that was killed is completed
    by the next one.

    Raise WrongUsage or UserError as `corrections.find` does, if there is no TF_FILES, if the
    pictures would come to a folder outside of it, or if the system refuses.
    """
    data = tf_files / DATA
    _check(tf_files, data, destination)
    categories = corrections.names_in(data)
    found = corrections.find(destination, Categories(categories))
    done = Learned(strange=found.strange, left_out=found.left_out)
    if not found.moved:
        return done
    for each in {correction.category for correction in found.moved}:
        if leaves(data / each, tf_files):
            raise _elsewhere(data / each, tf_files)
    copying = _Copying(tf_files, Labelled(data), done)
    for correction in found.moved:
        try:
            copying.copy(correction)
        except Unreadable as error:
            done.left_out.append(LeftOut(correction.path, str(error)))
            progress.warn(str(done.left_out[-1]))
    for each in done.counts:
        sync_folder(data / each)
    done.new = done.counts.keys() - set(categories)
    return done


def accuracy_of(graph: Path) -> Accuracy | None:
    """Return the accuracy that is told of a classifier; None if there is none."""
    with suppress(UserError):
        model = stories.bytes_beside(graph)
        if model and graph.is_file():
            known = loading.load(graph)
            return stories.read(model, known.record, known.digest(), RECORD).accuracy
    return None


def _check(tf_files: Path, data: Path, destination: Path) -> None:
    if not tf_files.is_dir():
        raise WrongUsage(f"there is no folder {shown(tf_files)}")
    if leaves(data, tf_files):
        raise _elsewhere(data, tf_files)
    one, other = real(data), real(destination)
    if one.is_relative_to(other) or other.is_relative_to(one):
        raise WrongUsage(
            f"{shown(destination)} and {shown(data)}, where corrected pictures come to, are one "
            "inside the other; name a folder that classify-dir sorted into"
        )
    check_writable(data if data.is_dir() else tf_files)


def _elsewhere(folder: Path, tf_files: Path) -> WrongUsage:
    return WrongUsage(
        f"{shown(folder)} is a link that leaves {shown(tf_files)}; "
        "nothing is written there: make it a folder"
    )


class _Copying:
    def __init__(self, tf_files: Path, labelled: Labelled, done: Learned) -> None:
        self._tf_files, self._data = tf_files, tf_files / DATA
        self._labelled, self._done = labelled, done
        self._staging = Staging(secrets.token_hex(8))
        self._folders = set[str]()

    def copy(self, correction: Correction) -> None:
        """Copy the picture, unless it is there. Raise Unreadable if it cannot be learned."""
        category = correction.category
        if not label_of(category):
            raise Unreadable(
                f"the folder {shown(category)} has no letter or digit in its name to make a label "
                "of; rename it"
            )
        picture = encoded.read(correction.path)
        if picture.key.hex() != correction.sha256:
            raise Unreadable(CHANGED)
        has = self._labelled.has(correction.sha256, picture.size)
        if category in has:
            self._done.known += 1
            return
        if has:
            ((_, other), *_) = has.items()
            raise Unreadable(
                f"is also {shown(other)}; remove it there, and it is learned as {shown(category)}"
            )
        self._make(category)
        entry = Entry("", "", COPY, correction.sha256)
        stem, suffix = os.path.splitext(correction.path.name)
        place, folder = Place("", stem, suffix), self._data / category
        with self._staging.stage(entry, correction.path, folder / stem, picture) as staged:
            path = _named(staged, folder, place)
        self._labelled.add(category, path, correction.sha256)
        self._done.counts[category] += 1

    def _make(self, category: str) -> None:
        if category not in self._folders:
            make_folder_in(self._tf_files, self._data / category)
            sweep(self._data / category)
            self._folders.add(category)


def _named(staged: Staged, folder: Path, place: Place) -> Path:
    """Give the file the first name that is free, and return its path."""
    for number in count(1):
        path = folder / place.path(number)
        if not os.path.lexists(path):
            with suppress(FileExistsError):  # of a parallel run
                replace(staged, path=path).commit(replace=False)
                return path
    raise AssertionError
