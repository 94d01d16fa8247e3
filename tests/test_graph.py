"""Frozen graphs: what ours say of themselves, and that strangers' cannot do harm."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.types_pb2 import DT_FLOAT

from tensor_guess import images
from tensor_guess.backbones import Backbone
from tensor_guess.config import (
    BOTTLENECK,
    FINAL_TENSOR,
    GRAPH,
    GRAPH_LABELS,
    GRAPH_RECORD,
    IMAGE_BYTES,
    NETWORK_INPUT,
)
from tensor_guess.errors import UserError
from tensor_guess.graph import (
    ALLOWED_OPS,
    MAX_NODES,
    Builder,
    Head,
    Record,
    Scaling,
    array,
    check,
    cut,
    parse,
    read,
    record_of,
    serialise,
    serialised,
    with_head,
)
from tensor_guess.network import Network

LABELS = ("darth vader", "elsa", "東京")


def record_for(backbone: Backbone, final_tensor: str = FINAL_TENSOR) -> Record:
    return Record(
        labels=LABELS,
        categories=("darth_vader", "elsa", "東京"),
        scaling=backbone.scaling,
        backbone=backbone.name,
        backbone_sha256=backbone.sha256,
        precision="float32",
        final_tensor=final_tensor,
        thresholds={"elsa": 0.5},
    )


def head_for(width: int, classes: int = 3, seed: int = 0) -> Head:
    random = np.random.default_rng(seed)
    weights = random.normal(size=(width, classes)).astype(np.float32)
    return Head(weights, random.normal(size=classes).astype(np.float32))


@pytest.fixture(scope="session")
def ours(tiny: Backbone) -> GraphDef:
    """A classifier's graph on the tiny backbone; not to be changed."""
    return with_head(tiny.graph, head_for(12), record_for(tiny))


def copy_of(graph: GraphDef) -> GraphDef:
    copy = GraphDef()
    copy.CopyFrom(graph)
    return copy


def accepted(data: bytes) -> Record | UserError:
    """All that is done with a stranger's bytes before anything is converted."""
    try:
        graph = parse(data, "x.pb")
        record = record_of(graph, "x.pb")
        check(graph, "x.pb")
        b"".join(serialised(cut(graph, record.scaling, record.final_tensor)))
    except UserError as error:
        return error
    return record


# --- ours


def test_one_file_is_enough(ours: GraphDef, tiny: Backbone) -> None:
    graph = parse(serialise(ours), "x.pb")
    check(graph, "x.pb")
    assert record_of(graph, "x.pb") == record_for(tiny)
    names = {node.name: node.op for node in graph.node}
    assert names[IMAGE_BYTES] == "Placeholder"
    assert {NETWORK_INPUT, BOTTLENECK, FINAL_TENSOR} < set(names)
    assert names[FINAL_TENSOR] == "Softmax"
    assert not {"Variable", "VariableV2", "VarHandleOp"} & set(names.values())
    assert not graph.library.function


def test_the_result_may_be_named_otherwise(tiny: Backbone) -> None:
    record = record_for(tiny, final_tensor="final/Softmax")
    graph = with_head(tiny.graph, head_for(12), record)
    check(graph, "x.pb")
    assert record_of(graph, "x.pb").final_tensor == "final/Softmax"


@given(
    st.one_of(
        *(
            arrays.arrays(kind, arrays.array_shapes(min_dims=0, max_dims=4, min_side=0))
            for kind in (np.float32, np.int32, np.int64, np.uint8, np.bool_)
        )
    )
)
def test_a_constant_comes_back_as_it_went_in(value: NDArray[Any]) -> None:
    builder = Builder()
    builder.const("x", value)
    back = array(GraphDef.FromString(serialise(builder.graph)), "x")
    assert back is not None
    assert back.dtype == value.dtype
    np.testing.assert_array_equal(back, value)


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=1)
)
def test_labels_come_back_as_they_went_in(labels: list[str]) -> None:
    builder = Builder()
    builder.const("x", labels)
    back = array(GraphDef.FromString(serialise(builder.graph)), "x")
    assert back is not None
    assert [each.decode() for each in back] == labels


def test_a_constant_that_is_not_there_is_none(ours: GraphDef) -> None:
    assert array(ours, "nothing") is None
    assert array(ours, FINAL_TENSOR) is None  # a node, but no constant


