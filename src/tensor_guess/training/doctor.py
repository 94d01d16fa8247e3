"""Examine a classifier's pictures: what is damaged, double, too small, wrong or missing."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tensor_guess.backbones import loading
from tensor_guess.bottlenecks import gathering
from tensor_guess.bottlenecks.computing import Rows
from tensor_guess.bottlenecks.examples import Examples, arrange
from tensor_guess.bottlenecks.extractor import Extractor
from tensor_guess.config import DATA, GRAPH, Training
from tensor_guess.errors import Unreadable, UserError, counted, shown
from tensor_guess.evaluation import copies, label_errors, looks
from tensor_guess.evaluation import story as stories
from tensor_guess.graphs import classifier
from tensor_guess.graphs import graph as graphs
from tensor_guess.graphs.network import precision_of
from tensor_guess.images import dataset, decoding, encoded
from tensor_guess.images.dataset import Dataset, Split
from tensor_guess.images.files import LeftOut
from tensor_guess.system.reading import Remote, real
from tensor_guess.training import not_duplicates
from tensor_guess.training.cross_validation import out_of_fold
from tensor_guess.training.set_aside import Done, Spare, can_move, set_aside

# A category with this many times the pictures of another is too large beside it: a guess in doubt
# goes to it.
UNEVEN = 4
# Larger pictures only take time and memory: they are scaled down to a few hundred pixels.
HUGE = 50_000_000

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Picture:
    """A picture that is trained or tested on."""

    path: Path
    category: str
    split: str


@dataclass(frozen=True)
class Sized:
    """A picture and its size in pixels."""

    path: Path
    width: int
    height: int


@dataclass(frozen=True)
class Suspect:
    """A picture that looks like another category to a head that was not trained on it."""

    path: Path
    category: str
    looks_like: str
    score: float  # of its own category


@dataclass(frozen=True)
class Unlike:
    """A picture that is like no training picture of its category; `usual` is the least cosine."""

    path: Path
    category: str
    split: str
    likeness: float
    usual: float


@dataclass(frozen=True)
class Findings:
    """What was found, each list worst first.

    `counts`: the pictures in each split, by category. `input_size`: the network's, in pixels.
    `exact`: files with the same bytes in one category; `contradicting`: in several categories.
    `near`, `across`: near copies in one category and in several.
    """

    counts: Mapping[str, Mapping[str, int]]
    input_size: int
    unreadable: tuple[LeftOut, ...]
    exact: tuple[tuple[Path, ...], ...]
    contradicting: tuple[tuple[Path, ...], ...]
    near: tuple[tuple[Picture, ...], ...]
    across: tuple[tuple[Picture, ...], ...]
    tiny: tuple[Sized, ...]
    huge: tuple[Sized, ...]
    suspects: tuple[Suspect, ...]
    missing: tuple[Unlike, ...]

    @property
    def uneven(self) -> float:
        """Return how many times the pictures of the smallest category the largest has."""
        sizes = [sum(each.values()) for each in self.counts.values()]
        return max(sizes) / max(min(sizes), 1)


@dataclass(frozen=True)
class Examined:
    """The findings, and what is needed to act on them."""

    findings: Findings
    tf_files: Path
    data: Dataset
    keys: Mapping[Path, bytes]
    areas: Mapping[Path, int]
    held_out: tuple[int, int]

    def fix(self) -> Done:
        """Set aside what can be spared (see `spares`). Raise as `set_aside` does."""
        return set_aside(self.tf_files, list(self.spares()))

    def spares(self) -> Iterator[Spare]:
        """Yield the files to set aside; none of the testing split, no link and no link's target.

        They are unreadable files; all but one of exact copies in one category; all exact copies in
        several categories, since nobody but the user knows which is right; and near copies in the
        training split of one category, if the picture that they are like stays.
        """
        found, gone = self.findings, set[Path]()
        for file in found.unreadable:
            yield from self._spare(file.path, f"cannot be read: {file.reason}", gone)
        for group in found.contradicting:
            if not any(map(self._in_place, group)):
                for path in group:
                    yield from self._spare(path, "the same picture is in another category", gone)
        for group in found.exact:
            kept = self._best(group)
            for path in group:
                if path != kept:
                    yield from self._spare(path, f"same bytes as {shown(kept)}", gone)
        stays = set[Path]()
        for pictures in (*found.near, *found.across):
            for category in sorted({each.category for each in pictures}):
                group = tuple(
                    each.path
                    for each in pictures
                    if (each.category, each.split) == (category, Split.TRAINING.value)
                    and each.path not in gone
                )
                if len(group) > 1:
                    kept = self._best(tuple(stays.intersection(group)) or group)
                    stays.add(kept)
                    for path in group:
                        if path not in stays:
                            yield from self._spare(path, f"near copy of {shown(kept)}", gone)

    def _spare(self, path: Path, reason: str, gone: set[Path]) -> Iterator[Spare]:
        key = self.keys.get(path)
        tested = key and dataset.part_of(key, *self.held_out) is Split.TESTING
        if path not in gone and not tested and not self._in_place(path) and path in self._places:
            gone.add(path)
            yield Spare(path, self._places[path], key, reason)

    def _best(self, paths: Sequence[Path]) -> Path:
        """Return the one to keep: one that has to stay, else the largest, else the first."""
        return min(
            paths,
            key=lambda path: (
                not self._in_place(path),
                -self.areas.get(path, 0),
                -encoded.size_of(path),
                path,
            ),
        )

    def _in_place(self, path: Path) -> bool:
        return path in self._targets or not can_move(path, self.tf_files)

    @cached_property
    def _targets(self) -> set[Path]:
        """Return what links among the pictures lead to, and files that two categories share."""
        files = [path for category in self.data.categories for path in category.files]
        shared = {path for path, times in Counter(files).items() if times > 1}
        return shared | {real(path) for path in files if path.is_symlink()}

    @cached_property
    def _places(self) -> dict[Path, Path]:
        """Return the place of each file below the folder of what is set aside."""
        places = {}
        for category in self.data.categories:
            home = real(self.tf_files / DATA / category.name)
            for path in category.files:
                places[path] = category.name / path.relative_to(home)
        return places


def examine(tf_files: Path) -> Examined:
    """Examine the pictures in TF_FILES/data, with the classifier's own backbone.

    Nothing changes but the bottleneck cache. Without a classifier, the first default backbone that
    is on this machine is used. Raise as `gathering.find` and `arrange` do.
    """
    examples, rows, extractor, held_out = gathered(tf_files)
    sizes = list(sizes_of(examples.paths))
    return Examined(
        _findings(examples, rows, sizes, extractor, not_duplicates.read(tf_files)),
        tf_files,
        examples.data,
        dict(zip(rows.paths, rows.keys, strict=True)),
        {each.path: each.width * each.height for each in sizes},
        held_out,
    )


def gathered(tf_files: Path) -> tuple[Examples, Rows, Extractor, tuple[int, int]]:
    """Return what the classifier is trained and tested on, and how.

    The last are the percentages of validation and testing. Raise as `examine` does.
    """
    source = gathering.find(tf_files, None, None)
    if source.data is None:
        raise UserError(
            f"{shown(tf_files)} has bottlenecks but no pictures; "
            f"put them into {shown(source.photos)}"
        )
    extractor, held_out = _made_with(tf_files)
    found = gathering.gather(source, extractor)
    validation, testing = held_out
    options = Training(validation_percentage=validation, testing_percentage=testing)
    return arrange(found.data, found.rows, options), found.rows, found.extractor, held_out


def at_first_sight(examples: Examples, near: copies.Pairs | None, input_size: int) -> list[str]:
    """Return at most three lines about what is wrong with the pictures, for the start of training.

    near: the near copies among them, or None if there are too many pictures to look at each: then
    only their numbers are looked at. Tiny pictures are those below half the network's input.
    """
    names = [category.name for category in examples.data.categories]
    counts = np.bincount(examples.truth, minlength=len(names))
    lines = []
    if counts.max() >= UNEVEN * counts.min():
        most, least = shown(names[counts.argmax()]), shown(names[counts.argmin()])
        times = counts.max() / counts.min()
        lines.append(f"uneven: {most} has {times:.1f} times the pictures of {least}")
    if near is None:
        return lines
    # What has been seen before is not downloaded again only for this.
    here = [path for path in examples.paths if not isinstance(path, Remote)]
    if tiny := tiny_of(list(sizes_of(here)), input_size // 2):
        pictures = counted(len(tiny), "picture")
        lines.append(
            f"{pictures} smaller than {input_size // 2} pixels, e.g. {shown(tiny[0].path)}"
        )
    across = sum(len({examples.truth[i] for i in group}) > 1 for group in copies.cliques(near))
    if across:
        lines.append(f"near copies in several categories: {counted(across, 'group')}")
    return lines


def sizes_of(paths: Sequence[Path]) -> Iterator[Sized]:
    """Yield the size of each picture that can be read, in order."""
    looked = encoded.ahead(
        lambda path: decoding.size_of(encoded.read(path)), paths, weigh=encoded.size_of
    )
    for path, found in looked:
        if not isinstance(found, Unreadable):
            yield Sized(path, *found)


def tiny_of(sizes: Sequence[Sized], input_size: int) -> tuple[Sized, ...]:
    """Return the pictures whose shorter side is below the network's input, smallest first."""
    tiny = [each for each in sizes if min(each.width, each.height) < input_size]
    return tuple(sorted(tiny, key=lambda each: (min(each.width, each.height), each.path)))


