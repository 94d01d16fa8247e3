"""Other programs' frozen graphs: what input they take, and where their scores and bottleneck are.

The name of its input shows which generation of `retrain.py` made a graph, and so what it was fed:
TensorFlow's examples/image_retraining (0.8 to 1.7), or tensorflow/hub's of that name (1.7 on).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from math import isfinite

from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.types_pb2 import DT_FLOAT

from tensor_guess.config import FINAL_TENSOR, NETWORK_INPUT
from tensor_guess.errors import UserError, shown
from tensor_guess.graphs import shapes
from tensor_guess.graphs.files import AS_FOUND, Fed
from tensor_guess.graphs.graph import array, copied, cut, node_of
from tensor_guess.images.scaling import Scaling

# Put before the names of a stranger's nodes, so that none of them equals one of ours.
UNDER = "backbone/"
# `import_graph_def` puts this before all names by default.
_IMPORTED = "import/"
_MAX_SIZE = 2048


@dataclass(frozen=True)
class _Kind:
    """A generation of `retrain.py`: the name and scaling of its input, and its own name."""

    input: str
    mean: float
    std: float
    maker: str
    size: int = 0  # if the graph does not say it


_KINDS = (
    _Kind("Mul", 128, 128, "retrain.py of TensorFlow 0.8 to 1.7: Inception of 2015", 299),
    _Kind("input", 127.5, 127.5, "retrain.py of TensorFlow 1.3 to 1.7: MobileNet"),
    _Kind("Placeholder", 0, 255, "retrain.py of TensorFlow Hub"),
)
# The width of a MobileNet's pictures, divided by the width of what its last layer pools.
_STRIDE = 32


@dataclass(frozen=True)
class Flavour:
    """How to use another program's graph; tensors are given by their nodes' names in it.

    `output` is None if it has no scores; `bottleneck` is the input of its head, None if it has no
    head like `retrain.py`'s (scores = softmax(bottleneck @ weights + biases)).
    """

    maker: str
    input: str
    scaling: Scaling
    output: str | None
    bottleneck: str | None


def flavour_of(graph: GraphDef, name: str, fed: Fed = AS_FOUND) -> Flavour:
    """Return how to use the graph; what `fed` says overrides what is found.

    Raise UserError, with the option to give, if it has no known input for images.
    """
    nodes = {node.name: node for node in graph.node}
    start, kind = _input(nodes, name, fed)
    scaling = _scaling(graph, nodes[start], name, kind, fed)
    output = _output(nodes, name, fed)
    bottleneck = _bottleneck(nodes, output) if output else None
    maker = kind.maker if kind and bottleneck else "another program"
    return Flavour(maker, start, scaling, output, bottleneck)


def mean_and_std(start: str) -> tuple[float, float]:
    """Return the mean and deviation by which `retrain.py` scaled pixels for the input `start`."""
    return next((kind.mean, kind.std) for kind in _KINDS if kind.input == start)


def classes(graph: GraphDef, flavour: Flavour, name: str) -> int:
    """Return how many scores it gives for an image. Raise UserError if it gives none."""
    if flavour.output in (None, flavour.input):
        raise UserError(
            f"{name} is not a classifier: it has no {FINAL_TENSOR}, nor exactly one softmax; "
            "name its scores with --output_layer"
        )
    output = f"{UNDER}{flavour.output}"
    shape = shapes.check(cut(renamed(graph, flavour), flavour.scaling, output))[output]
    if len(shape) != 2 or shape[0] != 1:
        raise UserError(
            f"{name} is not a classifier: {shown(flavour.output)} is {list(shape)}, "
            "not one row of scores for each image"
        )
    return shape[1]


def renamed(graph: GraphDef, flavour: Flavour) -> GraphDef:
    """Return the graph with its input named NETWORK_INPUT and all other nodes under UNDER."""
    new = {node.name: f"{UNDER}{node.name}" for node in graph.node} | {flavour.input: NETWORK_INPUT}
    copies = GraphDef()
    copies.versions.CopyFrom(graph.versions)
    copies.node.extend(copied(node, new.__getitem__) for node in graph.node)
    return copies


def _input(nodes: dict[str, NodeDef], name: str, fed: Fed) -> tuple[str, _Kind | None]:
    """Return the name of the node that takes images, and the generation that names it so."""
    if fed.input is not None:
        start = _named(nodes, fed.input)
        if start is None:
            raise UserError(f"{name} has no tensor {shown(fed.input)} (--input_layer)")
        bare = start.removeprefix(_IMPORTED)
        return start, next((kind for kind in _KINDS if kind.input == bare), None)
    for kind in _KINDS:
        start = _named(nodes, kind.input)
        # Any graph may have a Mul; that of retrain.py takes the output of its resize stage.
        if start and (_is_image(nodes[start]) or list(_resizes(nodes, nodes[start]))):
            return start, kind
    others = [node.name for node in nodes.values() if _is_image(node)]
    if len(others) == 1:
        return others[0], None
    usual = ", ".join(kind.input for kind in _KINDS)
    raise UserError(
        f"{name} has no known input for images ({usual}); "
        "if it has another, name it with --input_layer"
    )


def _is_image(node: NodeDef) -> bool:
    """Return whether it is a placeholder for float images [N, S, S, 3] of any size."""
    if node.op not in ("Placeholder", "PlaceholderWithDefault"):
        return False
    sides = _sides(node)
    return node.attr["dtype"].type == DT_FLOAT and (
        not sides or (len(sides) == 4 and sides[3] in (3, -1))
    )


def _sides(node: NodeDef) -> list[int]:
    return [dim.size for dim in node.attr["shape"].shape.dim] if "shape" in node.attr else []


def _scaling(graph: GraphDef, start: NodeDef, name: str, kind: _Kind | None, fed: Fed) -> Scaling:
    mean, std = _stage(graph, start) or ((kind.mean, kind.std) if kind else (None, None))
    mean = mean if fed.mean is None else fed.mean
    std = std if fed.std is None else fed.std
    size = fed.size or _size(graph, start, kind)
    if mean is None or std is None:
        raise UserError(
            f"{name}: how to scale pixels for {shown(start.name)} is not known; "
            "give --input_mean and --input_std"
        )
    if not size:
        raise UserError(
            f"{name}: {shown(start.name)} takes images of any size; choose one with --input_height"
        )
    if not 0 < size <= _MAX_SIZE:
        raise UserError(f"{name}: {size} x {size} pixels are not supported (at most {_MAX_SIZE})")
    if not std or not isfinite(mean) or not isfinite(std):
        raise UserError(f"{name}: pixels cannot be scaled as (x - {mean}) / {std}")
    return Scaling(size, mean, std, classic=True)


def _size(graph: GraphDef, start: NodeDef, kind: _Kind | None) -> int:
    """Return the side of the images in pixels; 0 if the graph does not show it."""
    sides = _sides(start)
    if start.op != "Mul" and len(sides) == 4:
        return max(0, sides[1]) if sides[1] == sides[2] else 0
    nodes = {node.name: node for node in graph.node}
    for resize in islice(_resizes(nodes, start), 1):
        found = array(graph, node_of(resize.input[1]))
        numbers = found is not None and found.dtype.kind == "i"
        if found is not None and numbers and found.size == 2 and found.flat[0] == found.flat[1]:
            return int(found.flat[0])
    if kind is None or kind.size:
        return kind.size if kind else 0
    # Tools that optimise graphs drop the placeholder's shape.
    pools = [list(node.attr["ksize"].list.i) for node in graph.node if node.op == "AvgPool"]
    return _STRIDE * pools[-1][1] if pools and len(pools[-1]) == 4 else 0


def _stage(graph: GraphDef, start: NodeDef) -> tuple[float, float] | None:
    """Return mean and deviation from the graph's own stage: `Mul` is (x - mean) * (1 / std)."""
    nodes = {node.name: node for node in graph.node}
    if start.op != "Mul" or len(start.input) != 2:
        return None
    before = nodes.get(node_of(start.input[0]))
    factor = _number(graph, start.input[1])
    if before is None or before.op != "Sub" or len(before.input) != 2 or not factor:
        return None
    mean = _number(graph, before.input[1])
    return None if mean is None else (mean, 1 / factor)


