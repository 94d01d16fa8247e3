"""Our own frozen graph of a classifier: decode stage, backbone, head and record."""

import json
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.types_pb2 import DT_DOUBLE, DT_FLOAT, DT_STRING, DT_UINT8

from tensor_guess.config import (
    BOTTLENECK,
    CROP,
    FINAL_TENSOR,
    GRAPH_FAMILIAR,
    GRAPH_LABELS,
    GRAPH_RECORD,
    IMAGE_BYTES,
    NETWORK_INPUT,
    PAD,
    SQUEEZE,
)
from tensor_guess.errors import UserError, WrongUsage, shown
from tensor_guess.graphs.builder import INT32, Builder
from tensor_guess.graphs.files import Record, of_json, to_json
from tensor_guess.graphs.graph import array, cut
from tensor_guess.graphs.tf1_ops import plain
from tensor_guess.images.scaling import BORDER, Scaling

# TensorFlow's own rule for names (node_def_util.cc).
_OP_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")
_RESERVED = ("final_training_ops/", "tensor_guess/")
_HIDDEN = "final_training_ops/hidden"


@dataclass(frozen=True)
class Layer:
    """A fully connected layer: x @ weights + biases; float32 [D, K] and [K]."""

    weights: NDArray[np.float32]
    biases: NDArray[np.float32]