def _made_with(tf_files: Path) -> tuple[Extractor, tuple[int, int]]:
    """Return the extractor of the classifier, and its percentages of validation and testing."""
    graph, usual = tf_files / GRAPH, Training()
    held_out = usual.validation_percentage, usual.testing_percentage
    if not graph.exists():
        return Extractor(loading.load_default(offline=True)[0]), held_out
    backbone, _ = loading.choose(None, graph, offline=True)
    try:
        name = shown(graph)
        found = classifier.of_bytes(graphs.read(graph), name, lambda: ())
        model = stories.bytes_beside(graph)
        story = stories.read(model, found.record, found.digest(), name) if model else None
    except UserError:  # another program's graph, or one with another's model.json
        return Extractor(backbone), held_out
    held_out = story.held_out if story and story.held_out else held_out
    return Extractor(backbone, precision_of(found.record)), held_out


def _findings(
    examples: Examples,
    rows: Rows,
    sizes: Sequence[Sized],
    extractor: Extractor,
    known: not_duplicates.Pairs,
) -> Findings:
    names = [category.name for category in examples.data.categories]
    truth = np.array(examples.truth, np.intp)
    bottlenecks = rows.bottlenecks[examples.rows]
    pictures = [
        Picture(path, names[k], part.value)
        for path, k, part in zip(examples.paths, truth, examples.parts, strict=True)
    ]
    pairs = list(copies.pairs(bottlenecks))
    cliques = copies.cliques(copies.without(pairs, examples.keys, known))
    groups = sorted((tuple(pictures[i] for i in group) for group in cliques), key=_worst_group)
    logits = None
    if np.bincount(truth).min() > 1:
        joined = copies.chains(len(truth), pairs)
        logits = out_of_fold(bottlenecks, truth, joined, len(names))
    exact, contradicting = _same_bytes(examples.data, rows)
    counts = {name: {part.value: 0 for part in Split} for name in names}
    for each in pictures:
        counts[each.category][each.split] += 1
    size = extractor.backbone.scaling.size
    huge = [each for each in sizes if each.width * each.height > HUGE]
    return Findings(
        counts,
        size,
        rows.left_out,
        exact,
        contradicting,
        tuple(each for each in groups if len({one.category for one in each}) == 1),
        tuple(each for each in groups if len({one.category for one in each}) > 1),
        tiny_of(sizes, size),
        tuple(sorted(huge, key=lambda each: (-each.width * each.height, each.path))),
        _suspects(pictures, names, truth, logits) if logits is not None else (),
        _missing(pictures, bottlenecks, truth, logits),
    )


