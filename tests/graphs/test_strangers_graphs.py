"""What a stranger's graph can do to who guesses with it: nothing but be refused in one sentence.

Each attack is a real file, through the public door: `guess FILE.pb photo`, in a process.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import (
    DT_FLOAT,
    DT_INT32,
    DT_QUINT8,
    DT_RESOURCE,
    DT_STRING,
    DT_UINT8,
    DT_UINT16,
)

from made.place import ROOT
from peak import Ran, ran
from tensor_guess.graphs.builder import Builder
from tensor_guess.graphs.graph import serialise

SECONDS, BYTES = 1, 300_000_000
# Seconds that the program takes to refuse an empty file, where it has 1 for an attack.
STARTING = 0.3


class Classifier(Builder):
    """A small classifier as retrain.py of 2017 wrote it; an attack changes it."""

    def __init__(self) -> None:
        super().__init__()
        self.placeholder("input", DT_FLOAT, (-1, 32, 32, 3))
        self.const("axes", np.array([1, 2], np.int32))
        self.last = "input"

    def finish(self) -> bytes:
        """The file's bytes, with scores of two classes from what `last` is."""
        self.floats("Mean", "pool", (self.last, "axes"), Tidx=AttrValue(type=DT_INT32))
        self.const("weights", np.ones((3, 2), np.float32))
        self.floats("MatMul", "logits", ("pool", "weights"))
        self.floats("Softmax", "final_result", ("logits",))
        return serialise(self.graph)

    def add(self, name: str) -> None:
        """Adds the mean of a matrix to the pixels, so that it is part of the network."""
        axes = self.const("all", np.array([0, 1], np.int32))
        self.floats("Mean", "folded", (name, axes), Tidx=AttrValue(type=DT_INT32))
        self.last = self.floats("Add", "sum", (self.last, "folded"))


def of_op(op: str, *inputs: str) -> Callable[[Classifier], None]:
    def spoil(graph: Classifier) -> None:
        graph.op(op, "attack", inputs)

    return spoil


def outer(op: str) -> Callable[[Classifier], None]:
    def spoil(graph: Classifier) -> None:
        ones = np.ones((200_000, 1), np.float32)
        graph.floats(op, "bomb", (graph.const("a", ones), graph.const("b", ones.T)))
        graph.add("bomb")

    return spoil


def splat(graph: Classifier) -> None:
    value = TensorProto(dtype=DT_FLOAT, float_val=[1])
    for side in (10_000, 10_000):
        value.tensor_shape.dim.add(size=side)
    graph.op("Const", "bomb", (), dtype=AttrValue(type=DT_FLOAT), value=value)
    graph.add("bomb")


def many_splats(graph: Classifier) -> None:
    value = TensorProto(dtype=DT_FLOAT, float_val=[1])
    value.tensor_shape.dim.add(size=900_000)
    for n in range(1000):
        graph.op("Const", f"bomb{n}", (), dtype=AttrValue(type=DT_FLOAT), value=value)


def dequantized(graph: Classifier) -> None:
    """One constant of 4 MB that nobody stored, 10 times as floats."""
    quint8 = AttrValue(type=DT_QUINT8)
    value = TensorProto(dtype=DT_QUINT8, int_val=[1])
    value.tensor_shape.dim.add(size=3_900_000)
    graph.op("Const", "q", (), dtype=quint8, value=value)
    bounds = (graph.const("low", np.float32(0)), graph.const("high", np.float32(1)))
    for n in range(10):
        graph.op("Dequantize", f"d{n}", ("q", *bounds), T=quint8)


def doubling(graph: Classifier) -> None:
    axis = graph.const("axis", np.int32(0))
    for n in range(30):
        graph.last = graph.floats("ConcatV2", f"c{n}", (graph.last, graph.last, axis), N=2)


def chain(graph: Classifier) -> None:
    """Each tensor is allowed; all of them are 100 times what a machine has."""
    size = graph.const("size", np.array([4000, 4000], np.int32))
    graph.last = graph.floats("ResizeBilinear", "large", (graph.last, size))
    for n in range(10_000):
        graph.last = graph.floats("Relu", f"relu{n}", (graph.last,))


def slow(graph: Classifier) -> None:
    """1e14 products of 13 MB."""
    kernel = graph.const("kernel", np.ones((600, 600, 3, 3), np.float32))
    size = graph.const("size", np.array([2000, 2000], np.int32))
    large = graph.floats("ResizeBilinear", "large", (graph.last, size))
    graph.last = graph.floats(
        "Conv2D", "conv", (large, kernel), strides=(1, 1, 1, 1), padding="SAME"
    )


