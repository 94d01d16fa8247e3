"""Frozen graphs: what ours say of themselves, and that strangers' cannot do harm."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tensorboard.compat.proto.graph_pb2 import GraphDef

from made.graphs import accepted, copy_of
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.config import (
    BOTTLENECK,
    FINAL_TENSOR,
    GRAPH_RECORD,
    NETWORK_INPUT,
)
from tensor_guess.errors import UserError
from tensor_guess.graphs.files import Record
from tensor_guess.graphs.graph import array, check, cut, parse, read, serialise, serialised
from tensor_guess.graphs.own import record_of
from tensor_guess.graphs.wire import MAX_NODES
from tensor_guess.images.scaling import Scaling

# --- ours


def test_a_constant_that_is_not_there_is_none(ours: GraphDef) -> None:
    assert array(ours, "nothing") is None
    assert array(ours, FINAL_TENSOR) is None  # a node, but no constant


def test_what_is_cut_out_has_neither_decoder_nor_record(ours: GraphDef, tiny: Backbone) -> None:
    nodes = cut(ours, tiny.scaling, BOTTLENECK)
    part = GraphDef.FromString(b"".join(serialised(nodes)))
    assert list(part.node) == nodes
    names = {node.name for node in part.node}
    assert names == {node.name for node in tiny.graph.node}
    start = next(node for node in part.node if node.name == NETWORK_INPUT)
    assert (start.op, len(start.input)) == ("Placeholder", 0)
    check(part, "x.pb")


# --- strangers'


def node(graph: GraphDef, name: str, op: str, *inputs: str) -> None:
    graph.node.add(name=name, op=op, input=inputs)


def with_function(graph: GraphDef) -> None:
    graph.library.function.add().signature.name = "f"


def with_gradient(graph: GraphDef) -> None:
    graph.library.gradient.add(function_name="f", gradient_func="g")


def with_duplicate(graph: GraphDef) -> None:
    node(graph, BOTTLENECK, "Identity", NETWORK_INPUT)


def with_missing_input(graph: GraphDef) -> None:
    node(graph, "x", "Identity", "nothing")


def with_missing_control_input(graph: GraphDef) -> None:
    node(graph, "x", "Identity", BOTTLENECK, "^nothing")


def with_nameless_input(graph: GraphDef) -> None:
    node(graph, "x", "Identity", "")


def with_loop(graph: GraphDef) -> None:
    node(graph, "x", "Identity", "x")


def with_circle(graph: GraphDef) -> None:
    node(graph, "x", "AddV2", "y:0", BOTTLENECK)
    node(graph, "y", "Identity", "z")
    node(graph, "z", "Identity", "x:0")


def with_control_circle(graph: GraphDef) -> None:
    node(graph, "x", "Identity", BOTTLENECK, "^y")
    node(graph, "y", "Identity", "x")


def with_too_many_nodes(graph: GraphDef) -> None:
    for n in range(MAX_NODES):
        node(graph, f"x{n}", "NoOp")


def with_unreachable_file_access(graph: GraphDef) -> None:
    node(graph, "x", "WriteFile")


def with_dropout(graph: GraphDef) -> None:
    node(graph, "x", "RandomUniform")


def with_escape_in_op(graph: GraphDef) -> None:
    node(graph, "x", "\x1b[2J\nfine")


def with_function_as_op(graph: GraphDef) -> None:
    node(graph, "x", "StatefulPartitionedCall")


ATTACKS: dict[Callable[[GraphDef], None], str] = {
    with_function: "library functions",
    with_gradient: "library functions",
    with_duplicate: "two nodes of the same name",
    with_missing_input: "x has an input that is missing",
    with_missing_control_input: "x has an input that is missing",
    with_nameless_input: "x has an input that is missing",
    with_loop: "form a circle",
    with_circle: "form a circle",
    with_control_circle: "form a circle",
    with_too_many_nodes: r"has 200\d\d nodes; at most 20000",
    with_unreachable_file_access: "its op WriteFile may read or write files",
    with_dropout: r"random left in it \(its op RandomUniform\)",
    with_escape_in_op: r"its op '\\x1b\[2J\\nfine' may do more",
    with_function_as_op: "StatefulPartitionedCall may do more",
}


@pytest.mark.parametrize(
    ("attack", "said"), ATTACKS.items(), ids=lambda x: getattr(x, "__name__", "")
)
def test_attack_is_refused_in_words_and_at_once(
    ours: GraphDef, attack: Callable[[GraphDef], None], said: str
) -> None:
    graph = copy_of(ours)
    attack(graph)
    start = time.process_time()
    with pytest.raises(UserError, match=said):
        check(graph, "x.pb")
    assert time.process_time() - start < 1


@pytest.mark.slow
def test_the_deepest_graph_that_is_allowed_is_checked_at_once() -> None:
    graph = GraphDef()
    node(graph, "x0", "Placeholder")
    for n in range(1, MAX_NODES):
        node(graph, f"x{n}", "Identity", f"x{n - 1}")
    start = time.process_time()
    check(graph, "x.pb")
    cut(graph, Scaling(16, 0, 1), f"x{MAX_NODES - 1}")
    assert time.process_time() - start < 2


NO_GRAPHS = {
    "empty": b"",
    "text": b"hello there",
    "HTML": b"<!DOCTYPE html><html></html>",
    "Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    "JPEG": b"\xff\xd8\xff\xe0" * 30,
    "zeros": bytes(1000),
    "gzip": b"\x1f\x8b\x08\0" * 20,
    "group that never ends": b"\x0b" * 10_000,
}


@pytest.mark.parametrize("data", NO_GRAPHS.values(), ids=NO_GRAPHS.keys())
def test_what_is_no_graph_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(UserError, match=r"x\.pb is (not a frozen graph|a Git LFS pointer)"):
        parse(data, "x.pb")


@pytest.mark.parametrize(
    "name",
    [
        "graphs/broken/lfs_pointer_retrained_graph.pb",
        "graphs/broken/one_placeholder_output_graph.pb",
        "graphs/another_network/output_graph.pb",
        "graphs/glasses/retrained_graph.pb",
        "classic_run_2017/retrained_graph.pb",
    ],
)
def test_graphs_of_others_are_refused_in_words(shared: Path, name: str) -> None:
    assert isinstance(accepted(read(shared / name)), UserError)


def test_a_graph_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read(tmp_path / "x.pb")
    with pytest.raises(UserError, match="is not a regular file"):
        read(tmp_path)
    (tmp_path / "huge.pb").write_bytes(b"\n")
    os.truncate(tmp_path / "huge.pb", 2**31 + 5)  # sparse: takes no space
    with pytest.raises(UserError, match="is larger than"):
        read(tmp_path / "huge.pb")


MUTATIONS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "insert", "delete", "copy"]),
        st.integers(0, 2**31),
        st.integers(0, 2**31),
        st.binary(min_size=1, max_size=8),
    ),
    min_size=1,
    max_size=8,
)


def mutated(data: bytes, changes: list[tuple[str, int, int, bytes]]) -> bytes:
    new = bytearray(data)
    for how, place, other, value in changes:
        at, source = place % (len(new) or 1), other % (len(new) or 1)
        if how == "flip":
            new[at : at + 1] = value[:1]
        elif how == "insert":
            new[at:at] = value
        elif how == "delete":
            del new[at : at + len(value)]
        else:
            new[at : at + 40] = new[source : source + 40]
    return bytes(new)


def survives(ours: GraphDef, changes: list[tuple[str, int, int, bytes]]) -> None:
    found = accepted(mutated(serialise(ours), changes))
    assert isinstance(found, (Record, UserError))
    if isinstance(found, UserError):
        assert str(found).isprintable()


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(MUTATIONS)
def test_a_damaged_graph_is_refused_or_fine(
    ours: GraphDef, changes: list[tuple[str, int, int, bytes]]
) -> None:
    survives(ours, changes)


def test_a_tensor_that_claims_more_than_it_has_is_none(ours: GraphDef) -> None:
    graph = copy_of(ours)
    record = next(node for node in graph.node if node.name == GRAPH_RECORD)
    record.attr["value"].tensor.tensor_shape.dim.add(size=5)
    with pytest.raises(UserError, match="record inside"):
        record_of(graph, "x.pb")
