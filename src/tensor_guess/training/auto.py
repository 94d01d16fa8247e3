"""Choose how to train: try ways, the quick ones first, and keep the one that does best unseen."""

import time
from dataclasses import replace
from itertools import zip_longest

import numpy as np

from tensor_guess.bottlenecks.computing import Computer
from tensor_guess.bottlenecks.extractor import Extractor
from tensor_guess.config import AUGMENT, BOTTLENECK, FEWEST_CHECKED, FITS, SQUEEZE, FineTuning
from tensor_guess.errors import counted
from tensor_guess.evaluation.accuracy import Accuracy
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
            made = training.make(way, start, until)
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
        progress.say("there is no time for a report")
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
    validation = best.taught.examples.parts.count(Split.VALIDATION)
    if validation < FEWEST_CHECKED:
        few = counted(validation, "validation picture")
        raise _Unfit(f"{few} cannot tell whether it pays (from {FEWEST_CHECKED} on)")
    if until - time.monotonic() < _TUNING:
        raise progress.OutOfTime
    backbone = start.backbone
    every = blocks_of(cut(backbone.graph, backbone.scaling, BOTTLENECK))
    tuning = FineTuning(round(_TUNED * len(every)) or 1)
    return replace(job, options=replace(job.options, fine_tuning=tuning))


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
    progress.say(f"there is time for {len(looked)} of {len(files)} pictures")
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
