"""A tf_files folder, or a graph alone, as one thing that scores images."""

import hashlib
from functools import cached_property
from pathlib import Path

from tensorboard.compat.proto.graph_pb2 import GraphDef

from tensor_guess import graph as graphs
from tensor_guess import progress
from tensor_guess.config import GRAPH, LABELS
from tensor_guess.errors import UserError, WrongUsage, reason_of, shown
from tensor_guess.graph import Record
from tensor_guess.network import Network, has_bf16


class Classifier:
    """A frozen graph that was read and checked; `record` is what it says of itself."""

    def __init__(self, path: Path) -> None:
        """`path`: the classifier's folder (TF_FILES) or a frozen graph.

        Raises UserError: not there, not ours, damaged, a labels file that says otherwise.
        """
        name, self._data = _found(path)
        self._graph: GraphDef = graphs.parse(self._data, name)
        self.record: Record = graphs.record_of(self._graph, name)
        graphs.check(self._graph, name)
        if path.is_dir():
            _check_labels(path / LABELS, self.record.labels)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the frozen graph's bytes."""
        return hashlib.sha256(self._data).hexdigest()

    def network(self, few: bool) -> Network:
        """The compiled network: images [S, S, 3] uint8 -> scores [K], in the order of the labels.

        `few`: only a handful of images will come.
        """
        record = self.record
        if record.precision == "bf16" and not has_bf16():
            progress.say("trained in bf16, which this CPU does not have; computing in float32")
        return Network(self._graph, record.scaling, record.final_tensor, record.precision, few)


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
