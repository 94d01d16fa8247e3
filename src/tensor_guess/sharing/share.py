"""Share a classifier as one zip, and verify such a zip."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tensor_guess.config import DATA, GRAPH, LABELS, MODEL_CARD, RECORD, SELF_TEST, SUMS
from tensor_guess.errors import UserError, WrongUsage, shown
from tensor_guess.evaluation import story as stories
from tensor_guess.graphs import classifier as classifiers
from tensor_guess.graphs import files, graph
from tensor_guess.graphs.classifier import Classifier
from tensor_guess.guessing import loading
from tensor_guess.guessing.loading import Given
from tensor_guess.sharing import card as model_card
from tensor_guess.sharing import self_test
from tensor_guess.sharing.card import Author
from tensor_guess.system import archive
from tensor_guess.system.durable import already_there, check_new, publish

# The files in a zip, in this order, with the most bytes that each may have.
_USUAL = 16_000_000
LIMITS = {
    SUMS: 64_000,
    MODEL_CARD: _USUAL,
    RECORD: stories.MAX_BYTES,
    LABELS: _USUAL,
    SELF_TEST: _USUAL,
    **dict.fromkeys(self_test.PICTURES, _USUAL),
    GRAPH: graph.MAX_BYTES,
}


@dataclass(frozen=True)
class Verified:
    """What was verified: the labels, the digests and self-test pictures, the worst difference."""

    labels: tuple[str, ...]
    digests: int
    vectors: int
    worst: float


def share(tf_files: Path, out: Path, author: Author, labels: Path | None = None) -> int:
    """Write a zip of the classifier and all that is known about it to `out`; return its size.

    The same classifier gives the same bytes. `labels`: the labels file of another program's graph
    without one beside it. Raise UserError as `loading.load` does, and if model.json is another
    graph's; WrongUsage if `out` exists already or cannot be made.
    """
    check_new(out, tf_files / DATA)
    classifier = loading.load(Given(tf_files, labels))
    model = _model(tf_files, classifier)
    story = stories.read(model, classifier.record, classifier.digest(), shown(tf_files / RECORD))
    card = model_card.written(classifier.record, classifier.digest(), story, author)
    members = {
        MODEL_CARD: card.encode(),
        RECORD: model,
        LABELS: "".join(f"{label}\n" for label in classifier.record.labels).encode(),
        GRAPH: classifier.data,
        **self_test.made(classifier),
    }
    members = {name: members[name] for name in LIMITS if name != SUMS}
    data = archive.written({SUMS: "".join(_sums(members)).encode(), **members})
    try:
        publish(out, data, replace=False)
    except FileExistsError as error:
        raise already_there(out) from error
    return len(data)


def verify(path: Path) -> Verified:
    """Verify a shared zip: its digests, its graph and labels, its self-test.

    Nothing is written anywhere. Raise WrongUsage if there is no such file, UserError for the first
    thing that is wrong.
    """
    if not os.path.exists(path):  # also for names that no file can have
        raise WrongUsage(f"there is no file {shown(path)}")
    members = archive.read(path, LIMITS)
    digests = _check_sums(members, shown(path))

    def named(member: str) -> str:
        return f"{member} in {shown(path)}"

    labels = files.labels_in(members[LABELS], named(LABELS))
    classifier = classifiers.of_bytes(members[GRAPH], named(GRAPH), lambda: labels)
    if classifier.record.labels != labels:
        raise UserError(f"{named(LABELS)} are not the labels inside {GRAPH}; get it again")
    stories.read(members[RECORD], classifier.record, classifier.digest(), named(RECORD))
    worst = self_test.worst(classifier, members, shown(path))
    return Verified(classifier.record.labels, digests, len(self_test.PICTURES), worst)


def _model(tf_files: Path, classifier: Classifier) -> bytes:
    """Return the bytes of model.json in the folder, or else of the record alone."""
    kept = stories.bytes_beside(tf_files / GRAPH) if tf_files.is_dir() else None
    return kept or stories.written(classifier.record, classifier.digest(), {})


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