DIGEST = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
from tensor_guess.graph import GraphDef, serialise
graph = GraphDef.FromString(sys.stdin.buffer.read())
print(hashlib.sha256(serialise(graph)).hexdigest())
"""


def test_the_same_graph_has_the_same_bytes_whatever_its_history(ours: GraphDef) -> None:
    backwards = GraphDef()
    backwards.versions.CopyFrom(ours.versions)
    for node in ours.node:
        turned = backwards.node.add(name=node.name, op=node.op, input=node.input)
        for key in sorted(node.attr, reverse=True):
            turned.attr[key].CopyFrom(node.attr[key])
    assert serialise(backwards) == serialise(ours)
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST, Path(__file__).resolve().parent.parent / "src"],
            env={"PYTHONHASHSEED": seed},
            input=serialise(ours),
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_what_is_cut_out_has_neither_decoder_nor_record(ours: GraphDef, tiny: Backbone) -> None:
    nodes = cut(ours, tiny.scaling, BOTTLENECK)
    part = GraphDef.FromString(b"".join(serialised(nodes)))
    assert list(part.node) == nodes
    names = {node.name for node in part.node}
    assert names == {node.name for node in tiny.graph.node}
    start = next(node for node in part.node if node.name == NETWORK_INPUT)
    assert (start.op, len(start.input)) == ("Placeholder", 0)
    check(part, "x.pb")


def test_training_again_on_a_classifier_s_own_graph_gives_the_same(
    ours: GraphDef, tiny: Backbone
) -> None:
    again = with_head(ours, head_for(12), record_for(tiny))
    assert serialise(again) == serialise(ours)


# --- as old programs run it


def by_tensorflow(graph: GraphDef, feeds: list[tuple[str, Any]]) -> list[NDArray[np.float32]]:
    """What TensorFlow 1's way of running gives for each of the feeds."""
    import tensorflow as tf

    v1 = tf.compat.v1
    given_graph = v1.GraphDef.FromString(serialise(graph))
    with tf.Graph().as_default(), v1.Session() as session:
        tf.import_graph_def(given_graph, name="")
        return [session.run(f"{FINAL_TENSOR}:0", {key: value})[0] for key, value in feeds]


def agrees(ours: NDArray[np.float32], theirs: NDArray[np.float32], within: float) -> bool:
    best = np.sort(ours)[::-1]
    same = bool(ours.argmax() == theirs.argmax()) or best[0] - best[1] <= 0.1
    return same and bool(np.abs(ours - theirs).max() <= within)


def test_old_programs_see_what_we_see(vader_elsa: Path, shared: Path) -> None:
    graph = parse(read(vader_elsa / GRAPH), "x.pb")
    scaling = record_of(graph, "x.pb").scaling
    photos = sorted((shared / "vader_elsa" / "test").iterdir())
    pictures = {path: images.read(path) for path in photos}
    jpegs = [path for path, picture in pictures.items() if picture.kind == "JPEG"]
    assert len(jpegs) > 20
    pixels = {path: images.decode(pictures[path], scaling.size) for path in jpegs}
    scores = dict(Network(graph, scaling, FINAL_TENSOR, "float32").run(pixels.items()))

    fed = [(pixels[path] - np.float32(scaling.mean)) / scaling.std for path in jpegs]
    arrays_ = by_tensorflow(graph, [(f"{NETWORK_INPUT}:0", image[None]) for image in fed])
    for path, theirs in zip(jpegs, arrays_, strict=True):
        np.testing.assert_allclose(theirs, scores[path], atol=1e-4)

    old = by_tensorflow(graph, [(f"{IMAGE_BYTES}:0", pictures[path].data) for path in jpegs])
    for path, theirs in zip(jpegs, old, strict=True):
        assert agrees(scores[path], theirs, 0.02), path


def test_old_programs_see_large_photos_nearly_as_we_do(vader_elsa: Path, shared: Path) -> None:
    graph = parse(read(vader_elsa / GRAPH), "x.pb")
    scaling = record_of(graph, "x.pb").scaling
    picture = images.read(shared / "sample_images" / "photo_16mp.jpg")
    pixels = images.decode(picture, scaling.size)
    ((_, scores),) = Network(graph, scaling, FINAL_TENSOR, "float32", few=True).run([("", pixels)])
    (theirs,) = by_tensorflow(graph, [(f"{IMAGE_BYTES}:0", picture.data)])
    assert agrees(scores, theirs, 0.06)


# --- strangers'


def lone(op: str) -> GraphDef:
    graph = GraphDef()
    graph.node.add(name="x", op=op)
    return graph


