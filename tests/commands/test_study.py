"""What `study` prints, and its exit codes."""

import os
from pathlib import Path

import pytest
from tensorboard.compat.proto.graph_pb2 import GraphDef

from made.place import ROOT, Run
from tensor_guess.graphs.graph import serialise

PHOTO = ROOT / "test_data/photo11.jpg"


@pytest.fixture
def small(ours: GraphDef, tmp_path: Path) -> Path:
    (tmp_path / "small.pb").write_bytes(serialise(ours))
    return tmp_path / "small.pb"


def test_the_findings_are_printed_and_the_page_is_written(
    small: Path, tmp_path: Path, run: Run
) -> None:
    done = run("study", small, PHOTO, tmp_path / "out.html")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("guessed: ")
    assert (tmp_path / "out.html").read_bytes().startswith(b"<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "Missing argument 'PICTURE'"),
        ((PHOTO,), 2, "Missing argument 'OUT'"),
        ((PHOTO, "/no/such/x.html"), 2, "there is no folder /no/such"),
        (("/no/such.jpg", "x.html"), 1, "could not read /no/such.jpg"),
        ((PHOTO, "there.html"), 2, "is not the page of a study"),
    ],
)
def test_what_cannot_be_is_a_sentence(
    small: Path,
    tmp_path: Path,
    call: Run,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[object, ...],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.html").write_text("mine")
    done = call("study", small, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small.pb", "there.html"]
    assert (tmp_path / "there.html").read_text() == "mine"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full")
def test_a_full_disk_leaves_nothing(
    small: Path, tmp_path: Path, call: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, full = os.write, os.open("/dev/full", os.O_WRONLY)

    def fails(handle: int, data: bytes) -> int:
        return write(full if bytes(data[:9]) == b"<!doctype" else handle, data)

    monkeypatch.setattr(os, "write", fails)
    done = call("study", small, PHOTO, tmp_path / "out.html")
    assert done.returncode == 1
    assert "no space left on device" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["small.pb"]
