"""A tf_files folder, a graph alone, or ImageNet's network: one thing that scores images."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tensorboard.compat.proto.graph_pb2 import GraphDef

from tensor_guess import flavours, graph_files, progress, story
from tensor_guess import graph as graphs
from tensor_guess.config import GRAPH, IMAGENET, LABELS, PRECISIONS
from tensor_guess.errors import UserError, WrongUsage, shown
from tensor_guess.flavours import AS_FOUND, UNDER, Fed
from tensor_guess.frozen_graph import Record, is_ours, record_of
from tensor_guess.network import Network, has_bf16
from tensor_guess.rewriting import rewritten

# Of ImageNet's thousand labels, so many are worth telling.
_IMAGENET_TOP = 5


@dataclass(frozen=True)
class Imagenet:
    """The built-in classifier, by its backbone; None is the default, as for training."""

    backbone: str | None = None
    offline: bool = False  # never use the network


@dataclass(frozen=True)
class Given:
    """A classifier's folder or graph, and what its user says of it."""

    path: Path
    labels: Path | None = None  # None: those inside, or beside it
    fed: Fed = AS_FOUND


@dataclass(frozen=True)
class Classifier:
    """A frozen graph that was read and checked; `record` is what it says of itself.

    `digest()` is the SHA-256 of its bytes, which are `data` (none of the built-in one). `top`: how
    many labels a guess tells; None is all.
    """

    graph: GraphDef
    record: Record
    digest: Callable[[], str]
    top: int | None = None
    data: bytes = b""

    def network(self, few: bool) -> Network:
        """The compiled network: images [S, S, 3] -> scores [K], in the order of the labels.

        `few`: only a handful of images will come.
        """
        record = self.record
        if record.precision == "bf16" and not has_bf16():
            progress.say("trained in bf16, which this CPU does not have; computing in float32")
        how = record.scaling, record.final_tensor, record.precision
        return Network(self.graph, *how, few, width=len(record.labels))


def load(which: Path | Given | Imagenet) -> Classifier:
    """The classifier in a folder (TF_FILES), of a frozen graph, or the built-in one.

    Raises UserError: not there, refused, damaged, a labels file that says otherwise; or a backbone
    that cannot be had.
    """
    if isinstance(which, Imagenet):
        return _builtin(which)
    return _trained(which if isinstance(which, Given) else Given(which))


def graph_path(path: Path) -> Path:
    """The graph file that a classifier's folder, or the graph itself, is.

    Raises WrongUsage where there is nothing, UserError where there is no graph.
    """
    if not os.path.exists(path):  # also where no file could be called so
        raise WrongUsage(f"there is no classifier {shown(path)}: no such file or folder")
    if not path.is_dir():
        return path
    found = graph_files.find_graph(path)
    if found is None:
        raise UserError(
            f"no classifier in {shown(path)} ({GRAPH} is missing); "
            f"run ./train.sh {shown(path)} first"
        )
    return found


def of_bytes(
    data: bytes, name: str, labels: Callable[[], tuple[str, ...]], fed: Fed = AS_FOUND
) -> Classifier:
    """The classifier that a graph file's bytes are; `name` is for messages.

    `labels` gives those of a graph that has none inside. `fed`: see `flavours`.
    Raises UserError: refused, damaged, or labels that do not fit.
    """
    graph = graphs.parse(data, name)
    graphs.check(graph, name)
    if is_ours(graph):
        record = record_of(graph, name)
        if fed != AS_FOUND:
            progress.say(f"{name} says itself what it is fed: that stands")
    else:
        graph, record = _anothers(graph, name, labels, fed)
    return Classifier(graph, record, lambda: hashlib.sha256(data).hexdigest(), data=data)


def _trained(given: Given) -> Classifier:
    path = graph_path(given.path)
    name = shown(path)

    def beside() -> tuple[str, ...]:
        labels = given.labels or graph_files.find_labels(path)
        if labels is None:
            raise UserError(f"{name} has no labels beside it ({LABELS}); say which by --labels")
        return graph_files.read_labels(labels, follow=given.labels is not None)

    found = of_bytes(graphs.read(path), name, beside, given.fed)
    # Of our own graphs the labels file is a copy of what is inside; any other is not about it.
    copied = given.labels or (path.with_name(LABELS) if given.path.is_dir() else None)
    if copied and is_ours(found.graph) and (given.labels or os.path.lexists(copied)):
        _check_labels(copied, path, found, asked=given.labels is not None)
    return found


def _anothers(
    graph: GraphDef, name: str, labels: Callable[[], tuple[str, ...]], fed: Fed
) -> tuple[GraphDef, Record]:
    """Another program's graph, with our names in it, and what ours would say of themselves."""
    graph = rewritten(graph)
    flavour = flavours.flavour_of(graph, name, fed)
    count, said = flavours.classes(graph, flavour, name), labels()
    if len(said) != count:
        raise UserError(
            f"there are {len(said)} labels, and {name} gives {count} scores: "
            "they do not belong together; name the right labels by --labels"
        )
    said = graph_files.distinct(said)
    record = Record(
        labels=said,
        categories=categories_of(said),
        scaling=flavour.scaling,
        backbone=flavour.maker,
        backbone_sha256="",
        precision=PRECISIONS[0],
        final_tensor=f"{UNDER}{flavour.output}",
    )
    return flavours.renamed(graph, flavour), record


def categories_of(labels: tuple[str, ...]) -> tuple[str, ...]:
    """What folders of these labels would be called: `darth vader` is in darth_vader."""
    return tuple(label.replace(" ", "_") for label in labels)


def _builtin(which: Imagenet) -> Classifier:
    # What downloads and freezes is of no use to a classifier of one's own.
    from tensor_guess import backbones, imagenet

    if which.backbone:
        backbone, instead = backbones.load(which.backbone, offline=which.offline), ""
    else:
        backbone, instead = backbones.load_default(offline=which.offline)
    if instead:
        progress.say(instead)
    labels = imagenet.labels()
    record = Record(
        labels=labels,
        categories=categories_of(labels),
        scaling=backbone.scaling,
        backbone=backbone.name,
        backbone_sha256=backbone.sha256,
        precision=PRECISIONS[0],
        final_tensor=IMAGENET,
    )
    return Classifier(backbone.graph, record, lambda: backbone.sha256, _IMAGENET_TOP)


def _check_labels(labels: Path, path: Path, found: Classifier, *, asked: bool) -> None:
    """Raise UserError if a labels file says something else than the graph it belongs to.

    A training that was interrupted leaves such a one too. model.json, which is written first, is of
    another graph then: the labels inside the graph are used, and that is said.
    """
    if graph_files.read_labels(labels, follow=asked) == found.record.labels:
        return
    model = None if asked else story.bytes_beside(path)
    of = story.graph_of(model) if model else None
    if not of or of == found.digest():
        raise UserError(
            f"{shown(labels)} does not have the labels that are inside {shown(path)}; "
            "remove it (the graph has them) or train again"
        )
    progress.say(
        f"{shown(labels)} is left from a training that did not end: the labels inside "
        f"{shown(path)} are used; train again"
    )
