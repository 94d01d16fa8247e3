"""Inspect a frozen graph from any program: what it contains and what is refused. Nothing is run."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.types_pb2 import DataType

from tensor_guess.backbones import handles
from tensor_guess.backbones import loading as backbones
from tensor_guess.backbones.backbone import sides_of
from tensor_guess.backbones.layers import Layer, layers_of
from tensor_guess.config import BOTTLENECK, GRAPH, NETWORK_INPUT
from tensor_guess.errors import UserError, counted, shown
from tensor_guess.finetuning.blocks import blocks_of
from tensor_guess.graphs import foreign, shapes
from tensor_guess.graphs import graph as graphs
from tensor_guess.graphs.conversion import check_row
from tensor_guess.graphs.foreign import UNDER
from tensor_guess.graphs.graph import cut
from tensor_guess.graphs.own import is_ours, record_of
from tensor_guess.graphs.rewriting import rewritten
from tensor_guess.guessing import loading
from tensor_guess.guessing.loading import Given
from tensor_guess.images.scaling import Scaling
from tensor_guess.received import shared_zip
from tensor_guess.system import reading

# At most this many reasons are reported, and this many layers.
_REFUSALS = 20
_LAYERS = 2000


@dataclass
class Inspection:
    """What a graph contains; `refused` lists the reasons not to use it, if any.
    `inputs` and `outputs`: tensors, with the type and shape that the graph declares.
    `head`: the length of the bottleneck and the number of scores.
    """

    path: str
    bytes: int
    sha256: str
    ops: dict[str, int]
    inputs: list[str]
    outputs: list[str]
    made_by: str = "not known"
    fed: Scaling | None = None
    fed_to: str = ""
    bottleneck: str = ""
    head: tuple[int, int] | None = None
    labels: tuple[str, ...] = ()
    refused: list[str] = field(default_factory=list)


def inspect(given: Given) -> Inspection:
    """Return what the graph contains. Raise UserError if no graph can be read at all."""
    path, name, data = _read(given)
    graph = graphs.parse(data, name)
    found = Inspection(
        path=str(path),
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        ops=dict(sorted(Counter(node.op for node in graph.node).items())),
        inputs=_inputs(graph),
        outputs=_outputs(graph),
    )
    # Many nodes may have the same refused op.
    found.refused = list(islice(dict.fromkeys(graphs.faults(graph, name)), _REFUSALS))
    if not found.refused:
        try:
            _look_into(found, graph, given)
            # This finds everything else that guessing would refuse, such as labels that do not fit.
            found.labels = loading.load(given, run=False).record.labels
        except UserError as error:
            found.refused.append(str(error))
    return found


@dataclass(frozen=True)
class Layers:
    """The first layers of a network, and of all of them their count and parameters."""

    name: str
    count: int
    parameters: int
    layers: list[Layer]


def list_layers(given: Given) -> Layers:
    """Return the layers of a graph up to its scores, or of a backbone in the catalogue.

    A name is that of a backbone if there is no such file or folder. Raise WrongUsage if it is that
    of none, and UserError if it is not on this machine, or if the graph would be refused.
    """
    if os.path.exists(given.path) or handles.is_handle(str(given.path)):
        name, nodes, start, bottleneck = _opened(given)
    else:
        backbone = backbones.load_here(str(given.path))
        nodes = cut(backbone.graph, backbone.scaling, BOTTLENECK)
        name, start, bottleneck = backbone.name, NETWORK_INPUT, BOTTLENECK
    first, *others = layers_of(nodes)
    blocks = _blocks(nodes, bottleneck)
    found = [
        replace(first, name=start),
        *(
            replace(each, name=each.name.removeprefix(UNDER), block=blocks.get(each.name))
            for each in others
        ),
    ]
    return Layers(name, len(found), sum(each.parameters for each in found), found[:_LAYERS])


def _read(given: Given) -> tuple[Path, str, bytes]:
    """Return the path of the graph, or of the zip that it is in, its name, and its bytes."""
    path = loading.graph_path(given.path)
    if reading.is_zip(path):
        held = shared_zip.opened(path)
        return path, held.of(GRAPH), held.graph
    return path, given.address or shown(path), graphs.read(path)


def _blocks(nodes: Sequence[NodeDef], bottleneck: str) -> dict[str, int]:
    """Return the block of each node up to the bottleneck, counted from the last, which is 1."""
    graph = GraphDef(node=nodes)
    if all(node.name != bottleneck for node in nodes):
        return {}
    scaling = Scaling(sides_of(graph)[1], 0, 1)
    blocks = blocks_of(cut(graph, scaling, bottleneck))
    return {name: len(blocks) - i for i, each in enumerate(blocks) for name in each.nodes}


def _opened(given: Given) -> tuple[str, list[NodeDef], str, str]:
    """Return the graph's path, its nodes from the image to the scores, and two of their names.

    These are its own name of the input, and its bottleneck ("" if not known). Raise as
    `list_layers` does.
    """
    path, name, data = _read(given)
    graph = graphs.parse(data, name)
    graphs.check(graph, name)
    if is_ours(graph):
        record = record_of(graph, name)
        nodes = cut(graph, record.scaling, record.final_tensor)
        return str(path), nodes, NETWORK_INPUT, BOTTLENECK
    flavour = foreign.flavour_of(graph, name, given.fed)
    if flavour.output is None:
        raise UserError(f"the last layer of {name} is not known; name it with --output_layer")
    nodes = cut(foreign.renamed(graph, flavour), flavour.scaling, f"{UNDER}{flavour.output}")
    bottleneck = f"{UNDER}{flavour.bottleneck}" if flavour.bottleneck else ""
    return str(path), nodes, flavour.input, bottleneck


def _look_into(found: Inspection, graph: GraphDef, given: Given) -> None:
    """Add what is known about a graph that contains only what is allowed."""
    if is_ours(graph):
        record = record_of(graph, shown(found.path))
        tuned = f", its last {counted(record.fine_tuned, 'block')} fine-tuned"
        found.made_by = f"tensor-guess, with {record.backbone}{tuned * bool(record.fine_tuned)}"
        found.fed, found.fed_to, found.bottleneck = record.scaling, NETWORK_INPUT, BOTTLENECK
        nodes, tensors = graph, (BOTTLENECK, record.final_tensor)
        count: int | None = len(record.labels)
    else:
        graph = rewritten(graph)
        flavour = foreign.flavour_of(graph, shown(found.path), given.fed)
        found.made_by, found.fed, found.fed_to = flavour.maker, flavour.scaling, flavour.input
        found.bottleneck = flavour.bottleneck or ""
        nodes, count = foreign.renamed(graph, flavour), None
        tensors = (f"{UNDER}{flavour.bottleneck}", f"{UNDER}{flavour.output}")
    kept = cut(nodes, found.fed, tensors[1])
    check_row(kept, tensors[1], count)
    for reason in graphs.weight_faults(kept, shown(found.path)):
        raise UserError(reason)
    known = shapes.check(kept)
    if found.bottleneck and known.get(tensors[0]):
        found.head = (known[tensors[0]][-1], known[tensors[1]][-1])


def _inputs(graph: GraphDef) -> list[str]:
    return [
        f"{shown(node.name)}:0 {_type(node.attr['dtype'].type)}"
        + (f" {_sides(node.attr['shape'])}" if "shape" in node.attr else "")
        for node in graph.node
        if node.op == "Placeholder"
    ]


def _outputs(graph: GraphDef) -> list[str]:
    """Return the tensors, other than constants, that no node of the graph uses."""
    taken = {graphs.node_of(each) for node in graph.node for each in node.input}
    return [
        f"{shown(node.name)}:0"
        for node in graph.node
        if node.name not in taken and node.op not in ("Const", "NoOp", "Placeholder")
    ]


def _type(number: int) -> str:
    name = DataType.Name(number) if number in DataType.values() else f"type {number}"
    return name.removeprefix("DT_").lower()


def _sides(attribute: AttrValue) -> str:
    sides = ("?" if dim.size < 0 else str(dim.size) for dim in attribute.shape.dim)
    return f"[{', '.join(sides)}]"
