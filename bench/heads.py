"""Measure how good heads are, and whether their scores mean what they say, on folders of pictures.

    python bench/heads.py SET... --bottlenecks FOLDER [--redraws N] [--regressions N] [--jobs N]

SET is a folder with a folder of pictures for each category. In each redraw, 10 pictures of each
category (then 80 % of them) are drawn at random to train on; the rest is guessed, except for near
copies of what was trained on. FOLDER keeps the bottlenecks (EfficientNet-Lite0).

classic: 4000 steps of gradient descent, as `retrain.py`. ours: the same with our temperature.
regression: scikit-learn's LogisticRegressionCV. its temperature: CalibratedClassifierCV over it.
Both are given the rows in a basis of what they span, which changes no result, and are faster so.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src"))
from tensor_guess.backbones import loading
from tensor_guess.bottlenecks.computing import Computer
from tensor_guess.bottlenecks.examples import Examples
from tensor_guess.bottlenecks.extractor import Extractor
from tensor_guess.config import Training
from tensor_guess.evaluation import copies
from tensor_guess.evaluation.calibration import calibration_error, log_loss, softmax
from tensor_guess.evaluation.copies import Pictures, near_copies
from tensor_guess.images import dataset
from tensor_guess.images.dataset import Category, Dataset, Split
from tensor_guess.training import cross_validation
from tensor_guess.training import head as heads
from tensor_guess.training.cross_validation import Judged
from tensor_guess.training.train import calibrated

Floats = NDArray[np.float32]
Indices = NDArray[np.intp]

CLASSIC, OURS, REGRESSION, ITS = "classic", "ours", "regression", "its temperature"
SIZES = (10, None)  # None: 80 % of each category
SHARE = 0.8


@dataclass(frozen=True)
class Drawn:
    """Pictures to train on, and others to guess: bottlenecks [N, D] and categories [N] of each."""

    rows: Floats
    truth: Indices
    unseen: Floats
    unseen_truth: Indices


@dataclass(frozen=True)
class Result:
    """Scores [M, K] for unseen pictures; the temperature, and the accuracy by the folds."""

    scores: Floats
    truth: Indices
    seconds: float = 0
    temperature: float = 1
    cross_validated: float = float("nan")


def main() -> None:
    """Print the table and what it comes to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", type=Path, nargs="+")
    parser.add_argument("--bottlenecks", type=Path, required=True)
    parser.add_argument("--redraws", type=int, default=20)
    parser.add_argument("--regressions", type=int, default=20, help="redraws for scikit-learn")
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    computer = Computer(given.bottlenecks, Extractor(loading.load("efficientnet_lite0")))
    sets = [(str(folder), *read(computer, folder)) for folder in given.sets]
    work = partial(measure, redraws=given.redraws, regressions=given.regressions)
    print(
        f"{'':28} {'a category':>10} {'':15} {'redraws':>7} {'N':>6} {'accuracy':>8} {'ECE':>6} "
        f"{'log loss':>8} {'T':>5} {'seconds':>7} {'folds say':>9}"
    )
    everything = []
    with ProcessPoolExecutor(given.jobs) as pool:
        tasks = [(*each, size) for each in sets for size in SIZES]
        for task, found in zip(tasks, pool.map(work, tasks), strict=True):
            name, size = "/".join(Path(task[0]).parts[-2:]), str(task[-1] or f"{SHARE:.0%}")
            for kind, results in found.items():
                print(f"{name:28} {size:>10} {kind:15} {line(results)}", flush=True)
            everything.append((f"{name} {size}", found))
    conclude(everything)


def read(computer: Computer, folder: Path) -> tuple[Floats, Indices]:
    """Return the bottlenecks [N, D] and the category [N] of each picture, each once."""
    rows, truth = [], []
    for k, category in enumerate(dataset.find(folder, folder).categories):
        found = computer.rows(category.files)
        once = np.unique(np.array(found.keys), return_index=True)[1]
        rows.append(found.bottlenecks[once])
        truth.append(np.full(len(once), k))
    return np.concatenate(rows), np.concatenate(truth)


