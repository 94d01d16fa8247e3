"""List a network's layers as a person would name them, from its graph alone; nothing is run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod

from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.types_pb2 import DT_BFLOAT16, DT_FLOAT, DT_HALF, DT_QUINT8

from tensor_guess.config import NETWORK_INPUT
from tensor_guess.graphs import shapes
from tensor_guess.graphs.graph import node_of
from tensor_guess.graphs.shapes import Shape

_NORMALISATION = "batch normalisation"
_SCALING = "scaling"
# What each op is to a person; the others only change shapes, or are told apart by what they take.
_TYPES = {
    "AvgPool": "average pooling",
    "BatchNormWithGlobalNormalization": _NORMALISATION,
    "Concat": "concatenation",
    "ConcatV2": "concatenation",
    "Conv2D": "convolution",
    "DepthwiseConv2dNative": "depthwise convolution",
    "Elu": "ELU",
    "FusedBatchNorm": _NORMALISATION,
    "FusedBatchNormV2": _NORMALISATION,
    "FusedBatchNormV3": _NORMALISATION,
    "LRN": "local normalisation",
    "LeakyRelu": "leaky ReLU",
    "MatMul": "fully connected",
    "MaxPool": "max pooling",
    "MirrorPad": "padding",
    "Pad": "padding",
    "PadV2": "padding",
    "Relu": "ReLU",
    "Relu6": "ReLU6",
    "ResizeBilinear": "resizing",
    "Sigmoid": "sigmoid",
    "Softmax": "softmax",
    "Tanh": "tanh",
}
_SUMS = frozenset("Add AddN AddV2 BiasAdd BiasAddV1 Sub".split())
_LEARNT = frozenset([DT_BFLOAT16, DT_FLOAT, DT_HALF, DT_QUINT8])


@dataclass(frozen=True)
class Layer:
    """A layer: the name of its main node, the shape it gives for one image, its parameters.

    `parameters`: how many numbers are stored for it, scalars left out. `block`: the smallest N with
    which --fine_tune N trains it; None if it is not in the backbone.
    """

    name: str
    type: str
    shape: Shape
    parameters: int
    block: int | None = None


def layers_of(nodes: Sequence[NodeDef]) -> list[Layer]:
    """Return the layers of a graph that starts at NETWORK_INPUT, as they are computed.

    A bias belongs to the layer before it, and what is multiplied and shifted by channel is a
    batch normalisation, as which it was trained. Raise UserError if a shape is not known or too
    large.
    """
    listing = _Listing({node.name: node for node in nodes}, shapes.check(nodes))
    return listing.layers()


class _Listing:
    def __init__(self, nodes: dict[str, NodeDef], known: dict[str, Shape]) -> None:
        self._nodes, self._known = nodes, known
        self._of_picture = set[str]()
        self._counted = set[str]()
        self._layers = list[Layer]()
        # The layer whose output a tensor is, if a bias may still follow.
        self._biased = dict[str, int]()

    def layers(self) -> list[Layer]:
        # Shapes were found after those of their inputs.
        for name in self._known:
            if name == NETWORK_INPUT:
                self._of_picture.add(name)
                self._add(name, "input", 0)
            else:
                self._look_at(self._nodes[name])
        return self._layers

    def _look_at(self, node: NodeDef) -> None:
        inputs = [node_of(each) for each in node.input if not each.startswith("^")]
        taken = [each for each in inputs if each in self._of_picture]
        if not taken or node.op == "Shape":
            return
        self._of_picture.add(node.name)
        parameters = sum(self._parameters(each) for each in inputs if each not in self._of_picture)
        before = self._biased.get(taken[0])
        if before is not None and len(taken) == 1:
            if node.op == "Identity":
                self._biased[node.name] = before
                return
            if node.op in _SUMS:
                self._shift(before, parameters)
                return
        kind = self._kind(node, taken, parameters)
        if kind:
            self._add(node.name, kind, parameters)
            if parameters and node.op not in _SUMS:
                self._biased[node.name] = len(self._layers) - 1

    def _kind(self, node: NodeDef, taken: list[str], parameters: int) -> str:
        """Return what a person calls the node; "" if it is part of nothing that has a name."""
        if node.op == "Mean":
            sides = self._known[node.name][1:-1]
            before = self._known[taken[0]]
            whole = len(before) == 4 and all(side == 1 for side in sides)
            return "global average pooling" if whole else "average"
        if node.op in _SUMS and len(taken) > 1:
            return "addition"
        if node.op in ("Mul", "MatMul") and len(taken) > 1:
            return "multiplication"
        return _TYPES.get(node.op, _SCALING if parameters else "")

    def _shift(self, number: int, parameters: int) -> None:
        layer = self._layers[number]
        kind = _NORMALISATION if layer.type == _SCALING and parameters else layer.type
        self._layers[number] = replace(layer, type=kind, parameters=layer.parameters + parameters)

    def _add(self, name: str, kind: str, parameters: int) -> None:
        self._layers.append(Layer(name, kind, self._known[name][1:], parameters))

    def _parameters(self, name: str) -> int:
        """Return how many numbers are behind a tensor of no picture, and not counted before."""
        return sum(prod(self._known[each]) for each in self._constants(name) if self._known[each])

    def _constants(self, name: str) -> Iterator[str]:
        queue = [name]
        while queue:
            node = self._nodes[queue.pop()]
            if node.name in self._counted or node.op == "Shape":
                continue
            self._counted.add(node.name)
            queue.extend(map(node_of, node.input))
            if node.op == "Const" and node.attr["value"].tensor.dtype in _LEARNT:
                yield node.name
