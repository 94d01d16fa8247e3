"""Evaluate a classifier on labelled pictures: images -> scores -> accuracy, confusion."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from tensor_guess.backbones import loading as backbones
from tensor_guess.bottlenecks.computing import Computer
from tensor_guess.bottlenecks.extractor import Extractor
from tensor_guess.bottlenecks.inside import Inside
from tensor_guess.config import BOTTLENECKS, DATA
from tensor_guess.errors import Unreadable, UserError, WrongUsage, reason_of, shown
from tensor_guess.evaluation import accuracy as evaluation
from tensor_guess.evaluation.accuracy import Accuracy, AtThreshold, confusion
from tensor_guess.evaluation.copies import Pictures, near_copies
from tensor_guess.graphs.classifier import Classifier
from tensor_guess.graphs.files import Record
from tensor_guess.graphs.network import Recipe
from tensor_guess.guessing import loading, trained_on
from tensor_guess.guessing.loading import Given, Imagenet
from tensor_guess.guessing.trained_on import NotKnown, TrainedOn
from tensor_guess.images import encoded
from tensor_guess.images.dataset import label_of
from tensor_guess.images.encoded import Picture
from tensor_guess.images.files import Files, LeftOut
from tensor_guess.images.pixels import Pixels, pixels
from tensor_guess.system import progress, scratch
from tensor_guess.system.durable import check_new
from tensor_guess.system.reading import real
from tensor_guess.training.outputs import check_apart

# Few have others' machines at work.
if TYPE_CHECKING:
    from tensor_guess.spreading.machines import Machines

# Why a picture is not counted.
TRAINED_ON = "trained on"
NEAR_COPY = "near copy of a training picture"
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
_TOP = 5


@dataclass(frozen=True)
class Judged:
    """One picture: the numbers of its true and its guessed label, and the score of the latter.

    `not_counted`: why it does not count, or "".
    """

    path: Path
    truth: int
    found: int
    score: float
    not_counted: str = ""


@dataclass(frozen=True)
class Evaluation:
    """How good the classifier is on `judged`, without those that do not count.

    `scores` [N, K] and `truth` [N] are of those that count. `unknown`: why what was trained on
    cannot be known, or "". `note`: what makes it uncertain, or "". `copies`: how many files had the
    bytes of another.
    """

    record: Record
    judged: tuple[Judged, ...]
    scores: NDArray[np.float32]
    truth: NDArray[np.intp]
    left_out: tuple[LeftOut, ...]
    unknown: str
    note: str
    copies: int

    @property
    def accuracy(self) -> Accuracy:
        """Return for how many pictures the best label is the true one."""
        return evaluation.top(self.scores, self.truth, 1)

    @property
    def top_five(self) -> Accuracy | None:
        """Return for how many the true label is among the best five; None with five labels."""
        several = len(self.record.labels) > _TOP
        return evaluation.top(self.scores, self.truth, _TOP) if several else None

    @property
    def confusion(self) -> NDArray[np.intp]:
        """Return [K, K]: how many pictures of each label (rows) were given which (columns)."""
        labels = len(self.record.labels)
        return confusion(self.truth, self.scores.argmax(axis=1), labels)

    def at_thresholds(self, k: int) -> list[AtThreshold]:
        """Return what `guess --min-score` would do to label k, for each of THRESHOLDS."""
        return evaluation.at_thresholds(self.scores, self.truth, k, THRESHOLDS)


@dataclass
class _Labelled:
    """The pictures to judge, each once: key -> path and number of its label.

    `torn`: the keys of those that are in several categories.
    """

    pictures: dict[bytes, tuple[Path, int]] = field(default_factory=dict)
    torn: set[bytes] = field(default_factory=set)
    left_out: list[LeftOut] = field(default_factory=list)
    copies: int = 0


# What a network takes, or what it gave.
_Image = TypeVar("_Image", Pixels, NDArray[np.float32])
# A file with the number of its label, and what was found in it, or why it is left out.
_Looked = tuple[tuple[Path, int], tuple[Picture, _Image] | Unreadable]


def check_csv(path: Path, which: Given | Imagenet, labelled: Path) -> None:
    """Raise WrongUsage or UserError, before any work, if `path` cannot be a new file.

    It must not be among the pictures, neither those to judge nor those trained on.
    """
    check_new(path, labelled)
    for folder in [labelled, *([which.path / DATA] if isinstance(which, Given) else [])]:
        check_apart(path, folder)


def evaluate(
    which: Given | Imagenet,
    labelled: Path,
    precision: str | None = None,
    machines: "Machines | None" = None,
) -> Evaluation:
    """Return how good the classifier is on the pictures in `labelled`, a folder per category.

    Folders and labels belong together by the label rule (`dataset.label_of`). Other folders are
    left out. Of pictures with the same bytes, one counts. `precision` is the precision to compute
    in; None means the classifier's own. `machines`: which others compute. Raise WrongUsage if there
    is no such folder. Raise UserError if the classifier cannot be used, or if no picture can be
    judged.
    """
    if not labelled.is_dir():
        raise WrongUsage(f"there is no folder {shown(labelled)}")
    common = _in_common(which, machines) if machines else None
    known = loading.load(which)
    files, left_out = _files(labelled, known.record)
    found, run = _Labelled(left_out=left_out), _Run(known, precision, machines, common)
    scores = dict(run.scores(files, found))
    scores = {key: row for key, row in scores.items() if key not in found.torn}
    if not scores:
        first = f": {found.left_out[0]}" if found.left_out else ""
        raise UserError(f"no picture in {shown(labelled)} can be judged{first}")
    keys = list(scores)
    truth = np.array([found.pictures[key][1] for key in keys], np.intp)
    unknown = note = ""
    reasons = [""] * len(keys)
    try:
        seen = trained_on.find(which, known)
        own, note = run.bottlenecks, seen.note
        if known.record.fine_tuned:
            paths = [found.pictures[key][0] for key in keys]
            own, seen, note = _by_plain_backbone(known.record, which, keys, paths, seen)
        reasons = _not_counted(keys, truth, own, seen)
    except NotKnown as error:
        unknown = str(error)
    table = np.stack([scores[key] for key in keys])
    judged = tuple(
        Judged(found.pictures[key][0], int(k), int(best), float(row[best]), reason)
        for key, k, row, best, reason in zip(
            keys, truth, table, table.argmax(axis=1), reasons, strict=True
        )
    )
    counted = np.array([not reason for reason in reasons])
    return Evaluation(
        known.record,
        judged,
        table[counted],
        truth[counted],
        tuple(found.left_out),
        unknown,
        note,
        found.copies,
    )


def _files(labelled: Path, record: Record) -> tuple[list[tuple[Path, int]], list[LeftOut]]:
    """Return each file with the number of its label, and what is left out.

    Raise UserError if no folder is a category of the classifier, or if the folder is unreadable.
    """
    numbers: dict[str, int] = {}
    for k, label in enumerate(record.labels):
        numbers.setdefault(label_of(label), k)
    files, left_out, matching = list[tuple[Path, int]](), list[LeftOut](), 0
    try:
        entries = sorted(labelled.iterdir())
    except OSError as error:
        raise UserError(f"could not read {shown(labelled)}: {reason_of(error)}") from error
    for entry in entries:
        number = numbers.get(label_of(entry.name))
        if entry.name.startswith("."):
            continue
        if not entry.is_dir():
            left_out.append(LeftOut(entry, "lies beside the category folders, in none of them"))
        elif number is None:
            left_out.append(LeftOut(entry, "is no category of the classifier"))
        else:
            matching += 1
            for path, reason in Files(real(entry)):
                if reason:
                    left_out.append(LeftOut(path, reason))
                else:
                    files.append((path, number))
    if not matching:
        some = ", ".join(map(shown, record.categories[:5]))
        raise UserError(
            f"{shown(labelled)} has no folder that is a category of the classifier; "
            f"name its folders like the categories ({some}{', ...' * (len(numbers) > 5)})"
        )
    return files, left_out


def _in_common(which: Given | Imagenet, machines: "Machines") -> Path | None:
    """Return the folder in which all machines read the network; None for one of this machine.

    Raise WrongUsage if there is none, and UserError as `Machines.check`.
    """
    machines.check()
    if not machines.scheduler:
        return None
    if isinstance(which, Given) and which.path.is_dir():
        return which.path / BOTTLENECKS
    raise WrongUsage(
        "a scheduler's workers read the network in a classifier's folder; name a folder, or use "
        "--workers"
    )


@dataclass
class _Run:
    """The network, which also gives bottlenecks if the graph is made like ours."""

    known: Classifier
    precision: str | None
    machines: "Machines | None" = None
    common: Path | None = None  # see `_in_common`
    bottlenecks: dict[bytes, NDArray[np.float32]] = field(default_factory=dict)

    def scores(
        self, files: Sequence[tuple[Path, int]], found: _Labelled
    ) -> Iterator[tuple[bytes, NDArray[np.float32]]]:
        """Yield each picture's key and scores [K]; keep its bottleneck."""
        try:
            inside = Inside(self.known, False, self.precision)
        except UserError:
            yield from self._rows(self.known.recipe(self.precision), files, found)
            return
        for key, row in self._rows(inside.recipe, files, found):
            seen = inside.seen(row)
            self.bottlenecks[key] = seen.bottleneck
            yield key, seen.scores

    def _rows(
        self, recipe: Recipe, files: Sequence[tuple[Path, int]], found: _Labelled
    ) -> Iterator[tuple[bytes, NDArray[np.float32]]]:
        """Yield each picture's key and what the network gives for it."""
        if self.machines:
            yield from self._once(self._by_others(self.machines, recipe, files), files, found)
            return
        looked = encoded.ahead(self._look, files, weigh=lambda item: encoded.size_of(item[0]))
        yield from recipe.network().run(self._once(looked, files, found))

    def _by_others(
        self, machines: "Machines", recipe: Recipe, files: Sequence[tuple[Path, int]]
    ) -> "Iterator[_Looked[NDArray[np.float32]]]":
        from tensor_guess.guessing.spread import vectors
        from tensor_guess.spreading import cluster
        from tensor_guess.spreading.shared import shared

        with (
            cluster.connected(machines) as workers,
            nullcontext(self.common) if self.common else scratch.folder() as folder,
            shared(folder, recipe, (), pictures=(path for path, _ in files)) as job,
        ):
            workers.check(job)
            for item, result in vectors(workers, job, recipe, files, itemgetter(0), self._look):
                if isinstance(result, Unreadable):
                    yield item, result
                    continue
                picture, row = result
                assert row is not None  # nothing was known
                yield item, (picture, row)

    def _look(self, item: tuple[Path, int]) -> tuple[Picture, Pixels]:
        picture = encoded.read(item[0])
        return picture, pixels(picture, self.known.record.scaling)

    def _once(
        self,
        looked: "Iterator[_Looked[_Image]]",
        files: Sequence[tuple[Path, int]],
        found: _Labelled,
    ) -> Iterator[tuple[bytes, _Image]]:
        """Yield each picture once, as it was looked at; count or leave out the others."""
        for (path, k), result in progress.track(looked, len(files), "Evaluating"):
            if isinstance(result, Unreadable):
                found.left_out.append(LeftOut(path, str(result)))
                continue
            picture, image = result
            key = picture.key
            other = found.pictures.setdefault(key, (path, k))
            if other[0] is path:
                yield key, image
            elif other[1] == k:
                found.copies += 1
            else:
                categories = sorted({self.known.record.categories[each] for each in (k, other[1])})
                names = " and ".join(map(shown, categories))
                for each in (path, other[0]) if key not in found.torn else (path,):
                    reason = f"the same picture is in {names}"
                    found.left_out.append(LeftOut(each, reason))
                found.torn.add(key)


