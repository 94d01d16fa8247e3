"""A picture -> where a network saw evidence for a label, by a map that adds up to its scores."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tensor_guess.config import BF16
from tensor_guess.errors import UserError
from tensor_guess.evaluation import maps
from tensor_guess.evaluation.calibration import softmax
from tensor_guess.graphs.files import Record
from tensor_guess.graphs.network import Network
from tensor_guess.guessing.ready import Ready
from tensor_guess.images.encoded import Picture
from tensor_guess.images.pixels import Pixels, pixels, view

Floats = NDArray[np.float32]

# How far the scores of the map's average may be from the network's own.
_TOLERANCE, _TOLERANCE_BF16 = 1e-4, 0.05


@dataclass(frozen=True)
class Mapped:
    """What speaks for label `k` in a picture.

    `share`: how much each place does, [h, w], 0 to 1 (`maps.evidence`). `score`: the label's.
    `drawn`: the picture as the network sees it, [H, W, 3], bright where something speaks for it.
    """

    k: int
    score: float
    share: Floats
    drawn: NDArray[np.uint8]


class Maps:
    """A network that says which places of a picture speak for a label.

    `ready` was asked for `both`, and `network` is its network, which computes in `precision`.
    `examples`: images on which it is checked that the map adds up to the scores. Raise UserError if
    it does not, or if only one label is asked for.
    """

    def __init__(
        self, ready: Ready, network: Network, precision: str, examples: list[Pixels]
    ) -> None:
        self._ready, self._network = ready, network
        self._asked = list(ready.only or range(len(ready.record.labels)))
        if len(self._asked) < 2:
            raise UserError("with one label, all places speak for the same")
        layout = ready.layout
        most = _TOLERANCE_BF16 if precision == BF16 else _TOLERANCE
        for _, row in network.run(enumerate(examples)):
            found = softmax(layout.logits(row).mean(axis=(0, 1)))
            if np.abs(found - layout.scores(row)).max() > most:
                raise UserError("the network's map does not add up to its scores")

    @property
    def record(self) -> Record:
        """Return what the graph says about itself."""
        return self._ready.record

    def of(self, picture: Picture, side: int, k: int | None = None) -> Mapped:
        """Return what speaks for label k of the record, or else for the best one.

        The picture is drawn with `side` pixels as its longer side. Raise ValueError if label k is
        not asked for; Unreadable or UserError as a guess does.
        """
        if k is not None and k not in self._asked:
            raise ValueError(k)
        scaling = self.record.scaling
        ((_, row),) = self._network.run([(0, pixels(picture, scaling))])
        scores = self._ready.scores(row)
        k = int(scores.argmax()) if k is None else k
        products = self._ready.layout.products(row)[..., self._asked]
        share = maps.evidence_of(products)[..., self._asked.index(k)]
        drawn = maps.overlay(view(picture, scaling, side), share)
        return Mapped(k, float(scores[k]), share, drawn)
