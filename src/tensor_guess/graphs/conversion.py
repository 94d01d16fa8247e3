"""Convert a graph to OpenVINO's model, in a separate process with limits on memory and time.

The graph is a stranger's. Whatever it does to the front end that reads it, the program goes on.
"""

import gc
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from math import prod
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NoReturn

import openvino as ov
from openvino.frontend import FrontEnd, FrontEndManager
from openvino.preprocess import PrePostProcessor
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef

from tensor_guess.errors import UserError, lacks_memory, reason_of, shown, words_of
from tensor_guess.graphs import shapes
from tensor_guess.graphs.allowed import MAX_CONSTANT
from tensor_guess.graphs.graph import cut, listed, serialised
from tensor_guess.graphs.shapes import MAX_TENSOR
from tensor_guess.images.scaling import Scaling
from tensor_guess.system import limited

# Bytes of tensors that may be needed at one moment, for all pictures that are computed together.
# EfficientNetV2-L, with 480 x 480 pixels, needs 48 MB for one picture, Inception v3 11 MB.
MAX_LIVE = 1_000_000_000


@dataclass(frozen=True)
class Limits:
    """What a conversion may use: Inception v3 (87 MB) needs 200 MB and 0.4 s, VGG16 1.2 GB."""

    memory: int = 1_000_000_000  # bytes, beyond what the program uses already
    memory_per_byte: int = 5  # additional bytes for each byte of the graph
    seconds: int = 120
    # Then a child is started anew: a fork can inherit a lock from a thread that it does not have.
    patience: int = 20


LIMITS = Limits()


class _Slow(UserError):
    """The child was not done in time, and may wait for what never comes."""


def model_of(
    graph: GraphDef, scaling: Scaling, output: str, batch: int, width: int | None = None
) -> ov.Model:
    """Return a model from the network's input to `output`, which includes the scaling.

    `batch` is how many images it takes together; if they would need too much memory, it takes one.
    `width`: see `check_row`. Raise UserError if the graph cannot be converted.
    """
    nodes = cut(graph, scaling, output)
    check_row(nodes, output, width)
    model = convert(nodes, [batch, scaling.size, scaling.size, 3])
    fed = model.input().get_partial_shape()[0]
    rows = [each.partial_shape[0] for each in model.outputs if f"{output}:0" in each.names]
    if rows != [fed] or len(model.outputs) > 1:
        raise UserError(f"the graph cannot be used: {shown(output)} is not one row an image")
    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(ov.Type.f32 if scaling.classic else ov.Type.u8)
    before = steps.input().preprocess().convert_element_type(ov.Type.f32)
    before.mean(float(scaling.mean)).scale(float(scaling.std))
    return steps.build()


def check_row(nodes: Sequence[NodeDef], output: str, width: int | None = None) -> None:
    """Raise UserError if `output` is not one row for each image, of `width` numbers if given.

    This check compares a record with its graph: there must be as many scores as labels.
    """
    shape = shapes.check(nodes).get(output)
    if shape is None or len(shape) < 2 or shape[0] != 1 or prod(shape) != (width or prod(shape)):
        said = "not there" if shape is None else f"{list(shape)}"
        wanted = f" of {width} numbers" if width else ""
        raise UserError(
            f"the graph cannot be used: {shown(output)} is {said}, not one row an image{wanted}; "
            "get it again or train again"
        )


def convert(nodes: Sequence[NodeDef], shape: Sequence[int], limits: Limits = LIMITS) -> ov.Model:
    """Return the model of `nodes`, whose first one takes a tensor of `shape`.

    If `shape` is [N, H, W, C] and N pictures together would need more than MAX_LIVE, the model
    takes [1, H, W, C]. Raise UserError if the nodes cannot be converted within `limits`. Nothing is
    left behind.
    """
    _front_end()  # before the fork, at which another thread may be loading something
    if limits.patience < limits.seconds:
        with suppress(_Slow):
            return _converted(nodes, shape, limits, limits.patience)
    return _converted(nodes, shape, limits, limits.seconds)


def _converted(
    nodes: Sequence[NodeDef], shape: Sequence[int], limits: Limits, patience: int
) -> ov.Model:
    with _private_folder() as folder:
        with open(folder / "graph.pb", "wb") as file:
            file.writelines(serialised(map(listed, nodes)))
            size = file.tell()
        memory = limits.memory + limits.memory_per_byte * size
        _in_a_child(folder, shape, memory, limits.seconds, patience)
        return ov.Core().read_model(folder / "model.xml", folder / "model.bin")


