"""What a classifier's network computes on the way to its scores: bottleneck, and the map before it.

Our graphs, retrain.py's and most others end alike: a map of features [H, W, D] is averaged over its
places to the bottleneck [D], and scores = softmax(bottleneck @ weights + biases). Between the two,
a head of ours may have hidden layers.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef

from tensor_guess.errors import UserError
from tensor_guess.graphs import shapes
from tensor_guess.graphs.builder import INT32, Builder
from tensor_guess.graphs.classifier import Classifier
from tensor_guess.graphs.graph import cut, node_of, value_of
from tensor_guess.graphs.network import Item, Network, Recipe, precision_of
from tensor_guess.graphs.own import Head, Layer, is_hidden
from tensor_guess.images.pixels import Pixels

Floats = NDArray[np.float32]

_ALL = "tensor_guess/all"
_POOLS = ("Mean", "AvgPool")
# What changes no number of its first input.
_PASSES = ("Identity", "PlaceholderWithDefault", "Reshape", "Squeeze")
_SUMS = ("BiasAdd", "Add", "AddV2")
_TRANSPOSES = ("transpose_a", "transpose_b")
_MOST = 4_000_000  # numbers of a map: 7 x 7 x 1280 are 62,720


@dataclass(frozen=True)
class Seen:
    """What the network saw in an image: scores [K], bottleneck [D]; map [H, W, D] or None.

    The bottleneck is the average of the map over its places, to float32's precision.
    """

    scores: Floats
    bottleneck: Floats
    map: Floats | None


class Parts:
    """Where a classifier's graph has its head, its bottleneck and its map, by the nodes' names.

    `head`: scores = softmax(its logits of the bottleneck). `map`: None without one, or if the head
    has hidden layers. `sizes`: every node's shape. Raise UserError if the classifier has no such
    head.
    """

    head: Head

    def __init__(self, known: Classifier) -> None:
        record = known.record
        self._nodes = {node.name: node for node in known.graph.node}
        self.bottleneck, self.head = self._find_head(record.final_tensor)
        if self.head.weights.shape[1] != len(record.labels):
            raise UserError("the graph's head has other scores than labels")
        self.sizes = shapes.check(cut(known.graph, record.scaling, record.final_tensor))
        if prod(self.sizes[self.bottleneck]) != self.head.width:
            raise UserError("the graph's bottleneck is not one vector for each image")
        # Only of a linear head is the average of its logits by place the logit of the average.
        linear = not self.head.hidden
        self.map = self._find_map(self.bottleneck, self.sizes) if linear else None

    def _find_head(self, output: str) -> tuple[str, Head]:
        """Return the head's input, and the head. Raise UserError if there is none."""
        name, last = self._find_layer(output)
        hidden: list[Layer] = []
        while is_hidden(name):
            name, layer = self._find_layer(self._nodes[name].input[0])
            hidden.insert(0, layer)
        return name, Head(last.weights, last.biases, tuple(hidden))

    def _find_layer(self, output: str) -> tuple[str, Layer]:
        """Return the input of the last layer before `output`, and that layer."""
        biases: NDArray[np.generic] | None = None
        for node in self._upstream(output):
            constants = [self._constant(each) for each in node.input[1:]]
            if node.op in _SUMS and biases is None and len(constants) == 1:
                biases = constants[0]
            elif node.op == "MatMul" and len(constants) == 1 and constants[0] is not None:
                # To read an attribute that is not there would make it.
                if any(key in node.attr and node.attr[key].b for key in _TRANSPOSES):
                    break
                weights = constants[0].astype(np.float32)
                if biases is None:
                    biases = np.zeros(weights.shape[1], np.float32)
                layer = Layer(weights, biases.astype(np.float32).ravel())
                return self._passed(node_of(node.input[0])), layer
            elif node.op not in ("Softmax", *_PASSES):
                break
        raise UserError("the graph's scores are not softmax(bottleneck @ weights + biases)")

    def _find_map(self, pooled: str, sizes: dict[str, shapes.Shape]) -> str | None:
        """Return the node [1, H, W, D] that is averaged to the bottleneck; None without one."""
        node = next((each for each in self._upstream(pooled) if each.op not in _PASSES), None)
        if node is None or node.op not in _POOLS:
            return None
        found = node_of(node.input[0])
        shape = sizes.get(found, ())
        whole = len(shape) == 4 and prod(sizes[node.name]) == shape[3]
        return found if whole and prod(shape) <= _MOST else None

    def _passed(self, name: str) -> str:
        """Return the first node upstream that is more than another form of its input."""
        for node in self._upstream(name):
            if node.op not in ("Identity", "PlaceholderWithDefault"):
                return str(node.name)
        return name

    def _upstream(self, name: str) -> Iterator[NodeDef]:
        while name in self._nodes:
            node = self._nodes[name]
            yield node
            if not node.input:
                return
            name = node_of(node.input[0])

    def _constant(self, tensor: str) -> NDArray[np.generic] | None:
        node = self._nodes.get(node_of(tensor))
        while node is not None and node.op == "Identity":
            node = self._nodes.get(node_of(node.input[0]))
        return value_of(node) if node is not None and node.op == "Const" else None


class Inside:
    """A classifier's network that also gives the bottleneck, and the map if there is one.

    `head`: scores = softmax(its logits of the bottleneck). Raise UserError if the classifier has
    no such head.
    """

    def __init__(self, known: Classifier, few: bool, precision: str | None = None) -> None:
        record, parts = known.record, Parts(known)
        self.head = parts.head
        names = [record.final_tensor, parts.bottleneck, *([parts.map] if parts.map else [])]
        self._map = parts.sizes[parts.map][1:] if parts.map else None
        self._widths = [prod(parts.sizes[name]) for name in names]
        graph, output = joined(known.graph, {name: parts.sizes[name] for name in names})
        how = record.scaling, output, precision_of(record, precision)
        self.recipe = Recipe(graph, *how, width=sum(self._widths))
        self._few = few

    @cached_property
    def network(self) -> Network:
        """Return the network, compiled; `seen` reads what it gives."""
        return self.recipe.network(self._few)

    def run(self, pairs: Iterable[tuple[Item, Pixels]]) -> Iterator[tuple[Item, Seen]]:
        """Yield each item with what was seen in its image, as `Network.run`."""
        for item, row in self.network.run(pairs):
            yield item, self.seen(row)

    def seen(self, row: Floats) -> Seen:
        """Return what was seen, by what the network gave for one image."""
        scores, bottleneck, *rest = np.split(row, np.cumsum(self._widths)[:-1])
        return Seen(scores, bottleneck, rest[0].reshape(self._map) if self._map else None)


def joined(graph: GraphDef, parts: Mapping[str, shapes.Shape]) -> tuple[GraphDef, str]:
    """Return the graph with one more node, and its name: these parts [N, ...] side by side.

    `parts`: name -> shape at one image.
    """
    builder = Builder()
    builder.graph.node.extend(graph.node)
    flat = []
    for i, (name, shape) in enumerate(parts.items()):
        if len(shape) > 2:
            to = builder.const(f"{_ALL}/shape{i}", np.array([-1, prod(shape)], np.int32))
            name = builder.floats("Reshape", f"{_ALL}/flat{i}", (name, to), Tshape=INT32)
        flat.append(name)
    axis = builder.const(f"{_ALL}/axis", np.int32(1))
    builder.floats("ConcatV2", _ALL, (*flat, axis), N=len(flat), Tidx=INT32)
    return builder.graph, _ALL
