"""Read, check, cut and write frozen graphs (TensorFlow's GraphDef) without TensorFlow."""

import os
from collections.abc import Callable, Iterable, Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import (
    DT_FLOAT,
    DT_INT32,
    DT_INT64,
    DT_QUINT8,
    DT_STRING,
)

from tensor_guess.config import NETWORK_INPUT
from tensor_guess.errors import Unreadable, UserError, shown
from tensor_guess.graphs import wire
from tensor_guess.graphs.allowed import (
    MAX_CONSTANT,
    MAX_LEFT_OUT_IN_ALL,
    attribute_faults,
    left_out,
    op_fault,
)
from tensor_guess.graphs.builder import TYPES, Builder
from tensor_guess.graphs.wire import MAX_NODES
from tensor_guess.images.scaling import Scaling
from tensor_guess.system import reading

MAX_INPUTS = 10 * MAX_NODES
MAX_BYTES = 2**31 - 1  # a protobuf message cannot be larger
# How a GraphDef can begin: the tag of one of its fields (node, library, version, versions).
_STARTS = {b"\x0a", b"\x12", b"\x18", b"\x22"}
# type -> the field of TensorProto that lists its values, and numpy's type for them
_LISTS = {
    DT_FLOAT: ("float_val", np.float32),
    DT_INT32: ("int_val", np.int32),
    DT_INT64: ("int64_val", np.int64),
}


def parse(data: bytes, name: str) -> GraphDef:
    """Return the graph in `data`; `name` is for the message. Raise UserError if it is not one."""
    if data.startswith(b"version https://git-lfs"):
        raise UserError(f"{name} is a Git LFS pointer; `git lfs pull` fetches the graph")
    view = memoryview(data)
    wire.check(lambda at, length: bytes(view[at : at + length]), len(data), name)
    graph = GraphDef()
    try:
        graph.ParseFromString(data)
    except DecodeError as error:
        raise wire.damaged(name) from error
    if not graph.node:
        raise UserError(f"{name} is not a frozen graph: it has no nodes; get it again")
    return graph


def read(path: Path) -> bytes:
    """Return the bytes of a graph file; of any other, only the start, for `parse` to name it.

    Raise UserError if it is too large, not readable, or not a regular file (a FIFO does not hang).
    """
    try:
        with reading.opened(path) as file:
            start = file.read(1000)
            if start[:1] not in _STARTS:
                return start
            size, handle = os.fstat(file.fileno()).st_size, file.fileno()
            if size <= MAX_BYTES:  # a file that is no graph may be large, and is not read at all
                wire.check(lambda at, length: os.pread(handle, length, at), size, shown(path))
            file.seek(0)
            return reading.rest(file, MAX_BYTES)
    except Unreadable as error:
        raise UserError(f"could not read {shown(path)} as a frozen graph: {error}") from error


def check(graph: GraphDef, name: str) -> None:
    """Raise UserError for the first thing in the graph that a frozen graph may not have."""
    for fault in faults(graph, name):
        raise UserError(fault)


def faults(graph: GraphDef, name: str) -> Iterator[str]:
    """Yield a sentence about `name` for each thing that a frozen graph may not have."""
    if len(graph.node) > MAX_NODES:
        yield f"{name} has {len(graph.node)} nodes; at most {MAX_NODES} are allowed"
        return
    if sum(len(node.input) for node in graph.node) > MAX_INPUTS:
        yield f"{name} is refused: its nodes have more than {MAX_INPUTS} inputs in all"
        return
    if graph.library.ByteSize():
        yield f"{name} has library functions, which a frozen graph does not need"
    names = {node.name for node in graph.node}
    if len(names) < len(graph.node):
        yield f"{name} has two nodes of the same name"
    for node in graph.node:
        reasons = attribute_faults(node)
        for reason in (op_fault(node.op), *reasons):
            if reason:
                yield f"{name} is refused: {reason}"
        for each in node.input:
            if node_of(each) not in names:
                yield f"{name} is damaged: {shown(node.name)} has an input that is missing"
            elif not each.startswith("^") and each.partition(":")[2] not in ("", "0"):
                yield (
                    f"{name} is refused: {shown(node.name)} takes {shown(each)}, "
                    "not the first output"
                )
    yield from _constant_faults(graph, name)
    if not _is_ordered(graph, names):
        yield f"{name} is refused: its nodes form a circle"


def _constant_faults(graph: GraphDef, name: str) -> Iterator[str]:
    total = 0
    for node in graph.node:
        try:
            total += left_out(node)
        except ValueError as error:
            yield f"{name} is refused: {error}"
    if total > MAX_LEFT_OUT_IN_ALL:
        more = f"{total // 1_000_000} MB larger than what is stored"
        yield f"{name} is refused: its constants would be {more}"


def weight_faults(nodes: Iterable[NodeDef], name: str) -> Iterator[str]:
    """Yield a sentence about `name` for each constant of floats with NaN or infinity in it."""
    for node in nodes:
        found = value_of(node)
        if found is not None and found.dtype.kind == "f" and not np.isfinite(found).all():
            yield f"{name} is refused: the weights {shown(node.name)} are not all numbers"


