"""Measure how well each method tells known pictures from unknown ones, and one person from another.

    python bench/unknown.py DATA [--backbone NAME]

DATA has the folders vader_elsa, flowers_5, two_faces_cropped (knowns), cards_16, recycle_3,
classic_run_2017, classic_run_2018, sample_images and nasty. A row gives the area under the ROC
curve of each method, the mean over the folds: pictures of the fold that was held out, against the
unknown. At the end: how many held-out pictures pass the threshold of training, and how many of the
unknown do; verification; and what storing the rows in bytes changes.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))
from tensor_guess.backbones import loading
from tensor_guess.bottlenecks.computing import Computer
from tensor_guess.bottlenecks.extractor import Extractor
from tensor_guess.config import Training
from tensor_guess.evaluation import unknown
from tensor_guess.evaluation.calibration import softmax
from tensor_guess.evaluation.folds import FOLDS, folds
from tensor_guess.graphs.own import Head
from tensor_guess.training import head as heads

FAR = {
    "vader_elsa": "vader_elsa",
    "flowers_5": "flowers_5",
    "two_faces": "two_faces_cropped",
    "cards_16": "cards_16",
    "recycle_3": "recycle_3",
    "2018: vader": "classic_run_2018/photos/vader",
    "2018: quigon": "classic_run_2018/photos/quigon",
    "2017: plates": "classic_run_2017",
    "samples": "sample_images",
    "nasty": "nasty",
}
KNOWN = ("vader_elsa", "flowers_5", "two_faces")
# Pictures of known things among the unknown ones, by a word in their path.
SAME = {"vader_elsa": ("vader", "elsa"), "flowers_5": ("flower",), "two_faces": ()}
STEPS = Training(eval_step_interval=4000)


@dataclass
class Fold:
    """What was trained on, and its head."""

    rows: np.ndarray
    truth: np.ndarray
    head: Head

    def logits(self, rows: np.ndarray) -> np.ndarray:
        """Return the head's logits."""
        return self.head.logits(rows)

    def novelty(self, rows: np.ndarray, stored: bool = False) -> np.ndarray:
        """Return the novelty that a guess finds; `stored`: with rows as a graph stores them."""
        classes = len(self.head.biases)
        known = unknown.familiar(self.rows, self.truth, classes)
        if stored:
            units = unknown.unpacked(known.packed())
            known = unknown.Familiar(units[:classes], units[classes:])
        return unknown.novelty(*known.cosines(rows), softmax(self.logits(rows)))


METHODS: dict[str, Callable[[Fold, np.ndarray], np.ndarray]] = {
    "softmax": lambda fold, rows: unknown.max_softmax(fold.logits(rows)),
    "energy": lambda fold, rows: unknown.energy(fold.logits(rows)),
    "nearest": lambda fold, rows: unknown.nearest(rows, fold.rows),
    "5th near": lambda fold, rows: unknown.nearest(rows, fold.rows, 5),
    "mahalan.": lambda fold, rows: unknown.mahalanobis(rows, fold.rows, fold.truth),
    "ViM": lambda fold, rows: unknown.vim(rows, fold.rows, fold.head.weights, fold.head.biases),
    "ours": lambda fold, rows: fold.novelty(rows),
    "stored": lambda fold, rows: fold.novelty(rows, stored=True),
}


@dataclass
class Knowns:
    """A set's rows and categories, and how it is divided."""

    rows: np.ndarray
    names: np.ndarray

    def folds(self) -> list[tuple[Fold, np.ndarray]]:
        """Return what is trained on, and the rows that are held out from it."""
        truth = np.unique(self.names, return_inverse=True)[1]
        number = numbers_of(truth)
        found = []
        for held_out in range(FOLDS):
            rows, own = self.rows[number != held_out], truth[number != held_out]
            parts = [np.flatnonzero(own == k) for k in range(truth.max() + 1)]
            none = [np.empty(0, np.intp) for _ in parts]
            head = heads.train(rows, parts, none, STEPS, lambda *_: None)
            found.append((Fold(rows, own, head), self.rows[number == held_out]))
        return found

    def without(self, name: str) -> "Knowns":
        """Return the set without one category."""
        kept = self.names != name
        return Knowns(self.rows[kept], self.names[kept])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    said = parser.parse_args()
    paths, rows = computed(said.data, said.backbone)

    def of(name: str) -> np.ndarray:
        return np.array([path.is_relative_to(FAR[name]) for path in paths])

    lowest = dict.fromkeys(METHODS, (1.0, 1.0, ""))
    print(f"{'known (N)':24}{'unknown (N)':22}" + "".join(f"{each:>9}" for each in METHODS))
    sets = {}
    for name in KNOWN:
        own = np.flatnonzero(of(name))
        categories = np.array([category(paths[i]) for i in own])
        sets[name] = Knowns(rows[own], categories)
        fits = sets[name].folds()
        far = {
            other: [
                i for i in np.flatnonzero(of(other))
                if not any(word in str(paths[i]).lower() for word in SAME[name])
            ]
            for other in FAR if other != name
        }  # fmt: skip
        far["all"] = [i for each in far.values() for i in each]
        for other, which in far.items():
            if which:
                line(f"{name} ({len(own)})", other, rows[which], fits, lowest)
        thresholds(name, sets[name], rows[far["all"]])
    flowers, cards = sets["flowers_5"], np.flatnonzero(of("cards_16"))
    card_names = np.array([category(paths[i]) for i in cards])
    playing = Knowns(rows[cards], card_names)
    for near, what in ((flowers, "flowers"), (playing, "cards")):
        for name in sorted(set(near.names))[:5]:
            fits = near.without(name).folds()
            line(f"the other {what}", name, near.rows[near.names == name], fits, lowest)
    print("\nworst: AUROC, and AUROC less that of softmax (where)")
    for method, (least, lack, where) in lowest.items():
        print(f"{method:10}{least:7.3f}{lack:8.3f}  {where}")
    verification(sets["two_faces"])


