"""A command in a process apart says only so much, for so long, and does not outlive this one."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from socket import socket

import pytest

from made.place import ROOT
from tensor_guess.backbones.catalogue import CATALOGUE
from tensor_guess.system import apart

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
START = f"""
import sys; sys.path.insert(0, {str(ROOT / "src")!r})
from pathlib import Path
from tensor_guess.system import apart
apart.run(sys.argv[2:], Path(sys.argv[1]), seconds=60)
"""


def children(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@pytest.fixture
def silent() -> Iterator[str]:
    """A URL at which a server listens and never says a word."""
    with socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/x.jpg"


def test_what_a_command_writes_comes_back(tmp_path: Path) -> None:
    done = apart.run(["backbones", "--json"], tmp_path, seconds=60, most=1_000_000)
    assert (done.code, done.said) == (0, b"")
    names = [json.loads(line)["name"] for line in done.output.splitlines()]
    assert names == list(CATALOGUE)
    done = apart.run(["backbones", "--no-such"], tmp_path, seconds=60, most=0)
    assert (done.code, done.output) == (2, b"")
    assert b"No such option" in done.said


@pytest.mark.slow
def test_it_sees_nothing_of_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENSOR_GUESS_CACHE", "/given")
    named = {"TENSOR_GUESS_CACHE": str(tmp_path / "file")}
    (tmp_path / "file").touch()
    for environ, where in (({}, f"{tmp_path}/.cache"), (named, f"{tmp_path}/file")):
        (tmp_path / ".cache").touch()
        done = apart.run(
            ["fetch", "efficientnet_lite0"], tmp_path, seconds=60, most=1000, environ=environ
        )
        assert where in done.said.decode()


@LINUX
def test_one_that_writes_too_much_is_ended(tmp_path: Path) -> None:
    before = children(os.getpid())
    with pytest.raises(apart.Failed, match="wrote more than expected"):
        apart.run(["backbones", "--json"], tmp_path, seconds=60, most=100)
    assert children(os.getpid()) == before


@LINUX
@pytest.mark.parametrize("most", [None, 1000])
def test_one_that_hangs_is_ended(tmp_path: Path, silent: str, most: int | None) -> None:
    before, start = children(os.getpid()), time.monotonic()
    with pytest.raises(apart.Failed, match=r"took more than 0\.5 seconds"):
        apart.run(["fetch-images", str(tmp_path), silent], tmp_path, seconds=0.5, most=most)
    assert time.monotonic() - start < 5
    assert children(os.getpid()) == before


@pytest.mark.slow
@LINUX
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_does_not_outlive_the_program(tmp_path: Path, silent: str, number: int) -> None:
    command = ["fetch-images", str(tmp_path), silent]
    with subprocess.Popen([sys.executable, "-c", START, tmp_path, *command]) as program:
        while not (found := children(program.pid)):
            assert program.poll() is None
        os.kill(program.pid, number)
    deadline = time.monotonic() + 5
    while alive(found[0]):
        assert time.monotonic() < deadline


def test_no_process_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(apart.Failed, match="no process could be started: argument list too long"):
        apart.run(["x" * 1_000_000], tmp_path, seconds=60)
