"""The report on a new classifier: collect what is known about it, and draw the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tensor_guess.bottlenecks.examples import Examples
from tensor_guess.bottlenecks.inside import Inside
from tensor_guess.config import FEW
from tensor_guess.errors import Unreadable, UserError
from tensor_guess.evaluation import maps, report
from tensor_guess.evaluation.accuracy import Accuracy, near_pairs
from tensor_guess.evaluation.findings import Curves, Example, Findings
from tensor_guess.graphs.classifier import Classifier
from tensor_guess.graphs.files import Record
from tensor_guess.graphs.own import Head
from tensor_guess.images import decoding, encoded
from tensor_guess.images.dataset import Split
from tensor_guess.images.pixels import Pixels, pixels
from tensor_guess.images.thumbnails import thumbnails, jpeg
from tensor_guess.training import head as heads
from tensor_guess.training.head import Look

Floats = NDArray[np.float32]

# Up to so many pictures, the longer side of each has so many pixels.
_SIZES = ((120, 160), (250, 112), (report.MOST_PICTURES, 80))
# Of more examples, all pairs would take long.
_MOST_PAIRED = 2000
_MOST_MAPS = 60


@dataclass
class Taught:
    """What training knows when it is done.

    `tested`: the positions of the examples that count in the accuracy. `out_of_fold` [N, K]: the
    scores of classifiers that never saw the example, NaN without; `suspects`: see Findings.
    """

    record: Record
    examples: Examples
    bottlenecks: Floats
    looks: list[Look] = field(default_factory=list)
    tested: tuple[int, ...] = ()
    out_of_fold: Floats | None = None
    cross_validated: Accuracy | None = None
    suspects: Sequence[int] | None = None
    temperature: float = 1.0


def findings(taught: Taught, head: Head, story: Mapping[str, Any], digest: str) -> Findings:
    """Return what the report shows. `story`: what model.json says; `digest`: the graph's."""
    examples = taught.examples
    pairs = None
    if len(examples.paths) <= _MOST_PAIRED:
        pairs = near_pairs(taught.bottlenecks, np.concatenate(examples.of(Split.TRAINING)))
    return Findings(
        record=taught.record,
        examples=_examples(taught, head),
        curves=_curves(taught.looks),
        graph_sha256=digest,
        data_sha256=story["data_sha256"],
        versions=story["versions"],
        settings=story["training"],
        notice=story["notice"],
        left_out=tuple(examples.left_out),
        not_counted=story["metrics"]["test_near_copies"],
        cross_validated=taught.cross_validated,
        near_copies=pairs,
        suspects=None if taught.suspects is None else tuple(taught.suspects),
        temperature=taught.temperature,
    )


def page(found: Findings, known: Classifier) -> bytes:
    """Return the page on the classifier `known`; what cannot be drawn is left out."""
    paths = [found.examples[i].path for i in report.pictured(found)]
    size = next(size for most, size in _SIZES if len(paths) <= most)
    return report.report(found, thumbnails(paths, size).get, _maps(found, known, size))


def _examples(taught: Taught, head: Head) -> tuple[Example, ...]:
    examples = taught.examples
    tested = set(taught.tested)
    every = zip(examples.paths, examples.truth, examples.parts, strict=True)
    held_out = [i for i, part in enumerate(examples.parts) if part is not Split.TRAINING]
    rows = np.array(held_out, np.intp)
    given = dict(zip(held_out, heads.found_of(taught.bottlenecks, rows, head), strict=True))
    scores = {i: heads.softmax(_logits(taught.bottlenecks[i], head))[0] for i in held_out}
    if taught.out_of_fold is not None:
        for i in map(int, np.flatnonzero(np.isfinite(taught.out_of_fold).all(axis=1))):
            if examples.parts[i] is Split.TRAINING:
                scores[i] = taught.out_of_fold[i]
                given[i] = scores[i].argmax()
    return tuple(
        Example(path, k, part, int(given[i]) if i in given else None, scores.get(i), i in tested)
        for i, (path, k, part) in enumerate(every)
    )


def _logits(bottleneck: Floats, head: Head) -> Floats:
    logits: Floats = bottleneck[None] @ head.weights + head.biases
    return logits


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
                picture = decoding.decode_within(encoded.read(each.path), size)
                given, own = (
                    jpeg(maps.overlay(picture, shares[..., k])) for k in (each.given, each.category)
                )
                drawn[each.path] = given, own
    except (Unreadable, UserError):
        pass  # a network without such a head, or a picture that was changed meanwhile
    return drawn


def _image(path: Path, known: Classifier) -> Pixels:
    return pixels(encoded.read(path), known.record.scaling)
