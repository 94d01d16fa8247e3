"""A classifier: a checked frozen graph, ours or another program's, that scores images."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from tensorboard.compat.proto.graph_pb2 import GraphDef

from tensor_guess.config import FLOAT32
from tensor_guess.errors import UserError
from tensor_guess.graphs import files, foreign
from tensor_guess.graphs import graph as graphs
from tensor_guess.graphs.files import AS_FOUND, Fed, Record
from tensor_guess.graphs.foreign import UNDER
from tensor_guess.graphs.network import Network, Recipe, precision_of
from tensor_guess.graphs.own import is_ours, record_of
from tensor_guess.graphs.rewriting import rewritten


@dataclass(frozen=True)
class Classifier:
    """A frozen graph that was read and checked; `record` is what it says about itself.

    `digest()` is the SHA-256 of its bytes, which are `data` (empty for the built-in classifier).
    `top`: how many labels a guess prints; None means all.
    """

    graph: GraphDef
    record: Record
    digest: Callable[[], str]
    top: int | None = None
    data: bytes = b""

    def network(self, few: bool, precision: str | None = None) -> Network:
        """Return the compiled network: images [S, S, 3] -> scores [K], in the order of the labels.

        `few`: only a handful of images will come. `precision`: None is the record's own.
        """
        return self.recipe(precision).network(few)

    def recipe(self, precision: str | None = None) -> Recipe:
        """Return what `network` makes it from."""
        record = self.record
        how = record.scaling, record.final_tensor, precision_of(record, precision)
        return Recipe(self.graph, *how, width=len(record.labels))


def of_bytes(
    data: bytes, name: str, labels: Callable[[], tuple[str, ...]], fed: Fed = AS_FOUND
) -> Classifier:
    """Return the classifier in the bytes of a graph file; `name` is for messages.

    `labels` returns the labels of a graph that has none inside. `fed`: see `foreign`. Raise
    UserError if the graph is refused or damaged, or if the labels do not fit.
    """
    graph = graphs.parse(data, name)
    graphs.check(graph, name)
    if is_ours(graph):
        record = record_of(graph, name)
        files.say_ignored(name, fed)
    else:
        graph, record = _anothers(graph, name, labels, fed)
    # A server says it with each answer.
    digest = cache(lambda: hashlib.sha256(data).hexdigest())
    return Classifier(graph, record, digest, data=data)


def categories_of(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the folders of these labels: darth_vader for `darth vader`."""
    return tuple(label.replace(" ", "_") for label in labels)


def _anothers(
    graph: GraphDef, name: str, labels: Callable[[], tuple[str, ...]], fed: Fed
) -> tuple[GraphDef, Record]:
    """Return another program's graph under our names, and the record that ours would have."""
    graph = rewritten(graph)
    flavour = foreign.flavour_of(graph, name, fed)
    count, said = foreign.classes(graph, flavour, name), labels()
    if len(said) != count:
        raise UserError(
            f"there are {len(said)} labels, and {name} gives {count} scores: "
            "they do not belong together; choose the right labels with --labels"
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
