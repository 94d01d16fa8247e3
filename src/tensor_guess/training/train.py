"""Train: images -> labels, split -> bottlenecks -> head -> frozen graph + labels."""

import hashlib
import platform
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.proto.graph_pb2 import GraphDef

from tensor_guess import __version__
from tensor_guess.backbones import loading
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.bottlenecks import gathering
from tensor_guess.bottlenecks.computing import Computer, Rows
from tensor_guess.bottlenecks.examples import Examples, arrange
from tensor_guess.bottlenecks.extractor import Extractor
from tensor_guess.bottlenecks.gathering import Source
from tensor_guess.config import (
    AUGMENT,
    BF16,
    FINAL_TENSOR,
    FLOAT32,
    GRAPH,
    LABELS,
    SQUEEZE,
    Training,
)
from tensor_guess.errors import UserError, counted, shown
from tensor_guess.evaluation import copies
from tensor_guess.evaluation import story as stories
from tensor_guess.evaluation.accuracy import Accuracy, confusion
from tensor_guess.evaluation.calibration import softmax
from tensor_guess.evaluation.calibration import temperature as temperature_of
from tensor_guess.evaluation.folds import FOLDS
from tensor_guess.finetuning import finetune
from tensor_guess.graphs import classifier
from tensor_guess.graphs import graph as graphs
from tensor_guess.graphs.files import Record
from tensor_guess.graphs.network import has_bf16
from tensor_guess.graphs.own import Head, check_final_tensor, with_head
from tensor_guess.images.dataset import Dataset, Split
from tensor_guess.images.files import LeftOut
from tensor_guess.system import progress
from tensor_guess.system.durable import check_writable, make_folder
from tensor_guess.training import deep_head, doctor, not_duplicates, outputs, report, unknown
from tensor_guess.training import head as heads
from tensor_guess.training.cross_validation import Judged, are_few, folds_of
from tensor_guess.training.head import Fitted, Look
from tensor_guess.training.outputs import Outputs
from tensor_guess.training.report import Taught
from tensor_guess.training.summaries import Summaries

if TYPE_CHECKING:
    from tensor_guess.spreading.machines import Machines

# `retrain.py` warned below this number too.
_FEW_IMAGES = 20


@dataclass(frozen=True)
class Job:
    """What to train on, with which settings, and where to write (None: into TF_FILES)."""

    tf_files: Path
    options: Training
    backbone: str | None = None  # None: the classifier's own, else the default
    bottleneck_tensor: str | None = None  # only if the backbone is a frozen graph
    precision: str = FLOAT32
    fit: str = SQUEEZE  # of FITS
    final_tensor: str = FINAL_TENSOR
    offline: bool = False  # never use the internet
    image_dir: Path | None = None
    output_graph: Path | None = None
    output_labels: Path | None = None
    bottleneck_dir: Path | None = None
    summaries_dir: Path | None = None
    intermediate_dir: Path | None = None
    intermediate_frequency: int = 0
    report: bool = True
    machines: "Machines | None" = None  # which others compute bottlenecks

    @property
    def outputs(self) -> Outputs:
        """Return the places for the frozen graph and the labels file."""
        return Outputs(
            self.output_graph or self.tf_files / GRAPH,
            self.output_labels or self.tf_files / LABELS,
        )


@dataclass(frozen=True)
class Trained:
    """The result: the accuracy on the testing split, the wrong guesses, and what was left out.

    `tested`: for the position of each example that counts in the accuracy, the category found.
    """

    accuracy: Accuracy
    misclassified: tuple[tuple[Path, str], ...]
    left_out: tuple[LeftOut, ...]
    tested: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Ready:
    """What a job starts from: pictures, and a backbone. `instead`: what to report at the end."""

    source: Source
    backbone: Backbone
    instead: str


@dataclass(frozen=True, eq=False)
class Made:
    """A classifier that is not written yet, and how it did on pictures that it was not trained on.

    `judged`: the scores [K] of each of these, by its position among the examples.
    """

    job: Job
    graph: GraphDef
    taught: Taught
    story: dict[str, object]
    result: Trained
    judged: dict[int, NDArray[np.float32]]