def padded(graph: Classifier) -> None:
    pads = graph.const("pads", np.array([[0, 0], [10**6] * 2, [10**6] * 2, [0, 0]], np.int32))
    graph.last = graph.floats("Pad", "pad", (graph.last, pads), Tpaddings=AttrValue(type=DT_INT32))


def wrapped(kind: int) -> Callable[[Classifier], None]:
    """Paddings of -1, which through a type without signs are 255 or 65,535."""

    def spoil(graph: Classifier) -> None:
        pads = graph.const("pads", np.array([[0, 0], [-1, 0], [-1, 0], [0, 0]], np.int32))
        integer, small = AttrValue(type=DT_INT32), AttrValue(type=kind)
        for n in range(4):
            graph.op("Cast", f"down{n}", (pads,), SrcT=integer, DstT=small)
            pads = graph.op("Cast", f"up{n}", (f"down{n}",), SrcT=small, DstT=integer)
            graph.last = graph.floats("Pad", f"pad{n}", (graph.last, pads), Tpaddings=integer)

    return spoil


def by_channel(op: str, vectors: int) -> Callable[[Classifier], None]:
    """A number for each channel, of which there is one and not 200,000."""

    def spoil(graph: Classifier) -> None:
        to = graph.const("to", np.array([-1, 32, 96, 1], np.int32))
        row = graph.floats("Reshape", "row", (graph.last, to), Tshape=AttrValue(type=DT_INT32))
        names = [graph.const(f"v{n}", np.ones(200_000, np.float32)) for n in range(vectors)]
        types = {"U": AttrValue(type=DT_FLOAT)} if op.endswith(("V2", "V3")) else {}
        wide = graph.floats(op, "wide", (row, *names), is_training=False, **types)
        axes = graph.const("all", np.array([1, 2, 3], np.int32))
        sums: dict[str, object] = {"Tidx": AttrValue(type=DT_INT32), "keep_dims": True}
        mean = graph.floats("Mean", "mean", (wide, axes), **sums)
        graph.last = graph.floats("AddV2", "sum", (graph.last, mean))

    return spoil


def folding(graph: Classifier) -> None:
    """Two matrices of 250 MB, made of next to nothing, multiplied before any picture is seen."""
    ones = np.ones((7_900, 1), np.float32)
    square = graph.floats("Mul", "square", (graph.const("a", ones), graph.const("b", ones.T)))
    graph.floats("MatMul", "bomb", (square, square))
    graph.add("bomb")


def long_name(graph: Classifier) -> None:
    graph.op("X" * 2_000_000, "attack", ())


def no_number(graph: Classifier) -> None:
    graph.add(graph.const("nan", np.full((2, 2), np.nan, np.float32)))


def many_sides(graph: Classifier) -> None:
    axis = graph.const("axis", np.int32(0))
    for n in range(5_000):
        graph.last = graph.floats("ExpandDims", f"e{n}", (graph.last, axis))


def reshapes(graph: Classifier) -> None:
    """Each looks for its constant among five thousand nodes."""
    for n in range(2_500):
        to = graph.const(f"to{n}", np.array([-1, 32, 32, 3], np.int32))
        graph.last = graph.floats("Reshape", f"r{n}", (graph.last, to))
    graph.floats("Pad", "never", (graph.last, graph.last))
    graph.last = "never"


def many_nodes(graph: Classifier) -> None:
    for n in range(20_001):
        graph.op("NoOp", f"n{n}", ())


def many_inputs(graph: Classifier) -> None:
    for n in range(450):
        graph.op("AddN", f"a{n}", ["input"] * 500)


def no_stride(graph: Classifier) -> None:
    graph.last = graph.op(
        "MaxPool", "pool0", (graph.last,), strides=(1, 0, 0, 1), ksize=(1, 2, 2, 1), padding="SAME"
    )


def negative(graph: Classifier) -> None:
    graph.last = graph.op(
        "MaxPool", "p", (graph.last,), strides=(1, -1, -1, 1), ksize=(1, 2, 2, 1), padding="SAME"
    )


def circle(graph: Classifier) -> None:
    graph.floats("Add", "a", (graph.last, "b"))
    graph.last = graph.floats("Relu", "b", ("a",))


def output_of_none(graph: Classifier) -> None:
    graph.last = graph.floats("Relu", "a", ("input:7",))


