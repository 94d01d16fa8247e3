"""Measure what the pictures that `heap` chooses are worth, and how pure its groups are.

    python bench/heap.py SET... --bottlenecks FOLDER [--draws N]

SET is a folder with a folder of pictures for each category; the categories are hidden from `heap`.
Two pictures for each category are labelled: drawn at random (the mean of N draws), the two most
typical of as many groups as there are categories, or those that `--choose` names. A head is trained
on them as `train` does, and the accuracy is that on all the others. FOLDER keeps the bottlenecks
(EfficientNet-Lite0). One choice is a matter of luck, so the gain is also measured on REDRAWS times
80 % of the pictures.

Purity is the share of pictures that are right if each group gets the name that most of its pictures
have, with as many groups as `heap` makes, and with as many as have the best silhouette
(scikit-learn's).
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import silhouette_score

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))
from tensor_guess.backbones import loading
from tensor_guess.bottlenecks.computing import Computer
from tensor_guess.bottlenecks.extractor import Extractor
from tensor_guess.config import Training
from tensor_guess.evaluation import groups
from tensor_guess.evaluation.groups import Groups
from tensor_guess.images import dataset
from tensor_guess.training import head as heads

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]

EACH = 2  # pictures to label, for each category
REDRAWS, SHARE = 10, 0.8
QUIET = Training(eval_step_interval=Training.steps)
MOST_GROUPS = 20  # to look for the best silhouette among


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", type=Path, nargs="+")
    parser.add_argument("--bottlenecks", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=50)
    given = parser.parse_args()
    computer = Computer(given.bottlenecks, Extractor(loading.load("efficientnet_lite0")))
    print(
        f"{'':20} {'pictures':>8} {'labelled':>8}  {'random (sd)':>13} {'typical':>7} "
        f"{'--choose':>8} {'gain':>6} {'of 80 %':>7}   {'groups, purity':>14} {'by silhouette':>14}"
    )
    for folder in given.sets:
        rows, truth = read(computer, folder)
        categories = int(truth.max()) + 1
        count = EACH * categories
        draws = drawn(rows, truth, count, given.draws)
        found = groups.group(rows, categories)
        typical = np.concatenate([found.members(k)[:EACH] for k in range(found.count)])
        chosen = accuracy(rows, truth, groups.choose(rows, count))
        ours = groups.group(rows, groups.usual_count(len(rows)))
        print(
            f"{'/'.join(folder.parts[-2:]):20} {len(rows):8} {count:8}  "
            f"{f'{np.mean(draws):.3f} ({np.std(draws):.3f})':>13} "
            f"{accuracy(rows, truth, typical):7.3f} {chosen:8.3f} {chosen - np.mean(draws):+6.3f} "
            f"{of_parts(rows, truth, count, given.draws):+7.3f}"
            f"   {purity(ours, truth):>14} {purity(of_silhouette(rows), truth):>14}",
            flush=True,
        )


def drawn(rows: Floats, truth: Indices, count: int, draws: int) -> list[float]:
    """Return the accuracy for each of so many random draws of `count` pictures."""
    random = np.random.default_rng(0)
    return [
        accuracy(rows, truth, random.choice(len(rows), count, replace=False)) for _ in range(draws)
    ]


def of_parts(rows: Floats, truth: Indices, count: int, draws: int) -> float:
    """Return the mean gain on parts of the pictures; so many draws are made of all together."""
    gains = []
    for seed in range(REDRAWS):
        part = np.random.default_rng(seed).permutation(len(rows))[: round(SHARE * len(rows))]
        found = accuracy(rows[part], truth[part], groups.choose(rows[part], count))
        by_chance = drawn(rows[part], truth[part], count, max(1, draws // REDRAWS))
        gains.append(found - np.mean(by_chance))
    return float(np.mean(gains))


def read(computer: Computer, folder: Path) -> tuple[Floats, Indices]:
    """Return the bottlenecks [N, D] and the category [N] of each picture, each once."""
    rows, truth = [], []
    for k, category in enumerate(dataset.find(folder, folder).categories):
        found = computer.rows(category.files)
        once = np.unique(np.array(found.keys), return_index=True)[1]
        rows.append(found.bottlenecks[once])
        truth.append(np.full(len(once), k))
    return np.concatenate(rows), np.concatenate(truth)


def accuracy(rows: Floats, truth: Indices, labelled: Indices) -> float:
    """Return how many of the other pictures are right by a head trained on these."""
    others = np.setdiff1d(np.arange(len(rows)), labelled)
    known = np.unique(truth[labelled])  # a category that was not drawn is never guessed
    training = [np.flatnonzero(truth[labelled] == k) for k in known]
    none = [np.empty(0, np.intp)] * len(known)
    head = heads.train(rows[labelled], training, none, QUIET, lambda *_: None)
    return float((known[head.logits(rows[others]).argmax(axis=1)] == truth[others]).mean())


def purity(found: Groups, truth: Indices) -> str:
    """Return the number of groups, and the share of pictures that are named right."""
    right = sum(np.bincount(truth[found.members(k)]).max() for k in range(found.count))
    return f"{found.count}, {right / len(truth):.2f}"


def of_silhouette(rows: Floats) -> Groups:
    """Return the groups with the best silhouette."""
    most = min(MOST_GROUPS, len(rows) - 1)
    tried = [groups.group(rows, count) for count in range(2, most + 1)]
    centred = rows - rows.mean(axis=0)
    scores = [silhouette_score(centred, each.number, metric="cosine") for each in tried]
    return tried[int(np.argmax(scores))]


if __name__ == "__main__":
    main()
