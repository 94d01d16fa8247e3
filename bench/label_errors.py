"""Measure how many wrong labels are found: 5 % of the labels (k of them) are flipped.

    python bench/label_errors.py TF_FILES... [--seeds N] [--repeats N]

The table shows the percentage of them that are among the 2k worst, over all seeds, with the worst
seed's in brackets, for each way to rank by the same out-of-fold logits.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))
from tensor_guess.evaluation import copies
from tensor_guess.evaluation.label_errors import self_confidence
from tensor_guess.training.cross_validation import out_of_fold
from tensor_guess.training.doctor import gathered

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]

FLIPPED = 0.05


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tf_files", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=1)
    given = parser.parse_args()
    print(f"{'':24} {'k':>4}  " + "  ".join(f"{name:>16}" for name in RANKINGS))
    for folder in given.tf_files:
        examples, rows = gathered(folder)[:2]
        bottlenecks = rows.bottlenecks[examples.rows]
        truth = np.array(examples.truth, np.intp)
        found = [measured(bottlenecks, truth, seed, given.repeats) for seed in range(given.seeds)]
        percents = 100 * np.array(found)
        print(
            f"{folder.name:24} {round(FLIPPED * len(truth)):4}  "
            + "  ".join(
                f"{f'{mean:.0f} ({least:.0f})':>16}"
                for mean, least in zip(percents.mean(axis=0), percents.min(axis=0), strict=True)
            )
        )


def measured(bottlenecks: Floats, truth: Indices, seed: int, repeats: int) -> list[float]:
    """Return, for each ranking, the share of the flipped labels among the 2k worst."""
    random = np.random.default_rng(seed)
    classes, count = int(truth.max()) + 1, round(FLIPPED * len(truth))
    flipped = random.choice(len(truth), count, replace=False)
    said = truth.copy()
    said[flipped] = (truth[flipped] + random.integers(1, classes, count)) % classes
    groups = copies.chains(len(truth), copies.pairs(bottlenecks))
    logits = out_of_fold(bottlenecks, said, groups, classes, repeats, seed)
    worst = (np.argsort(rank(logits, said), kind="stable") for rank in RANKINGS.values())
    return [float(np.isin(flipped, order[: 2 * count]).mean()) for order in worst]


def logit_margin(logits: Floats, truth: Indices) -> Floats:
    """Return by how much the own logit exceeds the largest other."""
    own = np.arange(len(truth)), truth
    others = logits.copy()
    others[own] = -np.inf
    margins: Floats = logits[own] - others.max(axis=1)
    return margins


def score_margin(logits: Floats, truth: Indices) -> Floats:
    """Return by how much the own score exceeds the largest other."""
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores /= scores.sum(axis=1, keepdims=True)
    return logit_margin(scores, truth)


RANKINGS: dict[str, Callable[[Floats, Indices], Floats]] = {
    "self-confidence": self_confidence,
    "margin of scores": score_margin,
    "margin of logits": logit_margin,
}


if __name__ == "__main__":
    main()
