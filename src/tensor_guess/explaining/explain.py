"""Explain a guess: picture -> where the network saw evidence, and the nearest training pictures."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tensor_guess.bottlenecks.inside import Inside, Seen
from tensor_guess.config import DATA
from tensor_guess.errors import Unreadable, UserError, WrongUsage, shown
from tensor_guess.evaluation import maps
from tensor_guess.evaluation.maps import CAM
from tensor_guess.explaining import patches
from tensor_guess.explaining.nearest import Nearest
from tensor_guess.graphs.classifier import Classifier
from tensor_guess.graphs.network import Network
from tensor_guess.guessing import loading, trained_on
from tensor_guess.guessing.loading import Given, Imagenet
from tensor_guess.guessing.trained_on import NotKnown, TrainedOn
from tensor_guess.images import decoding, encoded
from tensor_guess.images.encoded import Picture
from tensor_guess.images.pixels import Pixels, pixels, view
from tensor_guess.images.sheet import Block, is_sheet, sheet
from tensor_guess.system import reading
from tensor_guess.system.durable import check_writable, publish
from tensor_guess.system.reading import real
from tensor_guess.training.outputs import check_apart

Floats = NDArray[np.float32]

OCCLUSION = "occlusion: patches whose blurring costs the label most"
NO_PICTURES = "no training pictures here"
SHOWN = 3  # training pictures of each label
_SIDE, _SMALL = 480, 150
_GRID = 8
_HEAD = 256
_TINY = 1e-6


@dataclass(frozen=True)
class Like:
    """The training pictures of a label that look most like a picture, with their distances.

    `limit`: up to this distance they are near (`Nearest.limit`).
    """

    pictures: tuple[tuple[Path, float], ...]
    limit: float

    @property
    def near(self) -> bool:
        """Return whether any is near."""
        return bool(self.pictures) and self.pictures[0][1] <= self.limit


class Subject:
    """One picture that a classifier looks at.

    `image`: what the network is fed. `scores`: [K]. `map`: [H, W, D], or None if the network has
    none. `best`: the numbers of the labels, best first. `unknown`: why its training pictures are
    not known, or "".
    """

    def __init__(
        self, which: Given | Imagenet, path: Path, few: bool, precision: str | None = None
    ) -> None:
        self.known: Classifier = loading.load(which)
        self.record = self.known.record
        try:
            self._picture: Picture = encoded.read(path)
            self.image: Pixels = pixels(self._picture, self.record.scaling)
        except Unreadable as error:
            raise UserError(f"could not read {shown(path)}: {error}") from error
        self._inside: Inside | None = None
        self._network: Network | None = None
        try:
            self._inside = Inside(self.known, few, precision)
        except UserError:  # the graph ends in another way; it still gives scores
            self._network = self.known.network(few, precision)
        seen = self._seen([self.image])[0]
        self.scores, self.map = seen.scores, seen.map
        self.best = [int(k) for k in (-self.scores).argsort(kind="stable")]
        self._seen_by_network = seen
        self._trained_on: TrainedOn | None = None
        self.unknown = ""
        try:
            self._trained_on = trained_on.find(which, self.known)
            self._nearest = Nearest(self._trained_on.pictures)
        except NotKnown as error:
            self.unknown = str(error)

    def score(self, images: Iterable[Pixels]) -> Floats:
        """Return the scores [N, K] of images like `image`, computed in one run."""
        return np.stack([seen.scores for seen in self._seen(images)])

    def like(self, k: int) -> Like | None:
        """Return the nearest training pictures of label k; None if none are known."""
        if self._trained_on is None:
            return None
        found = self._nearest.of(self._seen_by_network.bottleneck, k, SHOWN)
        paths = self._trained_on.paths
        return Like(tuple((paths[i], away) for i, away in found), self._nearest.limit(k))

    def evidence(self) -> tuple[str, list[Floats]]:
        """Return CAM or OCCLUSION, and how much each place speaks for each of the two best labels.

        Each is [h, w], 0 to 1. Zhou et al. 2016: exact, if the bottleneck is the mean of a map.
        """
        two = self.best[:2]
        if self.map is not None and self._inside:
            found = maps.evidence(self.map, self._inside.head.weights)
            return CAM, [found[..., k] for k in two]
        cells = patches.grid(len(self.image), _GRID)
        to = patches.blurred(self.image)
        scores = self.score(patches.changed(self.image, mask, to) for mask in cells)
        costs = np.maximum(patches.logits(self.scores) - patches.logits(scores), 0)[:, two]
        costs /= max(float(costs.max()), _TINY)
        return OCCLUSION, [costs[:, i].reshape(_GRID, _GRID) for i in range(len(two))]

    def view(self, side: int) -> NDArray[np.uint8]:
        """Return what the network sees of the picture, not squeezed; the longer side is `side`."""
        return view(self._picture, self.record.scaling, side)

    def _seen(self, images: Iterable[Pixels]) -> list[Seen]:
        pairs = enumerate(images)
        if self._inside:
            return [seen for _, seen in self._inside.run(pairs)]
        assert self._network
        nothing = np.empty(0, np.float32)
        return [Seen(scores, nothing, None) for _, scores in self._network.run(pairs)]


def check(out: Path, which: Given | Imagenet) -> None:
    """Raise WrongUsage or UserError, before any work, if `out` cannot be written.

    Only a picture that was written here is replaced, and none is written among those in data.
    """
    check_out(out, which)
    if os.path.lexists(out):
        try:
            with reading.opened(out, follow=False) as file:
                ours = is_sheet(file.read(_HEAD))
        except Unreadable:
            ours = False
        if not ours:
            raise WrongUsage(
                f"{shown(out)} is there already, and --explain did not write it; "
                "choose another name"
            )


def check_out(out: Path, which: Given | Imagenet) -> None:
    """Raise WrongUsage or UserError if no file can be made there, or if it is among pictures."""
    if not out.name or not real(out).parent.is_dir():
        raise WrongUsage(f"there is no folder {shown(out.parent)} for {shown(out.name)}")
    if isinstance(which, Given) and which.path.is_dir():
        check_apart(out, which.path / DATA)
    check_writable(real(out).parent)


def explain(
    which: Given | Imagenet, path: Path, out: Path, precision: str | None = None
) -> list[str]:
    """Write a picture to `out` that shows why `path` is guessed to be what it is; return remarks.

    It shows the evidence for the two best labels, and under each its nearest training pictures.
    `precision` is the precision to compute in; None means the classifier's own. Raise UserError if
    that is impossible, or if `out` cannot be written.
    """
    subject = Subject(which, path, True, precision)
    how, shares = subject.evidence()
    view = subject.view(_SIDE)
    columns: list[list[Block]] = [[_caption(subject), view, _legend(how)]]
    for k, share in zip(subject.best, shares, strict=False):
        label = f"{shown(subject.record.labels[k])} (score = {subject.scores[k]:.5f})"
        columns.append([label, maps.overlay(view, share), *_like(subject, k)])
    publish(out, sheet(columns, _SIDE))
    remarks = [f"{shown(out)} shows: {how}"]
    if subject.unknown:
        remarks.append(f"its training pictures are not known: {subject.unknown}")
    return remarks


def _caption(subject: Subject) -> str:
    fit = subject.record.scaling.how
    return f"the picture, {fit}" if fit else "the picture"


def _legend(how: str) -> str:
    exact = "" if how == CAM else " (the network has no map that is averaged, so this is rough)"
    return f"{how}{exact}. Bright: speaks for the label. Dark: does not."


def _like(subject: Subject, k: int) -> Sequence[Block]:
    like = subject.like(k)
    if like is None:
        return [f"nearest training pictures: unknown, {NO_PICTURES}"]
    if not like.near:
        return ["no training picture is near" + _away(like)]
    found = [(small(path), f"distance {away:.2f}") for path, away in like.pictures]
    row = [(image, text) for image, text in found if image is not None]
    return [f"nearest training pictures (near: up to {like.limit:.2f})", row]


def _away(like: Like) -> str:
    if not like.pictures:
        return ""
    return f" (the nearest is at {like.pictures[0][1]:.2f}; near is up to {like.limit:.2f})"


def small(path: Path) -> NDArray[np.uint8] | None:
    """Return a small copy of a training picture; None if it cannot be read any more."""
    try:
        return decoding.decode_within(encoded.read(path), _SMALL)
    except Unreadable:  # changed since its bottleneck was computed
        return None
