"""Near copies: pictures whose bottlenecks are nearly the same, and groups of them."""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

# From this cosine of their bottlenecks on, two pictures are one: saved again, cropped a little,
# brightened. A higher limit misses most copies; a lower one takes two photos of the same thing for
# copies. It was measured on real pictures: docs/design.md.
NEAR_COPY = 0.90
# Bottlenecks with values below this are logits, as `retrain.py` took from MobileNet, not averages
# of an activation with a lower bound (the lowest, that of swish, is -0.28).
_LOGITS_BELOW = -1
_BLOCK = 1024
# Up to this many rows are compared with each other whole: choosing directions would take longer.
_FEW = 2048
# How many directions the rows are compared in first, and how many rows these are chosen by.
_DIRECTIONS, _SAMPLE = 127, 2048
# More than what float32 loses in a product of unit rows.
_ROUNDING = 1e-4
# How many single pairs are compared whole at one time; above that, matrices are multiplied.
_SINGLE = 8192
# Training does not wait for the pairs of more rows than this.
_SOON = 5000

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]
# Rows that are near copies of earlier ones, in order, and those.
Pairs = Sequence[tuple[int, Indices]]


@dataclass(frozen=True)
class Pictures:
    """Bottlenecks [N, D], and the number of the category of each [N]."""

    bottlenecks: Floats
    truth: Indices


@dataclass(frozen=True)
class NearCopies:
    """Which of M pictures have a near copy in training, in their own or in another category.

    A copy in the same category was memorised, and shows nothing. One in another category is most
    likely a wrong label, and shows much.
    """

    own: NDArray[np.bool_]
    other: NDArray[np.bool_]


def near_copies(held_out: Pictures, training: Pictures) -> NearCopies:
    """Find which of the M held-out pictures have a near copy in training, by their bottlenecks."""
    found = NearCopies(*np.zeros((2, len(held_out.truth)), bool))
    if not len(training.truth):
        return found
    common = common_of(training.bottlenecks)
    units = unit(training.bottlenecks - common)
    for start in range(0, len(held_out.truth), _BLOCK):
        part = slice(start, start + _BLOCK)
        block = unit(held_out.bottlenecks[part] - common)
        for first in range(0, len(units), _BLOCK):
            close = block @ units[first : first + _BLOCK].T >= NEAR_COPY
            same = held_out.truth[part, None] == training.truth[first : first + _BLOCK]
            found.own[part] |= (close & same).any(axis=1)
            found.other[part] |= (close & ~same).any(axis=1)
    return found


def common_of(rows: Floats) -> Floats | np.float32:
    """Return what all logits have in common, which does not distinguish pictures; else 0."""
    return rows.mean(axis=0) if rows.min() < _LOGITS_BELOW else np.float32(0)


