"""Only what computes, from plain values that are all there, is let through."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.types_pb2 import DT_FLOAT, DT_FLOAT_REF, DT_RESOURCE, DT_VARIANT

from tensor_guess.errors import UserError
from tensor_guess.graphs.allowed import ALLOWED_OPS, MAX_LEFT_OUT, op_fault
from tensor_guess.graphs.builder import Builder
from tensor_guess.graphs.graph import check, faults


def lone(op: str) -> GraphDef:
    graph = GraphDef()
    node = graph.node.add(name="x", op=op)
    if op == "Const":
        node.attr["value"].tensor.dtype = DT_FLOAT
    return graph


def every_op() -> list[str]:
    import tensorflow as tf
    from tensorflow.python.framework import op_def_registry

    names = [name for name in dir(tf.raw_ops) if not name.startswith("_")]
    return [name for name in names if op_def_registry.get(name)]


@pytest.mark.tensorflow
def test_every_op_of_tensorflow_but_the_computing_ones_is_refused() -> None:
    ops = every_op()
    assert len(ops) > 1300
    assert {"ReadFile", "WriteFile", "MergeV2Checkpoints", "PyFunc", "DebugIdentity"} < set(ops)
    for op in ops:
        if op in ALLOWED_OPS:
            check(lone(op), "x.pb")
        else:
            with pytest.raises(UserError, match=rf"^x\.pb is refused: .*\bits op {op}\b"):
                check(lone(op), "x.pb")
    # BatchNormWithGlobalNormalization and the like: ops of old graphs are still known.
    assert not ALLOWED_OPS - set(ops)


def test_the_list_of_ops_is_the_one_that_was_reviewed(shared: Path) -> None:
    reviewed = shared.parent / "ops_allow.txt"
    if not reviewed.is_file():
        pytest.skip(f"{reviewed} is absent")
    assert set(reviewed.read_text().split()) == ALLOWED_OPS


@pytest.mark.parametrize(
    ("said", "ops"),
    {
        "something else random left": "RandomUniform Multinomial StatelessRandomNormal"
        " TruncatedNormal RandomStandardNormal StatefulUniform",
        "read or write files": "ReadFile WriteFile SaveV2 RestoreV2 MergeV2Checkpoints"
        " TFRecordReader PrintV2 MatchingFiles WriteSummary",
        "reach the internet": "DebugIdentity DebugIdentityV2 CollectiveReduce",
        "runs Python": "PyFunc PyFuncStateless EagerPyFunc",
        "has variables": "VariableV2 VarHandleOp ReadVariableOp AssignVariableOp Assign",
        "more than compute": "PartitionedCall While If XlaLaunch TPUExecute Nonsense",
    }.items(),
)
def test_why_an_op_is_refused_is_said_by_kind(said: str, ops: str) -> None:
    for op in ops.split():
        assert said in (op_fault(op) or ""), op


def with_resource(node: NodeDef) -> None:
    node.attr["dtype"].type = DT_RESOURCE


def with_variant_in_a_list(node: NodeDef) -> None:
    node.attr["types"].list.type.extend([DT_FLOAT, DT_VARIANT])


def with_reference(node: NodeDef) -> None:
    node.attr["T"].type = DT_FLOAT_REF


def with_function(node: NodeDef) -> None:
    node.attr["f"].func.name = "f"


def with_functions(node: NodeDef) -> None:
    node.attr["branches"].list.func.add(name="f")


def with_tensors(node: NodeDef) -> None:
    node.attr["values"].list.tensor.add(dtype=DT_FLOAT)


def with_handle(node: NodeDef) -> None:
    node.attr["value"].tensor.resource_handle_val.add(name="h")


def with_variant_value(node: NodeDef) -> None:
    node.attr["value"].tensor.variant_val.add(type_name="h")


def with_placeholder(node: NodeDef) -> None:
    node.attr["T"].placeholder = "T"


@pytest.mark.parametrize(
    "spoil",
    [
        with_resource,
        with_variant_in_a_list,
        with_reference,
        with_function,
        with_functions,
        with_tensors,
        with_handle,
        with_variant_value,
        with_placeholder,
    ],
)
def test_attributes_are_plain_values(spoil: Callable[[NodeDef], None]) -> None:
    graph = lone("Const")
    check(graph, "x.pb")
    spoil(graph.node[0])
    with pytest.raises(UserError, match="x is more than a value"):
        check(graph, "x.pb")


def constant(sides: list[int], stored: int = 0, listed: int = 0, dtype: int = DT_FLOAT) -> GraphDef:
    graph = GraphDef()
    tensor = graph.node.add(name="x", op="Const").attr["value"].tensor
    tensor.dtype = dtype
    for side in sides:
        tensor.tensor_shape.dim.add(size=side)
    tensor.tensor_content = bytes(stored)
    tensor.float_val.extend([1.5] * listed)
    return graph


REFUSED_CONSTANTS = {
    "a splat": (constant([2_000_000], listed=1), "stores only 1 of its 2000000 values"),
    "no values at all": (constant([2_000_000]), "stores only 0 of its 2000000 values"),
    "a splat of 2**60": (constant([2**30, 2**30], listed=1), "more than 512 MB"),
    "too few bytes": (constant([3], stored=8), "does not store as many values"),
    "too many bytes": (constant([3], stored=16), "does not store as many values"),
    "too many numbers": (constant([3], listed=4), "does not store as many values"),
    "bytes and numbers": (constant([3], stored=12, listed=3), "does not store as many values"),
    "numbers of another type": (constant([3], listed=3, dtype=3), "does not store as many values"),
    "a negative side": (constant([-1, 3]), "an impossible shape"),
    "too many sides": (constant([1] * 9), "an impossible shape"),
    "no type": (constant([], dtype=0), "has a type that no network needs"),
    "complex numbers": (constant([], dtype=8), "has a type that no network needs"),
    "a type that is none": (constant([], dtype=77), "has a type that no network needs"),
    "no value": (GraphDef(node=[NodeDef(name="x", op="Const")]), "has no value"),
}


@pytest.mark.parametrize(
    ("graph", "said"), REFUSED_CONSTANTS.values(), ids=REFUSED_CONSTANTS.keys()
)
def test_constants_are_whole(graph: GraphDef, said: str) -> None:
    with pytest.raises(UserError, match=f"^x.pb is refused: the constant x (.*)?{said}"):
        check(graph, "x.pb")


def test_what_tensorflow_leaves_out_is_no_fault() -> None:
    check(constant([MAX_LEFT_OUT // 4 + 1], listed=1), "x.pb")
    check(constant([0, 5]), "x.pb")
    check(constant([], listed=1), "x.pb")
    many = GraphDef()
    for n in range(17):
        many.node.add().CopyFrom(constant([MAX_LEFT_OUT // 4]).node[0])
        many.node[n].name = f"x{n}"
    with pytest.raises(UserError, match="its constants would be 68 MB larger than what is stored"):
        check(many, "x.pb")


def test_every_fault_is_told() -> None:
    builder = Builder()
    builder.const("c", np.float32(1))
    builder.op("WriteFile", "a", ("c", "c"))
    builder.op("Identity", "b", ("c:7",))
    builder.op("Identity", "d", ("nothing",))
    said = list(faults(builder.graph, "x.pb"))
    assert [each.partition(": ")[2] for each in said] == [
        "its op WriteFile may read or write files",
        "b takes c:7, not the first output",
        "d has an input that is missing",
    ]
