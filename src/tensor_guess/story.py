"""model.json: a graph's record, and how the classifier came to be, which no graph tells."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tensor_guess.dataset import Split
from tensor_guess.errors import UserError
from tensor_guess.evaluation import Accuracy
from tensor_guess.frozen_graph import Record

_HUGE = 10**12  # pictures


@dataclass(frozen=True)
class Story:
    """What is known of a classifier besides its record; None: not known.

    `counts`: for each category the pictures in each split. `confusion`: [K][K], how many pictures
    of the testing split of each category (rows) were taken for which; `near_copies`: those not
    counted. `data_sha256`: the hash of the data (Examples.digest). `version`: tensor-guess's.
    """

    counts: Mapping[str, Mapping[str, int]] | None = None
    confusion: tuple[tuple[int, ...], ...] | None = None
    near_copies: int | None = None
    data_sha256: str | None = None
    version: str | None = None

    @property
    def accuracy(self) -> Accuracy | None:
        """The accuracy on the testing split."""
        if self.confusion is None:
            return None
        right = sum(row[k] for k, row in enumerate(self.confusion))
        return Accuracy(right, sum(map(sum, self.confusion)))


def written(record: Record, digest: str, facts: Mapping[str, object]) -> bytes:
    """The bytes of model.json, for the graph whose SHA-256 is `digest`."""
    model = {**asdict(record), "graph_sha256": digest, **facts}
    return (json.dumps(model, indent=2, ensure_ascii=False, sort_keys=True) + "\n").encode()


def read(data: bytes, record: Record, digest: str, name: str) -> Story:
    """The story in the bytes of a model.json, which must be of the graph with that digest.

    Raises UserError: damaged, or of another graph.
    """
    try:
        model = json.loads(data)
        own = json.loads(json.dumps(asdict(record)))
        same = model["labels"] == own["labels"] and _agrees(model, own)
        if not same or model.get("graph_sha256", digest) != digest:
            raise UserError(
                f"{name} was not written with the graph beside it; train again, "
                "or share the graph alone"
            )
        return _story(model, record) if "graph_sha256" in model else Story()
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise UserError(f"{name} is damaged; train again, or get it again") from error


def _agrees(said: object, own: object) -> bool:
    """Whether nothing is said otherwise; a version before ours may have said less."""
    if isinstance(said, dict) and isinstance(own, dict):
        return all(_agrees(said[key], value) for key, value in own.items() if key in said)
    return said == own


def _story(model: Any, record: Record) -> Story:
    """Raises one of the errors above where a value is not of the kind that training writes."""
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
        _text(model.get("data_sha256")),
        _text(model.get("versions", {}).get("tensor-guess")),
    )


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value < _HUGE:
        raise ValueError
    return value


def _text(value: object) -> str | None:
    if not isinstance(value, str | None):
        raise TypeError
    return value