def train(job: Job) -> Trained:
    """Train a classifier, write it to TF_FILES, and return how good it is.

    Raise UserError or WrongUsage if that is impossible; nothing is half-written then.
    """
    start = ready(job)
    say_found(start.source.data)
    return finish(make(job, start), start.instead)


def ready(job: Job) -> Ready:
    """Return what the job starts from; no picture is opened. Raise as `train` does."""
    if job.machines:
        job.machines.check()
    if job.backbone:
        loading.check_name(job.backbone)
    source = gathering.find(job.tf_files, job.image_dir, job.bottleneck_dir)
    check_writable(job.tf_files)
    outputs.check(job.outputs, source.photos)
    for folder in (job.bottleneck_dir, job.summaries_dir, job.intermediate_dir):
        if folder:
            outputs.check_apart(folder / "x", source.photos)
    if job.precision == BF16 and not has_bf16():
        raise UserError(f"this CPU does not compute in {BF16}; train with --precision {FLOAT32}")
    backbone, instead = loading.choose(
        job.backbone, job.outputs.graph, bottleneck=job.bottleneck_tensor, offline=job.offline
    )
    check_final_tensor(job.final_tensor, backbone.graph, backbone.scaling.fitted(job.fit))
    if job.options.fine_tuning:
        finetune.blocks_to_train(backbone, job.options.fine_tuning.blocks)
    return Ready(source, backbone, instead)


def make(
    job: Job,
    start: Ready,
    until: float | None = None,
    head_until: float | None = None,
    held_out: frozenset[bytes] = frozenset(),
) -> Made:
    """Return the classifier that the job asks for; write nothing but bottlenecks.

    `until`: the time by which it must be made; raise OutOfTime if that is not enough. `head_until`:
    the time at which the head's training ends, after however many steps. `held_out`: the keys of
    pictures to judge and not to train on; then all others are trained on.
    """
    source = start.source
    extractor = Extractor(start.backbone.fitted(job.fit), job.precision)
    progress.detail(
        f"backbone: {shown(start.backbone.name)}, SHA-256 {start.backbone.sha256}, "
        f"{counted(extractor.length, 'number')} a picture"
    )
    with progress.timed("bottlenecks"):
        gathered = gathering.gather(source, extractor, until, job.machines)
    data, rows, extractor = gathered.data, gathered.rows, gathered.extractor
    examples = arrange(data, rows, job.options)
    tuning = job.options.fine_tuning
    # Heads of folds would not be trained without what the backbone was trained on.
    few = are_few(examples) and not tuning
    if few:
        job = replace(job, options=replace(job.options, testing_percentage=0))
        examples = arrange(data, rows, job.options)
    if held_out:
        examples = examples.holding_out(held_out)
    if job.options.epochs:
        steps = _steps_of(job.options, examples)
        job = replace(job, options=replace(job.options, steps=steps))
    _say_parts(examples, rows)
    bottlenecks = plain = rows.bottlenecks[examples.rows]
    near = copies.pairs_soon(plain)
    doubtful = _doubtful(job.tf_files, examples, near)
    _say_wrong(job, examples, doubtful, extractor)
    record = _record(data, extractor, job.final_tensor)
    folds = folds_of(examples, near, job.options)
    versions = _versions(job, source, examples, extractor, until)
    what = examples, bottlenecks, versions, folds
    with progress.timed(f"{job.options.steps} steps"):
        fitted, looks = _steps(job, *what, extractor.backbone, record, head_until or until)
    progress.check_time(until)
    if fitted.step < job.options.steps:
        progress.say(f"kept the head after step {fitted.step}: validation was best there")
    if tuning:
        with progress.timed("fine-tuning"):
            extractor, fitted, tuned = _fine_tuned(job, source, examples, extractor, fitted, until)
        looks += tuned
        bottlenecks = _again(job, source, examples, extractor)
        record = replace(
            _record(data, extractor, job.final_tensor), fine_tuned=extractor.backbone.fine_tuned
        )
        _say_validated(examples, bottlenecks, fitted.head)
    head, judged = fitted.head, Judged(np.flatnonzero((folds >= 0).any(axis=0)), fitted.out_of_fold)
    head, temperature = calibrated(head, examples, bottlenecks, judged)
    if few:
        result, metrics = _cross_validated(examples, judged)
    else:
        result, metrics = _test(job.options, examples, (plain, bottlenecks), head, judged)
    metrics |= {"temperature": temperature, "kept_step": fitted.step}
    logits = judged.logits[:, judged.rows] / np.float32(temperature)
    record, familiar = unknown.learned(record, examples, bottlenecks, head, (judged.rows, logits))
    graph = with_head(extractor.backbone.graph, head, record, familiar)
    augmentation = job.options.augmentation or (AUGMENT if tuning else None)
    result_of = temperature, result.tested, augmentation
    taught = Taught(record, examples, bottlenecks, doubtful, looks, head, judged, *result_of)
    story = _story(job, examples, start.instead, metrics)
    unseen = dict(zip(judged.rows.tolist(), judged.scores(temperature), strict=True))
    apart = np.concatenate(examples.of(Split.TESTING if held_out else Split.VALIDATION))
    unseen |= zip(apart.tolist(), softmax(head.logits(bottlenecks[apart])), strict=True)
    return Made(job, graph, taught, story, result, unseen)


