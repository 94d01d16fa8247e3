"""Label pictures: images -> network -> scores, best first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tensor_guess.config import FEW
from tensor_guess.errors import Unreadable
from tensor_guess.guessing.loading import Given, Imagenet
from tensor_guess.guessing.ready import Ready
from tensor_guess.images.files import LeftOut

# What is slow to import is imported while the graph is read.
if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tensor_guess.images.pixels import Pixels


@dataclass(frozen=True)
class Guess:
    """One image's best labels with their scores, best first; `category` belongs to the best."""

    path: Path
    category: str
    scores: dict[str, float]

    @property
    def label(self) -> str:
        """Return the best label."""
        return next(iter(self.scores))

    @property
    def score(self) -> float:
        """Return the best label's score, 0..1."""
        return self.scores[self.label]


def guess(
    classifier: Path | Given | Imagenet,
    paths: Sequence[Path],
    top: int | None = None,
    precision: str | None = None,
) -> Iterator[Guess | LeftOut]:
    """Yield, for each path in order, a Guess with the `top` best labels, or LeftOut with a reason.

    `precision` is the precision to compute in; None means the classifier's own. Raise UserError if
    the classifier cannot be used.
    """
    ready = Ready(classifier, len(paths) < FEW, precision)
    network = ready.network()
    from tensor_guess.images import encoded
    from tensor_guess.images.pixels import pixels

    scaling = ready.record.scaling
    left_out: dict[int, LeftOut] = {}

    def readable() -> Iterator[tuple[int, "Pixels"]]:
        decoded = encoded.ahead(
            lambda path: pixels(encoded.read(path), scaling), paths, weigh=encoded.size_of
        )
        for number, (path, image) in enumerate(decoded):
            if isinstance(image, Unreadable):
                left_out[number] = LeftOut(path, str(image))
            else:
                yield number, image

    upcoming = 0
    for number, scores in network.run(readable()):
        while upcoming < number:
            yield left_out[upcoming]
            upcoming += 1
        yield of_scores(paths[number], ready, scores, top)
        upcoming = number + 1
    for number in range(upcoming, len(paths)):
        yield left_out[number]
    ready.keep(network)


def of_scores(
    path: Path, classifier: Ready, scores: "NDArray[np.float32]", top: int | None = None
) -> Guess:
    """Return the Guess for `scores` [K]; among equal scores, the first label comes first.

    `top` is the number of labels; None means the classifier's own number.
    """
    record = classifier.record
    order = (-scores).argsort(kind="stable")[: top or classifier.top]
    return Guess(
        path,
        record.categories[order[0]],
        {record.labels[i]: float(scores[i]) for i in order},
    )
