"""The job of exporting: a classifier in another runtime's format, published only if it agrees."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from tensor_guess.config import DATA, FLOAT32, RECORD, Training
from tensor_guess.errors import Unreadable, UserError, WrongUsage, shown, words_of
from tensor_guess.evaluation import story as stories
from tensor_guess.evaluation.accuracy import Accuracy
from tensor_guess.graphs.classifier import Classifier
from tensor_guess.graphs.network import FEW
from tensor_guess.graphs.own import is_ours
from tensor_guess.guessing import loading
from tensor_guess.guessing.loading import Given
from tensor_guess.images import dataset, decoding, encoded
from tensor_guess.images.dataset import Split
from tensor_guess.images.files import Files
from tensor_guess.images.pixels import pixels
from tensor_guess.sharing.portable import Sample
from tensor_guess.sharing.self_test import TOLERANCE
from tensor_guess.system import progress
from tensor_guess.system.durable import check_new, draft, publish_made, sweep
from tensor_guess.system.reading import real

# On so many pictures an export is compared.
PICTURES = 20
# From so many the ranges of 8-bit numbers are taken.
_CALIBRATION = 100
_GOLDEN = (5**0.5 - 1) / 2

Item = TypeVar("Item")


@dataclass(frozen=True)
class Job:
    """What is exported, where to and as what; `pictures`: a folder instead of TF_FILES/data."""

    which: Given
    dest: Path
    format: str  # of EXPORTS
    quantize: bool = False
    pictures: Path | None = None


@dataclass(frozen=True)
class Exported:
    """On how many pictures it was tried; the worst difference of a score, or (in 8 bits, where
    that says little) the accuracy before and after."""

    count: int
    worst: float
    accuracy: tuple[Accuracy, Accuracy] | None = None


class Format(Protocol):
    """What each export_* module gives; `write` makes a file or a folder at `path`."""

    def write(self, known: Classifier, path: Path) -> None: ...

    def scores(self, path: Path, samples: Sequence[Sample]) -> NDArray[np.float32]: ...


def export(job: Job) -> Exported:
    """What was found of the export that is at `job.dest` now, whole.

    Raises WrongUsage or UserError, and leaves nothing there: as `classifier.load` does; no
    pictures; the format cannot express the network; a score differs by more than TOLERANCE.
    """
    if job.quantize and job.format != "tflite":
        raise WrongUsage("--quantize is for --format tflite")
    check_new(job.dest, job.which.path / DATA)
    sweep(real(job.dest).parent)
    known = loading.load(job.which)
    # What others are told is computed in float32.
    known = replace(known, record=replace(known.record, precision=FLOAT32))
    with draft(job.dest) as made:
        found = _quantized(job, known, made) if job.quantize else _exact(job, known, made)
        publish_made(made, job.dest)
    return found


def _exact(job: Job, known: Classifier, made: Path) -> Exported:
    samples = _samples(job, known)
    expected = _expected(known, samples)
    with _converting(job):
        form = _format(job.format)
        form.write(known, made)
        found = form.scores(made, samples)
    differences = np.abs(found - expected).max(axis=1)
    worst = int(np.argmax(differences))
    if not differences[worst] <= TOLERANCE:  # a score that is no number differs too
        raise UserError(
            f"{shown(job.dest)} is not written: exported as {job.format}, a score of "
            f"{shown(samples[worst].path)} differs by {differences[worst]:.7f} "
            f"(at most {TOLERANCE})"
        )
    return Exported(len(samples), float(differences[worst]))


def _quantized(job: Job, known: Classifier, made: Path) -> Exported:
    training, held_out = _parts(job, known)
    samples = [sample for sample, _ in held_out]
    truth = [label for _, label in held_out]
    expected = _expected(known, samples)
    with _converting(job):
        from tensor_guess.sharing import to_tflite

        ranges = [sample.pixels for sample, _ in training[:_CALIBRATION]]
        to_tflite.write_quantized(known, made, ranges)
        found = to_tflite.scores(made, samples)
    if not np.isfinite(found).all():
        raise UserError(f"{shown(job.dest)} is not written: in 8 bits, its scores are no numbers")
    before, after = (
        Accuracy(int((each.argmax(axis=1) == truth).sum()), len(truth))
        for each in (expected, found)
    )
    return Exported(len(samples), float(np.abs(found - expected).max()), (before, after))


def _format(name: str) -> Format:
    """The module of that format; each imports a runtime of its own."""
    if name == "saved_model":
        from tensor_guess.sharing import to_saved_model

        return to_saved_model
    if name == "tflite":
        from tensor_guess.sharing import to_tflite

        return to_tflite
    if name == "onnx":
        from tensor_guess.sharing import to_onnx

        return to_onnx
    from tensor_guess.sharing import to_openvino

    return to_openvino


@contextmanager
def _converting(job: Job) -> Iterator[None]:
    """Converters tell much, and raise anything at all: here it is silence, or one sentence."""
    try:
        with progress.silence():
            yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{shown(job.which.path)} cannot be exported as {job.format}: {words_of(error)}"
        ) from error


def _expected(known: Classifier, samples: Sequence[Sample]) -> NDArray[np.float32]:
    """[N, K]: what a guess says of the samples."""
    network = known.network(few=len(samples) < FEW)
    pairs = ((sample, sample.pixels) for sample in samples)
    return np.stack([scores for _, scores in network.run(pairs)])


def _samples(job: Job, known: Classifier) -> list[Sample]:
    """PICTURES of the pictures, or all that there are; what cannot be read is counted and told."""
    found: list[Sample] = []
    passed_over = 0
    for path in _spread([path for _, path in _pictures(job)]):
        sample = _sample(path, known, job.format)
        if sample is None:
            passed_over += 1
        else:
            found.append(sample)
        if len(found) == PICTURES:
            break
    _say_passed_over(job, passed_over)
    if not found:
        raise _no_pictures(job)
    return found


def _parts(
    job: Job, known: Classifier
) -> tuple[list[tuple[Sample, int]], list[tuple[Sample, int]]]:
    """Pictures that were trained on and others, each with the number of its label.

    Those of no label are left out. Raises UserError where there is none of the one or the other.
    """
    validation, testing = _held_out(job, known)
    keys: dict[int, dict[bytes, Path]] = {}
    passed_over = 0
    for label, path in _pictures(job):
        if label not in known.record.labels:
            continue
        try:
            key = encoded.read(path).key
        except Unreadable:
            passed_over += 1
        else:
            keys.setdefault(known.record.labels.index(label), {})[key] = path
    parts: dict[Split, list[tuple[Sample, int]]] = {part: [] for part in Split}
    for number, own in keys.items():
        split = dataset.split(sorted(own), validation, testing)
        for part, key in zip(split, sorted(own), strict=True):
            sample = _sample(own[key], known, job.format)
            if sample is None:
                passed_over += 1
            else:
                parts[part].append((sample, number))
    _say_passed_over(job, passed_over)
    held_out = parts[Split.TESTING if testing else Split.VALIDATION]
    if not parts[Split.TRAINING] or not held_out:
        raise _no_pictures(job)
    return _spread(parts[Split.TRAINING]), _spread(held_out)


def _held_out(job: Job, known: Classifier) -> tuple[int, int]:
    """Percent of the pictures in the validation and in the testing split, as they were in training.

    Raises UserError where all of them were trained on: they would tell a better accuracy.
    """
    graph = loading.graph_path(job.which.path)
    model = stories.bytes_beside(graph) if is_ours(known.graph) else None
    told = stories.read(model, known.record, known.digest(), RECORD) if model else None
    if told and told.held_out and any(told.held_out):
        return told.held_out
    if told and told.held_out and not job.pictures:
        raise UserError(
            f"{shown(job.which.path)} was trained on all of its pictures, so none of them tells "
            "its accuracy in 8 bits; give a folder of others by --pictures"
        )
    progress.say("it is not known whether the classifier was trained on these pictures")
    usual = Training()
    return usual.validation_percentage, usual.testing_percentage


def _say_passed_over(job: Job, count: int) -> None:
    if count:
        progress.say(f"{count} of the files passed over: {job.format} cannot be compared on them")


def _pictures(job: Job) -> list[tuple[str, Path]]:
    """Every file among the pictures, with the label that its folder has, in a fixed order."""
    folder = job.pictures or job.which.path / DATA
    if job.pictures and not folder.is_dir():
        raise WrongUsage(f"there is no folder {shown(folder)} (--pictures)")
    if not folder.is_dir():
        raise _no_pictures(job)
    found = []
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not entry.name.startswith("."):
            label = dataset.label_of(entry.name)
            found += [(label, path) for path, reason in Files(real(entry)) if not reason]
        elif not entry.name.startswith("."):
            found.append(("", entry))
    return found


def _sample(path: Path, known: Classifier, form: str) -> Sample | None:
    """The picture, or None where it cannot be decoded, by us or in that format."""
    try:
        picture = encoded.read(path)
        if form == "saved_model" and not decoding.same_in_tensorflow(picture):
            return None
        return Sample(path, picture, pixels(picture, known.record.scaling))
    except Unreadable:
        return None


def _no_pictures(job: Job) -> UserError:
    folder = job.pictures or job.which.path / DATA
    return UserError(
        f"an export is compared on real pictures, and there are none in {shown(folder)}; "
        "give a folder of some by --pictures"
    )


def _spread(items: Sequence[Item]) -> list[Item]:
    """All of them, in an order in which the first few are from all over (golden section)."""
    order = sorted(range(len(items)), key=lambda i: i * _GOLDEN % 1)
    return [items[i] for i in order]
