"""What scores images: a frozen graph that was read and checked, ours or another program's."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from tensorboard.compat.proto.graph_pb2 import GraphDef

from tensor_guess.config import BF16, FLOAT32
from tensor_guess.errors import UserError
from tensor_guess.graphs import files, foreign
from tensor_guess.graphs import graph as graphs
from tensor_guess.graphs.foreign import AS_FOUND, UNDER, Fed
from tensor_guess.graphs.network import Network, has_bf16
from tensor_guess.graphs.own import Record, is_ours, record_of
from tensor_guess.graphs.rewriting import rewritten
from tensor_guess.system import progress


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
        if record.precision == BF16 and not has_bf16():
            progress.say("trained in bf16, which this CPU does not have; computing in float32")
        how = record.scaling, record.final_tensor, record.precision
        return Network(self.graph, *how, few, width=len(record.labels))


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


def categories_of(labels: tuple[str, ...]) -> tuple[str, ...]:
    """What folders of these labels would be called: `darth vader` is in darth_vader."""
    return tuple(label.replace(" ", "_") for label in labels)


def _anothers(
    graph: GraphDef, name: str, labels: Callable[[], tuple[str, ...]], fed: Fed
) -> tuple[GraphDef, Record]:
    """Another program's graph, with our names in it, and what ours would say of themselves."""
    graph = rewritten(graph)
    flavour = foreign.flavour_of(graph, name, fed)
    count, said = foreign.classes(graph, flavour, name), labels()
    if len(said) != count:
        raise UserError(
            f"there are {len(said)} labels, and {name} gives {count} scores: "
            "they do not belong together; name the right labels by --labels"
        )
    said = files.distinct(said)
    record = Record(
        labels=said,
        categories=categories_of(said),
        scaling=flavour.scaling,
        backbone=flavour.maker,
        backbone_sha256="",
        precision=FLOAT32,
        final_tensor=f"{UNDER}{flavour.output}",
    )
    return foreign.renamed(graph, flavour), record
