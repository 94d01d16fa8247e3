"""The jobs of handing a classifier on: share it as one zip, and verify such a zip."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tensor_guess.config import DATA, GRAPH, LABELS, MODEL_CARD, RECORD, SELF_TEST, SUMS
from tensor_guess.errors import UserError, WrongUsage, shown
from tensor_guess.evaluation import story
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

# What is in a zip, in this order, and how many bytes of each are read.
_USUAL = 16_000_000
LIMITS = {
    SUMS: 64_000,
    MODEL_CARD: _USUAL,
    RECORD: story.MAX_BYTES,
    LABELS: _USUAL,
    SELF_TEST: _USUAL,
    **dict.fromkeys(self_test.PICTURES, _USUAL),
    GRAPH: graph.MAX_BYTES,
}


@dataclass(frozen=True)
class Verified:
    """What held: the labels, how many digests and self-tests, the worst difference of a score."""

    labels: tuple[str, ...]
    digests: int
    vectors: int
    worst: float


def share(tf_files: Path, out: Path, author: Author, labels: Path | None = None) -> int:
    """How many bytes the zip has that is at `out` now, with all that is known of the classifier.

    The same classifier gives the same bytes. `labels`: the file of them, of another program's
    graph that has none beside it. Raises UserError as `classifier.load` does, or where
    model.json is not of this graph; WrongUsage where `out` is there already or cannot be.
    """
    check_new(out, tf_files / DATA)
    known = loading.load(Given(tf_files, labels))
    model = _model(tf_files, known)
    told = story.read(model, known.record, known.digest(), shown(tf_files / RECORD))
    card = model_card.written(known.record, known.digest(), told, author)
    members = {
        MODEL_CARD: card.encode(),
        RECORD: model,
        LABELS: "".join(f"{label}\n" for label in known.record.labels).encode(),
        GRAPH: known.data,
        **self_test.made(known),
    }
    members = {name: members[name] for name in LIMITS if name != SUMS}
    data = archive.written({SUMS: "".join(_sums(members)).encode(), **members})
    try:
        publish(out, data, replace=False)
    except FileExistsError as error:
        raise already_there(out) from error
    return len(data)


def verify(path: Path) -> Verified:
    """What held of a shared zip: its digests, its graph and labels, its self-test.

    Nothing is written anywhere. Raises WrongUsage where there is no such file, UserError at the
    first thing that does not hold.
    """
    if not os.path.exists(path):  # also where no file could be called so
        raise WrongUsage(f"there is no file {shown(path)}")
    members = archive.read(path, LIMITS)
    digests = _check_sums(members, shown(path))

    def named(member: str) -> str:
        return f"{member} in {shown(path)}"

    labels = files.labels_in(members[LABELS], named(LABELS))
    known = classifiers.of_bytes(members[GRAPH], named(GRAPH), lambda: labels)
    if known.record.labels != labels:
        raise UserError(f"{named(LABELS)} are not the labels that are inside {GRAPH}; get it again")
    story.read(members[RECORD], known.record, known.digest(), named(RECORD))
    worst = self_test.worst(known, members, shown(path))
    return Verified(known.record.labels, digests, len(self_test.PICTURES), worst)


def _model(tf_files: Path, known: Classifier) -> bytes:
    """model.json as it lies in the folder; else the record alone."""
    kept = story.bytes_beside(tf_files / GRAPH) if tf_files.is_dir() else None
    return kept or story.written(known.record, known.digest(), {})


def _sums(members: Mapping[str, bytes]) -> list[str]:
    """The lines of SHA256SUMS, as `sha256sum` writes them."""
    return [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in members.items()]


def _check_sums(members: Mapping[str, bytes], zip_name: str) -> int:
    """How many digests there are, all of them right; UserError names the first that is not."""
    others = {name: data for name, data in members.items() if name != SUMS}
    said = members[SUMS].decode("utf-8", "replace").splitlines(keepends=True)
    for name, line in zip(others, _sums(others), strict=True):
        if line not in said:
            raise UserError(f"{name} in {zip_name} is not what {SUMS} says; get it again")
    if len(said) != len(others):
        raise UserError(f"{SUMS} in {zip_name} names files that are not there; get it again")
    return len(others)
