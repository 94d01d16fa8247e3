"""A conversion that goes wrong, in whatever way, is one sentence, and leaves nothing behind."""

import gc
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.types_pb2 import DT_FLOAT, DT_INT32

from made.place import ROOT
from made.processes import children
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.config import BOTTLENECK, NETWORK_INPUT
from tensor_guess.errors import UserError
from tensor_guess.graphs.builder import Builder
from tensor_guess.graphs.conversion import Limits, convert
from tensor_guess.graphs.graph import cut
from tensor_guess.images.scaling import Scaling

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
SHAPE = (1, 224, 224, 3)


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test's temporary files are in a folder of their own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.slow
@LINUX
def test_what_was_used_is_given_back(lite0: Backbone, tmp_path: Path) -> None:
    nodes = cut(lite0.graph, lite0.scaling, BOTTLENECK)
    convert(nodes, SHAPE)
    before, files = children(), open_files()
    model = convert(nodes, SHAPE)
    assert [list(each.shape) for each in model.outputs] == [[1, 1280]]
    del model  # it reads its weights where they were written
    assert (children(), open_files()) == (before, files)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@LINUX
def test_what_the_program_threw_away_is_not_cleared_away_in_the_child(
    lite0: Backbone, tmp_path: Path
) -> None:
    """A compiled network's end waits for its threads: in a fork there are none."""

    class Circle:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            (tmp_path / str(os.getpid())).touch()

    nodes = cut(lite0.graph, lite0.scaling, BOTTLENECK)
    before, here = gc.get_threshold(), os.getpid()
    gc.set_threshold(1_000_000)  # not in this process
    os.register_at_fork(after_in_child=lambda: gc.set_threshold(1))  # at once, if at all
    try:
        Circle()
        convert(nodes, SHAPE)
    finally:
        gc.set_threshold(*before)
    gc.collect()
    assert [path.name for path in tmp_path.iterdir()] == [str(here)]
    assert gc.isenabled()


@pytest.mark.slow
@LINUX
@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(memory=10_000_000, memory_per_byte=0), "that takes more than 10 MB"),
        (Limits(seconds=0), "that takes more than 0 seconds"),
    ],
    ids=["memory", "time"],
)
def test_who_takes_too_much_is_stopped(tmp_path: Path, limits: Limits, said: str) -> None:
    """In a process of its own: this one has memory to spare that it once used."""
    done = apart(
        f"""
try:
    conversion.convert(nodes, {SHAPE}, conversion.{limits})
except UserError as error:
    print(error, children())
""",
        tmp_path,
    )
    expected = f"the graph cannot be converted for this CPU: {said} []\n"
    assert (done.stdout, done.stderr) == (expected, "")
    assert not list(tmp_path.iterdir())


@LINUX
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_that_is_killed_is_said(lite0: Backbone, tmp_path: Path, number: int) -> None:
    nodes = cut(lite0.graph, lite0.scaling, BOTTLENECK)
    before = children()
    stop = threading.Event()

    def kill() -> None:
        while not stop.is_set():
            for pid in children() - before:
                with suppress(ProcessLookupError):  # gone at this very moment
                    os.kill(pid, number)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with pytest.raises(UserError, match=f"ended by {signal.Signals(number).name}"):
            convert(nodes, SHAPE)
    finally:
        stop.set()
        killer.join()
    assert children() == before
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@LINUX
def test_a_child_that_hangs_is_started_anew(lite0: Backbone) -> None:
    nodes = cut(lite0.graph, lite0.scaling, BOTTLENECK)
    before, stopped = children(), list[int]()

    def halt() -> None:
        while not stopped:
            for pid in children() - before:
                os.kill(pid, signal.SIGSTOP)
                stopped.append(pid)

    halting = threading.Thread(target=halt)
    halting.start()
    model = convert(nodes, SHAPE, Limits(patience=1))
    halting.join()
    assert stopped
    assert len(model.outputs) == 1
    assert children() == before


@pytest.mark.slow
@LINUX
def test_a_child_that_hangs_is_ended(lite0: Backbone, tmp_path: Path) -> None:
    """It is stopped as soon as it is there, and would wait for ever."""
    nodes = cut(lite0.graph, lite0.scaling, BOTTLENECK)
    before = children()
    stop = threading.Event()

    def halt() -> None:
        while not stop.is_set():
            for pid in children() - before:
                os.kill(pid, signal.SIGSTOP)
                return

    halting = threading.Thread(target=halt)
    halting.start()
    started = time.monotonic()
    with pytest.raises(UserError, match="takes more than 1 seconds"):
        convert(nodes, SHAPE, Limits(seconds=1))
    stop.set()
    halting.join()
    assert time.monotonic() - started < 5
    assert children() == before
    assert not list(tmp_path.iterdir())