def line(
    known: str,
    other: str,
    rows: np.ndarray,
    fits: list[tuple[Fold, np.ndarray]],
    lowest: dict[str, tuple[float, float, str]],
) -> None:
    """Print one row of the table, and remember the worst."""
    areas = {
        method: float(np.mean([unknown.auroc(f(fold, own), f(fold, rows)) for fold, own in fits]))
        for method, f in METHODS.items()
    }
    what = f"{other} ({len(rows)})"
    print(f"{known:24}{what:22}" + "".join(f"{area:9.3f}" for area in areas.values()), flush=True)
    for method, area in areas.items():
        least, lack, where = lowest[method]
        now = area - areas["softmax"]
        lowest[method] = min(least, area), min(lack, now), what if now < lack else where


def thresholds(name: str, known: Knowns, others: np.ndarray) -> None:
    """Print how many held-out and unknown pictures pass the threshold that training would set."""
    passed, accepted, count = 0, [], 0
    for fold, own in known.folds():
        inner = Knowns(fold.rows, fold.truth)
        numbers = numbers_of(fold.truth)
        scores = np.zeros((len(fold.rows), len(fold.head.biases)), np.float32)
        for number, (part, rows) in enumerate(inner.folds()):
            scores[numbers == number] = softmax(part.logits(rows))
        least = unknown.threshold(unknown.of_training(fold.rows, fold.truth, scores))
        passed += int((fold.novelty(own) <= least).sum())
        count += len(own)
        accepted.append(float((fold.novelty(others) <= least).mean()))
    print(
        f"  {name}: {100 * passed / count:.1f} % of held-out pictures pass the threshold "
        f"(N={count}); {100 * np.mean(accepted):.1f} % of the unknown (N={len(others)})"
    )


def verification(faces: Knowns) -> None:
    """Print the error rates of *is it him?*: score of one person, held-out pictures of both."""
    print("\nis it him? (two_faces, held out)  false accepts  false rejects  equal error")
    for k, name in enumerate(np.unique(faces.names)):
        doubts, names = [], []
        numbers = numbers_of(np.unique(faces.names, return_inverse=True)[1])
        for number, (fold, rows) in enumerate(faces.folds()):
            doubts.append(1 - softmax(fold.logits(rows))[:, k])
            names.append(faces.names[numbers == number])
        doubt, whose = np.concatenate(doubts), np.concatenate(names)
        own, others = doubt[whose == name], doubt[whose != name]
        for what, least in (("score 0.5", 0.5), ("95 % accepted", unknown.threshold(own))):
            accepted, rejected = unknown.error_rates(own, others, least)
            print(
                f"{name:18}{what:15}{accepted:13.3f}{rejected:15.3f}"
                f"{unknown.equal_error(own, others):13.3f}  (N={len(own)}, {len(others)} others)"
            )


def numbers_of(truth: np.ndarray) -> np.ndarray:
    """Return the number of the fold of each picture."""
    found: np.ndarray = folds(truth, np.arange(len(truth)), 1, 0)[0]
    return found


def category(path: Path) -> str:
    """Return the category: the folder's name, or the beginning of the name in vader_elsa/test."""
    if path.is_relative_to("vader_elsa/test"):
        return "darth_vader" if path.name.startswith("s") else "elsa"
    return path.parent.name


def computed(data: Path, backbone: str) -> tuple[list[Path], np.ndarray]:
    """Return the readable pictures below `data`, without their copies, and their bottlenecks."""
    files = sorted(path for each in FAR.values() for path in (data / each).rglob("*"))
    files = [path for path in files if path.is_file() and "bottlenecks" not in path.parts]
    with tempfile.TemporaryDirectory() as folder:
        found = Computer(Path(folder), Extractor(loading.load(backbone))).rows(files)
    first = {key: i for i, key in reversed(list(enumerate(found.keys)))}
    once = sorted(first.values())
    return [found.paths[i].relative_to(data) for i in once], found.bottlenecks[once]


if __name__ == "__main__":
    main()