def measure(
    task: tuple[str, Floats, Indices, int | None], redraws: int, regressions: int
) -> dict[str, list[Result]]:
    """Return the results of each kind of head, one for each redraw."""
    _, rows, truth, size = task
    found: dict[str, list[Result]] = {CLASSIC: [], OURS: [], REGRESSION: [], ITS: []}
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, that its steps or pictures are few
        for seed in range(redraws):
            drawn = draw(rows, truth, size, seed)
            found[CLASSIC].append(timed(classic, drawn, seed))
            found[OURS].append(timed(ours, drawn, seed))
            if seed < regressions:
                found[REGRESSION].append(timed(regression, drawn, seed))
                found[ITS].append(timed(its_temperature, drawn, seed))
    return found


def draw(rows: Floats, truth: Indices, size: int | None, seed: int) -> Drawn:
    """Return `size` pictures of each category, or SHARE of them, to train on, and the others."""
    random = np.random.default_rng(seed)
    taken = np.zeros(len(truth), bool)
    for k in range(truth.max() + 1):
        own = random.permutation(np.flatnonzero(truth == k))
        taken[own[: size or round(SHARE * len(own))]] = True
    seen, others = (Pictures(rows[part], truth[part]) for part in (taken, ~taken))
    new = ~near_copies(others, seen).own
    return Drawn(seen.bottlenecks, seen.truth, others.bottlenecks[new], others.truth[new])


def timed(work: Callable[[Drawn, int], Result], drawn: Drawn, seed: int) -> Result:
    """Return the result with the seconds that it took."""
    started = time.perf_counter()
    result = work(drawn, seed)
    return replace(result, seconds=time.perf_counter() - started)


def classic(drawn: Drawn, seed: int) -> Result:
    """Train the head as `retrain.py` did."""
    rows = [np.flatnonzero(drawn.truth == k) for k in range(drawn.truth.max() + 1)]
    none = [np.empty(0, np.intp)] * len(rows)
    head = heads.train(drawn.rows, rows, none, Training(seed=seed), lambda *_: None)
    scores = softmax(head.logits(drawn.unseen))
    return Result(scores, drawn.unseen_truth)


def ours(drawn: Drawn, seed: int) -> Result:
    """Train the head as the program does."""
    options = Training(seed=seed)
    examples = examples_of(drawn.truth)
    parts = examples.of(Split.TRAINING), examples.of(Split.VALIDATION)
    near = copies.pairs_soon(drawn.rows)
    folds = cross_validation.folds_of(examples, near, options)
    fitted = heads.train_with_folds(drawn.rows, *parts, options, lambda *_: None, folds)
    judged = Judged(np.flatnonzero((folds >= 0).any(axis=0)), fitted.out_of_fold)
    head, temperature = calibrated(fitted.head, examples, drawn.rows, judged)
    right = judged.scores().argmax(axis=1) == drawn.truth[judged.rows]
    scores = softmax(head.logits(drawn.unseen))
    return Result(scores, drawn.unseen_truth, 0, temperature, float(right.mean()))


def examples_of(truth: Indices) -> Examples:
    """Return pictures without files, all to be trained on."""
    names = [str(k) for k in range(truth.max() + 1)]
    data = Dataset(tuple(Category(name, name, ()) for name in names), (), 0)
    return Examples(data, truth=truth.tolist(), parts=[Split.TRAINING] * len(truth))


def regression(drawn: Drawn, seed: int) -> Result:
    """Let scikit-learn choose how much to regularise, by five folds."""
    basis = np.linalg.qr(drawn.rows.T)[0]
    model = LogisticRegressionCV(max_iter=300, class_weight="balanced", use_legacy_attributes=False)
    model.fit(drawn.rows @ basis, drawn.truth)
    return Result(model.predict_proba(drawn.unseen @ basis), drawn.unseen_truth)