def function(graph: Classifier) -> None:
    graph.graph.library.function.add().signature.name = "f"


def function_in_attribute(graph: Classifier) -> None:
    graph.op("Identity", "a", ("input",))
    graph.graph.node[-1].attr["f"].func.name = "WriteFile"


def resource(graph: Classifier) -> None:
    graph.op("Placeholder", "a", (), dtype=AttrValue(type=DT_RESOURCE))


def writes_a_file(graph: Classifier) -> None:
    names = graph.const("name", "/tmp/tensor-guess-was-here"), graph.const("text", "x")
    graph.op("WriteFile", "attack", names, T=AttrValue(type=DT_STRING))


def escape(graph: Classifier) -> None:
    graph.op("\x1b[2J\nWriteFile", "attack\x1b]0;x\x07", ())


ATTACKS: dict[str, tuple[Callable[[Classifier], None], str]] = {
    "writes a file": (writes_a_file, "WriteFile may read or write files"),
    "deletes a folder": (of_op("MergeV2Checkpoints"), "MergeV2Checkpoints may read or write"),
    "reads a file": (of_op("ReadFile", "input"), "ReadFile may read or write files"),
    "sends what it sees": (of_op("DebugIdentity", "input"), "may reach the internet"),
    "runs Python": (of_op("EagerPyFunc", "input"), "runs Python"),
    "calls a function": (of_op("PartitionedCall"), "may do more than compute"),
    "has dropout": (of_op("RandomUniform"), "random left in it"),
    "has variables": (of_op("VarHandleOp"), "not frozen"),
    "a terminal escape": (escape, "may read or write files"),
    "a library function": (function, "library functions"),
    "a function in an attribute": (function_in_attribute, "more than a value"),
    "a resource": (resource, "more than a value"),
    "an outer product": (outer("Mul"), "more than 256 MB"),
    "a matrix product": (outer("MatMul"), "more than 256 MB"),
    "a splat": (splat, "stores only 1 of its 100000000 values"),
    "many splats": (many_splats, "MB larger than what is stored"),
    "a dequantized splat": (dequantized, "it dequantizes 156 MB, but stores 0 MB"),
    "doubling": (doubling, "more than 256 MB"),
    "a long chain": (chain, "more than 4000 MB in all"),
    "a huge kernel": (slow, "products"),
    "padding": (padded, "more than 256 MB"),
    "padding through 16 bits": (wrapped(DT_UINT16), "is unknown"),
    "padding through 8 bits": (wrapped(DT_UINT8), "is unknown"),
    "biases for channels that are not": (by_channel("BiasAdd", 1), "is unknown"),
    "a norm of channels that are not": (by_channel("FusedBatchNorm", 4), "is unknown"),
    "a norm V3 of such": (by_channel("FusedBatchNormV3", 4), "is unknown"),
    "bounds for channels": (by_channel("FakeQuantWithMinMaxVars", 2), "is unknown"),
    "folding": (folding, "what it computes from constants would take more than"),
    "an op with a long name": (long_name, "may do more than compute"),
    "weights that are no numbers": (no_number, "scores that are no numbers"),
    "many sides": (many_sides, "is not a possible shape"),
    "many reshapes": (reshapes, "is unknown"),
    "many nodes": (many_nodes, "too many nodes; at most 20000 are allowed"),
    "many inputs": (many_inputs, "more than 200000 inputs"),
    "a stride of 0": (no_stride, "is unknown"),
    "a negative stride": (negative, "is unknown: strides of"),
    "a circle": (circle, "form a circle"),
    "an output that is not": (output_of_none, "not the first output"),
}


def guess(graph: Path, cache: Path) -> Ran:
    """A guess of one photo with that graph, measured."""
    photo = next((ROOT / "test_data").glob("**/*.jpg"))
    program = [sys.executable, "-Iu", "-X", "utf8", f"{ROOT}/src", "guess", f"{graph}", f"{photo}"]
    return ran(program, {"TENSOR_GUESS_CACHE": str(cache), "PATH": "/usr/bin:/bin"})


