"""Label pictures: images -> network -> scores, best first."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tensor_guess.config import FEW
from tensor_guess.graphs.files import Record, position_of
from tensor_guess.guessing.besides import NOTHING, Besides
from tensor_guess.guessing.loading import Given, Imagenet
from tensor_guess.guessing.ready import Ready
from tensor_guess.images.files import LeftOut

# What is slow to import is imported while the graph is read.
if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tensor_guess.images.pixels import Pixels


@dataclass(frozen=True)
class Guess:
    """One image's best labels with their scores, best first; `category` belongs to the best.

    `min_score`: the score that the best label should have at least. `unknown`: whether the image is
    like nothing in training; `both`: the labels of the two things side by side in it, if it shows
    two. None and () are also for what was not asked for. `seconds`: when a video shows the image;
    None if it is a picture.
    """

    path: Path
    category: str
    scores: dict[str, float]
    min_score: float = 0
    unknown: bool | None = None
    both: tuple[str, ...] = ()
    seconds: Fraction | None = None

    @property
    def label(self) -> str:
        """Return the best label."""
        return next(iter(self.scores))

    @property
    def score(self) -> float:
        """Return the best label's score, 0..1."""
        return self.scores[self.label]

    @property
    def unsure(self) -> bool:
        """Return whether the best label's score is lower than it should be."""
        return self.score < self.min_score

    def facts(self, *, say_unsure: bool, say_both: bool) -> dict[str, object]:
        """Return what is said of it in JSON, scores last; `unknown` only if it was asked for."""
        best: dict[str, object] = {
            "label": self.label, "category": self.category, "score": self.score
        }  # fmt: skip
        if say_unsure:
            best["unsure"] = self.unsure
        if self.unknown is not None:
            best["unknown"] = self.unknown
        if say_both:
            best["both"] = list(self.both) or None
        return {**best, "scores": self.scores}


# What the user says by --min-score: a category or label (None: every one), and a score.
MinScores = Sequence[tuple[str | None, float]]


def guess(
    classifier: Path | Given | Imagenet,
    paths: Sequence[Path],
    top: int | None = None,
    precision: str | None = None,
    min_scores: MinScores = (),
    besides: Besides = NOTHING,
    *,
    faces: str | None = None,
    every: Fraction | None = None,
) -> Iterator[Guess | LeftOut]:
    """Yield, for each path in order, a Guess with the `top` best labels, or LeftOut with a reason.

    `precision` is the precision to compute in; None means the classifier's own. `besides`: what
    is asked besides the scores. `faces`: of each image, only the largest face that
    this detector finds is looked at.
    `every`: of a video, there is one for the first frame of each such time, in seconds.

    Raise UserError if the classifier cannot be used, or if what is asked needs packages that are
    not installed; WrongUsage if `min_scores` has a category that it does not know.
    """
    ready = Ready(classifier, len(paths) < FEW and every is None, precision, besides)
    least = by_label(min_scores, ready.record)
    network = ready.network()
    from tensor_guess.guessing.shots import Shot, shots

    left_out: dict[int, LeftOut] = {}
    count = 0

    def readable() -> Iterator[tuple[tuple[int, Shot], "Pixels"]]:
        nonlocal count
        for found in shots(paths, ready.record.scaling, faces=faces, every=every):
            if isinstance(found, LeftOut):
                left_out[count] = found
            else:
                yield (count, found), found.image
            count += 1

    upcoming = 0
    for (number, shot), row in network.run(readable()):
        while upcoming < number:
            yield left_out[upcoming]
            upcoming += 1
        yield replace(of_row(shot.path, ready, row, top, least), seconds=shot.seconds)
        upcoming = number + 1
    for number in range(upcoming, count):
        yield left_out[number]
    ready.keep(network)


def of_row(
    path: Path,
    classifier: Ready,
    row: "NDArray[np.float32]",
    top: int | None = None,
    least: Mapping[str, float] | None = None,
    scores: "NDArray[np.float32] | None" = None,
) -> Guess:
    """Return the Guess for a vector of `Ready.network`; of equal scores, the first label is first.

    `top` is the number of labels; None means the classifier's own number. `least`: see `by_label`.
    `scores` [K]: other ones than those in the vector.
    """
    record, layout = classifier.record, classifier.layout
    scores = classifier.scores(row) if scores is None else scores
    order = (-scores).argsort(kind="stable")
    if classifier.only:
        order = order[np.isin(order, classifier.only)]
    order = order[: top or classifier.top]
    return Guess(
        path,
        record.categories[order[0]],
        {record.labels[i]: float(scores[i]) for i in order},
        (least or {}).get(record.labels[order[0]], 0),
        _unknown(classifier, row) if layout.familiar else None,
        _both(classifier, row) if any(layout.places) else (),
    )


def _unknown(classifier: Ready, row: "NDArray[np.float32]") -> bool:
    from tensor_guess.evaluation.unknown import novelty

    layout, most = classifier.layout, classifier.record.unknown
    (found,) = novelty(*layout.cosines(row), layout.scores(row)[None])
    return most is not None and bool(found > most)


def _both(classifier: Ready, row: "NDArray[np.float32]") -> tuple[str, ...]:
    from tensor_guess.evaluation.both import both

    found = both(classifier.layout.logits(row))
    return tuple(classifier.record.labels[k] for k in found) if found else ()


def by_label(min_scores: MinScores, record: Record) -> dict[str, float]:
    """Return the least score of each label; one that is said for a category wins.

    Raise WrongUsage if the classifier does not have a category.
    """
    least = {label: score for name, score in min_scores if name is None for label in record.labels}
    for name, score in min_scores:
        if name is not None:
            least[record.labels[position_of(name, record, "--min-score")]] = score
    return least