def its_temperature(drawn: Drawn, seed: int) -> Result:
    """Let scikit-learn find the temperature of that regression too, by five folds."""
    basis = np.linalg.qr(drawn.rows.T)[0]
    chosen = LogisticRegressionCV(
        max_iter=300, class_weight="balanced", use_legacy_attributes=False
    )
    strength = chosen.fit(drawn.rows @ basis, drawn.truth).C_
    model = LogisticRegression(C=strength, max_iter=300, class_weight="balanced")
    scaled = CalibratedClassifierCV(model, method="temperature", ensemble=False, cv=5)
    scaled.fit(drawn.rows @ basis, drawn.truth)
    (inner,) = scaled.calibrated_classifiers_
    temperature = 1 / float(inner.calibrators[0].beta_)
    scores = scaled.predict_proba(drawn.unseen @ basis)
    return Result(scores, drawn.unseen_truth, 0, temperature)


def line(results: list[Result]) -> str:
    """Return a row of the table: all redraws together; medians of temperature and seconds."""
    if not results:
        return "-"
    scores, truth = pooled(results)
    temperature = np.median([each.temperature for each in results])
    seconds = np.median([each.seconds for each in results])
    said = np.mean([each.cross_validated for each in results])
    return (
        f"{len(results):7} {len(truth):6} {accuracy(results):8.4f} "
        f"{calibration_error(scores, truth):6.4f} {log_loss(scores, truth):8.4f} "
        f"{temperature:5.2f} {seconds:7.2f} {said:9.4f}"
    )


def pooled(results: Iterable[Result]) -> tuple[Floats, Indices]:
    """Return the scores of all redraws together, and the truth."""
    parts = [(each.scores, each.truth) for each in results]
    return np.concatenate([each for each, _ in parts]), np.concatenate([each for _, each in parts])


def accuracy(results: Iterable[Result]) -> float:
    """Return how often the best label is right."""
    scores, truth = pooled(results)
    return float((scores.argmax(axis=1) == truth).mean())


def conclude(everything: list[tuple[str, dict[str, list[Result]]]]) -> None:
    """Print what the issue asks for: how it is over all, and where it is worst."""
    ratios, losses, lost, biases = [], [], [], []
    all_errors = np.zeros(2)
    for name, found in everything:
        kinds = [pooled(found[kind]) for kind in (OURS, CLASSIC)]
        errors = [calibration_error(*each) for each in kinds]
        all_errors += errors
        ratios.append((errors[0] / errors[1], name))
        losses.append((log_loss(*kinds[0]) - log_loss(*kinds[1]), name))
        for kind in (CLASSIC, REGRESSION, ITS):
            count = len(found[kind])
            if count:
                less = accuracy(found[kind]) - accuracy(found[OURS][:count])
                lost.append((less, f"{name}, against {kind}"))
        said = np.mean([each.cross_validated for each in found[OURS]])
        biases.append((float(said) - accuracy(found[OURS]), name))
    print(f"ECE, ours / classic, of the means over all rows: {all_errors[0] / all_errors[1]:.2f}")
    print(f"  the largest of a row: {worst(ratios)}")
    print(f"log loss, ours - at T = 1: at most {worst(losses)}")
    print(f"accuracy lost: at most {worst(lost)}")
    mean = np.mean([bias for bias, _ in biases])
    least = min(biases)
    print(
        f"accuracy by the folds - on unseen pictures: {mean:+.4f} in the mean, "
        f"{least[0]:+.4f} ({least[1]}) to {worst(biases)}"
    )


def worst(found: list[tuple[float, str]]) -> str:
    """Return the largest number and where it is."""
    value, name = max(found)
    return f"{value:+.4f} ({name})"


if __name__ == "__main__":
    main()
