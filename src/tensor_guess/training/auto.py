"""Choose how to train: try ways, the quick ones first, and keep the one that does best unseen."""

import time
from dataclasses import replace
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from tensor_guess.bottlenecks.computing import Computer
from tensor_guess.bottlenecks.extractor import Extractor
from tensor_guess.config import AUGMENT, BOTTLENECK, FEWEST_CHECKED, FITS, SQUEEZE, FineTuning
from tensor_guess.errors import counted
from tensor_guess.evaluation import copies
from tensor_guess.evaluation.accuracy import Accuracy
from tensor_guess.evaluation.folds import FOLDS, folds
from tensor_guess.finetuning.blocks import blocks_of
from tensor_guess.graphs.graph import cut
from tensor_guess.images.dataset import Split
from tensor_guess.system import progress
from tensor_guess.training import train as training
from tensor_guess.training.head import cross_entropy
from tensor_guess.training.train import Job, Made, Ready, Trained

# Of the time, so much goes to bottlenecks at first, and so much is kept for writing the results,
# but not more than so many seconds of it.
_LOOKING, _WRITING, _MOST_WRITING = 0.5, 0.25, 8.0
# With fewer seconds left, there is no report; and no fine-tuning, which TensorFlow's start alone
# takes ten of.
_REPORTING, _TUNING = 3.0, 40.0
# The part of a backbone's blocks that is fine-tuned (bench/fine_tuning.py).
_TUNED = 0.7


def train_best(job: Job, seconds: float) -> Trained:
    """Train in the way that pays most, write the classifier, and return how good it is.

    `seconds`: how long it may take since the program was started. There is a classifier however few
    they are: then it is trained on fewer pictures, in fewer steps. Raise as `train` does.
    """
    started = progress.started()
    end = started + seconds
    until = end - min(_WRITING * seconds, _MOST_WRITING)
    start = training.ready(job)
    training.say_found(start.source.data)
    start = _affordable(job, start, started + _LOOKING * seconds)
    tried = list[dict[str, object]]()
    best, name = training.make(job, start, head_until=until), "head only"
    _say(name, best, tried, started)
    for other in (*FITS, "augmented", "fine-tuned"):
        if other == SQUEEZE:
            continue
        before = time.monotonic()
        try:
            way = _way(other, job, best, start, until)
            progress.check_time(until)
            in_folds = way.options.fine_tuning and _are_few(best)
            made = (_in_folds if in_folds else _at_once)(way, best, start, until)
        except _Unfit as error:
            progress.say(f"{other}: not tried, {error}")
            continue
        except progress.OutOfTime:
            progress.say(f"{other}: not tried, the time would not be enough")
            continue
        _say(other, made, tried, before)
        if _badness(made, best) < _badness(best, made):
            best, name = made, other
    progress.say(f"kept: {name}")
    if end - time.monotonic() < _REPORTING and best.job.report:
        progress.warn("there is no time for a report")
        best = replace(best, job=replace(best.job, report=False))
    return training.finish(replace(best, story={**best.story, "tried": tried}), start.instead)


class _Unfit(Exception):
    """Why a way makes no sense for these pictures, as the end of a sentence."""


def _way(name: str, asked: Job, best: Made, start: Ready, until: float) -> Job:
    """Return the job that does as the best one did, and what the way's name says."""
    # With few pictures, the best one had no test; fine-tuning has, for it is not cross-validated.
    options = replace(best.job.options, testing_percentage=asked.options.testing_percentage)
    job = replace(best.job, options=options)
    if start.source.data is None:
        raise _Unfit("there are no pictures")
    if name in FITS:
        return replace(job, fit=name)
    if name == "augmented":
        return replace(job, options=replace(job.options, augmentation=AUGMENT))
    if until - time.monotonic() < _TUNING * (FOLDS + 1 if _are_few(best) else 1):
        raise progress.OutOfTime
    backbone = start.backbone
    every = blocks_of(cut(backbone.graph, backbone.scaling, BOTTLENECK))
    tuning = FineTuning(round(_TUNED * len(every)) or 1)
    return replace(job, options=replace(job.options, fine_tuning=tuning))


