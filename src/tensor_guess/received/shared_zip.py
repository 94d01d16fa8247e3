"""The zip that `share` writes: what may be in it, and how it is read and verified."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tensor_guess.config import GRAPH, LABELS, MODEL_CARD, RECORD, SELF_TEST, SUMS
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


@dataclass(frozen=True)
class Verified:
    """What was verified: the classifier; how many digests; the self-test's worst difference.

    `model`: the bytes of its model.json, which is this graph's.
    """

    classifier: Classifier
    digests: int
    worst: float
    model: bytes


def written(members: Mapping[str, bytes]) -> bytes:
    """Return the bytes of a zip with these files, put in order, and their digests."""
    members = {name: members[name] for name in LIMITS if name != SUMS}
    return archive.written({SUMS: "".join(_sums(members)).encode(), **members})


def read(path: Path) -> Verified:
    """Return what is in a shared zip: its digests, graph, labels and self-test are verified.

    Nothing is written anywhere. Raise UserError for the first thing that is wrong.
    """
    members = archive.read(path, LIMITS)
    digests = _check_sums(members, shown(path))

    def named(member: str) -> str:
        return f"{member} in {shown(path)}"

    labels = files.labels_in(members[LABELS], named(LABELS))
    classifier = classifiers.of_bytes(members[GRAPH], named(GRAPH), lambda: labels)
    if classifier.record.labels != labels:
        raise UserError(f"{named(LABELS)} are not the labels inside {GRAPH}; get it again")
    files.model_in(members[RECORD], classifier.record, classifier.digest(), named(RECORD))
    worst = self_test.worst(classifier, members, shown(path))
    return Verified(classifier, digests, worst, members[RECORD])


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