@contextmanager
def _private_folder() -> Iterator[Path]:
    """Yield a folder for graph.pb, model.xml, model.bin and reason, in memory if possible.

    Writing a hundred megabytes to a disk's cache takes five times as long. The files in memory have
    no names, but OpenVINO accepts only paths, and a model's must end with `.xml`; so the folder
    contains links to them.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="tensor-guess-") as name:
            folder, opened = Path(name), []
            try:
                if sys.platform == "linux":
                    for each in ("graph.pb", "model.xml", "model.bin", "reason"):
                        opened.append(os.memfd_create(each))
                        (folder / each).symlink_to(f"/proc/self/fd/{opened[-1]}")
                yield folder
            finally:
                for handle in opened:
                    os.close(handle)
    except OSError as error:
        raise UserError(f"the graph cannot be converted: {reason_of(error)}") from error


def _in_a_child(
    folder: Path, shape: Sequence[int], memory: int, seconds: int, patience: int
) -> None:
    """Write the model into the folder in a child process. Raise UserError if that fails.

    It may take `seconds` of the processor. Raise _Slow if it is not done after `patience` seconds.
    """
    # A fork takes milliseconds; starting Python and OpenVINO again takes half a second.
    method = "fork" if limited.CAN_FORK else "spawn"
    start: Callable[..., BaseProcess] = multiprocessing.get_context(method).Process  # type: ignore[attr-defined]
    child = start(target=_child, args=(folder, tuple(shape), memory, seconds))
    # None of the program's objects may be finalised in the child: that could wait for threads that
    # do not exist there.
    collects = gc.isenabled()
    gc.disable()
    try:
        with _ctrl_c_later():
            child.start()
        _load_plugin()
        child.join(patience)
        code = child.exitcode
    finally:
        if collects:
            gc.enable()
        if child.pid:
            child.kill()
            child.join()
        child.close()
    if code == 0:
        return
    if code is None:
        raise _Slow(
            f"the graph cannot be converted for this CPU: that takes more than {patience} seconds"
        )
    if code == -signal.SIGXCPU:
        reason = f"that takes more than {seconds} seconds"
    elif code < 0:
        reason = f"that was ended by {signal.Signals(-code).name}, or took too much memory"
    else:
        reason = (folder / "reason").read_text("utf-8")
    raise UserError(f"the graph cannot be converted for this CPU: {reason}")


@contextmanager
def _ctrl_c_later() -> Iterator[None]:
    """Delay Ctrl-C until the end of the block: while a process starts, a hook would swallow it.

    Blocking the signal would not help, because another thread would receive it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    usual = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
        if came:
            signal.raise_signal(signal.SIGINT)


def _child(folder: Path, shape: Sequence[int], memory: int, seconds: int) -> NoReturn:
    """Write the model, then exit with 0; on failure write the reason and exit with 1."""
    code = 1
    try:
        limited.limit(memory, seconds)
        loaded = _front_end().load(folder / "graph.pb")
        os.truncate(folder / "graph.pb", 0)  # frees its memory
        model = _front_end().convert(loaded)
        _reshape(model, shape)
        ov.serialize(model, folder / "model.xml", folder / "model.bin")
        code = 0
    except BaseException as error:  # OpenVINO's errors have no common type
        much = f"that takes more than {memory // 1_000_000} MB"
        reason = much if lacks_memory(error) else words_of(error)
        (folder / "reason").write_text(reason, "utf-8")
    finally:
        os._exit(code)  # without what only the program itself must do at its end


def _reshape(model: ov.Model, shape: Sequence[int]) -> None:
    """Fix the shape of the input: one picture at a time if several would need too much memory.

    Raise ValueError if even one would. `shapes` calculates as TensorFlow does, before the
    conversion; this uses the shapes that OpenVINO calculates for its own model.
    """
    batch, *picture = shape
    model.reshape([1, *picture])
    if _live(model) * batch <= MAX_LIVE:
        model.reshape([batch, *picture])


def _live(model: ov.Model) -> int:
    """Return the most bytes of tensors that are needed at one moment, without the weights.

    Raise ValueError if they, or one tensor, are too much.
    """
    ops = model.get_ordered_ops()
    last = {
        taken.get_source_output().get_node().get_name(): place
        for place, op in enumerate(ops)
        for taken in op.inputs()
    }
    ending: dict[int, int] = {}
    now = most = 0
    for place, op in enumerate(ops):
        constant = op.get_type_name() == "Constant"
        size = sum(_size(op, output, constant) for output in op.outputs())
        if not constant:
            now += size
            most = max(most, now)
            until = last.get(op.get_name(), place)
            ending[until] = ending.get(until, 0) + size
        now -= ending.pop(place, 0)
    if most > MAX_LIVE:
        raise ValueError(f"it needs {most // 1_000_000} MB at once for one picture")
    return most


def _size(op: ov.Node, output: ov.Output, constant: bool) -> int:
    """Return the bytes of a tensor. Raise ValueError if they are too many or not known."""
    shape, name = output.get_partial_shape(), shown(op.get_friendly_name())
    if shape.is_dynamic:
        raise ValueError(f"how large {name} is cannot be told")
    size = prod(shape.to_shape()) * output.get_element_type().size
    limit = MAX_CONSTANT if constant else MAX_TENSOR
    if size > limit:
        sides = list(shape.to_shape())
        raise ValueError(f"{name} would be {sides}, more than {limit // 1_000_000} MB")
    return int(size)


@cache
def _load_plugin() -> None:
    """Load what runs models, once; there is time for it during a conversion."""
    ov.Core().get_property("CPU", "FULL_DEVICE_NAME")


@cache
def _front_end() -> FrontEnd:
    return FrontEndManager().load_by_framework("tf")