def finish(made: Made, instead: str) -> Trained:
    """Write the classifier, and return how good it is. Raise as `train` does."""
    with progress.timed("report and files"):
        _write(made.job, made.graph, made.taught, made.story)
    progress.say(f"wrote {shown(made.job.outputs.graph)}")
    if instead:
        progress.warn(instead)
    return made.result


def _steps_of(options: Training, examples: Examples) -> int:
    """Return how many steps the epochs take."""
    count = sum(map(len, examples.of(Split.TRAINING)))
    return (options.epochs or 0) * -(-count // options.train_batch_size)


def _steps(
    job: Job,
    examples: Examples,
    bottlenecks: NDArray[np.float32],
    versions: NDArray[np.float32],
    folds: NDArray[np.intp],
    backbone: Backbone,
    record: Record,
    until: float | None,
) -> tuple[Fitted, list[Look]]:
    """Return the head, what the heads of the folds make of what they did not see, and the looks."""
    summaries, looks = Summaries(job.summaries_dir), list[Look]()
    with progress.bar("Training", job.options.steps) as show, summaries:

        def look(at: Look, head: Head) -> None:
            show(at.step + 1, _results(at))
            summaries.add(at)
            looks.append(at)
            _log(at)
            every = job.intermediate_frequency
            if job.intermediate_dir and every and at.step and at.step % every == 0:
                make_folder(job.intermediate_dir)
                graph = with_head(backbone.graph, head, record)
                path = job.intermediate_dir / f"intermediate_{at.step}.pb"
                outputs.publish_graph(path, graphs.serialise(graph))

        training, validation = examples.of(Split.TRAINING), examples.of(Split.VALIDATION)
        bottlenecks, training, folds = with_versions(bottlenecks, versions, training, folds)
        what = bottlenecks, training, validation, job.options, look, folds
        if job.options.hidden:
            fitted = deep_head.train_with_folds(*what)
        else:
            fitted = heads.train_with_folds(*what, until)
        return replace(fitted, out_of_fold=fitted.out_of_fold[:, : len(examples.truth)]), looks


def _fine_tuned(
    job: Job,
    source: Source,
    examples: Examples,
    extractor: Extractor,
    fitted: Fitted,
    until: float | None,
) -> tuple[Extractor, Fitted, list[Look]]:
    """Return the extractor, the head and the looks after the last blocks were trained too."""
    _check_pictures(source, "fine-tune on")
    training, validation = (
        _pictures(examples, part) for part in (Split.TRAINING, Split.VALIDATION)
    )
    given = finetune.fine_tune(
        extractor, fitted.head, training, validation, job.options, source.cache, until
    )
    count = len(validation.paths)
    steps = job.options.steps
    looks = [
        Look(
            steps + at.epoch * given.steps,
            at.train_accuracy,
            at.cross_entropy,
            at.validation_accuracy,
            count,
        )
        for at in given.epochs
    ]
    progress.say(f"kept epoch {given.best} of {len(looks)}")
    return given.extractor, replace(fitted, head=given.head, step=looks[given.best - 1].step), looks


def _again(
    job: Job, source: Source, examples: Examples, extractor: Extractor
) -> NDArray[np.float32]:
    """Return the examples' bottlenecks by another extractor, [N, D]."""
    rows = Computer(source.cache, extractor, machines=job.machines).rows(examples.paths)
    if rows.keys != tuple(examples.keys):
        raise UserError(f"a picture in {shown(source.photos)} was changed meanwhile; train again")
    return rows.bottlenecks


def _pictures(examples: Examples, part: Split) -> finetune.Pictures:
    own = np.concatenate(examples.of(part)).tolist()
    lists = examples.paths, examples.keys, examples.truth
    return finetune.Pictures(*([of[i] for i in own] for of in lists))


def _versions(
    job: Job, source: Source, examples: Examples, extractor: Extractor, until: float | None
) -> NDArray[np.float32]:
    """Return the bottlenecks [T, V, D] of the training split's versions, category by category."""
    own = np.concatenate(examples.of(Split.TRAINING))
    how = job.options.augmentation
    if how is None:
        return np.empty((len(own), 0, extractor.length), np.float32)
    _check_pictures(source, "augment")
    paths, keys = ([of[i] for i in own] for of in (examples.paths, examples.keys))
    return Computer(source.cache, extractor).versions(paths, keys, how, until)


def _check_pictures(source: Source, to: str) -> None:
    if source.data is None:
        raise UserError(
            f"there are bottlenecks but no pictures to {to}; put them into {shown(source.photos)}"
        )


def with_versions(
    bottlenecks: NDArray[np.float32],
    versions: NDArray[np.float32],
    training: list[NDArray[np.intp]],
    folds: NDArray[np.intp],
) -> tuple[NDArray[np.float32], list[NDArray[np.intp]], NDArray[np.intp]]:
    """Return bottlenecks [N + T * V, D], training and folds [R, N + T * V] with the versions.

    versions [T, V, D]: those of the images in `training`, in that order. They are in their image's
    category and fold.
    """
    count, each = versions.shape[:2]
    if not each:
        return bottlenecks, training, folds
    images = np.concatenate(training)
    numbers = len(bottlenecks) + np.arange(count * each).reshape(count, each)
    parts = np.split(numbers, np.cumsum([len(rows) for rows in training])[:-1])
    longer = [
        np.concatenate([rows, new.ravel()]) for rows, new in zip(training, parts, strict=True)
    ]
    rows = np.concatenate([bottlenecks, versions.reshape(-1, bottlenecks.shape[1])])
    return rows, longer, np.concatenate([folds, np.repeat(folds[:, images], each, axis=1)], axis=1)


def calibrated(
    head: Head, examples: Examples, bottlenecks: NDArray[np.float32], judged: Judged
) -> tuple[Head, float]:
    """Return the head whose scores are as sure as they are right, and its temperature.

    It is fitted to the logits of pictures that their head was not trained on: out of fold, else
    the validation split's.
    """
    truth = np.array(examples.truth, np.intp)
    if len(judged.rows):
        logits = np.concatenate(judged.logits[:, judged.rows])
        found = temperature_of(
            logits, np.tile(truth[judged.rows], len(judged.logits)), len(judged.rows)
        )
    else:
        rows = np.concatenate(examples.of(Split.VALIDATION))
        logits = head.logits(bottlenecks[rows])
        found = temperature_of(logits, truth[rows], len(rows))
    return head.scaled(1 / found), found


def _cross_validated(examples: Examples, judged: Judged) -> tuple[Trained, dict[str, object]]:
    """Return the accuracy out of fold, and the metrics for model.json."""
    times = counted(len(judged.logits), "time")
    progress.say(
        f"few pictures: each of {len(judged.rows)} was judged by heads that were trained without "
        f"it ({FOLDS} folds, {times}); the classifier is trained on all of them"
    )
    truth = np.array(examples.truth, np.intp)
    found = judged.scores().argmax(axis=1)
    result, metrics = _results_of(examples, judged.rows, truth[judged.rows], found)
    return result, {**metrics, "cross_validated": True, "test_near_copies": 0}


def _test(
    options: Training,
    examples: Examples,
    bottlenecks: tuple[NDArray[np.float32], NDArray[np.float32]],
    head: Head,
    judged: Judged,
) -> tuple[Trained, dict[str, object]]:
    """Return the accuracy on the testing split, and the metrics for model.json.

    Near copies of training images are not counted. bottlenecks: by the backbone as it was before
    fine-tuning, which tells near copies, and as it is now.
    """
    plain, now = bottlenecks
    training = np.concatenate(examples.of(Split.TRAINING))
    held_out = np.concatenate(examples.of(Split.TESTING))
    truth = np.array(examples.truth, np.intp)
    found_again = copies.near_copies(
        *(copies.Pictures(plain[each], truth[each]) for each in (held_out, training))
    )
    tested = held_out[~found_again.own]
    if 0 <= options.test_batch_size < len(tested):
        random = np.random.default_rng(options.seed)
        tested = np.sort(random.choice(tested, options.test_batch_size, replace=False))
    found = heads.found_of(now, tested, head)
    _say_copies(examples, held_out, found_again)
    if len(judged.rows):
        right = judged.scores().argmax(axis=1) == truth[judged.rows]
        progress.say(f"cross-validated training pictures: {Accuracy(int(right.sum()), len(right))}")
    result, metrics = _results_of(examples, tested, truth[tested], found)
    return result, {**metrics, "test_near_copies": int(found_again.own.sum())}


def _results_of(
    examples: Examples, tested: NDArray[np.intp], truth: NDArray[np.intp], found: NDArray[np.intp]
) -> tuple[Trained, dict[str, object]]:
    """Return the accuracy on the pictures `tested`, and the metrics; `found`: their categories."""
    taken = confusion(truth, found, len(examples.data.categories))
    accuracy = Accuracy(int(taken.trace()), len(tested))
    wrong = tuple(
        (examples.paths[i], examples.data.categories[k].label)
        for i, k in zip(tested[found != truth], found[found != truth], strict=True)
    )
    low, high = accuracy.interval()
    metrics: dict[str, object] = {
        "test_accuracy": accuracy.value if accuracy.count else None,
        "test_count": accuracy.count,
        "test_interval_95": [low, high],
        "test_confusion": taken.tolist(),
    }
    by_position = dict(zip(tested.tolist(), found.tolist(), strict=True))
    return Trained(accuracy, wrong, tuple(examples.left_out), by_position), metrics


def _record(data: Dataset, extractor: Extractor, final_tensor: str) -> Record:
    backbone = extractor.backbone
    return Record(
        labels=tuple(category.label for category in data.categories),
        categories=tuple(category.name for category in data.categories),
        scaling=backbone.scaling,
        backbone=backbone.name,
        backbone_sha256=backbone.sha256,
        precision=extractor.precision,
        final_tensor=final_tensor,
    )


def _story(
    job: Job, examples: Examples, instead: str, metrics: dict[str, object]
) -> dict[str, object]:
    """Return what model.json contains besides the record."""
    counts: dict[str, Counter[str]] = {each.name: Counter() for each in examples.data.categories}
    for part, k in zip(examples.parts, examples.truth, strict=True):
        counts[examples.data.categories[k].name][part.value] += 1
    libraries = ("numpy", "openvino", "pillow")
    return {
        "training": asdict(job.options),
        "counts": counts,
        "left_out": len(examples.left_out),
        "data_sha256": examples.digest(),
        "metrics": metrics,
        "notice": instead,
        "versions": {
            "tensor-guess": __version__,
            "python": platform.python_version(),
            **{library: version(library) for library in libraries},
        },
    }


def _write(job: Job, classifier_graph: GraphDef, taught: Taught, story: dict[str, object]) -> None:
    record = taught.record
    graph = graphs.serialise(classifier_graph)
    name = shown(job.outputs.graph)
    known = classifier.of_bytes(graph, name, lambda: ())
    # Replace nothing by a graph that guessing would refuse.
    if known.record != record:
        raise UserError(f"{name} is not written: it would not be read as it was meant")
    labels = "".join(f"{label}\n" for label in record.labels).encode()
    digest = hashlib.sha256(graph).hexdigest()
    model = stories.written(record, digest, story)
    page = None
    if job.report and outputs.may_report(job.outputs):
        page = report.page(report.findings(taught, story, digest), known)
    outputs.publish_classifier(job.outputs, graph, labels, model, page)


def say_found(data: Dataset | None) -> None:
    """Report how many files each category has."""
    if data is None:
        return
    for category in data.categories:
        count = len(category.files)
        few = f" (fewer than {_FEW_IMAGES}: more would help)" if count < _FEW_IMAGES else ""
        progress.say(f"{shown(category.name)}: {counted(count, 'file')}{few}")
    if data.hidden:
        progress.say(f"skipped {counted(data.hidden, 'hidden file')}")


def _say_parts(examples: Examples, rows: Rows) -> None:
    for left_out in examples.left_out:
        progress.warn(str(left_out))
    if examples.copies:
        duplicates = counted(examples.copies, "exact duplicate")
        progress.say(f"{duplicates} within a category: counted once")
    parts = Counter(part.value for part in examples.parts)
    cached = len(rows.paths) - rows.computed - rows.taken
    taken = f"{rows.taken} taken, " if rows.taken else ""
    progress.say(
        f"{len(examples.paths)} pictures ({_listed(parts)}); "
        f"bottlenecks: {rows.computed} computed, {taken}{cached} from the cache"
    )


def _doubtful(tf_files: Path, examples: Examples, near: copies.Pairs | None) -> copies.Pairs | None:
    """Return the near copies but for those that the user knows to be none."""
    if near is None:
        return None
    known: not_duplicates.Pairs = frozenset()
    with suppress(UserError):  # the doctor reports it
        known = not_duplicates.read(tf_files)
    return list(copies.without(near, examples.keys, known))


def _say_wrong(
    job: Job, examples: Examples, doubtful: copies.Pairs | None, extractor: Extractor
) -> None:
    lines = doctor.at_first_sight(examples, doubtful, extractor.backbone.scaling.size)
    if lines and not job.image_dir:
        lines[-1] += f" (for more, run `./tensor-guess doctor {shown(job.tf_files)}`)"
    for line in lines:
        progress.warn(line)


def _say_validated(examples: Examples, bottlenecks: NDArray[np.float32], head: Head) -> None:
    rows = np.concatenate(examples.of(Split.VALIDATION))
    if len(rows):
        right = heads.found_of(bottlenecks, rows, head) == np.array(examples.truth)[rows]
        progress.say(f"validation accuracy: {Accuracy(int(right.sum()), len(right))}")


def _say_copies(examples: Examples, held_out: NDArray[np.intp], found: copies.NearCopies) -> None:
    own, other = found.own, found.other & ~found.own
    if own.any():
        pictures = counted(own.sum(), "test picture")
        progress.say(f"{pictures} nearly identical to training pictures: not counted")
    if other.any():
        first = shown(examples.paths[held_out[other.argmax()]])
        progress.warn(
            f"{counted(other.sum(), 'test picture')} nearly identical to training pictures of "
            f"another category: counted; check the labels, e.g. {first}"
        )


def _listed(parts: Counter[str]) -> str:
    return ", ".join(f"{parts[part.value]} {part.value}" for part in Split)


def _results(at: Look) -> str:
    """Return the line to show below the bar on a terminal."""
    validated = f", validation accuracy {100 * at.validation_accuracy:.1f}%"
    return (
        f"Train accuracy {100 * at.train_accuracy:.1f}%, cross entropy {at.cross_entropy:f}"
        f"{validated if at.validation_count else ''}"
    )


def _log(at: Look) -> None:
    """Log the same lines as `retrain.py`, for programs that read them; a terminal has the bar."""
    if progress.on_terminal():
        return
    now = datetime.now()
    progress.say(f"{now}: Step {at.step}: Train accuracy = {100 * at.train_accuracy:.1f}%")
    progress.say(f"{now}: Step {at.step}: Cross entropy = {at.cross_entropy:f}")
    progress.say(
        f"{now}: Step {at.step}: Validation accuracy = "
        f"{100 * at.validation_accuracy:.1f}% (N={at.validation_count})"
    )
