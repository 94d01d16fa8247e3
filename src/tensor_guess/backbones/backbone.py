"""A backbone: a frozen graph that turns images into bottlenecks."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.types_pb2 import DT_INT64

from tensor_guess.config import BOTTLENECK, NETWORK_INPUT
from tensor_guess.errors import UserError, shown
from tensor_guess.graphs import graph as graphs
from tensor_guess.graphs import shapes
from tensor_guess.graphs.builder import Builder
from tensor_guess.graphs.files import find_graph
from tensor_guess.graphs.foreign import UNDER, Flavour, flavour_of, renamed
from tensor_guess.graphs.graph import check, cut, node_of, serialised
from tensor_guess.graphs.own import is_ours, record_of
from tensor_guess.graphs.rewriting import rewritten
from tensor_guess.graphs.tf1_ops import plain
from tensor_guess.images.scaling import Scaling
from tensor_guess.received import shared_zip
from tensor_guess.system import reading


@dataclass(frozen=True)
class Backbone:
    """A frozen network: NETWORK_INPUT -> BOTTLENECK (and IMAGENET).

    `name`: from the catalogue, or a handle. `sha256`: of all nodes that compute the bottleneck.
    `fine_tuned`: how many blocks were trained for a classifier's pictures.
    """

    name: str
    scaling: Scaling
    sha256: str
    graph: GraphDef
    fine_tuned: int = 0

    def fitted(self, fit: str) -> "Backbone":
        """Return the backbone for pictures that become square in that way (FITS)."""
        return replace(self, scaling=self.scaling.fitted(fit))


def of_graph(name: str, scaling: Scaling, graph: GraphDef) -> Backbone:
    """Return the backbone in `graph`, which may be a classifier's graph.

    Raise UserError if a classifier's graph could not contain it (see `plain`).
    """
    digest = hashlib.sha256()
    # In the form that a classifier's graph has, so that training again finds the same digest.
    for piece in serialised(map(plain, cut(graph, scaling, BOTTLENECK))):
        digest.update(piece)
    return Backbone(name, scaling, digest.hexdigest(), graph)


def of_file(path: str, bottleneck: str | None) -> Backbone:
    """Return the backbone that `read` finds. Raise as it does."""
    name, graph, scaling = read(path, bottleneck)
    fine_tuned = record_of(graph, name).fine_tuned if is_ours(graph) else 0
    return replace(of_graph(name, scaling, graph), fine_tuned=fine_tuned)


def read(path: str, bottleneck: str | None) -> tuple[str, GraphDef, Scaling]:
    """Return a frozen graph, or a classifier's, as a backbone: name, nodes, scaling.

    The classifier may be its folder, or a shared zip, whose self-test is run.

    From a classifier of ours it returns the backbone that it was trained with. `bottleneck` names
    the tensor to use; the default is the input of the classifier's head, else the last pooling
    layer. Raise UserError if the graph is of no known kind.
    """
    file = find_graph(Path(path)) or Path(path)
    name = shown(file)
    if reading.is_zip(file):
        data = shared_zip.read(file).classifier.data
    else:
        data = graphs.read(file)
    graph = graphs.parse(data, name)
    check(graph, name)
    if is_ours(graph) and not bottleneck:
        record = record_of(graph, name)
        return record.backbone, graph, record.scaling
    graph = rewritten(graph)
    flavour = flavour_of(graph, name)
    # Pictures are resized as in all training here.
    scaling = replace(flavour.scaling, classic=False)
    chosen = _bottleneck(graph, flavour, name, bottleneck)
    if chosen == flavour.input:
        raise UserError(f"{name}: {shown(chosen)} is what the graph is fed, no bottleneck")
    tensor = UNDER + chosen
    nodes = cut(renamed(graph, flavour), scaling, tensor)
    shape = shapes.check(nodes)[tensor]
    if len(shape) < 2 or any(side != 1 for side in shape[1:-1]):
        found = shown(tensor.removeprefix(UNDER))
        raise UserError(f"{name}: {found} is no vector for each image, but {list(shape[1:])}")
    builder = Builder()
    builder.graph.node.extend(nodes)
    to = builder.const("backbone_shape", np.array([-1, shape[-1]], np.int64))
    builder.floats("Reshape", BOTTLENECK, (tensor, to), Tshape=AttrValue(type=DT_INT64))
    return file.name, builder.graph, scaling


def check_backbone(graph: GraphDef, name: str) -> None:
    """Raise UserError if it may not be run, or does not turn images into BOTTLENECK."""
    check(graph, name)
    sides = sides_of(graph)
    if len(sides) != 4 or sides[1] < 1 or all(node.name != BOTTLENECK for node in graph.node):
        raise UserError(f"{name} is refused: it does not turn images into vectors")


def sides_of(graph: GraphDef) -> list[int]:
    """Return the shape of NETWORK_INPUT, [N, S, S, 3]; [] if it has none."""
    starts = (node for node in graph.node if node.name == NETWORK_INPUT)
    return [int(side.size) for node in starts for side in node.attr["shape"].shape.dim]


def _bottleneck(graph: GraphDef, flavour: Flavour, name: str, named: str | None) -> str:
    if named is not None:
        tensor = node_of(named)
        if all(node.name != tensor for node in graph.node):
            raise UserError(f"{name} has no tensor {shown(named)} (--bottleneck_tensor_name)")
        return tensor
    pools = [node.name for node in graph.node if node.op in ("AvgPool", "Mean")]
    if not (flavour.bottleneck or pools):
        raise UserError(f"{name} has no pooling layer; name one by --bottleneck_tensor_name")
    return flavour.bottleneck or pools[-1]
