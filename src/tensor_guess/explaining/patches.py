"""Which patches of a picture matter for its scores: change them, and see what becomes of those.

Zeiler & Fergus 2014, "Visualizing and Understanding Convolutional Networks" (section 4.2).
Images are [S, S, 3], 0 to 255; masks are [S, S].
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Image = NDArray[np.uint8] | NDArray[np.float32]
# Images -> their scores [N, K].
Score = Callable[[Sequence[Image]], Floats]

# What a patch is changed to, by name: from the image, to an image.
CHANGES: dict[str, Callable[[Image], Image]]
# Pixels next to each other in a ground differ by less than this, and from its edge by less than
# the second.
_STEP, _AWAY = 16, 60
_BLURS = 3  # three box blurs are nearly a Gaussian
_TINY = 1e-12


def blurred(image: Image) -> Image:
    """Return the image without details: what is smaller than an eighth of its side is gone."""
    radius = max(1, len(image) // 16)
    found = image.astype(np.float32)
    for axis in (0, 1) * _BLURS:
        ends = [(radius + 1, radius) if each == axis else (0, 0) for each in range(3)]
        sums = np.pad(found, ends, mode="edge").cumsum(axis=axis, dtype=np.float64)
        after = np.arange(2 * radius + 1, sums.shape[axis])
        wide = sums.take(after, axis) - sums.take(after - 2 * radius - 1, axis)
        found = (wide / (2 * radius + 1)).astype(np.float32)
    return _like(found, image)


def white(image: Image) -> Image:
    """Return a white image of the same size."""
    return np.full_like(image, 255)


CHANGES = {"blurred": blurred, "whitened": white}


def grid(size: int, count: int) -> list[Mask]:
    """Return count x count patches that cover an image of size x size, row by row."""
    ends = np.linspace(0, size, count + 1).round().astype(int)
    found = []
    for i in range(count):
        for j in range(count):
            mask = np.zeros((size, size), bool)
            mask[ends[i] : ends[i + 1], ends[j] : ends[j + 1]] = True
            found.append(mask)
    return found


def changed(image: Image, mask: Mask, to: Image) -> Image:
    """Return the image with the pixels of `to` where the mask is set."""
    found = image.copy()
    found[mask] = to[mask]
    return found


def logits(scores: Floats) -> Floats:
    """Return log(p / (1 - p)) of scores p: near 0 and 1, where scores hardly move, they do."""
    sure = scores.astype(np.float64).clip(_TINY, 1 - _TINY)
    found: Floats = np.log(sure / (1 - sure)).astype(np.float32)
    return found


def margins(scores: Floats, a: int, b: int) -> Floats:
    """Return, for scores [N, K], how far label a is ahead of b: the difference of their logits."""
    logs = np.log(np.maximum(scores[:, [a, b]], _TINY))
    found: Floats = logs[:, 0] - logs[:, 1]
    return found


@dataclass(frozen=True)
class Region:
    """Patches whose change turns the answer: their mask, and the scores [K] then."""

    mask: Mask
    scores: Floats

    @property
    def share(self) -> float:
        """Return how much of the picture the region is, 0 to 1."""
        return float(self.mask.mean())


def turning(
    image: Image, to: Image, patches: Sequence[Mask], drops: Floats, score: Score
) -> Region | None:
    """Return a small region whose change to `to` gives another best label; None without one.

    It grows patch by patch, in the order of `drops`: how much the change of each patch alone takes
    from the answer. Then each patch that is not needed, the least important first, is taken away.
    """
    answer = int(score([image])[0].argmax())
    order = list((-drops).argsort(kind="stable"))
    grown = [_joined(patches, order[: count + 1]) for count in range(len(order))]
    scores = score([changed(image, mask, to) for mask in grown])
    turned = np.flatnonzero(scores.argmax(axis=1) != answer)
    if not len(turned):
        return None
    kept = order[: int(turned[0]) + 1]
    found = Region(grown[turned[0]], scores[turned[0]])
    for patch in kept[::-1]:
        fewer = [each for each in kept if each != patch]
        if fewer:
            mask = _joined(patches, fewer)
            own = score([changed(image, mask, to)])[0]
            if own.argmax() != answer:
                kept, found = fewer, Region(mask, own)
    return found


def ground(image: Image) -> Mask:
    """Return the plain ground of the image: what is connected to its edge without a step.

    Colours may change slowly, as light does on a wall, but not go far from those at the edge.
    """
    size, pixels = len(image), image.astype(np.float32)
    edge = np.ones((size, size), bool)
    edge[1:-1, 1:-1] = False
    middle = np.median(pixels[edge], axis=0)
    near = np.abs(pixels - middle).max(axis=2) < _AWAY
    found: Mask = edge & near
    steps = [np.abs(np.diff(pixels, axis=axis)).max(axis=2) < _STEP for axis in (0, 1)]
    while True:
        grown: Mask = found.copy()
        grown[1:] |= found[:-1] & steps[0]
        grown[:-1] |= found[1:] & steps[0]
        grown[:, 1:] |= found[:, :-1] & steps[1]
        grown[:, :-1] |= found[:, 1:] & steps[1]
        grown &= near
        if np.array_equal(grown, found):
            return found
        found = grown


def _joined(patches: Sequence[Mask], numbers: Sequence[int]) -> Mask:
    found: Mask = np.any([patches[i] for i in numbers], axis=0)
    return found


def _like(values: Floats, image: Image) -> Image:
    """Return the values in the type of the image's."""
    return values.round().astype(np.uint8) if image.dtype == np.uint8 else values
