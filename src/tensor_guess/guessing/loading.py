"""Load the classifier that the user names: a tf_files folder, a graph alone, or ImageNet's."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tensor_guess.config import FLOAT32, GRAPH, IMAGENET, IMAGENET_TOP, LABELS
from tensor_guess.errors import UserError, WrongUsage, shown
from tensor_guess.graphs import files
from tensor_guess.graphs.files import AS_FOUND, Fed, Record
from tensor_guess.system import progress, reading

# What reads graphs is imported only when needed: a graph that was used before may not need it.
if TYPE_CHECKING:
    from tensor_guess.graphs.classifier import Classifier


@dataclass(frozen=True)
class Imagenet:
    """The built-in classifier with this backbone; None means the default, as in training."""

    backbone: str | None = None
    offline: bool = False  # never use the internet
    only: tuple[str, ...] = ()  # the labels or categories that are asked for; none means all


@dataclass(frozen=True)
class Given:
    """A classifier's folder, graph or shared zip, and what the user specifies about it.

    `address`: where it was fetched from, or "".
    """

    path: Path
    labels: Path | None = None  # None: those inside the graph, or beside it
    fed: Fed = AS_FOUND
    only: tuple[str, ...] = ()
    address: str = ""

    def __str__(self) -> str:
        return self.address or shown(self.path)


def load(which: Path | Given | Imagenet, *, run: bool = True) -> "Classifier":
    """Return the classifier in a folder (TF_FILES), a frozen graph or a zip, or the built-in one.

    `run`: whether the self-test of a zip is run, as it must be before anything is guessed. Raise
    UserError if it is missing, refused or damaged, if a labels file contradicts it, or if its
    backbone is not available.
    """
    if isinstance(which, Imagenet):
        return _builtin(which)
    return _trained(which if isinstance(which, Given) else Given(which), run)


def graph_path(path: Path) -> Path:
    """Return the graph file in a classifier's folder, or `path` itself if it is a file.

    Raise WrongUsage if nothing exists at `path`, UserError if the folder has no graph.
    """
    if not os.path.exists(path):  # false, too, if no file can have such a name
        raise WrongUsage(f"there is no classifier {shown(path)}: no such file or folder")
    if not path.is_dir():
        return path
    found = files.find_graph(path)
    if found is None:
        raise UserError(
            f"no classifier in {shown(path)} ({GRAPH} is missing); "
            f"run ./train.sh {shown(path)} first"
        )
    return found


def labels_of(given: Given, path: Path) -> tuple[str, ...]:
    """Return the labels of another program's graph at `path`: those given, or those beside it.

    A zip has its own. Raise UserError if none can be read.
    """
    if reading.is_zip(path):
        from tensor_guess.received import shared_zip

        return shared_zip.opened(path).labels()
    if given.address and not given.labels:
        raise UserError(
            f"{given} has no labels inside, as another program's graph; get its labels file too, "
            "and name it by --labels"
        )
    labels = given.labels or files.find_labels(path)
    if labels is None:
        raise UserError(f"{shown(path)} has no labels beside it ({LABELS}); say which by --labels")
    return files.read_labels(labels, follow=given.labels is not None)


def check_labels(
    given: Given, path: Path, within: tuple[str, ...], digest: Callable[[], str]
) -> None:
    """Raise UserError if a labels file contradicts our own graph at `path`.

    `within`: the labels inside the graph. An interrupted training can leave such a file too.
    model.json, which is written first, then belongs to another graph. In this case report that the
    labels inside the graph are used, and raise nothing.
    """
    # In a classifier's folder, the labels file is a copy of the labels inside the graph. If the
    # user names the graph itself, a labels file beside it may belong to something else.
    labels = given.labels or (path.with_name(LABELS) if given.path.is_dir() else None)
    if not labels or not (given.labels or os.path.lexists(labels)):
        return
    if files.read_labels(labels, follow=given.labels is not None) == within:
        return
    from tensor_guess.evaluation import story

    model = None if given.labels else story.bytes_beside(path)
    of = story.graph_of(model) if model else None
    if not of or of == digest():
        raise UserError(
            f"{shown(labels)} does not have the labels that are inside {shown(path)}; "
            "remove it (the graph has them) or train again"
        )
    progress.warn(
        f"{shown(labels)} is left from a training that did not end: the labels inside "
        f"{shown(path)} are used; train again"
    )


def _trained(given: Given, run: bool) -> "Classifier":
    from tensor_guess.graphs import classifier
    from tensor_guess.graphs import graph as graphs
    from tensor_guess.graphs.own import is_ours
    from tensor_guess.received import shared_zip

    path = graph_path(given.path)
    if is_zip := reading.is_zip(path):
        files.say_ignored(str(given), given.fed)
        held = shared_zip.opened(path)
        found = shared_zip.verified(held).classifier if run else shared_zip.classifier_in(held)
    else:
        found = classifier.of_bytes(
            graphs.read(path),
            given.address or shown(path),
            lambda: labels_of(given, path),
            given.fed,
        )
    if is_zip or is_ours(found.graph):
        check_labels(given, path, found.record.labels, found.digest)
    return found


def _builtin(which: Imagenet) -> "Classifier":
    # The user's own classifiers do not need what downloads and freezes.
    from tensor_guess.backbones import imagenet, loading
    from tensor_guess.graphs.classifier import Classifier, categories_of

    if which.backbone:
        backbone, instead = loading.load(which.backbone, offline=which.offline), ""
    else:
        backbone, instead = loading.load_default(offline=which.offline)
    if instead:
        progress.warn(instead)
    labels = imagenet.labels()
    record = Record(
        labels=labels,
        categories=categories_of(labels),
        scaling=backbone.scaling,
        backbone=backbone.name,
        backbone_sha256=backbone.sha256,
        precision=FLOAT32,
        final_tensor=IMAGENET,
    )
    return Classifier(backbone.graph, record, lambda: backbone.sha256, IMAGENET_TOP)