@dataclass(frozen=True)
class Head:
    """What is trained: logits = x @ weights + biases; float32 [D, K] and [K].

    x is the bottleneck, or what the `hidden` layers make of it, each followed by ReLU.
    """

    weights: NDArray[np.float32]
    biases: NDArray[np.float32]
    hidden: tuple[Layer, ...] = ()

    @property
    def width(self) -> int:
        """Return the length of the bottlenecks that it takes."""
        return len((self.hidden[0] if self.hidden else self).weights)

    def logits(self, bottlenecks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the logits [N, K] of bottlenecks [N, D]."""
        x = bottlenecks
        for layer in self.hidden:
            x = np.maximum(x @ layer.weights + layer.biases, np.float32(0))
        return x @ self.weights + self.biases

    def scaled(self, factor: float) -> "Head":
        """Return the head whose logits are those of this one, times `factor`."""
        times = np.float32(factor)
        return Head(self.weights * times, self.biases * times, self.hidden)


def with_head(
    backbone: GraphDef, head: Head, record: Record, familiar: NDArray[np.uint8] | None = None
) -> GraphDef:
    """Return the frozen graph of a classifier: bytes of a JPEG -> scaled -> bottleneck -> scores.

    `familiar`: see `familiar_of`. TensorFlow 1.15 knows every op and attribute in it. Raise
    UserError if the backbone has others.
    """
    builder = Builder()
    _decode_stage(builder, record.scaling)
    builder.graph.node.extend(map(plain, cut(backbone, record.scaling, BOTTLENECK)[1:]))
    x = BOTTLENECK
    for number, layer in enumerate(head.hidden):
        scope = f"{_HIDDEN}{number}"
        weights = builder.const(f"{scope}/weights", layer.weights)
        biases = builder.const(f"{scope}/biases", layer.biases)
        product = builder.floats("MatMul", f"{scope}/product", (x, weights))
        summed = builder.floats("BiasAdd", f"{scope}/sum", (product, biases))
        x = builder.floats("Relu", f"{scope}/relu", (summed,))
    weights = builder.const("final_training_ops/weights", head.weights)
    biases = builder.const("final_training_ops/biases", head.biases)
    product = builder.floats("MatMul", "final_training_ops/product", (x, weights))
    logits = builder.floats("BiasAdd", "final_training_ops/logits", (product, biases))
    builder.floats("Softmax", record.final_tensor, (logits,))
    builder.const(GRAPH_LABELS, record.labels)
    kept = {key: value for key, value in to_json(record).items() if key != "labels"}
    if not record.fine_tuned:
        kept.pop("fine_tuned")
    if familiar is None:
        kept.pop("unknown")
    else:
        builder.const(GRAPH_FAMILIAR, familiar)
    builder.const(GRAPH_RECORD, json.dumps(kept, sort_keys=True))
    return builder.graph


def is_hidden(node: str) -> bool:
    """Return whether the node, by its name, is in a hidden layer of a head of ours."""
    return node.startswith(_HIDDEN)


def familiar_of(graph: GraphDef, classes: int, width: int) -> NDArray[np.uint8]:
    """Return the rows that training kept in the graph to know the unknown by [K + N, D].

    The first K are the categories' middles. 128 stands for 0, and a row's length means nothing.
    Raise UserError if they are damaged.
    """
    found = array(graph, GRAPH_FAMILIAR)
    if (
        found is None
        or found.dtype != np.uint8
        or found.ndim != 2
        or len(found) <= classes
        or found.shape[1] != width
    ):
        raise UserError("what the graph knows about its training pictures is damaged; train again")
    return found


def check_final_tensor(name: str, backbone: GraphDef, scaling: Scaling) -> None:
    """Raise WrongUsage if the scores cannot have that name in a graph on this backbone."""
    others = Builder()
    _decode_stage(others, scaling)
    kept = cut(backbone, scaling, BOTTLENECK)
    used = {node.name for node in (*others.graph.node, *kept)}
    if not _OP_NAME.fullmatch(name):
        raise WrongUsage(
            f"--final_tensor_name {shown(name)!r} is not a valid name for a tensor; "
            f"{FINAL_TENSOR} is usual"
        )
    if name in used or name.startswith(_RESERVED):
        raise WrongUsage(
            f"--final_tensor_name {name} is the name of another tensor; choose another"
        )


def is_ours(graph: GraphDef) -> bool:
    """Return whether the graph has a record of ours, sound or not."""
    return any(node.name == GRAPH_RECORD for node in graph.node)


def record_of(graph: GraphDef, name: str) -> Record:
    """Return our record inside the graph. Raise UserError if it is damaged, or contradicts it."""
    try:
        text, labels = array(graph, GRAPH_RECORD), array(graph, GRAPH_LABELS)
        if text is None or labels is None:
            raise TypeError
        record = of_json(json.loads(text.item()), tuple(each.decode() for each in labels.ravel()))
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise UserError(f"the record inside {name} is damaged; get it again") from error
    _check_record(graph, record, name)
    return record


def _decode_stage(builder: Builder, scaling: Scaling) -> None:
    """Add the stage that old clients feed: JPEG bytes -> float [1, S, S, 3], scaled."""
    builder.placeholder(IMAGE_BYTES, DT_STRING, ())
    # By default TensorFlow decodes with the fast DCT, as it did for `retrain.py`; `decoding` uses
    # the accurate one.
    how = {} if scaling.classic else {"dct_method": "INTEGER_ACCURATE"}
    decoded = builder.op("DecodeJpeg", "DecodeJpeg", (IMAGE_BYTES,), channels=3, **how)
    types = {"SrcT": AttrValue(type=DT_UINT8), "DstT": AttrValue(type=DT_FLOAT)}
    pixels = builder.op("Cast", "Cast", (decoded,), **types)
    first = builder.const("ExpandDims/dim", np.int32(0))
    batch = builder.floats("ExpandDims", "ExpandDims", (pixels, first))
    size = builder.const("resize/size", np.array([scaling.size] * 2, np.int32))
    if scaling.classic:
        resized = builder.floats("ResizeBilinear", "ResizeBilinear", (batch, size))
    else:
        resized = _antialiased(builder, batch, size, scaling)
    mean = builder.const("Sub/mean", np.float32(scaling.mean))
    centred = builder.floats("Sub", "Sub", (resized, mean))
    factor = builder.const("Mul/factor", np.float32(1 / scaling.std))
    builder.floats("Mul", NETWORK_INPUT, (centred, factor))


def _antialiased(builder: Builder, batch: str, size: str, scaling: Scaling) -> str:
    """Resize the images by ScaleAndTranslate (TensorFlow 1.13 and newer); return the node's name.

    Antialiased, which is its default, it is TensorFlow's nearest to Pillow's resizing. Around the
    picture it gives 0.
    """
    place = _place(builder, builder.floats("Shape", "resize/shape", (batch,)), scaling)
    if scaling.fit == PAD:
        colour = builder.const("resize/border_colour", np.float32(BORDER))
        batch = builder.floats("Sub", "resize/less_colour", (batch, colour))
    found = builder.floats(
        "ScaleAndTranslate", "ScaleAndTranslate", (batch, size, *place), kernel_type="triangle"
    )
    if scaling.fit == PAD:
        found = builder.floats("Add", "resize/add_colour", (found, colour))
    return found


def _place(builder: Builder, shape: str, scaling: Scaling) -> tuple[str, str]:
    """Add what places images of that shape on the square, down and across, float32 [2] each.

    Return the names: by what they are scaled, and then moved.
    """
    whole = _sides(builder, "", shape, begin=1, end=3, stride=1)
    to_float = {"SrcT": INT32, "DstT": AttrValue(type=DT_FLOAT)}
    sides = builder.op("Cast", "resize/float_sides", (whole,), **to_float)
    target = builder.const("resize/float_size", np.array([scaling.size] * 2, np.float32))
    if scaling.fit == SQUEEZE:
        scale = builder.floats("RealDiv", "resize/scale", (target, sides))
        return scale, builder.const("resize/translation", np.zeros(2, np.float32))
    turned = _sides(builder, "turned_", shape, begin=2, end=0, stride=-1)
    if scaling.fit == CROP:
        shorter = builder.op("Minimum", "resize/shorter", (whole, turned), T=INT32)
        shorter = builder.op("Cast", "resize/float_shorter", (shorter,), **to_float)
        scale = builder.floats("RealDiv", "resize/scale", (target, shorter))
        scaled = builder.floats("Mul", "resize/scaled", (sides, scale))
        spare = builder.floats("Sub", "resize/spare", (target, scaled))
        half = builder.const("resize/half", np.float32(0.5))
        return scale, builder.floats("Mul", "resize/translation", (spare, half))
    border = _border(builder, whole, turned, scaling.size)
    start = builder.op("Cast", "resize/translation", (border,), **to_float)
    both = builder.floats("Add", "resize/borders", (start, start))
    shown_as = builder.floats("Sub", "resize/shown_as", (target, both))
    return builder.floats("RealDiv", "resize/scale", (shown_as, sides)), start


def _sides(builder: Builder, kind: str, shape: str, **bounds: int) -> str:
    """Take lengths out of a shape, an int32 vector; return the node's name."""
    ends = [
        builder.const(f"resize/{kind}{end}", np.array([value], np.int32))
        for end, value in bounds.items()
    ]
    return builder.op("StridedSlice", f"resize/{kind}sides", (shape, *ends), T=INT32, Index=INT32)


def _border(builder: Builder, whole: str, turned: str, size: int) -> str:
    """Add the borders above and left of the picture, int32 [2]; return the node's name.

    They are those of `shown_as`: whole numbers, and a division that is exact.
    """

    def ints(op: str, name: str, *inputs: str) -> str:
        return builder.op(op, f"resize/{name}", inputs, T=INT32)

    def cast(name: str, of: str, start: AttrValue, end: AttrValue) -> str:
        return builder.op("Cast", f"resize/{name}", (of,), SrcT=start, DstT=end)

    double = AttrValue(type=DT_DOUBLE)
    longest = ints("Maximum", "longest", whole, turned)
    missing = ints("Sub", "missing", longest, whole)
    side = builder.const("resize/side", np.int32(size))
    share = ints("Mul", "share", missing, side)
    share = cast("double_share", ints("Add", "rounded", share, longest), INT32, double)
    twice = cast("double_longest", ints("Add", "twice", longest, longest), INT32, double)
    border = builder.op("RealDiv", "resize/border", (share, twice), T=double)
    most = builder.const("resize/most", np.int32((size - 1) // 2))
    return ints("Minimum", "bounded", cast("whole_border", border, double, INT32), most)


def _check_record(graph: GraphDef, record: Record, name: str) -> None:
    """Raise UserError if the record has another version's format, or contradicts the graph.

    Whether there are as many scores as labels is checked when the network is made (`network`).
    """
    sound = (
        record.format == 1
        and {NETWORK_INPUT, record.final_tensor} <= {node.name for node in graph.node}
        and len(record.labels) == len(record.categories) > 0
        and 0 < record.scaling.size <= 2048
        and record.scaling.std > 0
    )
    if not sound:
        raise UserError(
            f"{name} contradicts the record inside it ({len(record.labels)} labels for "
            f"{shown(record.final_tensor)}); get it again or train again"
        )
