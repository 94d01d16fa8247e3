"""Graphs and records that chance has damaged, by their structure: fine, or refused in a sentence.

Seeded: the same ones every time. A number that fails is tried again by `damaged(number)`.
"""

import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DT_INT32, DT_STRING

from made.graphs import LABELS as OURS
from made.graphs import head_for, record_for
from made.strangers import INPUTS, LABELS, made
from peak import growth
from tensor_guess.backbones import backbone
from tensor_guess.backbones.backbone import of_graph
from tensor_guess.config import (
    BOTTLENECK,
    FINAL_TENSOR,
    GRAPH_LABELS,
    GRAPH_RECORD,
    NETWORK_INPUT,
)
from tensor_guess.errors import UserError
from tensor_guess.graphs import shapes
from tensor_guess.graphs.allowed import ALLOWED_OPS
from tensor_guess.graphs.builder import Builder
from tensor_guess.graphs.classifier import of_bytes
from tensor_guess.graphs.graph import cut, serialise
from tensor_guess.graphs.own import with_head
from tensor_guess.guessing.inspect import inspect
from tensor_guess.guessing.loading import Given
from tensor_guess.images.pixels import Pixels
from tensor_guess.images.scaling import Scaling

ODD = (-1, 0, 1, 2, 7, 2**31 - 1, -(2**63), 2**63 - 1)
SECONDS, MEMORY, LONG_SECONDS = 1, 300_000_000, 120

Chance = random.Random


def seeds() -> list[tuple[bytes, tuple[str, ...]]]:
    """Sound graphs of each generation, and of ours, with their labels."""
    theirs = [(serialise(made(flavour)), LABELS) for flavour in INPUTS]
    builder = Builder()
    builder.placeholder(NETWORK_INPUT, 1, (-1, 16, 16, 3))
    axes = builder.const("axes", np.array([1, 2], np.int32))
    builder.floats("Mean", BOTTLENECK, (NETWORK_INPUT, axes), Tidx=AttrValue(type=DT_INT32))
    tiny = of_graph("tiny", Scaling(16, 127.5, 127.5), builder.graph)
    ours = serialise(with_head(tiny.graph, head_for(3), record_for(tiny)))
    return [*theirs, (ours, OURS), (ours, OURS)]


def damaged(number: int) -> tuple[bytes, tuple[str, ...]]:
    """The graph of that number, and its labels."""
    chance = Chance(number)
    (data, labels), (other, _) = (chance.choice(SEEDS) for _ in range(2))
    how = chance.randrange(10)
    if how == 0:
        return data[: chance.randrange(len(data))], labels
    if how == 1:
        return data[: chance.randrange(len(data))] + other[chance.randrange(len(other)) :], labels
    new = bytearray(data)
    if how == 2:
        for _ in range(chance.randint(1, 20)):
            new[chance.randrange(len(new))] = chance.randrange(256)
        return bytes(new), labels
    if how == 3:
        start, end = sorted(chance.randrange(len(new)) for _ in range(2))
        new[start:start] = new[start:end]
        return bytes(new), labels
    graph = GraphDef.FromString(data)
    spoilers = [_record, _labels] if labels == OURS and chance.randrange(2) else SPOILERS
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        chance.choice(spoilers)(graph, chance)
    return serialise(graph), labels


SEEDS = seeds()


def _op(graph: GraphDef, chance: Chance) -> None:
    chance.choice(graph.node).op = chance.choice([*sorted(ALLOWED_OPS), "WriteFile", ""])


def _input(graph: GraphDef, chance: Chance) -> None:
    node, other = chance.choice(graph.node), chance.choice(graph.node).name
    name = chance.choice(["", "^", ":", f"{other}:{chance.choice(ODD)}", f"^{other}", other, other])
    how = chance.randrange(3)
    if how == 0 or not node.input:
        node.input.append(name)
    elif how == 1:
        del node.input[chance.randrange(len(node.input))]
    else:
        node.input[chance.randrange(len(node.input))] = name


def _attribute(graph: GraphDef, chance: Chance) -> None:
    node = chance.choice(graph.node)
    if not node.attr:
        return
    key = chance.choice(sorted(node.attr))
    if chance.randrange(4) == 0:
        del node.attr[key]
        return
    number = chance.choice(ODD)
    shape = AttrValue()
    shape.shape.dim.add(size=number)
    many = AttrValue()
    many.list.i.extend([number] * chance.randrange(6))
    values = [
        AttrValue(i=number),
        AttrValue(type=number % 140),
        AttrValue(s=chance.choice([b"", b"SAME", b"\xff", b"EXPLICIT", b"NCHW"])),
        AttrValue(f=chance.choice([float("nan"), float("inf"), 0.0, -1.0])),
        AttrValue(b=True),
        shape,
        many,
    ]
    node.attr[key].CopyFrom(chance.choice(values))


def _constants(graph: GraphDef) -> list[TensorProto]:
    found = [n.attr["value"].tensor for n in graph.node if n.op == "Const" and "value" in n.attr]
    return found or [TensorProto()]


def _constant(graph: GraphDef, chance: Chance) -> None:
    tensor = chance.choice(_constants(graph))
    how = chance.randrange(7)
    if how == 0:
        tensor.dtype = chance.randrange(1, 25)
    elif how == 1:
        tensor.tensor_shape.dim.add(size=chance.choice(ODD))
    elif how == 2 and tensor.tensor_shape.dim:
        chance.choice(tensor.tensor_shape.dim).size = chance.choice(ODD)
    elif how == 3:
        tensor.tensor_shape.ClearField("dim")
    elif how == 4:
        tensor.tensor_content = chance.randbytes(len(tensor.tensor_content))
    elif how == 5:
        tensor.ClearField("tensor_content")
        tensor.dtype = DT_STRING
        tensor.string_val.extend([chance.choice([b"x", b"224", b"\xff"])] * chance.randrange(1, 4))
    else:
        tensor.ClearField("tensor_content")
        tensor.int_val.append(max(-1, chance.choice(ODD)) % 2**31)
        tensor.float_val.append(float("nan"))


