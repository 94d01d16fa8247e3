"""A classifier that answers requests: loaded, checked, and replaced when its graph changes."""

import asyncio
import io
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tensor_guess.config import FEW
from tensor_guess.errors import UserError, shown
from tensor_guess.evaluation.maps import CAM
from tensor_guess.graphs.files import Record
from tensor_guess.graphs.network import Network
from tensor_guess.guessing import loading
from tensor_guess.guessing.besides import NOTHING, Besides
from tensor_guess.guessing.guess import Guess, MinScores, by_label, of_row
from tensor_guess.guessing.loading import Given, Imagenet
from tensor_guess.guessing.mapped import Maps
from tensor_guess.guessing.ready import Ready
from tensor_guess.images import encoded
from tensor_guess.images.pixels import Pixels, pixels
from tensor_guess.images.scaling import Scaling
from tensor_guess.serving.metrics import Metrics
from tensor_guess.serving.refusal import Refused
from tensor_guess.system import progress

# How far the scores of two ways to compute a picture may be apart.
_TOLERANCE = 1e-6
_LOOK_SECONDS = 1.0
_AGAIN_SECONDS = 1

Result = TypeVar("Result")
# Does the work in a thread, so that the event loop goes on.
Apart = Callable[[Callable[[], Result]], Awaitable[Result]]


@dataclass(frozen=True)
class Asked:
    """Which classifier is to answer, and what is asked of each picture."""

    which: Given | Imagenet
    precision: str | None = None
    min_scores: MinScores = ()
    besides: Besides = NOTHING


class Served:
    """A classifier with its network compiled twice: for one picture at once, and for several.

    Which of them computes a picture does not change its scores. `maps`: what says where it saw
    evidence, by a network of its own; None if the graph has no map. Raise UserError if the
    classifier cannot be used, as `guess` does; so a zip's self-test is run first.
    """

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self._ready = Ready(asked.which, True, asked.precision, asked.besides)
        self._least = by_label(asked.min_scores, self._ready.record)
        self.few = self._ready.network()
        self._ready.keep(self.few)
        # `only` was said and checked by the first.
        several = Ready(replace(asked.which, only=()), False, asked.precision, asked.besides)
        self.several = several.recipe().network(singly=True)
        if several.digest() != self.digest:
            raise UserError("the graph changed while it was read")
        if self.several.at_once == 1:  # it is large, or there is one core
            self.few = self.several
        self._examples = _examples(self.record.scaling)
        self._check()
        # Of a large one, once in memory is enough.
        self.maps = None if self.several.is_large else self._maps()

    @property
    def record(self) -> Record:
        """Return what the graph says about itself."""
        return self._ready.record

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the graph's bytes."""
        return self._ready.digest()

    @property
    def at_once(self) -> int:
        """Return how many pictures are computed at a time."""
        return self.several.at_once

    def network(self, count: int) -> Network:
        """Return the network for so many pictures that are there at once."""
        return self.few if count == 1 else self.several

    def guess(self, row: NDArray[np.float32]) -> Guess:
        """Return the guess that a row of the network is."""
        return of_row(Path(), self._ready, row, least=self._least)

    def scores(self, row: NDArray[np.float32]) -> list[float]:
        """Return the scores [K] in a row of the network, in the order of the labels."""
        return [float(score) for score in self._ready.scores(row)]

    def facts(self, guess: Guess) -> dict[str, object]:
        """Return what `guess --json` says of a picture."""
        asked = self.asked
        return guess.facts(say_unsure=bool(asked.min_scores), say_both=asked.besides.both)

    def position(self, label: str | None) -> int | None:
        """Return where in the record the label is that a map is asked for; None means the best.

        Raise Refused if there is no such label, or if the graph has no map.
        """
        if self.maps is None:
            raise Refused(404, "this classifier has no map; /v1/model says so")
        if label is None:
            return None
        if label not in self.record.labels:
            raise Refused(400, "the classifier has no such label; /v1/model has them all")
        k = self.record.labels.index(label)
        if self._ready.only and k not in self._ready.only:
            raise Refused(400, "the server was not started with that label; see --only")
        return k

    def _maps(self) -> Maps | None:
        """Return what makes maps; None if the graph has none that adds up to its scores."""
        asked = self.asked
        ready = Ready(replace(asked.which, only=()), True, asked.precision, Besides(both=True))
        if ready.digest() != self.digest:
            raise UserError("the graph changed while it was read")
        ready.only = self._ready.only
        precision = asked.precision or self.record.precision
        try:
            network = ready.network()
            found = Maps(ready, network, precision, self._examples)
        except UserError as error:
            progress.detail(f"it makes no maps: {error}")
            return None
        ready.keep(network)
        return found

    def _check(self) -> None:
        """Warm both networks, and the decoders; keep one if they do not give the same scores."""
        one, other = (
            np.stack([self._ready.scores(row) for _, row in network.run(enumerate(self._examples))])
            for network in (self.few, self.several)
        )
        if np.abs(one - other).max() > _TOLERANCE:
            self.several = self.few


