"""Guesses by many machines: workers read the files and return vectors, in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tensor_guess.errors import Unreadable, counted
from tensor_guess.graphs.network import Recipe
from tensor_guess.images.encoded import Picture
from tensor_guess.images.pixels import Pixels
from tensor_guess.spreading.cluster import FATAL, Cluster
from tensor_guess.spreading.looking import Found, look
from tensor_guess.spreading.shared import Job
from tensor_guess.spreading.tasks import Task
from tensor_guess.system import progress

Item = TypeVar("Item")
# A picture and its vector; None if it is known already.
Vector = tuple[Picture, NDArray[np.float32] | None]


def vectors(
    workers: Cluster,
    job: Job,
    recipe: Recipe,
    items: Iterable[Item],
    path_of: Callable[[Item], Path | None],
    here: Callable[[Item], tuple[Picture, Pixels | None]],
) -> Iterator[tuple[Item, Vector | Unreadable]]:
    """Yield each item with what a worker found in its file, or why it is left out, in order.

    `path_of` returns None for an item that is not for workers. `here` looks at that one, and at
    what they cannot read: as it is where there are no workers, and raises Unreadable as there.
    Raise UserError as `Cluster.run` does.
    """
    waiting: deque[tuple[Item, bool]] = deque()
    network, helped = cache(recipe.network), 0

    def paths() -> Iterator[Path]:
        for item in items:
            path = path_of(item)
            waiting.append((item, path is not None))
            if path is not None:
                yield path

    def looked_at_here(item: Item) -> Vector | Unreadable:
        try:
            picture, image = here(item)
        except Unreadable as error:
            return error
        if image is None:
            return picture, None
        ((_, row),) = network().run([(None, image)])
        return picture, row

    def others() -> Iterator[tuple[Item, Vector | Unreadable]]:
        while waiting and not waiting[0][1]:
            item, _ = waiting.popleft()
            yield item, looked_at_here(item)

    for batch, found in workers.run(Task("guesses", look, job), paths()):
        results: Sequence[Found | str | None] = [None] * len(batch) if found is None else found
        for result in results:
            yield from others()
            item, _ = waiting.popleft()
            if result is None:
                yield item, Unreadable(FATAL)
            elif isinstance(result, Found):
                yield item, (result.picture, result.row)
            else:
                own = looked_at_here(item)
                helped += not isinstance(own, Unreadable)
                yield item, own
    yield from others()
    if helped:
        progress.warn(
            f"{counted(helped, 'picture')} that a worker could not read: guessed here; does "
            "it see all that this machine sees?"
        )