def array(graph: GraphDef, name: str) -> NDArray[Any] | None:
    """Return the value of the constant `name` (strings as bytes objects); None without one."""
    node = next((n for n in graph.node if n.name == name), None)
    return value_of(node) if node else None


def value_of(node: NodeDef) -> NDArray[Any] | None:
    """Return the value of a constant (strings as bytes objects); None without one."""
    if node.op != "Const" or "value" not in node.attr:
        return None
    tensor = node.attr["value"].tensor
    if tensor.dtype == DT_STRING:
        shape = [dim.size for dim in tensor.tensor_shape.dim]
        if len(tensor.string_val) != prod(shape):
            return None
        return np.array(list(tensor.string_val), object).reshape(shape)
    return values(tensor)


def values(tensor: TensorProto) -> NDArray[Any] | None:
    """Return the numbers of a stored tensor; None if it has too few, or ones of another type."""
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    kind = next((k for k, number in TYPES.items() if number == tensor.dtype), None)
    if tensor.dtype == DT_QUINT8:
        kind = np.dtype(np.uint8)
    if kind is None or min(shape, default=0) < 0:
        return None
    count = int(np.prod(shape, dtype=np.int64))
    if tensor.tensor_content or not count:
        return np.frombuffer(tensor.tensor_content, kind).reshape(shape)
    # Small constants are lists of numbers instead; the last one is repeated to the end, and an
    # empty list is all zeros.
    listed = np.array(
        [*tensor.float_val, *tensor.int_val, *tensor.int64_val, *tensor.bool_val] or [0]
    )
    missing = count - len(listed)
    if not 0 <= missing <= MAX_CONSTANT // 8:
        return None
    return np.concatenate([listed, np.repeat(listed[-1:], missing)]).astype(kind).reshape(shape)


def node_of(tensor: str) -> str:
    """Return the name of the node behind an input: `a` for each of `a`, `a:1` and `^a`."""
    return tensor.removeprefix("^").partition(":")[0]


def copied(node: NodeDef, name: Callable[[str], str]) -> NodeDef:
    """Return a copy of the node in which it and its inputs are renamed by the function `name`."""
    copy = NodeDef()
    copy.CopyFrom(node)
    copy.name = name(node.name)
    for i, tensor in enumerate(node.input):
        source = node_of(tensor)
        copy.input[i] = tensor.replace(source, name(source), 1)
    return copy


def cut(graph: GraphDef, scaling: Scaling, output: str) -> list[NodeDef]:
    """Return the nodes up to `output`, after NETWORK_INPUT as a placeholder [N, S, S, 3]."""
    builder = Builder()
    builder.placeholder(NETWORK_INPUT, DT_FLOAT, (-1, scaling.size, scaling.size, 3))
    nodes = {node.name: node for node in graph.node if node.name != NETWORK_INPUT}
    wanted, queue = set(), [output]
    while queue:
        name = queue.pop()
        if name in nodes and name not in wanted:
            wanted.add(name)
            queue.extend(node_of(each) for each in nodes[name].input)
    return [*builder.graph.node, *(node for node in graph.node if node.name in wanted)]


def serialise(graph: GraphDef) -> bytes:
    """Return the graph's bytes; the same graph always gives the same bytes."""
    data: bytes = graph.SerializeToString(deterministic=True)
    return data


def serialised(nodes: Iterable[NodeDef]) -> Iterator[bytes]:
    """Yield the bytes of a GraphDef of these nodes, piece by piece: nothing large is copied.

    On the wire, each element of a repeated field follows its tag and length (protobuf's encoding
    guide); `node` is field 1 of GraphDef.
    """
    tag = bytes([1 << 3 | 2])
    for node in nodes:
        data = node.SerializeToString(deterministic=True)
        length, rest = b"", len(data)
        while rest > 127:
            length, rest = length + bytes([rest & 127 | 128]), rest >> 7
        yield tag + length + bytes([rest])
        yield data


def listed(node: NodeDef) -> NodeDef:
    """Return the node; if it is a tiny constant, as a list of values, as TensorFlow writes it.

    OpenVINO 2026.4 reads a scalar stored as raw bytes as 0.
    """
    tensor = node.attr["value"].tensor if node.op == "Const" else None
    if tensor is None or tensor.dtype not in _LISTS or len(tensor.tensor_content) not in (4, 8):
        return node
    field, kind = _LISTS[tensor.dtype]
    copy = NodeDef()
    copy.CopyFrom(node)
    tensor = copy.attr["value"].tensor
    getattr(tensor, field).extend(np.frombuffer(tensor.tensor_content, kind).tolist())
    tensor.ClearField("tensor_content")
    return copy


def _is_ordered(graph: GraphDef, names: set[str]) -> bool:
    """Return whether the nodes form no circle (Kahn's algorithm)."""
    followers: dict[str, list[str]] = {name: [] for name in names}
    missing = {}
    for node in graph.node:
        inputs = [each for each in map(node_of, node.input) if each in names]
        missing[node.name] = len(inputs)
        for each in inputs:
            followers[each].append(node.name)
    ready = [key for key, count in missing.items() if not count]
    done = 0
    while ready:
        done += 1
        for follower in followers[ready.pop()]:
            missing[follower] -= 1
            if not missing[follower]:
                ready.append(follower)
    return done == len(missing)