def _suspects(
    pictures: Sequence[Picture], names: Sequence[str], truth: Indices, logits: NDArray[np.float32]
) -> tuple[Suspect, ...]:
    own = np.exp(label_errors.self_confidence(logits, truth))
    others = logits.copy()
    others[np.arange(len(truth)), truth] = -np.inf
    return tuple(
        Suspect(pictures[i].path, pictures[i].category, names[others[i].argmax()], float(own[i]))
        for i in label_errors.suspects(logits, truth)
    )


def _missing(
    pictures: Sequence[Picture],
    bottlenecks: NDArray[np.float32],
    truth: Indices,
    logits: NDArray[np.float32] | None,
) -> tuple[Unlike, ...]:
    """Return the test and misclassified pictures that are like no training picture."""
    splits = np.array([each.split for each in pictures])
    training = splits == Split.TRAINING.value
    like = looks.likeness(bottlenecks, truth, training)
    usual = looks.fences(like, truth, training)
    asked = splits == Split.TESTING.value
    if logits is not None:
        asked |= logits.argmax(axis=1) != truth
    least = np.array([usual.get(int(k), -np.inf) for k in truth])
    found = np.flatnonzero(asked & (like < least))
    return tuple(
        Unlike(each.path, each.category, each.split, float(like[i]), float(least[i]))
        for i in found[np.argsort(like[found], kind="stable")]
        for each in (pictures[i],)
    )


def _same_bytes(
    data: Dataset, rows: Rows
) -> tuple[tuple[tuple[Path, ...], ...], tuple[tuple[Path, ...], ...]]:
    """Return the files with the same bytes in one category, and those in several."""
    keys = dict(zip(rows.paths, rows.keys, strict=True))
    homes: dict[bytes, dict[str, list[Path]]] = {}
    for category in data.categories:
        for path in category.files:
            if path in keys:
                homes.setdefault(keys[path], {}).setdefault(category.name, []).append(path)
    several = [tuple(chain(*home.values())) for home in homes.values() if len(home) > 1]
    one = [
        tuple(paths)
        for home in homes.values()
        if len(home) == 1
        for paths in home.values()
        if len(paths) > 1
    ]
    return tuple(sorted(one, key=_largest)), tuple(sorted(several, key=_largest))


def _worst_group(group: Sequence[Picture]) -> tuple[bool, int]:
    """Return the key by which groups that are in training and testing both come first."""
    both = {Split.TRAINING.value, Split.TESTING.value} <= {each.split for each in group}
    return not both, -len(group)


def _largest(group: tuple[Path, ...]) -> tuple[int, str]:
    return -len(group), os.fspath(group[0])
