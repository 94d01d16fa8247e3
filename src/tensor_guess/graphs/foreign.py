"""Other programs' frozen graphs: what they are fed, and where their scores and bottleneck are.

What each generation of `retrain.py` fed, by the name of its input: TensorFlow's
examples/image_retraining (0.8 to 1.7) and tensorflow/hub's of the same name (1.7 on).
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
from tensor_guess.graphs.graph import array, copied, cut, node_of
from tensor_guess.images.scaling import Scaling

# Before the names of a stranger's nodes, so that none of ours is among them.
UNDER = "backbone/"
# `import_graph_def` puts it before all names where it is not told otherwise.
_IMPORTED = "import/"
_MAX_SIZE = 2048


@dataclass(frozen=True)
class Fed:
    """What the user says of a graph, as to `label_image.py`; None is what the graph itself says."""

    input: str | None = None
    output: str | None = None
    size: int | None = None
    mean: float | None = None
    std: float | None = None


AS_FOUND = Fed()


@dataclass(frozen=True)
class _Kind:
    """A generation of `retrain.py`: the name of its input, how that is fed, who made it."""

    input: str
    mean: float
    std: float
    maker: str
    size: int = 0  # where the graph does not say it


_KINDS = (
    _Kind("Mul", 128, 128, "retrain.py of TensorFlow 0.8 to 1.7: Inception of 2015", 299),
    _Kind("input", 127.5, 127.5, "retrain.py of TensorFlow 1.3 to 1.7: MobileNet"),
    _Kind("Placeholder", 0, 255, "retrain.py of TensorFlow Hub"),
)
# A MobileNet's pictures are so many times as wide as what its last layer pools.
_STRIDE = 32


@dataclass(frozen=True)
class Flavour:
    """How another program's graph is used; tensors by their nodes' names in it.

    `output` is None where it has no scores; `bottleneck` is what its head is fed, None where there
    is no head of `retrain.py`'s kind (scores = softmax(bottleneck @ weights + biases)).
    """

    maker: str
    input: str
    scaling: Scaling
    output: str | None
    bottleneck: str | None


def flavour_of(graph: GraphDef, name: str, fed: Fed = Fed()) -> Flavour:
    """How the graph is used; what `fed` says counts more than what is found.

    Raises UserError where it has no input for images that is known, naming what to say then.
    """
    nodes = {node.name: node for node in graph.node}
    start, kind = _input(nodes, name, fed)
    scaling = _scaling(graph, nodes[start], name, kind, fed)
    output = _output(nodes, name, fed)
    bottleneck = _bottleneck(nodes, output) if output else None
    maker = kind.maker if kind and bottleneck else "another program"
    return Flavour(maker, start, scaling, output, bottleneck)


def fed_to(start: str) -> tuple[float, float]:
    """Mean and deviation of the pixels that `retrain.py` fed to its input of that name."""
    return next((kind.mean, kind.std) for kind in _KINDS if kind.input == start)


def classes(graph: GraphDef, flavour: Flavour, name: str) -> int:
    """How many scores it gives for an image. Raises UserError where it gives none."""
    if flavour.output in (None, flavour.input):
        raise UserError(
            f"{name} is no classifier: it has no {FINAL_TENSOR} and not just one softmax; "
            "name its scores by --output_layer"
        )
    output = f"{UNDER}{flavour.output}"
    shape = shapes.check(cut(renamed(graph, flavour), flavour.scaling, output))[output]
    if len(shape) != 2 or shape[0] != 1:
        raise UserError(
            f"{name} is no classifier: {shown(flavour.output)} is {list(shape)}, "
            "not one row of scores an image"
        )
    return shape[1]


def renamed(graph: GraphDef, flavour: Flavour) -> GraphDef:
    """The graph with its input called NETWORK_INPUT and every other node under UNDER."""
    new = {node.name: f"{UNDER}{node.name}" for node in graph.node} | {flavour.input: NETWORK_INPUT}
    copies = GraphDef()
    copies.versions.CopyFrom(graph.versions)
    copies.node.extend(copied(node, new.__getitem__) for node in graph.node)
    return copies


def _input(nodes: dict[str, NodeDef], name: str, fed: Fed) -> tuple[str, _Kind | None]:
    """The name of the node that images are fed to, and the kind that feeds it so."""
    if fed.input is not None:
        start = _named(nodes, fed.input)
        if start is None:
            raise UserError(f"{name} has no tensor {shown(fed.input)} (--input_layer)")
        bare = start.removeprefix(_IMPORTED)
        return start, next((kind for kind in _KINDS if kind.input == bare), None)
    for kind in _KINDS:
        start = _named(nodes, kind.input)
        # Any graph may multiply; what retrain.py fed comes from its resize stage.
        if start and (_is_image(nodes[start]) or list(_resizes(nodes, nodes[start]))):
            return start, kind
    others = [node.name for node in nodes.values() if _is_image(node)]
    if len(others) == 1:
        return others[0], None
    known = ", ".join(kind.input for kind in _KINDS)
    raise UserError(
        f"{name} has no input for images that is known ({known}); "
        "if it has another, name it by --input_layer"
    )


def _is_image(node: NodeDef) -> bool:
    """Whether it is a placeholder of float images [N, S, S, 3], of any size."""
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
            f"{name}: how pixels are scaled for {shown(start.name)} is not known; "
            "say it by --input_mean and --input_std"
        )
    if not size:
        raise UserError(
            f"{name}: {shown(start.name)} takes images of any size; say which by --input_height"
        )
    if not 0 < size <= _MAX_SIZE:
        raise UserError(f"{name}: images of {size} x {size} pixels are not computed")
    if not std or not isfinite(mean) or not isfinite(std):
        raise UserError(f"{name}: pixels cannot be scaled as (x - {mean}) / {std}")
    return Scaling(size, mean, std, classic=True)


def _size(graph: GraphDef, start: NodeDef, kind: _Kind | None) -> int:
    """The side of the images, 0 where it cannot be told."""
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
    # Tools that optimize graphs leave out the placeholder's shape.
    pools = [list(node.attr["ksize"].list.i) for node in graph.node if node.op == "AvgPool"]
    return _STRIDE * pools[-1][1] if pools and len(pools[-1]) == 4 else 0


def _stage(graph: GraphDef, start: NodeDef) -> tuple[float, float] | None:
    """Mean and deviation as the graph's own stage has them: `Mul` is (x - mean) * (1 / std)."""
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
    """The resize stage before `start`, by the first inputs, where there is one."""
    for node in _upstream(nodes, start.name):
        if node.op in ("ResizeBilinear", "ScaleAndTranslate") and len(node.input) > 1:
            yield node


def _upstream(nodes: dict[str, NodeDef], name: str) -> Iterator[NodeDef]:
    """The node, and always the first input of the one before; there are no circles."""
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
    """The node that gives the tensor, which may be named without `import/` and `:0`."""
    bare = node_of(tensor)
    return next((each for each in (bare, _IMPORTED + bare) if each in nodes), None)


def _bottleneck(nodes: dict[str, NodeDef], output: str) -> str | None:
    """What the last MatMul before the scores multiplies, where a constant is its other side."""
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