def unit(rows: Floats) -> Floats:
    """Return the rows [N, D] with length 1; a row of zeros stays."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    units: Floats = rows / np.maximum(lengths, np.finfo(np.float32).tiny)
    return units


def pairs(rows: Floats) -> Iterator[tuple[int, Indices]]:
    """Yield, in order, each of the rows [N, D] that is a near copy of earlier ones, and those.

    No pair is missed. The unit rows x are first compared by their parts Px in a few directions,
    since x·y <= Px·Py + |x - Px| |y - Py| (Cauchy and Schwarz); only those that may be copies are
    compared whole. Beside the rows, it takes the memory of their parts and of a block.
    """
    if not len(rows):
        return
    common = common_of(rows)
    parts = _parts(rows, common)
    for start in range(0, len(rows), _BLOCK):
        near = np.zeros((min(_BLOCK, len(rows) - start), len(rows)), bool)
        columns = range(0, start + 1, _BLOCK)
        with _one_thread_each(), ThreadPoolExecutor(os.cpu_count()) as pool:
            for _ in pool.map(partial(_compare, rows, common, parts, near, start), columns):
                pass
        for own in np.flatnonzero(near.any(axis=1)):
            yield start + int(own), np.flatnonzero(near[own])


def pairs_soon(rows: Floats) -> Pairs | None:
    """Return all that `pairs` finds, or None if there are so many rows that it would take long."""
    return list(pairs(rows)) if len(rows) <= _SOON else None


def cliques(found: Iterable[tuple[int, Indices]]) -> list[list[int]]:
    """Return groups of pictures that are all copies of each other; every pair is in one of them.

    `found`: as `pairs` yields. If A is like B and B like C, but A is not like C, there are two
    groups with B: in a chain, the ends may have nothing in common.
    """
    groups: list[list[int]] = []
    homes = defaultdict[int, list[int]](list)  # of each picture, the numbers of its groups
    for own, before in found:
        near = set(before.tolist())
        left = set(near)
        of_near = {k for i in near for k in homes[i]}
        shares = {k: near.intersection(groups[k]) for k in of_near}
        for k in sorted(shares, key=lambda k: (-len(shares[k]), k)):
            if left.isdisjoint(shares[k]):
                continue
            if len(shares[k]) == len(groups[k]):
                groups[k].append(own)
                homes[own].append(k)
            else:
                _add(groups, homes, [*sorted(shares[k]), own])
            left -= shares[k]
        for i in sorted(left):
            _add(groups, homes, [i, own])
    return sorted(groups)


def _add(groups: list[list[int]], homes: dict[int, list[int]], group: list[int]) -> None:
    for each in group:
        homes[each].append(len(groups))
    groups.append(group)


def chains(count: int, found: Iterable[tuple[int, Indices]]) -> Indices:
    """Return a number for each of `count` pictures [N], shared by all that a chain of copies joins.

    `found`: as `pairs` yields. Pictures with one number must not be in training and testing both.
    """
    number = np.arange(count)
    for own, before in found:
        joined = np.unique(number[before])
        number[np.isin(number, joined)] = joined[0]
        number[own] = joined[0]
    return number


def without(
    found: Iterable[tuple[int, Indices]], keys: list[bytes], known: Set[frozenset[bytes]]
) -> Iterator[tuple[int, Indices]]:
    """Yield what `pairs` found, but not the pairs of keys that are `known` to be no copies."""
    for own, before in found:
        if known:
            others = [i for i in before if frozenset((keys[own], keys[i])) not in known]
            before = np.array(others, np.intp)
        if len(before):
            yield own, before


def _parts(rows: Floats, common: Floats | np.float32) -> Floats:
    """Return, for each row, numbers whose product with another's is at least their cosine."""
    if len(rows) <= _FEW or rows.shape[1] <= _DIRECTIONS:
        return unit(rows - common)
    sample = unit(rows[:: -(-len(rows) // _SAMPLE)] - common)
    directions = _directions(sample)
    parts = np.empty((len(rows), _DIRECTIONS + 1), np.float32)
    for start in range(0, len(rows), _BLOCK):
        block = unit(rows[start : start + _BLOCK] - common)
        inside = block @ directions
        beyond = (block**2).sum(axis=1) - (inside**2).sum(axis=1)
        parts[start : start + _BLOCK, :-1] = inside
        parts[start : start + _BLOCK, -1] = np.sqrt(np.maximum(beyond, 0) + _ROUNDING / 10)
    return parts


def _directions(sample: Floats) -> Floats:
    """Return orthonormal columns [D, _DIRECTIONS], about those in which the sample is longest.

    Halko, Martinsson and Tropp 2011, Finding Structure with Randomness, with two power iterations.
    """
    random = np.random.default_rng(0)
    found = random.normal(size=(sample.shape[1], _DIRECTIONS)).astype(np.float32)
    with _one_thread_each():
        for _ in range(3):
            found = sample.T @ (sample @ found)
            found /= np.maximum(np.abs(found).max(), np.finfo(np.float32).tiny)
        directions: Floats = np.linalg.qr(found)[0]
    return directions


def _compare(
    rows: Floats,
    common: Floats | np.float32,
    parts: Floats,
    near: NDArray[np.bool_],
    start: int,
    first: int,
) -> None:
    """Note in `near` which rows, from `start` on, are near copies of earlier ones from `first`."""
    bounds = parts[start : start + len(near)] @ parts[first : first + _BLOCK].T
    at = np.flatnonzero(bounds >= NEAR_COPY - _ROUNDING)  # half the time of nonzero()
    one, other = np.divmod(at, bounds.shape[1])
    earlier = first + other < start + one
    one, other = one[earlier], first + other[earlier]
    close = _are_close(rows, common, start + one, other)
    near[one[close], other[close]] = True


def _one_thread_each() -> AbstractContextManager[object]:
    """Let each product use one thread: several wait for each other if others use the cores."""
    limits: AbstractContextManager[object] = threadpool_limits(limits=1, user_api="blas")
    return limits


def _are_close(
    rows: Floats, common: Floats | np.float32, one: Indices, other: Indices
) -> NDArray[np.bool_]:
    """Return which of the pairs [M] of rows are near copies."""
    close = np.empty(len(one), bool)
    if len(one) > _SINGLE:
        own, at = np.unique(one, return_inverse=True)
        others, beside = np.unique(other, return_inverse=True)
        cosines = unit(rows[own] - common) @ unit(rows[others] - common).T
        close[:] = cosines[at, beside] >= NEAR_COPY
        return close
    for start in range(0, len(one), _BLOCK):
        part = slice(start, start + _BLOCK)
        pair = unit(rows[one[part]] - common), unit(rows[other[part]] - common)
        close[part] = np.einsum("nd,nd->n", *pair) >= NEAR_COPY
    return close