def _by_plain_backbone(
    record: Record,
    which: Given | Imagenet,
    keys: Sequence[bytes],
    paths: Sequence[Path],
    seen: TrainedOn,
) -> tuple[dict[bytes, NDArray[np.float32]], TrainedOn, str]:
    """Return bottlenecks, what was trained on, and the note, by the backbone before fine-tuning.

    The one after it makes pictures of a category so alike that it cannot tell near copies. There
    are no bottlenecks if the one before is not on this machine.
    """
    assert isinstance(which, Given)
    try:
        backbone = backbones.load(record.backbone, offline=True).fitted(record.scaling.fit)
    except UserError as error:
        note = f"near copies of training pictures cannot be told, and are counted: {error}"
        return {}, seen, f"{seen.note}; {note}" if seen.note else note
    extractor = Extractor(backbone, record.precision)
    computer = Computer(which.path / BOTTLENECKS, extractor, readonly=True)
    rows = computer.peek([*seen.paths, *paths])
    table = np.stack([rows[path] for path in seen.paths])
    seen = replace(seen, pictures=Pictures(table, seen.pictures.truth))
    return {key: rows[path] for key, path in zip(keys, paths, strict=True)}, seen, seen.note


def _not_counted(
    keys: Sequence[bytes],
    truth: NDArray[np.intp],
    bottlenecks: Mapping[bytes, NDArray[np.float32]],
    seen: TrainedOn,
) -> list[str]:
    """Return for each picture why it does not count, or "".

    A near copy of a training picture of another label counts, as in training's own test: it shows
    a wrong label or a mistake.
    """
    copies, known = np.zeros(len(keys), bool), set(seen.keys)
    if bottlenecks:
        rows = np.stack([bottlenecks[key] for key in keys])
        copies = near_copies(Pictures(rows, truth), seen.pictures).own
    return [
        TRAINED_ON if key in known else NEAR_COPY if copy else ""
        for key, copy in zip(keys, copies, strict=True)
    ]
