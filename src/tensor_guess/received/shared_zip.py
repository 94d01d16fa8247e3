"""The zip that `share` writes: what may be in it, and how it is read and verified."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tensor_guess.config import GRAPH, LABELS, MODEL_CARD, RECORD, ROWS, SELF_TEST, SUMS
from tensor_guess.errors import UserError, shown
from tensor_guess.graphs import classifier as classifiers
from tensor_guess.graphs import files, graph
from tensor_guess.graphs.classifier import Classifier
from tensor_guess.received import self_test
from tensor_guess.system import archive

# The files in a zip, in this order, with the most bytes that each may have.
_USUAL = 16_000_000
LIMITS = {
    SUMS: 64_000,
    MODEL_CARD: _USUAL,
    RECORD: files.MAX_RECORD_BYTES,
    LABELS: _USUAL,
    SELF_TEST: _USUAL,
    **dict.fromkeys(self_test.PICTURES, _USUAL),
    GRAPH: graph.MAX_BYTES,
}
# What may be in it besides, in the same way.
OPTIONAL = {ROWS: 500_000_000}


@dataclass(frozen=True)
class Held:
    """What is in a zip, as its digests say: files by their names; `name` is the zip's own."""

    name: str
    members: Mapping[str, bytes]
    digests: int

    @property
    def graph(self) -> bytes:
        """Return the bytes of the graph."""
        return self.members[GRAPH]

    def labels(self) -> tuple[str, ...]:
        """Return the labels. Raise UserError if they are not a labels file."""
        return files.labels_in(self.members[LABELS], self.of(LABELS))

    def of(self, member: str) -> str:
        """Return the name of a file in it, for messages."""
        return f"{member} in {self.name}"


@dataclass(frozen=True)
class Verified:
    """What was verified: the classifier; how many digests; the self-test's worst difference.

    `model`: the bytes of its model.json, which is this graph's. `rows`: those of ROWS, if it is
    there; only their digest was verified.
    """

    classifier: Classifier
    digests: int
    worst: float
    model: bytes
    rows: bytes | None = None


def written(members: Mapping[str, bytes]) -> bytes:
    """Return the bytes of a zip with these files, put in order, and their digests.

    Raise UserError if they are too large.
    """
    names = [*LIMITS, *(name for name in OPTIONAL if name in members)]
    members = {name: members[name] for name in names if name != SUMS}
    return archive.written({SUMS: "".join(_sums(members)).encode(), **members})


def opened(path: Path) -> Held:
    """Return what is in a shared zip, with its digests checked. Raise UserError as `read` does."""
    members = archive.read(path, LIMITS | OPTIONAL, OPTIONAL)
    return Held(shown(path), members, _check_sums(members, shown(path)))


def classifier_in(held: Held) -> Classifier:
    """Return the classifier, without its self-test. Raise UserError as `read` does."""
    labels = held.labels()
    classifier = classifiers.of_bytes(held.graph, held.of(GRAPH), lambda: labels)
    if classifier.record.labels != labels:
        raise UserError(f"{held.of(LABELS)} are not the labels inside {GRAPH}; get it again")
    model, record = held.members[RECORD], classifier.record
    files.model_in(model, record, classifier.digest(), held.of(RECORD))
    return classifier


def read(path: Path) -> Verified:
    """Return what is in a shared zip: its digests, graph, labels and self-test are verified.

    Nothing is written anywhere. Raise UserError for the first thing that is wrong.
    """
    return verified(opened(path))


def verified(held: Held) -> Verified:
    """Return what is in the zip, with all verified. Raise UserError as `read` does."""
    classifier = classifier_in(held)
    worst = self_test.worst(classifier, held.members, held.name)
    members = held.members
    return Verified(classifier, held.digests, worst, members[RECORD], members.get(ROWS))


def _sums(members: Mapping[str, bytes]) -> list[str]:
    """Return the lines of SHA256SUMS, as `sha256sum` writes them."""
    return [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in members.items()]


def _check_sums(members: Mapping[str, bytes], zip_name: str) -> int:
    """Return how many digests there are. Raise UserError for the first that is wrong."""
    others = {name: data for name, data in members.items() if name != SUMS}
    said = members[SUMS].decode("utf-8", "replace").splitlines(keepends=True)
    for name, line in zip(others, _sums(others), strict=True):
        if line not in said:
            raise UserError(f"{name} in {zip_name} does not match {SUMS}; get it again")
    if len(said) != len(others):
        raise UserError(f"{SUMS} in {zip_name} names files that are not there; get it again")
    return len(others)