def test_where_nothing_can_be_forked_the_model_is_the_same(
    tiny: Backbone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """macOS: a new Python, and files instead of memory."""
    nodes = cut(tiny.graph, tiny.scaling, BOTTLENECK)
    forked = convert(nodes, (1, 16, 16, 3))
    monkeypatch.setattr(sys, "platform", "darwin")
    started = convert(nodes, (1, 16, 16, 3))
    monkeypatch.undo()
    assert weights(started) == weights(forked)
    assert not list(tmp_path.iterdir())


def weights(model: ov.Model) -> list[bytes]:
    constants = (each for each in model.get_ordered_ops() if each.get_type_name() == "Constant")
    return [each.get_data().tobytes() for each in constants]


def test_no_room_for_a_folder_is_said(tiny: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    nodes = cut(tiny.graph, tiny.scaling, BOTTLENECK)
    with pytest.raises(UserError, match="cannot be converted: no such file"):
        convert(nodes, (1, 16, 16, 3))


def test_what_the_front_end_says_is_passed_on(tiny: Backbone) -> None:
    builder = Builder()
    builder.placeholder(NETWORK_INPUT, DT_FLOAT, (-1, 16, 16, 3))
    builder.const("c", np.ones((3, 5), np.float32))
    builder.floats("Conv2D", "x", (NETWORK_INPUT, "c"), strides=(1, 1, 1, 1), padding="SAME")
    with pytest.raises(UserError, match="cannot be converted for this CPU: ") as refused:
        convert(list(builder.graph.node), (1, 16, 16, 3))
    assert str(refused.value).isprintable()


@pytest.mark.slow
@LINUX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_child_does_not_outlive_the_program(tmp_path: Path, number: int) -> None:
    done = apart(
        f"""
def interrupt():
    while not (found := children()):
        pass
    print(found[0], flush=True)
    os.kill(0 if {number} == signal.SIGINT else os.getpid(), {number})
threading.Thread(target=interrupt, daemon=True).start()
try:
    conversion.convert(nodes, {SHAPE})
    time.sleep(2)  # the conversion may be the faster one
except KeyboardInterrupt:
    pass
""",
        tmp_path,
    )
    assert done.stderr == ""
    deadline = time.monotonic() + 5
    while alive(int(done.stdout)):
        assert time.monotonic() < deadline


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def apart(code: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """What a new process says that runs `code` with the real backbone's `nodes`."""
    start = f"""
import sys; sys.path[:0] = [{str(ROOT / "src")!r}]
import os, signal, threading, time
from pathlib import Path
from tensor_guess.backbones import loading as backbones
from tensor_guess.graphs import conversion, graph
from tensor_guess.errors import UserError
def children():
    return Path(f"/proc/self/task/{{os.getpid()}}/children").read_text().split()
backbone = backbones.load("efficientnet_lite0")
nodes = graph.cut(backbone.graph, backbone.scaling, "{BOTTLENECK}")
"""
    return subprocess.run(
        [sys.executable, "-c", start + code],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        start_new_session=True,
        capture_output=True,
        text=True,
        check=False,
    )


def large(layers: int) -> Builder:
    """Layers of 100 MB for a picture, all of which are needed at the end."""
    builder = Builder()
    builder.placeholder(NETWORK_INPUT, DT_FLOAT, (-1, 8, 8, 3))
    size = builder.const("size", np.array([2900, 2900], np.int32))
    kept = [builder.floats("ResizeBilinear", "resized", (NETWORK_INPUT, size))]
    for n in range(layers):
        kept.append(builder.floats("Tanh", f"layer{n}", (kept[-1],)))
    last = kept.pop()
    while kept:
        last = builder.floats("Add", f"sum{len(kept)}", (last, kept.pop()))
    axes = builder.const("axes", np.array([1, 2], np.int32))
    builder.floats("Mean", BOTTLENECK, (last, axes), Tidx=AttrValue(type=DT_INT32))
    return builder


def test_pictures_are_computed_one_by_one_if_one_takes_much() -> None:
    nodes = cut(large(3).graph, Scaling(8, 0, 1), BOTTLENECK)
    model = convert(nodes, (4, 8, 8, 3))
    assert list(model.input().shape) == [1, 8, 8, 3]


def test_what_one_picture_would_take_is_bounded() -> None:
    nodes = cut(large(12).graph, Scaling(8, 0, 1), BOTTLENECK)
    with pytest.raises(UserError, match=r"it needs \d{4} MB at once for one picture"):
        convert(nodes, (1, 8, 8, 3))
