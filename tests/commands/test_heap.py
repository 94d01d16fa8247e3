"""What `heap` prints, and its exit codes."""

import re
import shutil
from pathlib import Path

import pytest
from tensorboard.compat.proto.graph_pb2 import GraphDef

from made.place import ROOT, Run
from tensor_guess.graphs.graph import serialise

PHOTOS = ROOT / "test_data"


@pytest.fixture
def small(ours: GraphDef, tmp_path: Path) -> Path:
    (tmp_path / "small.pb").write_bytes(serialise(ours))
    return tmp_path / "small.pb"


def test_it_says_what_is_where_and_how_to_go_on(small: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "out"
    done = run("heap", PHOTOS, out, "--backbone", small, "--groups", "2", "--choose", "3")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert re.match(rf"\d+ pictures in \d groups? in {re.escape(str(out))}", lines[0])
    assert re.fullmatch(r"group-01 +\d+", lines[1])
    at = lines.index("label these first:")
    chosen = [Path(line.strip()) for line in lines[at + 1 : -2]]
    assert len(chosen) == 3
    assert all(path.is_file() for path in chosen)
    assert lines[-2] == f"look at {out}/contact_sheet.html"
    assert "rename the folders by what they show and move them into TF_FILES/data" in lines[-1]
    assert f"`train.sh {out} --backbone {small}`" in lines[-1]


def test_renamed_folders_are_a_training_set_and_nothing_is_computed_again(
    small: Path, tmp_path: Path, call: Run
) -> None:
    out = tmp_path / "out"
    assert call("heap", PHOTOS, out, "--backbone", small, "--groups", "2").returncode == 0
    (out / "data").mkdir()
    for number, folder in enumerate(sorted(out.glob("group-*"))):
        folder.rename(out / "data" / f"kind {number}")
    assert len(list((out / "data").iterdir())) == 2
    done = call("train", out, "--backbone", small, "--steps", "2", "--no-report")
    assert done.returncode == 0, done.stderr
    assert "bottlenecks: 0 computed" in done.stderr


def test_a_file_that_is_left_out_is_3(small: Path, tmp_path: Path, call: Run) -> None:
    shutil.copytree(PHOTOS, tmp_path / "heap")
    (tmp_path / "heap/x.jpg").write_text("no picture")
    done = call("heap", tmp_path / "heap", tmp_path / "out", "--backbone", small)
    assert done.returncode == 3
    assert "1 left out" in done.stdout
    assert f"left out {tmp_path}/heap/x.jpg: is no picture" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "Missing argument 'SRC'"),
        (("heap",), 2, "Missing argument 'DEST'"),
        (("heap", "out", "--groups", "0"), 2, "Invalid value for '--groups'"),
        (("heap", "out", "--choose", "-1"), 2, "Invalid value for '--choose'"),
        (("heap", "out", "--backbone", "inseption_v3"), 2, "inception_v3"),
        (("nowhere", "out"), 2, "nowhere is not a folder of pictures to group"),
        (("heap", "heap/out"), 2, "inside SRC"),
        (("heap", "full"), 2, "DEST full is not empty"),
        (("empty", "out"), 1, "has no pictures"),
    ],
)
def test_what_cannot_be_is_a_sentence(
    tmp_path: Path,
    call: Run,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[object, ...],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("heap", "full", "empty"):
        (tmp_path / name).mkdir()
    shutil.copy(PHOTOS / "photo01.jpg", "heap")
    (tmp_path / "full/mine").touch()
    done = call("heap", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "full", "heap"]
