"""The report on a new classifier: collect what is known about it, and draw the page."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tensor_guess.bottlenecks.examples import Examples
from tensor_guess.bottlenecks.inside import Inside
from tensor_guess.config import FEW, Augmentation
from tensor_guess.errors import Unreadable, UserError
from tensor_guess.evaluation import copies, label_errors, maps
from tensor_guess.evaluation.accuracy import Accuracy
from tensor_guess.evaluation.calibration import softmax
from tensor_guess.graphs.classifier import Classifier
from tensor_guess.graphs.files import Record
from tensor_guess.graphs.own import Head
from tensor_guess.images import augment, decoding, encoded
from tensor_guess.images.dataset import Split
from tensor_guess.images.pixels import Pixels, pixels
from tensor_guess.images.thumbnails import jpeg, thumbnails
from tensor_guess.reporting import report
from tensor_guess.reporting.findings import Curves, Example, Findings
from tensor_guess.training.cross_validation import Judged
from tensor_guess.training.head import Look

Floats = NDArray[np.float32]

# Up to so many pictures, the longer side of each has so many pixels.
_SIZES = ((120, 160), (250, 112), (report.MOST_PICTURES, 80))
_MOST_MAPS = 60
# Of versions: so many categories, so many of each, and their sides in pixels.
_MOST_SHOWN, _MOST_VERSIONS, _VERSION_SIZE = 5, 8, 96


@dataclass(frozen=True, eq=False)
class Taught:
    """What training knows when it is done; `bottlenecks` [N, D] are those of the examples.

    `near`: near copies among the examples, but for those that are known to be none.
    `judged`: the scores out of fold, before `temperature`. `tested`: for the position of each
    example that counts in the accuracy, the category found.
    """

    record: Record
    examples: Examples
    bottlenecks: Floats
    near: copies.Pairs | None
    looks: list[Look]
    head: Head
    judged: Judged
    temperature: float
    tested: dict[int, int]
    augmentation: Augmentation | None = None


def findings(taught: Taught, story: Mapping[str, Any], digest: str) -> Findings:
    """Return what the report shows. `story`: what model.json says; `digest`: the graph's."""
    metrics, judged = story["metrics"], taught.judged
    by_folds = "cross_validated" in metrics
    truth = np.array(taught.examples.truth, np.intp)[judged.rows]
    validated = suspects = None
    if len(judged.rows):
        logits = judged.logits[:, judged.rows].mean(axis=0)
        suspects = tuple(judged.rows[label_errors.suspects(logits, truth)].tolist())
        right = judged.scores().argmax(axis=1) == truth
        validated = None if by_folds else Accuracy(int(right.sum()), len(right))
    return Findings(
        record=taught.record,
        examples=_examples(taught),
        curves=_curves(taught.looks),
        graph_sha256=digest,
        data_sha256=story["data_sha256"],
        versions=story["versions"],
        settings=story["training"],
        notice=story["notice"],
        left_out=tuple(taught.examples.left_out),
        not_counted=metrics["test_near_copies"],
        by_folds=by_folds,
        cross_validated=validated,
        near_copies=_pairs(taught.near),
        suspects=suspects,
        temperature=taught.temperature,
        augmented=_augmented(taught),
    )


def page(found: Findings, known: Classifier) -> bytes:
    """Return the page on the classifier `known`; what cannot be drawn is left out."""
    paths = [found.examples[i].path for i in report.pictured(found)]
    size = next(size for most, size in _SIZES if len(paths) <= most)
    return report.report(found, thumbnails(paths, size).get, _maps(found, known, size))


def _examples(taught: Taught) -> tuple[Example, ...]:
    examples, judged = taught.examples, taught.judged
    rows = np.array([i for i, part in enumerate(examples.parts) if part is not Split.TRAINING])
    rows = rows.astype(np.intp)
    logits = taught.head.logits(taught.bottlenecks[rows])
    out_of_fold = judged.scores(taught.temperature)
    scores = dict(zip(rows.tolist(), softmax(logits), strict=True))
    scores |= dict(zip(judged.rows.tolist(), out_of_fold, strict=True))
    given = {i: int(each.argmax()) for i, each in scores.items()} | taught.tested
    every = zip(examples.paths, examples.truth, examples.parts, strict=True)
    return tuple(
        Example(path, k, part, given.get(i), scores.get(i), i in taught.tested)
        for i, (path, k, part) in enumerate(every)
    )


def _augmented(taught: Taught) -> bytes | None:
    """Return a JPEG file: versions of the first training picture of each of some categories."""
    if taught.augmentation is None:
        return None
    how = replace(taught.augmentation, versions=min(taught.augmentation.versions, _MOST_VERSIONS))
    scaling = replace(taught.record.scaling, size=_VERSION_SIZE, classic=False)
    found = []
    for own in taught.examples.of(Split.TRAINING)[:_MOST_SHOWN]:
        key = taught.examples.keys[own[0]]
        keys = [augment.key_of(key, how, number) for number in range(how.versions)]
        with suppress(Unreadable):  # it was changed meanwhile
            picture = encoded.read(taught.examples.paths[own[0]])
            row = augment.versions(picture, scaling, how, keys)
            found.append(np.concatenate([np.asarray(each, np.uint8) for each in row], axis=1))
    return jpeg(np.concatenate(found)) if found else None


def _pairs(near: copies.Pairs | None) -> tuple[tuple[int, int], ...] | None:
    if near is None:
        return None
    return tuple((i, own) for own, before in near for i in before.tolist())


def _curves(looks: Sequence[Look]) -> Curves:
    def of(name: str) -> Floats:
        return np.array([getattr(look, name) for look in looks], np.float32)

    steps = np.array([look.step for look in looks], np.intp)
    return Curves(steps, of("train_accuracy"), of("cross_entropy"), of("validation_accuracy"))


def _maps(found: Findings, known: Classifier, size: int) -> report.Maps:
    """Return the pictures of what spoke for which label; none if the network has no map."""
    wanted = found.wrong[:_MOST_MAPS]
    images = encoded.ahead(lambda i: _image(found.examples[i].path, known), wanted)
    readable = [(i, image) for i, image in images if not isinstance(image, Unreadable)]
    drawn = dict[Path, tuple[bytes, bytes]]()
    if not readable:
        return drawn  # a second network is not compiled for nothing
    try:
        inside = Inside(known, len(readable) < FEW)
        for i, seen in inside.run(readable):
            if seen.map is not None:
                each = found.examples[i]
                shares = maps.evidence(seen.map, inside.head.weights)
                fit = known.record.scaling.fit
                picture = decoding.decode_within(encoded.read(each.path), size, fit)
                given, own = (
                    jpeg(maps.overlay(picture, shares[..., k])) for k in (each.given, each.category)
                )
                drawn[each.path] = given, own
    except (Unreadable, UserError):
        pass  # a network without such a head, or a picture that was changed meanwhile
    return drawn


def _image(path: Path, known: Classifier) -> Pixels:
    return pixels(encoded.read(path), known.record.scaling)