class Keeper:
    """The classifier that answers now; a changed graph takes its place once it is ready.

    `version` counts them. `refused`: why the graph that is there now does not answer, or "".
    """

    def __init__(self, asked: Asked, metrics: Metrics, served: Served | None = None) -> None:
        self._asked, self._metrics, self._served = asked, metrics, served
        self.version, self.refused = 1, ""
        self._state = None if served else self._look()

    @property
    def is_ready(self) -> bool:
        """Return whether there is a classifier that answers."""
        return self._served is not None

    def now(self) -> Served:
        """Return the classifier that answers. Raise Refused as long as there is none."""
        if self._served is None:
            raise Refused(503, "the classifier is being loaded", again=_AGAIN_SECONDS)
        return self._served

    async def load(self, apart: Apart[Served]) -> None:
        """Load the first classifier. Raise UserError if it cannot be used."""
        if self._served is None:
            self._served = await apart(lambda: Served(self._asked))
        self._metrics.model.labels(self._served.digest).set(1)

    async def watch(self, apart: Apart[Served]) -> None:
        """Take each graph that comes in place of the one before; say why if it is refused."""
        if isinstance(self._asked.which, Imagenet):
            return
        before = self._state
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            state = await asyncio.to_thread(self._look)
            # One that is being written to is looked at again.
            if state is None or state == self._state or state != before:
                before = state
                continue
            self._state = state
            try:
                served = await apart(lambda: Served(self._asked))
            except UserError as error:
                self.refused = str(error)
                self._metrics.swaps.labels("refused").inc()
                progress.warn(f"the new graph is refused, and the one before goes on: {error}")
                continue
            self.refused = ""
            if served.digest != self.now().digest:
                self._take(served)

    def _take(self, served: Served) -> None:
        self._metrics.model.remove(self.now().digest)
        self._served = served
        self.version += 1
        self._metrics.model.labels(served.digest).set(1)
        self._metrics.swaps.labels("taken").inc()
        progress.say(f"a new graph answers: {served.digest}")

    def _look(self) -> tuple[int, ...] | None:
        """Return what tells whether the graph was changed; None if there is none."""
        if isinstance(self._asked.which, Imagenet):
            return None
        try:
            status = os.stat(loading.graph_path(self._asked.which.path))
        except (OSError, UserError):
            return None
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns

    def facts(self) -> dict[str, object]:
        """Return what is said of the classifier that answers."""
        served, which = self.now(), self._asked.which
        record = served.record
        name = "imagenet"
        if isinstance(which, Given):
            name = which.address or shown(which.path.resolve().name)
        return {
            "name": name,
            "digest": served.digest,
            "version": self.version,
            "labels": list(record.labels),
            "categories": list(record.categories),
            "backbone": record.backbone,
            "size": record.scaling.size,
            "fit": record.scaling.fit,
            "precision": served.asked.precision or record.precision,
            "map": CAM if served.maps else None,
            "refused": self.refused or None,
        }


def _examples(scaling: Scaling) -> list[Pixels]:
    """Return images as the network is fed them, decoded as those of clients are."""
    return [pixels(encoded.of_bytes(_png(each)), scaling) for each in _drawn(scaling.size, FEW)]


def _drawn(size: int, count: int) -> NDArray[np.uint8]:
    """Return smooth noise [count, size, size, 3]: no network gives it the same scores."""
    cells = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), np.uint8)
    sizes = (size, size)
    return np.stack(
        [
            np.asarray(Image.fromarray(each).resize(sizes, Image.Resampling.BICUBIC))
            for each in cells
        ]
    )


def _png(picture: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()
