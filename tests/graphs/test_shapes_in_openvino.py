"""Where `shapes` tells how large a tensor is, OpenVINO makes it exactly so: all ops, odd sizes.

What OpenVINO cannot convert is refused by it; what `shapes` refuses never reaches it.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from openvino.frontend import FrontEndManager
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.types_pb2 import (
    DT_FLOAT,
    DT_INT32,
    DT_INT64,
    DT_QUINT8,
    DT_UINT8,
    DT_UINT16,
)

from tensor_guess.errors import UserError
from tensor_guess.graphs import shapes
from tensor_guess.graphs.allowed import ALLOWED_OPS
from tensor_guess.graphs.builder import Builder
from tensor_guess.graphs.graph import cut, listed, serialised
from tensor_guess.graphs.rewriting import rewritten
from tensor_guess.images.scaling import Scaling

SIZE = 4
SIDES = (0, 1, 1, 1, 2, 2, 3, 3, 4, 5, 48, 70_000)
NUMBERS = (-70_000, -2, -1, 0, 1, 2, 3, 4, 255, 70_000, 2**31 - 1)
TIMES = 120
INT32 = AttrValue(type=DT_INT32)

# Those that are rewritten, or never reach OpenVINO.
ELSEWHERE = {"BatchNormWithGlobalNormalization", "BiasAddV1", "Const", "DecodeJpeg", "Dequantize",
             "NoOp", "Placeholder", "ScaleAndTranslate"}  # fmt: skip
ONE = {"CheckNumerics", "Elu", "FakeQuantWithMinMaxArgs", "Identity", "LRN", "LeakyRelu", "Neg",
       "PlaceholderWithDefault", "Relu", "Relu6", "Rsqrt", "Sigmoid", "Softmax", "Sqrt", "Square",
       "StopGradient", "Tanh"}  # fmt: skip
TWO = {"Add", "AddV2", "Maximum", "Minimum", "Mul", "RealDiv",
       "SquaredDifference", "Sub"}  # fmt: skip


class Odd:
    """A graph of one op, on tensors and numbers of odd sizes, drawn by chance."""

    def __init__(self, chance: random.Random) -> None:
        self.chance, self.builder, self._count = chance, Builder(), 0
        self.builder.placeholder("Mul", DT_FLOAT, (-1, SIZE, SIZE, 3))

    def name(self) -> str:
        self._count += 1
        return f"n{self._count}"

    def tensor(self, *shape: int) -> str:
        """The picture as a tensor of that shape, if it has as many numbers; else a constant."""
        if not shape:
            shape = tuple(self.side() for _ in range(self.chance.randrange(6)))
        if self.chance.randrange(3):
            total = SIZE * SIZE * 3
            fits = [each for each in (shape, (*shape, -1)) if _fits(each, total)]
            if fits:
                to = self.builder.const(self.name(), np.array(fits[0], np.int32))
                return self.builder.floats("Reshape", self.name(), ("Mul", to), Tshape=INT32)
        while np.prod(shape, dtype=float) > 200_000:
            shape = shape[1:]
        return self.builder.const(self.name(), np.ones(shape, np.float32))

    def side(self) -> int:
        return self.chance.choice(SIDES)

    def number(self) -> int:
        return self.chance.choice(NUMBERS)

    def numbers(self, *form: int) -> str:
        """A constant of integers, or one that was cast through other types."""
        kind = self.chance.choice([np.int32, np.int64])
        few = self.chance.randrange(3)
        values = [self.chance.choice((0, 1, 2, 3)) if few else self.number() for _ in range(100)]
        array = np.array(values[: int(np.prod(form, dtype=int))], kind).reshape(form)
        name, own = self.builder.const(self.name(), array), {np.int32: DT_INT32, np.int64: DT_INT64}
        while not self.chance.randrange(3):
            through = self.chance.choice([DT_UINT8, DT_UINT16, DT_INT32, DT_INT64, DT_FLOAT])
            for source, target in ((own[kind], through), (through, own[kind])):
                types = {"SrcT": AttrValue(type=source), "DstT": AttrValue(type=target)}
                name = self.builder.op("Cast", self.name(), (name,), **types)
        self.kind = AttrValue(type=own[kind])
        return name

    def value(self) -> str:
        """A constant number, seldom several."""
        form = self.chance.choice([(), (), (), (1,), (3,)])
        return self.builder.const(self.name(), np.ones(form, np.float32))

    def window(self, key: str) -> dict[str, object]:
        sides = (1, 1, 1, 1, 1, 2, 2, 3, 3, 0, -1, 70_000)
        one = self.chance.choice([1] * 12 + [2, 0])
        return {key: (one, self.chance.choice(sides), self.chance.choice(sides), 1)}

    def padding(self) -> dict[str, object]:
        how = self.chance.choice(["SAME", "SAME", "VALID", "VALID", "EXPLICIT"])
        pads = [self.chance.choice([0, 0, 1, 2, -1, 70_000]) for _ in range(8)]
        return {"padding": how} | ({"explicit_paddings": pads} if how == "EXPLICIT" else {})

    def shape(self, tensor: str) -> tuple[int, ...]:
        return shapes.check(self.builder.graph.node)[tensor]


def _fits(shape: tuple[int, ...], total: int) -> bool:
    known = int(np.prod([side for side in shape if side != -1], dtype=np.int64))
    return known > 0 and (known == total if -1 not in shape else total % known == 0)


Add = Callable[[Odd], None]


def _one(op: str) -> Add:
    def add(odd: Odd) -> None:
        more = {"LRN": {"depth_radius": odd.number()}, "Identity": {}}.get(op, {})
        if op == "PlaceholderWithDefault":
            any_shape = AttrValue()
            any_shape.shape.unknown_rank = True
            inputs = (odd.tensor(),)
            odd.builder.op(op, "out", inputs, dtype=AttrValue(type=DT_FLOAT), shape=any_shape)
            return
        odd.builder.floats(op, "out", (odd.tensor(),), **more)

    return add


def _two(op: str) -> Add:
    def add(odd: Odd) -> None:
        odd.builder.floats(op, "out", (odd.tensor(), odd.tensor()))

    return add


def _matmul(odd: Odd) -> None:
    inner = odd.side()
    flags = {key: bool(odd.chance.randrange(2)) for key in ("transpose_a", "transpose_b")}
    one, other = [odd.side(), inner], [odd.chance.choice([inner, inner, 1]), odd.side()]
    pair = (one[:: -1 if flags["transpose_a"] else 1], other[:: -1 if flags["transpose_b"] else 1])
    odd.builder.floats("MatMul", "out", [odd.tensor(*each) for each in pair], **flags)


def _biased(odd: Odd) -> None:
    x = odd.tensor(*[odd.side() for _ in range(odd.chance.choice([1, 2, 3, 4]))])
    last = odd.shape(x)[-1]
    biases = odd.tensor(odd.chance.choice([last, last, last, 1, 70_000]))
    odd.builder.floats("BiasAdd", "out", (x, biases))


def _normalised(op: str) -> Add:
    def add(odd: Odd) -> None:
        side = odd.side()
        x = odd.tensor(odd.side(), odd.side(), odd.side(), side)
        four = [odd.tensor(odd.chance.choice([side, side, side, 1, 70_000])) for _ in range(4)]
        kind = {} if op == "FusedBatchNorm" else {"U": AttrValue(type=DT_FLOAT)}
        odd.builder.floats(op, "out", (x, *four), is_training=False, epsilon=0.1, **kind)

    return add


def _slid(op: str) -> Add:
    def add(odd: Odd) -> None:
        x = odd.tensor(odd.chance.choice([1, 2]), odd.side(), odd.side(), odd.chance.choice([1, 3]))
        more = odd.window("strides") | odd.padding()
        if op.endswith("Pool"):
            odd.builder.floats(op, "out", (x,), **odd.window("ksize"), **more)
            return
        channels = odd.chance.choice([odd.shape(x)[-1], odd.shape(x)[-1], 1, 3])
        sides = odd.chance.choice([1, 2, 3, odd.side()]), odd.chance.choice([1, 2, 3])
        kernel = odd.tensor(*sides, channels, odd.chance.choice([1, 2, 3]))
        odd.builder.floats(op, "out", (x, kernel), **odd.window("dilations"), **more)

    return add


def _about_axes(op: str) -> Add:
    """An op whose second input says integers."""
    keys = {"Mean": "Tidx", "ExpandDims": "Tdim", "Transpose": "Tperm", "Reshape": "Tshape"}

    def add(odd: Odd) -> None:
        x = "Mul" if op == "ResizeBilinear" and odd.chance.randrange(4) else odd.tensor()
        rank, few = len(odd.shape(x)), odd.chance.randrange(4)
        forms = {"Mean": (few,), "ExpandDims": (), "ResizeBilinear": (2,), "Reshape": (few,),
                 "Transpose": (rank,)}  # fmt: skip
        numbers = odd.numbers(*forms.get(op, (rank, 2)))
        more: dict[str, object] = {keys.get(op, "Tpaddings"): odd.kind}
        if op == "MirrorPad":
            more["mode"] = odd.chance.choice(["REFLECT", "SYMMETRIC"])
        if op == "Mean":
            more["keep_dims"] = bool(odd.chance.randrange(2))
        if op == "ResizeBilinear":
            more = {}
        value = (odd.value(),) if op == "PadV2" else ()
        odd.builder.floats(op, "out", (x, numbers, *value), **more)

    return add


def _joined(op: str) -> Add:
    def add(odd: Odd) -> None:
        shape = [odd.side() for _ in range(odd.chance.randrange(4))]
        parts = []
        for _ in range(odd.chance.choice([1, 2, 3])):
            if shape and odd.chance.randrange(2):
                shape[odd.chance.randrange(len(shape))] = odd.side()
            parts.append(
                odd.tensor(*shape) if shape else odd.builder.const(odd.name(), np.float32(1))
            )
        count = {"N": len(parts)}
        if op in ("Pack", "AddN"):
            axis = {"axis": odd.chance.choice(NUMBERS)} if op == "Pack" else {}
            odd.builder.floats(op, "out", parts, **count, **axis)
        elif op == "Concat":
            axis_first = odd.builder.const(odd.name(), np.int32(odd.number()))
            odd.builder.floats(op, "out", (axis_first, *parts), **count)
        else:
            last = odd.numbers()
            odd.builder.floats(op, "out", (*parts, last), Tidx=odd.kind, **count)

    return add


def _squeeze(odd: Odd) -> None:
    axes = [odd.chance.choice((-5, -2, -1, 0, 1, 2, 7)) for _ in range(odd.chance.randrange(3))]
    odd.builder.floats("Squeeze", "out", (odd.tensor(),), squeeze_dims=axes)


def _blocks(op: str) -> Add:
    def add(odd: Odd) -> None:
        count = odd.chance.choice([1, 2, 2, 3])
        x = odd.tensor(odd.chance.choice([1, 2, 4, 48]), *[odd.side() for _ in range(3)])
        block = odd.numbers(count)
        key = "Tpaddings" if op.startswith("Space") else "Tcrops"
        kinds = {"Tblock_shape": odd.kind}
        pads = odd.numbers(count, 2)
        odd.builder.floats(op, "out", (x, block, pads), **kinds, **{key: odd.kind})

    return add


def _slice(odd: Odd) -> None:
    x, count = odd.tensor(), odd.chance.randrange(4)
    ends = [odd.builder.const(odd.name(), np.array([odd.number() for _ in range(count)], np.int32))
            for _ in range(3)]  # fmt: skip
    masks = {f"{key}_mask": odd.chance.choice([0, 0, 1, 2, 3, 5])
             for key in ("begin", "end", "shrink_axis", "ellipsis")}  # fmt: skip
    odd.builder.floats("StridedSlice", "out", (x, *ends), Index=INT32, **masks)


def _quantized(odd: Odd) -> None:
    inputs = (odd.tensor(), odd.value(), odd.value())
    odd.builder.op("FakeQuantWithMinMaxVars", "out", inputs, num_bits=8)


def _cast(odd: Odd) -> None:
    x, kind = odd.tensor(), odd.chance.choice([DT_INT32, DT_UINT8, DT_QUINT8, DT_INT64])
    types = {"SrcT": AttrValue(type=DT_FLOAT), "DstT": AttrValue(type=kind)}
    whole = odd.builder.op("Cast", odd.name(), (x,), **types)
    back = {"SrcT": types["DstT"], "DstT": types["SrcT"]}
    odd.builder.op("Cast", "out", (whole,), **back)


def _shape(odd: Odd) -> None:
    """A reshape to the shape of another tensor, or to a part of it and what numbers say."""
    x, other = odd.tensor(), odd.tensor()
    integers: dict[str, object] = {"T": INT32, "Index": INT32}
    odd.builder.op("Shape", "shape", (other,), T=AttrValue(type=DT_FLOAT), out_type=INT32)
    to = "shape"
    if odd.chance.randrange(3):
        rank = len(odd.shape(other))
        ends = [odd.chance.randrange(-1, rank + 1), odd.chance.randrange(-1, rank + 2), 1]
        names = [odd.builder.const(odd.name(), np.array([each], np.int32)) for each in ends]
        mask = {"shrink_axis_mask": 1, "end_mask": odd.chance.randrange(2)}
        one = odd.builder.op("StridedSlice", odd.name(), ("shape", *names), **integers, **mask)
        rest = odd.builder.const(odd.name(), np.int32(odd.chance.choice([-1, 1, 3, 48])))
        parts = odd.chance.choice([(one, rest), (rest, one), (rest, one, rest)])
        to = odd.builder.op("Pack", odd.name(), parts, T=INT32, N=len(parts))
    odd.builder.floats("Reshape", "out", (x, to), Tshape=INT32)


ADDED: dict[str, Add] = {
    **{op: _one(op) for op in ONE},
    **{op: _two(op) for op in TWO},
    **{op: _normalised(op) for op in ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")},
    **{op: _slid(op) for op in ("AvgPool", "Conv2D", "DepthwiseConv2dNative", "MaxPool")},
    **{op: _about_axes(op) for op in ("ExpandDims", "Mean", "MirrorPad", "Pad", "PadV2", "Reshape",
                                      "ResizeBilinear", "Transpose")},
    **{op: _joined(op) for op in ("AddN", "Concat", "ConcatV2", "Pack")},
    **{op: _blocks(op) for op in ("BatchToSpaceND", "SpaceToBatchND")},
    "BiasAdd": _biased,
    "Cast": _cast,
    "FakeQuantWithMinMaxVars": _quantized,
    "MatMul": _matmul,
    "Shape": _shape,
    "Squeeze": _squeeze,
    "StridedSlice": _slice,
}  # fmt: skip


def odd_graphs(op: str, count: int) -> Iterator[Builder]:
    for number in range(count):
        odd = Odd(random.Random(f"{op} {number}"))
        try:
            ADDED[op](odd)
        except UserError:  # what it was to be made of is refused already
            continue
        # OpenVINO forgets the names of what it finds to do nothing.
        odd.builder.floats("Neg", "end", ("out",))
        yield odd.builder


def made(nodes: Sequence[NodeDef], folder: Path) -> tuple[int, ...] | None:
    """The shape that OpenVINO tells of `end` for one picture, or None if it converts nothing."""
    front_end = FrontEndManager().load_by_framework("tf")
    with open(folder / "x.pb", "wb") as file:
        file.writelines(serialised(map(listed, nodes)))
    try:
        model = front_end.convert(front_end.load(str(folder / "x.pb")))
        model.reshape({each: [1, SIZE, SIZE, 3] for each in model.inputs})
    except Exception:  # OpenVINO's errors have no common type
        return None
    (end,) = (each for each in model.outputs if "end:0" in each.names)
    shape = end.get_partial_shape()
    assert shape.is_static
    return tuple(shape.to_shape())


def sweep(op: str, count: int, folder: Path) -> tuple[int, int]:
    """How many graphs both made alike, and how many `shapes` refused; a difference fails."""
    alike = refused = 0
    for builder in odd_graphs(op, count):
        nodes = cut(rewritten(builder.graph), Scaling(SIZE, 0, 1), "end")
        try:
            expected = shapes.check(nodes)["end"]
        except UserError:
            refused += 1
            continue
        found = made(nodes, folder)
        assert found in (None, expected), nodes
        alike += found is not None
    return alike, refused


def test_every_op_on_the_list_is_walked() -> None:
    assert ADDED.keys() | ELSEWHERE == ALLOWED_OPS


@pytest.mark.slow
@pytest.mark.parametrize("op", sorted(ADDED))
def test_a_tensor_is_as_large_in_openvino_as_it_was_told(op: str, tmp_path: Path) -> None:
    alike, _ = sweep(op, TIMES, tmp_path)
    assert alike


@pytest.mark.long
@pytest.mark.parametrize("op", sorted(ADDED))
def test_many_tensors_are_as_large_as_they_were_told(op: str, tmp_path: Path) -> None:
    sweep(op, 15 * TIMES, tmp_path)
