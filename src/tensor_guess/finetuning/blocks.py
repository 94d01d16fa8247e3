"""The blocks of a backbone: what --fine_tune counts, and where a part of the network can begin."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.types_pb2 import DT_FLOAT

from tensor_guess.config import NETWORK_INPUT
from tensor_guess.graphs import shapes
from tensor_guess.graphs.graph import node_of

_DEPTHWISE = "DepthwiseConv2dNative"
_KERNELS = ("Conv2D", _DEPTHWISE, "MatMul")
_SUMS = ("Add", "AddV2", "BiasAdd")

Nodes = Mapping[str, NodeDef]


@dataclass(frozen=True)
class Block:
    """A part of the network that takes one tensor, `start`, and gives one to the next block.

    `nodes`: what it computes. `weights`: the names of the constants that training changes: kernels
    and biases, but not what belongs to a batch normalisation. There are none if a kernel is not
    stored as float32.
    """

    start: str
    nodes: tuple[str, ...]
    weights: tuple[str, ...]


def blocks_of(nodes: Sequence[NodeDef]) -> list[Block]:
    """Return the blocks of a graph that starts at NETWORK_INPUT, as they are computed.

    A block begins where all that is computed later depends on a single tensor, and has at least
    one kernel. A depthwise convolution and the convolution after it stay together. Raise UserError
    if a shape is not known or too large.
    """
    graph = {node.name: node for node in nodes}
    computed = _computed(graph, shapes.check(nodes))
    starts = _starts(graph, computed)
    parts = [
        (computed[start], tuple(computed[start + 1 : end + 1]))
        for start, end in pairwise([*starts, len(computed)])
    ]
    taken = [{_weight(graph, name): None for name in own} for _, own in parts]
    uses = Counter(name for own in taken for name in own)
    found = []
    for (start, own), weights in zip(parts, taken, strict=True):
        kernels = [_weight(graph, name) for name in own if _is_kernel(graph, name)]
        # What blocks share would change in all of them.
        ours = tuple(name for name in weights if name and uses[name] == 1)
        found.append(Block(start, own, ours if kernels and all(kernels) else ()))
    return found


def _computed(graph: Nodes, order: Iterable[str]) -> list[str]:
    """Return the nodes that depend on the picture, each after its inputs."""
    found = {NETWORK_INPUT: None}
    for name in order:
        if name in graph and any(node_of(each) in found for each in graph[name].input):
            found[name] = None
    return list(found)


def _starts(graph: Nodes, computed: Sequence[str]) -> list[int]:
    """Return the place of the tensor that each block begins at."""
    last_use = _last_uses(graph, computed)
    starts, reach = [0], 0
    # Of the block so far: its latest kernel, whether a depthwise one is in it, and is the latest.
    kernel, point, depthwise, after = -1, 0, False, False
    for i, name in enumerate(computed):
        op = graph[name].op
        if _is_kernel(graph, name):
            apart = depthwise if op == _DEPTHWISE else not after
            if 0 <= kernel <= point and apart:
                starts.append(point)
                depthwise = False
            after = op == _DEPTHWISE
            kernel, depthwise = i, depthwise or after
        if reach <= i:  # nothing before this node is taken by a later one
            point = i
        reach = max(reach, last_use[i])
    return starts


def _last_uses(graph: Nodes, computed: Sequence[str]) -> list[int]:
    place = {name: i for i, name in enumerate(computed)}
    last = list(range(len(computed)))
    for i, name in enumerate(computed):
        for each in graph[name].input:
            if node_of(each) in place:
                last[place[node_of(each)]] = i
    return last


def _is_kernel(graph: Nodes, name: str) -> bool:
    """Return whether a node multiplies what it gets with a kernel, however that is stored."""
    return graph[name].op in _KERNELS


def _weight(graph: Nodes, name: str) -> str:
    """Return the constant of floats that a node takes as its kernel or bias; "" without one."""
    node = graph[name]
    if node.op not in (*_KERNELS, *_SUMS) or len(node.input) != 2:
        return ""
    at = node_of(node.input[1])
    while graph[at].op == "Identity":
        at = node_of(graph[at].input[0])
    constant = graph[at]
    tensor = constant.attr["value"].tensor if constant.op == "Const" else None
    if tensor is None or tensor.dtype != DT_FLOAT:
        return ""
    return at if node.op in _KERNELS or len(tensor.tensor_shape.dim) == 1 else ""
