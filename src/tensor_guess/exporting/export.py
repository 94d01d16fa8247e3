"""Export a classifier to another runtime's format, and publish it only if its scores agree."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from tensor_guess.config import DATA, FEW, FLOAT32, RECORD, Training
from tensor_guess.errors import Unreadable, UserError, WrongUsage, shown, words_of
from tensor_guess.evaluation import story as stories
from tensor_guess.evaluation.accuracy import Accuracy
from tensor_guess.exporting.portable import Sample
from tensor_guess.graphs.classifier import Classifier
from tensor_guess.graphs.own import is_ours
from tensor_guess.guessing import loading
from tensor_guess.guessing.loading import Given
from tensor_guess.images import dataset, decoding, encoded
from tensor_guess.images.dataset import Split
from tensor_guess.images.encoded import Picture
from tensor_guess.images.files import Files
from tensor_guess.images.pixels import pixels
from tensor_guess.received.self_test import TOLERANCE
from tensor_guess.system import progress
from tensor_guess.system.durable import check_new, draft, publish_made, sweep
from tensor_guess.system.reading import real

# How many pictures an export is compared on.
PICTURES = 20
# How much a score may differ; a browser's arithmetic is its own.
_TOLERANCES = {"html": 1e-3}
# How many pictures give the ranges of 8-bit numbers.
_CALIBRATION = 100
_GOLDEN = (5**0.5 - 1) / 2

Item = TypeVar("Item")


@dataclass(frozen=True)
class Job:
    """What to export, where to and in which format; `pictures`: instead of TF_FILES/data."""

    which: Given
    dest: Path
    format: str  # of EXPORTS
    quantize: bool = False
    pictures: Path | None = None


@dataclass(frozen=True)
class Exported:
    """How an export compares, on `count` pictures.

    `worst`: the largest difference of a score. `accuracy`: before and after, in 8 bits only, since
    there a difference of scores says little.
    """

    count: int
    worst: float
    accuracy: tuple[Accuracy, Accuracy] | None = None


class Format(Protocol):
    """What each `to_*` module provides; `write` makes a file or a folder at `path`."""

    def write(self, classifier: Classifier, path: Path) -> None: ...

    def scores(self, path: Path, samples: Sequence[Sample]) -> NDArray[np.float32]: ...


def export(job: Job) -> Exported:
    """Export to `job.dest`, and return how the export compares.

    Raise WrongUsage or UserError, and leave nothing there, as `loading.load` does, and if there are
    no pictures, if the format cannot express the network, or if a score differs by more than
    TOLERANCE.
    """
    if job.quantize and job.format != "tflite":
        raise WrongUsage("--quantize is for --format tflite")
    check_new(job.dest, job.which.path / DATA)
    sweep(real(job.dest).parent)
    classifier = loading.load(job.which)
    # Exports compute in float32.
    classifier = replace(classifier, record=replace(classifier.record, precision=FLOAT32))
    if job.format == "html":
        from tensor_guess.exporting import to_html

        to_html.check(classifier)
    with draft(job.dest) as made:
        found = _quantized(job, classifier, made) if job.quantize else _exact(job, classifier, made)
        publish_made(made, job.dest)
    return found


def _exact(job: Job, classifier: Classifier, made: Path) -> Exported:
    samples = _samples(job, classifier)
    expected = _expected(classifier, samples)
    with _converting(job):
        form = _format(job.format)
        form.write(classifier, made)
        found = form.scores(made, samples)
    differences = np.abs(found - expected).max(axis=1)
    worst = int(np.argmax(differences))
    most = _TOLERANCES.get(job.format, TOLERANCE)
    if not differences[worst] <= most:  # NaN differs too
        raise UserError(
            f"{shown(job.dest)} is not written: exported as {job.format}, a score of "
            f"{shown(samples[worst].path)} differs by {differences[worst]:.7f} "
            f"(at most {most})"
        )
    return Exported(len(samples), float(differences[worst]))


def _quantized(job: Job, classifier: Classifier, made: Path) -> Exported:
    training, held_out = _parts(job, classifier)
    samples = [sample for sample, _ in held_out]
    truth = [label for _, label in held_out]
    expected = _expected(classifier, samples)
    with _converting(job):
        from tensor_guess.exporting import to_tflite

        ranges = [sample.pixels for sample, _ in training[:_CALIBRATION]]
        to_tflite.write_quantized(classifier, made, ranges)
        found = to_tflite.scores(made, samples)
    if not np.isfinite(found).all():
        raise UserError(f"{shown(job.dest)} is not written: in 8 bits, its scores are not numbers")
    before, after = (
        Accuracy(int((each.argmax(axis=1) == truth).sum()), len(truth))
        for each in (expected, found)
    )
    return Exported(len(samples), float(np.abs(found - expected).max()), (before, after))


def _format(name: str) -> Format:
    """Return the module for that format; each imports its own runtime."""
    if name == "saved_model":
        from tensor_guess.exporting import to_saved_model

        return to_saved_model
    if name == "photoprism":
        from tensor_guess.exporting import to_photoprism

        return to_photoprism
    if name == "tflite":
        from tensor_guess.exporting import to_tflite

        return to_tflite
    if name in ("onnx", "html"):
        try:
            from tensor_guess.exporting import to_html, to_onnx
        except ModuleNotFoundError as error:
            raise UserError(
                f"exporting as {name} needs {error.name}, which is not here; run "
                "`pip install 'tensor-guess[export]'`"
            ) from error
        return to_onnx if name == "onnx" else to_html
    from tensor_guess.exporting import to_openvino

    return to_openvino


@contextmanager
def _converting(job: Job) -> Iterator[None]:
    """Silence converters, and turn whatever they raise into one sentence."""
    try:
        with progress.silence():
            yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{shown(job.which.path)} cannot be exported as {job.format}: {words_of(error)}"
        ) from error


def _expected(classifier: Classifier, samples: Sequence[Sample]) -> NDArray[np.float32]:
    """Return the scores [N, K] that a guess gives the samples."""
    network = classifier.network(few=len(samples) < FEW)
    pairs = ((sample, sample.pixels) for sample in samples)
    return np.stack([scores for _, scores in network.run(pairs)])


def _samples(job: Job, classifier: Classifier) -> list[Sample]:
    """Return PICTURES of the pictures, or all if fewer; print how many could not be read."""
    found: list[Sample] = []
    passed_over = 0
    for path in _spread([path for _, path in _pictures(job)]):
        sample = _sample(path, classifier, job.format)
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
    job: Job, classifier: Classifier
) -> tuple[list[tuple[Sample, int]], list[tuple[Sample, int]]]:
    """Return pictures that were trained on and others, each with the number of its label.

    Pictures without a label of the classifier are left out. Raise UserError if either list is
    empty.
    """
    validation, testing = _held_out(job, classifier)
    keys: dict[int, dict[bytes, Path]] = {}
    passed_over = 0
    for label, path in _pictures(job):
        if label not in classifier.record.labels:
            continue
        try:
            key = encoded.read(path).key
        except Unreadable:
            passed_over += 1
        else:
            keys.setdefault(classifier.record.labels.index(label), {})[key] = path
    parts: dict[Split, list[tuple[Sample, int]]] = {part: [] for part in Split}
    for number, own in keys.items():
        split = dataset.split(sorted(own), validation, testing)
        for part, key in zip(split, sorted(own), strict=True):
            sample = _sample(own[key], classifier, job.format)
            if sample is None:
                passed_over += 1
            else:
                parts[part].append((sample, number))
    _say_passed_over(job, passed_over)
    held_out = parts[Split.TESTING if testing else Split.VALIDATION]
    if not parts[Split.TRAINING] or not held_out:
        raise _no_pictures(job)
    return _spread(parts[Split.TRAINING]), _spread(held_out)


def _held_out(job: Job, classifier: Classifier) -> tuple[int, int]:
    """Return the percentages of validation and testing pictures that were held out in training.

    Raise UserError if all pictures were trained on: their accuracy would be too high.
    """
    graph = loading.graph_path(job.which.path)
    model = stories.bytes_beside(graph) if is_ours(classifier.graph) else None
    story = stories.read(model, classifier.record, classifier.digest(), RECORD) if model else None
    if story and story.held_out and any(story.held_out):
        return story.held_out
    if story and story.held_out and not job.pictures:
        raise UserError(
            f"{shown(job.which.path)} was trained on all of its pictures, so none of them can "
            "show its accuracy in 8 bits; give a folder of others with --pictures"
        )
    progress.warn("it is not known whether the classifier was trained on these pictures")
    usual = Training()
    return usual.validation_percentage, usual.testing_percentage


def _say_passed_over(job: Job, count: int) -> None:
    if count:
        files = "1 file" if count == 1 else f"{count} files"
        progress.warn(f"passed over {files} that {job.format} cannot be compared on")


def _pictures(job: Job) -> list[tuple[str, Path]]:
    """Return every file among the pictures with the label of its folder, in a fixed order."""
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


def _sample(path: Path, classifier: Classifier, form: str) -> Sample | None:
    """Return the picture, or None if it cannot be decoded by us or in that format."""
    try:
        picture = encoded.read(path)
        if form == "saved_model" and not decoding.same_in_tensorflow(picture):
            return None
        if form == "html" and not _is_read_by_browsers(picture):
            return None
        return Sample(path, picture, pixels(picture, classifier.record.scaling))
    except Unreadable:
        return None


def _is_read_by_browsers(picture: Picture) -> bool:
    if picture.kind == "PNG":
        return decoding.same_in_tensorflow(picture)  # which does not scale grey in 16 bits either
    return picture.kind not in ("TIFF", "HEIF")


def _no_pictures(job: Job) -> UserError:
    folder = job.pictures or job.which.path / DATA
    return UserError(
        f"an export is compared on real pictures, but there are none in {shown(folder)}; "
        "give a folder of some with --pictures"
    )


def _spread(items: Sequence[Item]) -> list[Item]:
    """Return all items, ordered so that the first few are spread evenly (golden section)."""
    order = sorted(range(len(items)), key=lambda i: i * _GOLDEN % 1)
    return [items[i] for i in order]
