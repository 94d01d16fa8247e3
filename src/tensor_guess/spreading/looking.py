"""What a worker does with a batch: files -> what was found in each, with the network's vectors."""

import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from tensor_guess.errors import Unreadable
from tensor_guess.faces.cropping import cropping
from tensor_guess.graphs.network import Network
from tensor_guess.images import encoded
from tensor_guess.images.encoded import Picture
from tensor_guess.images.pixels import Crop, Pixels, pixels
from tensor_guess.spreading import shared
from tensor_guess.spreading.shared import Job, Known

# Networks of so many jobs stay: that of the job before may be wanted by tasks on the way.
_MOST_JOBS = 2


@dataclass(frozen=True)
class Found:
    """A picture without its bytes, and its vector; None if its key was known."""

    picture: Picture
    row: NDArray[np.float32] | None


@dataclass(frozen=True)
class _Loaded:
    """A job's network, which computes for one batch at a time; others are decoded meanwhile."""

    network: Network
    known: Known
    crop: Crop | None
    computing: Lock


_loaded: "OrderedDict[Job, _Loaded]" = OrderedDict()
_loading = Lock()


def prepare(job: Job, paths: Sequence[Path]) -> str:
    """Load the job, and return this machine's name. Raise UserError as `shared.read` does."""
    _load(job)
    return os.uname().nodename


def look(job: Job, paths: Sequence[Path]) -> list[Found | str]:
    """Return what was found in each file, or why it cannot be read.

    Raise UserError if this machine does not see the job's files, or cannot compute.
    """
    loaded = _load(job)
    found: list[Found | str] = []

    def to_compute() -> Iterator[tuple[int, Pixels]]:
        looked = encoded.ahead(partial(_look, job, loaded), paths, weigh=encoded.size_of)
        for number, (_, result) in enumerate(looked):
            if isinstance(result, Unreadable):
                found.append(str(result))
                continue
            picture, image = result
            found.append(Found(picture, None))
            if image is not None:
                yield number, image

    pairs = to_compute()
    first = next(pairs, None)  # the next batch is decoded while the network has this one
    if first is not None:
        with loaded.computing:
            for number, row in loaded.network.run(chain([first], pairs)):
                found[number] = Found(found[number].picture, row)  # type: ignore[union-attr]
    return found


def _look(job: Job, loaded: _Loaded, path: Path) -> tuple[Picture, Pixels | None]:
    picture = encoded.read(path, inside=job.inside)
    known = picture.key in loaded.known
    image = None if known else pixels(picture, job.scaling, loaded.crop)
    return encoded.let_go(picture), image


def _load(job: Job) -> _Loaded:
    with _loading:
        if job not in _loaded:
            network, known = shared.read(job)
            _loaded[job] = _Loaded(network, known, cropping(job.faces), Lock())
        _loaded.move_to_end(job)
        while len(_loaded) > _MOST_JOBS:
            _loaded.popitem(last=False)
        return _loaded[job]