def every_op() -> list[str]:
    import tensorflow as tf
    from tensorflow.python.framework import op_def_registry

    names = [name for name in dir(tf.raw_ops) if not name.startswith("_")]
    return [name for name in names if op_def_registry.get(name)]


def test_every_op_of_tensorflow_but_the_computing_ones_is_refused() -> None:
    ops = every_op()
    assert len(ops) > 1300
    assert {"ReadFile", "WriteFile", "MergeV2Checkpoints", "PyFunc", "DebugIdentity"} < set(ops)
    for op in ops:
        if op in ALLOWED_OPS:
            check(lone(op), "x.pb")
        else:
            with pytest.raises(UserError, match=f"its op {op} may do more than compute"):
                check(lone(op), "x.pb")
    # BatchNormWithGlobalNormalization and the like: ops of old graphs are still known.
    assert not ALLOWED_OPS - set(ops)


def test_the_list_of_ops_is_the_one_that_was_reviewed(shared: Path) -> None:
    reviewed = shared.parent / "ops_allow.txt"
    if not reviewed.is_file():
        pytest.skip(f"{reviewed} is absent")
    assert set(reviewed.read_text().split()) == ALLOWED_OPS


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
    with_duplicate: "two nodes of one name",
    with_missing_input: "x has an input that is not",
    with_missing_control_input: "x has an input that is not",
    with_nameless_input: "x has an input that is not",
    with_loop: "go round in a circle",
    with_circle: "go round in a circle",
    with_control_circle: "go round in a circle",
    with_too_many_nodes: r"has 200\d\d nodes; at most 20000",
    with_unreachable_file_access: "WriteFile may do more than compute",
    with_dropout: "RandomUniform may do more than compute",
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
    start = time.perf_counter()
    with pytest.raises(UserError, match=said):
        check(graph, "x.pb")
    assert time.perf_counter() - start < 1


def test_the_deepest_graph_that_is_allowed_is_checked_at_once() -> None:
    graph = GraphDef()
    node(graph, "x0", "Placeholder")
    for n in range(1, MAX_NODES):
        node(graph, f"x{n}", "Identity", f"x{n - 1}")
    start = time.perf_counter()
    check(graph, "x.pb")
    cut(graph, Scaling(16, 0, 1), f"x{MAX_NODES - 1}")
    assert time.perf_counter() - start < 2


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
    with pytest.raises(UserError, match="is a directory"):
        read(tmp_path)
    (tmp_path / "huge.pb").touch()
    os.truncate(tmp_path / "huge.pb", 2**31 + 5)  # sparse: takes no space
    with pytest.raises(UserError, match="larger than any frozen graph"):
        read(tmp_path / "huge.pb")


CONTRADICTIONS: list[dict[str, Any]] = [
    {"labels": ("a", "b")},
    {"labels": ("a", "b", "c", "d")},
    {"labels": ()},
    {"categories": ("a",)},
    {"format": 2},
    {"format": "1"},
    {"final_tensor": []},
    {"backbone": 5},
    {"precision": "int4"},
    {"precision": None},
    {"precision": ["float32"]},
    {"backbone_sha256": None},
    {"thresholds": [1]},
    {"thresholds": {"a": "b"}},
    {"categories": ("../../etc", "b\0", 5)},
    *(
        {"scaling": each}
        for each in [
            {"size": 0, "mean": 127.5, "std": 127.5},
            {"size": -5, "mean": 127.5, "std": 127.5},
            {"size": 10**9, "mean": 127.5, "std": 127.5},
            {"size": 224.5, "mean": 127.5, "std": 127.5},
            {"size": "224", "mean": 127.5, "std": 127.5},
            {"size": True, "mean": 127.5, "std": 127.5},
            {"size": 16, "mean": 127.5, "std": 0},
            {"size": 16, "mean": 127.5, "std": -1},
            {"size": 16, "mean": 127.5, "std": float("nan")},
            {"size": 16, "mean": 127.5, "std": float("inf")},
            {"size": 16, "mean": float("nan"), "std": 1},
            {"size": 16, "mean": 10**400, "std": 1},
            {"size": 16, "mean": "127.5", "std": 1},
            {"size": 16, "mean": None, "std": 1},
            {"size": 16, "mean": 127.5, "std": [1]},
            {"size": 16, "mean": 127.5},
            {"size": 16, "mean": 127.5, "std": 1, "more": 1},
            [16, 127.5, 1],
        ]
    ),
]


