"""Share a classifier as one zip, and verify such a zip."""

import os
from dataclasses import dataclass
from pathlib import Path

from tensor_guess.config import DATA, GRAPH, LABELS, MODEL_CARD, RECORD, ROWS
from tensor_guess.errors import WrongUsage, counted, shown
from tensor_guess.evaluation import story as stories
from tensor_guess.evaluation.story import Story
from tensor_guess.graphs.classifier import Classifier
from tensor_guess.guessing import loading
from tensor_guess.guessing.loading import Given
from tensor_guess.received import self_test, shared_zip
from tensor_guess.sharing import card as model_card
from tensor_guess.sharing import rows
from tensor_guess.sharing.card import REVEALED, Author
from tensor_guess.system import progress, reading
from tensor_guess.system.durable import already_there, check_new, publish


@dataclass(frozen=True)
class Verified:
    """What was verified: the labels, the digests and self-test pictures, the worst difference.

    `pictures`: of how many there are bottlenecks; None if there are none.
    """

    labels: tuple[str, ...]
    digests: int
    vectors: int
    worst: float
    pictures: int | None = None


def share(
    tf_files: Path,
    out: Path,
    author: Author,
    labels: Path | None = None,
    *,
    with_bottlenecks: bool = False,
) -> int:
    """Write a zip of the classifier and all that is known about it to `out`; return its size.

    The same classifier gives the same bytes. `labels`: the labels file of another program's graph
    without one beside it. `with_bottlenecks`: so that `merge` can train on them. Raise UserError as
    `loading.load` and `rows.written` do, and if model.json is another graph's; WrongUsage if `out`
    exists already or cannot be made.
    """
    check_new(out, tf_files / DATA)
    classifier = loading.load(Given(tf_files, labels))
    model = _model(tf_files, classifier)
    story = stories.read(model, classifier.record, classifier.digest(), shown(tf_files / RECORD))
    shared = rows.written(tf_files, classifier, story) if with_bottlenecks else None
    count = shared.count if shared else 0
    card = model_card.written(classifier.record, classifier.digest(), story, author, count)
    members = {
        MODEL_CARD: card.encode(),
        RECORD: model,
        LABELS: "".join(f"{label}\n" for label in classifier.record.labels).encode(),
        GRAPH: classifier.data,
        **self_test.made(classifier),
    }
    if shared:
        members[ROWS] = shared.data
    data = shared_zip.written(members)
    try:
        publish(out, data, replace=False)
    except FileExistsError as error:
        raise already_there(out) from error
    if shared:
        pictures = counted(count, "picture")
        progress.warn(f"{shown(out)} has the bottlenecks of {pictures}: {REVEALED}")
    return len(data)


def verify(path: Path) -> Verified:
    """Verify a shared zip: its digests, its graph and labels, its self-test.

    Nothing is written anywhere. Raise WrongUsage if there is no such file, UserError for the first
    thing that is wrong.
    """
    found, story = opened(path)
    known, pictures = found.classifier, None
    if found.rows is not None:
        pictures = rows.count(rows.read(found.rows, known, story, path))
    vectors = len(self_test.PICTURES)
    return Verified(known.record.labels, found.digests, vectors, found.worst, pictures)


def opened(path: Path) -> tuple[shared_zip.Verified, Story]:
    """Return what is in a shared zip, verified but for its bottlenecks, and its story.

    Raise as `verify` does.
    """
    if not os.path.exists(path):  # also for names that no file can have
        raise WrongUsage(f"there is no file {shown(path)}")
    found = shared_zip.read(path)
    record, digest = found.classifier.record, found.classifier.digest()
    return found, stories.read(found.model, record, digest, f"{RECORD} in {shown(path)}")


def _model(tf_files: Path, classifier: Classifier) -> bytes:
    """Return the bytes of model.json in the folder or zip, or else of the record alone."""
    if reading.is_zip(tf_files):
        return shared_zip.opened(tf_files).members[RECORD]
    kept = stories.bytes_beside(tf_files / GRAPH) if tf_files.is_dir() else None
    return kept or stories.written(classifier.record, classifier.digest(), {})