def _nodes(graph: GraphDef, chance: Chance) -> None:
    node, other = chance.choice(graph.node), chance.choice(graph.node)
    how = chance.randrange(5)
    if how == 0:
        copy = NodeDef()
        copy.CopyFrom(node)
        copy.name += "_copy"
        graph.node.append(copy)
    elif how == 1 and len(graph.node) > 1:
        del graph.node[chance.randrange(len(graph.node))]
    elif how == 2:
        node.name = other.name
    elif how == 3:
        known = [NETWORK_INPUT, "input", "Placeholder", FINAL_TENSOR, BOTTLENECK, GRAPH_RECORD]
        node.name = chance.choice([*known, "backbone/x", "a:0", "^a", "", f"{node.name}:0"])
    else:
        graph.library.function.add().signature.name = "f"


def _record(graph: GraphDef, chance: Chance) -> None:
    """A value somewhere in our record becomes another, or goes."""
    text = _text_of(graph, GRAPH_RECORD)
    if text is None:
        return
    record = json.loads(text.string_val[0])
    inner: Any = record
    while True:
        key = (
            chance.choice(list(inner)) if isinstance(inner, dict) else chance.randrange(len(inner))
        )
        if isinstance(inner[key], dict | list) and inner[key] and chance.randrange(3):
            inner = inner[key]
            continue
        break
    node = chance.choice(graph.node).name
    odd: list[object] = [
        None,
        True,
        [],
        {},
        "",
        "\x1b[2J",
        -1,
        0,
        1e99,
        2**70,
        float("nan"),
        [[[1]]],
    ]
    if isinstance(inner[key], str):
        odd += [node] * len(odd)
    if chance.randrange(5):
        inner[key] = chance.choice(odd)
    else:
        del inner[key]
    text.string_val[0] = json.dumps(record).encode()


def _labels(graph: GraphDef, chance: Chance) -> None:
    labels = _text_of(graph, GRAPH_LABELS)
    if labels is None:
        return
    how = chance.randrange(4)
    if how == 0:
        labels.string_val.append(b"one more")
        for side in labels.tensor_shape.dim:
            side.size += 1
    elif how == 1:
        del labels.string_val[0]
    elif how == 2:
        labels.string_val[0] = chance.choice([b"\xff\xfe", b"", b"elsa", b"a\nb", b"\x1b]0;x"])
    else:
        labels.tensor_shape.dim.add(size=1)


def _text_of(graph: GraphDef, name: str) -> TensorProto | None:
    for node in graph.node:
        if node.name == name and "value" in node.attr and node.attr["value"].tensor.string_val:
            return node.attr["value"].tensor
    return None


SPOILERS: list[Callable[[GraphDef, Chance], None]] = [
    _op, _input, _attribute, _attribute, _constant, _constant, _nodes,
]  # fmt: skip


def used(data: bytes, labels: tuple[str, ...], folder: Path, *, compute: bool) -> None:
    """All that is done with a file; UserError in one printable line, and scores that fit."""
    (folder / "x.pb").write_bytes(data)
    (folder / "x.txt").write_text("".join(f"{label}\n" for label in labels))
    for door in (
        lambda: _guessed(data, labels, compute=compute),
        lambda: inspect(Given(folder / "x.pb")),
        lambda: backbone.read(str(folder / "x.pb"), None),
    ):
        said = ""
        try:
            door()
        except UserError as error:
            said = str(error)
        assert said.isprintable()
        assert len(said) < 1000


def _guessed(data: bytes, labels: tuple[str, ...], *, compute: bool) -> None:
    known = of_bytes(data, "x.pb", lambda: labels)
    if compute:
        size = known.record.scaling.size
        picture: Pixels = np.zeros((size, size, 3), np.uint8)
        if known.record.scaling.classic:
            picture = picture.astype(np.float32)
        ((_, scores),) = known.network(few=True).run([(None, picture)])
        assert scores.shape == (len(known.record.labels),)
        assert np.isfinite(scores).all()
    else:
        shapes.check(cut(known.graph, known.record.scaling, known.record.final_tensor))


def try_all(numbers: range, folder: str, compute: bool, seconds: float = float("inf")) -> None:
    """Use every graph of these numbers, until so many seconds are over."""
    started = time.monotonic()
    for number in numbers:
        if time.monotonic() - started > seconds:
            return
        data, labels = damaged(number)
        before = time.process_time()
        try:
            used(data, labels, Path(folder), compute=compute)
        except Exception as error:
            raise AssertionError(f"damaged({number})") from error
        # By three doors.
        assert time.process_time() - before < 3 * SECONDS, f"damaged({number})"


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
def test_a_damaged_graph_is_fine_or_refused(tmp_path: Path) -> None:
    assert growth(try_all, range(1000), str(tmp_path), False) < MEMORY


@pytest.mark.slow
@pytest.mark.filterwarnings("error")
def test_a_damaged_graph_is_computed_or_refused(tmp_path: Path) -> None:
    assert growth(try_all, range(1000, 1150), str(tmp_path), True) < MEMORY


@pytest.mark.long
@pytest.mark.parametrize("compute", [False, True])
def test_many_damaged_graphs_are_fine_or_refused(tmp_path: Path, compute: bool) -> None:
    numbers = range(1_000_000, 2_000_000)
    assert growth(try_all, numbers, str(tmp_path), compute, LONG_SECONDS) < MEMORY
