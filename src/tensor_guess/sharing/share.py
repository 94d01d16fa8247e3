"""Share a classifier as one zip, and verify such a zip."""

import os
from dataclasses import dataclass
from pathlib import Path

from tensor_guess.config import DATA, GRAPH, LABELS, MODEL_CARD, RECORD
from tensor_guess.errors import WrongUsage, shown
from tensor_guess.evaluation import story as stories
from tensor_guess.graphs.classifier import Classifier
from tensor_guess.guessing import loading
from tensor_guess.guessing.loading import Given
from tensor_guess.received import self_test, shared_zip
from tensor_guess.sharing import card as model_card
from tensor_guess.sharing.card import Author
from tensor_guess.system import reading
from tensor_guess.system.durable import already_there, check_new, publish


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
    data = shared_zip.written(
        {
            MODEL_CARD: card.encode(),
            RECORD: model,
            LABELS: "".join(f"{label}\n" for label in classifier.record.labels).encode(),
            GRAPH: classifier.data,
            **self_test.made(classifier),
        }
    )
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
    found = shared_zip.read(path)
    record, digest = found.classifier.record, found.classifier.digest()
    stories.read(found.model, record, digest, f"{RECORD} in {shown(path)}")
    return Verified(record.labels, found.digests, len(self_test.PICTURES), found.worst)


def _model(tf_files: Path, classifier: Classifier) -> bytes:
    """Return the bytes of model.json in the folder or zip, or else of the record alone."""
    if reading.is_zip(tf_files):
        return shared_zip.opened(tf_files).members[RECORD]
    kept = stories.bytes_beside(tf_files / GRAPH) if tf_files.is_dir() else None
    return kept or stories.written(classifier.record, classifier.digest(), {})