def _number(graph: GraphDef, tensor: str) -> float | None:
    found = array(graph, node_of(tensor))
    return None if found is None or found.size != 1 or found.dtype.kind != "f" else found.item()


def _resizes(nodes: dict[str, NodeDef], start: NodeDef) -> Iterator[NodeDef]:
    """Yield the resize nodes before `start`, along the first inputs."""
    for node in _upstream(nodes, start.name):
        if node.op in ("ResizeBilinear", "ScaleAndTranslate") and len(node.input) > 1:
            yield node


def _upstream(nodes: dict[str, NodeDef], name: str) -> Iterator[NodeDef]:
    """Yield the node, its first input, the first input of that, and so on; there are no circles."""
    while name in nodes:
        yield nodes[name]
        if not nodes[name].input:
            return
        name = node_of(nodes[name].input[0])


def _output(nodes: dict[str, NodeDef], name: str, fed: Fed) -> str | None:
    if fed.output is not None:
        found = _named(nodes, fed.output)
        if found is None:
            raise UserError(f"{name} has no tensor {shown(fed.output)} (--output_layer)")
        return found
    named = _named(nodes, FINAL_TENSOR)
    if named:
        return named
    softmaxes = [node.name for node in nodes.values() if node.op == "Softmax"]
    return softmaxes[0] if len(softmaxes) == 1 else None


def _named(nodes: dict[str, NodeDef], tensor: str) -> str | None:
    """Return the node that gives the tensor, which may be named without `import/` and `:0`."""
    bare = node_of(tensor)
    return next((each for each in (bare, _IMPORTED + bare) if each in nodes), None)


def _bottleneck(nodes: dict[str, NodeDef], output: str) -> str | None:
    """Return what the last MatMul before the scores multiplies by a constant; None if not so."""
    for node in _upstream(nodes, output):
        if node.op == "MatMul" and len(node.input) == 2:
            weights = [each.op for each in _upstream(nodes, node_of(node.input[1]))]
            if weights[-1] != "Const" or set(weights) > {"Const", "Identity", "Dequantize"}:
                return None
            for fed in _upstream(nodes, node_of(node.input[0])):
                if fed.op not in ("PlaceholderWithDefault", "Identity"):
                    return str(fed.name)
        elif node.op not in ("Softmax", "Add", "AddV2", "BiasAdd", "Identity"):
            return None
    return None
