"""Measure how fast all near copies among many pictures are found, compared with every product.

    python bench/copies.py [--pictures N] [--few N] [--bottlenecks FOLDER]

The rows are made of real bottlenecks (the *.npy files below FOLDER; without it, of drawn ones),
mixed by twos, with noise, so that they are clustered like real ones. One in fifty is a near copy.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from peak import peak

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))
from tensor_guess.evaluation import copies
from tensor_guess.evaluation.copies import NEAR_COPY

Floats = NDArray[np.float32]

LENGTH = 1280


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=127_000)
    parser.add_argument("--few", type=int, default=20_000)
    parser.add_argument("--bottlenecks", type=Path)
    given = parser.parse_args()
    seeds = real(given.bottlenecks) if given.bottlenecks else drawn()
    rows = mixed(seeds, given.pictures)
    print(f"{'pictures':>8}  {'':13} {'pairs':>8} {'seconds':>8}   peak MB (rows: MB)")
    for what, find, part in (
        ("ours", ours, rows[: given.few]),
        ("ours", ours, rows),
        ("every product", every, rows[: given.few]),
    ):
        started = time.perf_counter()
        count = sum(len(others) for _, others in find(part))
        seconds = time.perf_counter() - started
        print(
            f"{len(part):8}  {what:13} {count:8} {seconds:8.1f}   "
            f"{peak() / 1e6:.0f} ({rows.nbytes / 1e6:.0f})"
        )


def ours(rows: Floats) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Yield what the program finds."""
    return copies.pairs(rows)


def every(rows: Floats) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Yield the same by every product of two rows."""
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    for start in range(0, len(rows), 1024):
        near = units[start : start + 1024] @ units[: start + 1024].T >= NEAR_COPY
        for i, row in enumerate(near, start):
            yield i, np.flatnonzero(row[:i])


def real(folder: Path) -> Floats:
    """Return the bottlenecks in our cache files below the folder."""
    tables = [np.load(path, allow_pickle=False) for path in sorted(folder.rglob("*.npy"))]
    found = [table["bottleneck"] for table in tables]
    return np.concatenate([each for each in found if each.shape[1] == LENGTH])


def drawn() -> Floats:
    """Return rows around fifty centres, positive and skewed like averages of an activation."""
    random = np.random.default_rng(1)
    centres = random.gamma(0.3, 1, (50, LENGTH))
    rows = centres.repeat(20, axis=0) * random.gamma(2, 0.5, (1000, LENGTH))
    return rows.astype(np.float32)


def mixed(seeds: Floats, count: int) -> Floats:
    """Return `count` rows: two of the seeds mixed, with noise; every fiftieth nearly an earlier."""
    random = np.random.default_rng(0)
    rows = np.empty((count, LENGTH), np.float32)
    for start in range(0, count, 1000):
        part = rows[start : start + 1000]
        one, other = random.integers(len(seeds), size=(2, len(part)))
        share = random.random((len(part), 1), np.float32)
        noise = random.gamma(2, 0.5, part.shape).astype(np.float32)
        part[:] = (seeds[one] * share + seeds[other] * (1 - share)) * noise
        again = random.integers(0, max(start, 1), len(part[::50]))
        part[::50] = rows[again] * random.normal(1, 0.1, part[::50].shape)
    return rows


if __name__ == "__main__":
    main()