def _are_few(best: Made) -> bool:
    """Return whether the validation pictures are too few to tell whether fine-tuning pays."""
    return best.taught.examples.parts.count(Split.VALIDATION) < FEWEST_CHECKED


def _at_once(job: Job, best: Made, start: Ready, until: float) -> Made:
    return training.make(job, start, until)


def _in_folds(job: Job, best: Made, start: Ready, until: float) -> Made:
    """Return what the job makes, if that is better than the best one, and how it did unseen.

    Each picture is judged by a network that was trained without it and its near copies.
    """
    examples = best.taught.examples
    near = copies.pairs_soon(best.taught.bottlenecks) or ()
    truth, judged = np.array(examples.truth, np.intp), dict[int, NDArray[np.float32]]()
    (fold,) = folds(truth, copies.chains(len(truth), near), 1, job.options.seed)
    if any(set(truth) - set(truth[fold != number]) for number in range(FOLDS)):
        raise _Unfit("a category has too few pictures to hold some of them out")
    for number in range(FOLDS):
        began, own = time.monotonic(), np.flatnonzero(fold == number).tolist()
        progress.say(f"fold {number + 1} of {FOLDS}: {counted(len(own), 'picture')} held out")
        keys = frozenset(examples.keys[i] for i in own)
        made = training.make(job, start, until, held_out=keys)
        judged |= {i: made.judged[i] for i in own}
        # The other folds, and then all pictures, take as long.
        progress.check_time(until - (FOLDS - number) * (time.monotonic() - began))
    unseen = replace(best, judged=judged)
    if _badness(unseen, best) < _badness(best, unseen):
        return replace(training.make(job, start, until), judged=judged)
    return unseen


def _affordable(job: Job, start: Ready, until: float) -> Ready:
    """Return the start with the pictures that can be looked at by then, at least two a category."""
    data = start.source.data
    if data is None or start.source.stored:
        return start
    turns = zip_longest(*(category.files for category in data.categories))
    files = [path for turn in turns for path in turn if path]
    computer = Computer(
        start.source.cache, Extractor(start.backbone.fitted(job.fit), job.precision)
    )
    least = computer.rows(files[: 2 * len(data.categories)])
    rows = computer.rows(files, until=until)
    looked = {*least.paths, *rows.paths, *(each.path for each in (*least.left_out, *rows.left_out))}
    if len(looked) == len(files):
        return start
    progress.warn(f"there is time for {len(looked)} of {len(files)} pictures")
    fewer = tuple(
        replace(category, files=tuple(path for path in category.files if path in looked))
        for category in data.categories
    )
    return replace(start, source=replace(start.source, data=replace(data, categories=fewer)))


def _say(name: str, made: Made, tried: list[dict[str, object]], since: float) -> None:
    truth, seconds = made.taught.examples.truth, time.monotonic() - since
    right = sum(int(row.argmax()) == truth[i] for i, row in made.judged.items())
    accuracy = Accuracy(right, len(made.judged))
    progress.say(f"{name}: {accuracy} unseen, {seconds:.0f} seconds")
    tried.append({"way": name, "right": right, "count": accuracy.count, "seconds": seconds})


def _badness(one: Made, other: Made) -> tuple[float, float]:
    """Return the share that is wrong, and the mean cross entropy, of pictures that both judged."""
    both = sorted(one.judged.keys() & other.judged.keys())
    truth = [one.taught.examples.truth[i] for i in both]
    scores = np.stack([one.judged[i] for i in both])
    own = scores[np.arange(len(both)), truth]
    return float((scores.argmax(axis=1) != truth).mean()), cross_entropy(own)