@pytest.fixture(scope="module")
def slowness(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> float:
    """How often as long this machine takes as the one that SECONDS are of; at least 1."""
    path = tmp_path_factory.mktemp("nothing") / "x.pb"
    path.touch()
    return max(1, min(guess(path, cache).processor_seconds for _ in range(3)) / STARTING)


@pytest.fixture
def quickest(slowness: float, cache: Path) -> Callable[[Path], Ran]:
    """The quickest of at most three guesses, as others may work too; its seconds in bounds."""

    def measured(graph: Path) -> Ran:
        for _ in range(3):
            done = guess(graph, cache)
            if done.processor_seconds < SECONDS * slowness:
                break
        assert done.processor_seconds < SECONDS * slowness
        assert done.peak < BYTES
        return done

    return measured


def test_the_classifier_that_attacks_start_from_is_a_good_one(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "x.pb").write_bytes(Classifier().finish())
    (tmp_path / "x.txt").write_text("a\nb\n")
    code, out, err, *_ = guess(tmp_path / "x.pb", cache)
    assert (code, err, len(out.splitlines())) == (0, "", 2)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="measures what Linux measures")
@pytest.mark.parametrize(("spoil", "said"), ATTACKS.values(), ids=ATTACKS.keys())
def test_an_attack_is_refused_in_a_sentence_at_once(
    spoil: Callable[[Classifier], None], said: str, tmp_path: Path, quickest: Callable[[Path], Ran]
) -> None:
    classifier = Classifier()
    spoil(classifier)
    (tmp_path / "x.pb").write_bytes(classifier.finish())
    (tmp_path / "x.txt").write_text("a\nb\n")
    done = quickest(tmp_path / "x.pb")
    assert (done.code, done.out) == (1, "")
    assert said in done.err
    assert done.err.endswith("\n")
    assert done.err[:-1].isprintable()
    assert len(done.err) < 1000
    assert sorted(each.name for each in tmp_path.iterdir()) == ["x.pb", "x.txt"]


def field(number: int, data: bytes) -> bytes:
    """A field of a protobuf message, as it stands on the wire."""
    length, rest = b"", len(data)
    while rest > 127:
        length, rest = length + bytes([rest & 127 | 128]), rest >> 7
    return bytes([number << 3 | 2]) + length + bytes([rest]) + data


def of_attribute(value: bytes) -> bytes:
    """A graph of one node that has this attribute."""
    return field(1, field(1, b"a") + field(2, b"NoOp") + field(5, field(1, b"k") + field(2, value)))


BOMBS = {
    "empty nodes": field(1, b"") * 5_000_000,
    "empty tensors": of_attribute(field(1, field(8, b"") * 5_000_000)),
    "empty shapes": of_attribute(field(1, field(7, b"") * 5_000_000)),
    "empty functions": field(2, field(1, b"") * 5_000_000),
    "empty sides": of_attribute(field(7, field(2, b"") * 5_000_000)),
    "empty strings": of_attribute(field(8, field(8, b"") * 5_000_000)),
    "empty inputs": field(1, field(3, b"") * 5_000_000),
    "numbers of a byte": of_attribute(field(8, field(7, bytes(10_000_000)))),
}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="measures what Linux measures")
@pytest.mark.parametrize("data", BOMBS.values(), ids=BOMBS.keys())
def test_a_small_file_that_parses_to_much_is_refused_before_it_is_parsed(
    data: bytes, tmp_path: Path, quickest: Callable[[Path], Ran]
) -> None:
    (tmp_path / "x.pb").write_bytes(data)
    done = quickest(tmp_path / "x.pb")
    assert (done.code, done.out) == (1, "")
    assert done.err.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="measures what Linux measures")
@pytest.mark.parametrize("start", [b"\n", field(1, b"")[:1] + b"\xff\xff\xff\xff\x07", b"\x12"])
def test_a_hole_of_two_gigabytes_is_not_read(
    start: bytes, tmp_path: Path, quickest: Callable[[Path], Ran]
) -> None:
    with (tmp_path / "x.pb").open("wb") as file:
        file.write(start)
        file.truncate(2**31 - 1)  # sparse: takes no space
    done = quickest(tmp_path / "x.pb")
    assert (done.code, done.out) == (1, "")
    assert done.err.count("\n") == 1


# --- real files that are named like classifiers, and are none


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("broken/lfs_pointer_retrained_graph.pb", "is a Git LFS pointer"),
        ("broken/one_placeholder_output_graph.pb", "has no known input for images"),
        ("another_network/output_graph.pb", "random left in it"),
    ],
)
def test_what_is_no_classifier_is_said_in_a_sentence(
    shared: Path, cache: Path, name: str, said: str
) -> None:
    code, out, err, *_ = guess(shared / "graphs" / name, cache)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert said in err
