"""model.json: a graph's record, and how the classifier was made, which the graph does not say."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tensor_guess.config import RECORD, Training
from tensor_guess.errors import Unreadable, UserError, shown
from tensor_guess.evaluation.accuracy import Accuracy
from tensor_guess.graphs.files import (
    MAX_RECORD_BYTES,
    Record,
    damaged_model,
    model_in,
    to_json,
)
from tensor_guess.images.dataset import Split
from tensor_guess.system import reading

_HUGE = 10**12  # pictures
# No other program's model.json has all of these keys.
_OURS = {"labels", "categories", "backbone", "backbone_sha256", "scaling", "graph_sha256"}


@dataclass(frozen=True)
class Story:
    """What is known about a classifier besides its record; None means not known.

    `counts`: the pictures in each split, by category. `confusion`: [K][K], how many test pictures
    of each category (rows) were given which (columns); `near_copies`: those not counted there.
    `held_out`: the percentages of validation and testing. `data_sha256`: the hash of the data
    (Examples.digest). `version`: tensor-guess's. `options`: of those in Training, the ones that
    were not the defaults.
    """

    counts: Mapping[str, Mapping[str, int]] | None = None
    confusion: tuple[tuple[int, ...], ...] | None = None
    near_copies: int | None = None
    held_out: tuple[int, int] | None = None
    data_sha256: str | None = None
    version: str | None = None
    options: tuple[str, ...] | None = None

    @property
    def accuracy(self) -> Accuracy | None:
        """Return the accuracy on the testing split."""
        if self.confusion is None:
            return None
        right = sum(row[k] for k, row in enumerate(self.confusion))
        return Accuracy(right, sum(map(sum, self.confusion)))


def written(record: Record, digest: str, facts: Mapping[str, object]) -> bytes:
    """Return the bytes of model.json for the graph whose SHA-256 is `digest`."""
    model = {**to_json(record), "graph_sha256": digest, **facts}
    text = json.dumps(model, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    # What is not UTF-8 in a folder's name becomes JSON's own escape.
    return text.encode("utf-8", "backslashreplace")


def read(data: bytes, record: Record, digest: str, name: str) -> Story:
    """Return the story in the bytes of the model.json of the graph with that digest.

    Raise UserError if it is damaged, or another graph's.
    """
    model = model_in(data, record, digest, name)
    try:
        return _story(model, record)
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise damaged_model(name) from error


def bytes_beside(graph: Path) -> bytes | None:
    """Return the bytes of the model.json beside a graph; None if there is none.

    Raise UserError if it is not a regular file, too large or not readable.
    """
    path = graph.with_name(RECORD)
    if not os.path.lexists(path):
        return None
    try:
        return reading.read(path, MAX_RECORD_BYTES, follow=False)
    except Unreadable as error:
        raise UserError(f"could not read {shown(path)}: {error}") from error


def graph_of(data: bytes) -> str | None:
    """Return the SHA-256 of the graph that our model.json belongs to; None if it is not ours."""
    try:
        model = json.loads(data)
    except (RecursionError, ValueError):
        return None
    if not isinstance(model, dict) or not model.keys() >= _OURS:
        return None
    return str(model["graph_sha256"])


def _story(model: Any, record: Record) -> Story:
    """Return the story. Raise one of the errors above if a value is not what training writes."""
    counts, metrics = model.get("counts"), model.get("metrics", {})
    if counts is not None:
        counts = {
            category: {part.value: _count(counts[category].get(part.value, 0)) for part in Split}
            for category in record.categories
        }
    confusion = metrics.get("test_confusion")
    if confusion is not None:
        confusion = tuple(tuple(map(_count, row)) for row in confusion)
        if [len(row) for row in confusion] != [len(record.labels)] * len(record.labels):
            raise ValueError
    near_copies = metrics.get("test_near_copies")
    return Story(
        counts,
        confusion,
        None if near_copies is None else _count(near_copies),
        _held_out(model.get("training")),
        _text(model.get("data_sha256")),
        _text(model.get("versions", {}).get("tensor-guess")),
        _options(model.get("training"), metrics),
    )


def _held_out(training: Any) -> tuple[int, int] | None:
    if training is None:
        return None
    found = training["validation_percentage"], training["testing_percentage"]
    if not sum(map(_count, found)) <= 100:
        raise ValueError
    return found


def _options(training: Any, metrics: Mapping[str, object]) -> tuple[str, ...] | None:
    """Return the names of the options that were not the defaults, as far as they are known."""
    if training is None:
        return None
    usual = json.loads(json.dumps(asdict(Training())))
    if "cross_validated" in metrics:  # nothing was held out, whatever was asked for
        usual["testing_percentage"] = 0
    return tuple(name for name in usual if training.get(name, usual[name]) != usual[name])


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value < _HUGE:
        raise ValueError
    return value


def _text(value: object) -> str | None:
    if not isinstance(value, str | None):
        raise TypeError
    return value
