"""A tf_files folder, a graph alone, or ImageNet's network: one thing that scores images."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tensorboard.compat.proto.graph_pb2 import GraphDef

from tensor_guess import graph as graphs
from tensor_guess import progress
from tensor_guess.config import GRAPH, IMAGENET, LABELS, PRECISIONS
from tensor_guess.errors import UserError, WrongUsage, reason_of, shown
from tensor_guess.frozen_graph import Record, record_of
from tensor_guess.network import Network, has_bf16

# Of ImageNet's thousand labels, so many are worth telling.
_IMAGENET_TOP = 5


@dataclass(frozen=True)
class Imagenet:
    """The built-in classifier, by its backbone; None is the default, as for training."""

    backbone: str | None = None
    offline: bool = False  # never use the network


@dataclass(frozen=True)
class Classifier:
    """A frozen graph that was read and checked; `record` is what it says of itself.

    `digest()` is the SHA-256 of its bytes. `top`: how many labels a guess tells; None is all.
    """

    graph: GraphDef
    record: Record
    digest: Callable[[], str]
    top: int | None = None

    def network(self, few: bool) -> Network:
        """The compiled network: images [S, S, 3] uint8 -> scores [K], in the order of the labels.

        `few`: only a handful of images will come.
        """
        record = self.record
        if record.precision == "bf16" and not has_bf16():
            progress.say("trained in bf16, which this CPU does not have; computing in float32")
        return Network(self.graph, record.scaling, record.final_tensor, record.precision, few)


def load(which: Path | Imagenet) -> Classifier:
    """The classifier in a folder (TF_FILES), of a frozen graph, or the built-in one.

    Raises UserError: not there, not ours, damaged, a labels file that says otherwise; or a backbone
    that cannot be had.
    """
    return _builtin(which) if isinstance(which, Imagenet) else _trained(which)


def _trained(path: Path) -> Classifier:
    name, data = _found(path)
    graph = graphs.parse(data, name)
    record = record_of(graph, name)
    graphs.check(graph, name)
    if path.is_dir():
        _check_labels(path / LABELS, record.labels)
    return Classifier(graph, record, lambda: hashlib.sha256(data).hexdigest())


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
        categories=tuple(label.replace(" ", "_") for label in labels),
        scaling=backbone.scaling,
        backbone=backbone.name,
        backbone_sha256=backbone.sha256,
        precision=PRECISIONS[0],
        final_tensor=IMAGENET,
    )
    return Classifier(backbone.graph, record, lambda: backbone.sha256, _IMAGENET_TOP)


def _found(path: Path) -> tuple[str, bytes]:
    if not path.exists():
        raise WrongUsage(f"there is no classifier {shown(path)}: no such file or folder")
    if path.is_file():
        return shown(path), graphs.read(path)
    if not (path / GRAPH).exists():
        raise UserError(
            f"no classifier in {shown(path)} ({GRAPH} is missing); "
            f"run ./train.sh {shown(path)} first"
        )
    return shown(path / GRAPH), graphs.read(path / GRAPH)


def _check_labels(path: Path, labels: tuple[str, ...]) -> None:
    try:
        said = tuple(path.read_text("utf-8").splitlines())
    except FileNotFoundError:
        return  # the graph has them: one file is enough
    except OSError as error:
        raise UserError(f"could not read {shown(path)}: {reason_of(error)}") from error
    except UnicodeDecodeError:
        said = ()
    if said != labels:
        raise UserError(
            f"{shown(path)} does not have the labels that are inside {GRAPH}; "
            "remove it (the graph has them) or train again"
        )