@pytest.mark.parametrize("changes", CONTRADICTIONS, ids=str)
def test_a_record_that_cannot_be_true_is_refused(tiny: Backbone, changes: dict[str, Any]) -> None:
    graph = with_head(tiny.graph, head_for(12), record_for(tiny))
    said = json.loads(_text(graph, GRAPH_RECORD)) | changes
    if "labels" in changes:
        _replace(graph, GRAPH_LABELS, said.pop("labels"))
    _replace(graph, GRAPH_RECORD, json.dumps(said))
    with pytest.raises(UserError, match=r"record inside"):
        record_of(graph, "x.pb")


def _text(graph: GraphDef, name: str) -> str:
    value = array(graph, name)
    assert value is not None
    text: str = value.item().decode()
    return text


def _replace(graph: GraphDef, name: str, value: Any) -> None:
    builder = Builder()
    builder.const(name, value if len(value) else np.empty(0, "U1"))
    next(node for node in graph.node if node.name == name).CopyFrom(builder.graph.node[0])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    "categories scaling backbone backbone_sha256 precision final_tensor thresholds format".split()
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(FIELDS, JSON, max_size=3), scaling=st.lists(JSON, max_size=3))
def test_any_record_is_understood_or_refused(
    ours: GraphDef, changes: dict[str, Any], scaling: list[Any]
) -> None:
    graph = copy_of(ours)
    said = json.loads(_text(graph, GRAPH_RECORD)) | changes
    if scaling:
        said["scaling"] = dict(zip(("size", "mean", "std"), scaling, strict=False))
    _replace(graph, GRAPH_RECORD, json.dumps(said))
    found = accepted(serialise(graph))
    if isinstance(found, Record):
        assert isinstance(found.scaling.size, int)
        assert np.isfinite([found.scaling.mean, found.scaling.std]).all()
        assert isinstance(found.backbone, str)


DAMAGED_TEXTS = [
    "",
    "{",
    "[]",
    "null",
    "5",
    '"x"',
    "{}",
    "[" * 100_000,
    '{"format": 1}',
    "9" * 9999,
]


@pytest.mark.parametrize("text", DAMAGED_TEXTS, ids=lambda text: text[:12])
def test_a_record_that_is_no_record_is_refused(ours: GraphDef, text: str) -> None:
    graph = copy_of(ours)
    _replace(graph, GRAPH_RECORD, text)
    assert isinstance(accepted(serialise(graph)), UserError)


def test_labels_of_other_types_and_shapes_are_refused(ours: GraphDef) -> None:
    graph = copy_of(ours)
    _replace(graph, GRAPH_LABELS, np.ones(3, np.float32))
    assert isinstance(accepted(serialise(graph)), UserError)
    for size in (0, 2, 4, 2**40):
        graph = copy_of(ours)
        labels = next(node for node in graph.node if node.name == GRAPH_LABELS)
        labels.attr["value"].tensor.tensor_shape.dim[0].size = size
        assert isinstance(accepted(serialise(graph)), UserError), size


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


@settings(max_examples=300, deadline=None)
@given(MUTATIONS)
def test_a_damaged_graph_is_refused_or_fine(
    ours: GraphDef, changes: list[tuple[str, int, int, bytes]]
) -> None:
    survives(ours, changes)


@pytest.mark.long
@settings(max_examples=20_000, deadline=None)
@given(MUTATIONS)
def test_twenty_thousand_damaged_graphs_are_refused_or_fine(
    ours: GraphDef, changes: list[tuple[str, int, int, bytes]]
) -> None:
    survives(ours, changes)


def test_a_tensor_that_claims_more_than_it_has_is_none(ours: GraphDef) -> None:
    graph = copy_of(ours)
    record = next(node for node in graph.node if node.name == GRAPH_RECORD)
    record.attr["value"].tensor.tensor_shape.dim.add(size=5)
    with pytest.raises(UserError, match="record inside"):
        record_of(graph, "x.pb")


def test_attributes_are_kept_by_their_types() -> None:
    builder = Builder()
    builder.floats("X", "x", (), a=1, b=1.5, c="VALID", d=True, e=(1, 2))
    attr = builder.graph.node[0].attr
    assert (attr["a"].i, attr["b"].f, attr["c"].s, attr["d"].b) == (1, 1.5, b"VALID", True)
    assert list(attr["e"].list.i) == [1, 2]
    assert attr["T"] == AttrValue(type=DT_FLOAT)
