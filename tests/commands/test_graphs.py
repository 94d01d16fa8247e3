"""The commands about graphs, as they are called: what they print where, and their exit codes."""

from pathlib import Path

import numpy as np
import pytest

from made.place import Run
from tensor_guess.graphs.builder import Builder
from tensor_guess.graphs.graph import serialise


@pytest.mark.slow
def test_share_and_verify(trained: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "handed on.zip"
    done = run("share", trained, out, "--intended-use", "drawn films", "--licence", "CC-BY-4.0")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{out}: {out.stat().st_size / 1e6:.1f} MB\n"
    before = sorted(tmp_path.iterdir())
    done = run("verify", out)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "labels: dark knight, snow queen",
        "digests: 10 of 10",
        "self-test: 5 of 5, worst difference 0.0000000",
    ]
    assert sorted(tmp_path.iterdir()) == before
    again = run("share", trained, out)
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr.count("\n") == 1
    with out.open("r+b") as file:
        file.seek(out.stat().st_size // 2)
        file.write(b"changed")
    done = run("verify", out)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"tensor-guess: {out} is refused: retrained_graph.pb in it is damaged; get it again\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("share",), "Missing argument 'TF_FILES'"),
        (("share", "x"), "Missing argument 'OUT'"),
        (("share", "imagenet", "x.zip"), "imagenet is built in"),
        (("share", "/no/such/folder", "x.zip"), "no such file or folder"),
        (("share", "/", "/no/such/folder/x.zip"), "there is no folder /no/such/folder"),
        (("verify",), "Missing argument 'ZIP'"),
        (("verify", "/no/such.zip"), "there is no file /no/such.zip"),
        (("verify", "x.zip", "--licenze", "x"), "No such option '--licenze'"),
    ],
)
def test_wrong_usage_is_2(call: Run, arguments: tuple[str, ...], said: str) -> None:
    done = call(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_no_zip_is_one_sentence_and_1(tmp_path: Path, call: Run) -> None:
    (tmp_path / "x.zip").write_bytes(b"PK\3\4 and so on")
    with (tmp_path / "large.zip").open("wb") as file:
        file.truncate(3_000_000_000)
    for name in ("x.zip", "large.zip"):
        done = call("verify", tmp_path / name)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"tensor-guess: {tmp_path / name} is refused: ")
        assert done.stderr.count("\n") == 1


def test_ours_is_described(trained: Path, run: Run) -> None:
    done = run("inspect", trained)
    assert (done.returncode, done.stderr) == (0, "")
    said = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert said["made by"] == "tensor-guess, with efficientnet_lite0"
    assert said["inputs"] == "DecodeJpeg/contents:0 string []"
    assert said["fed"] == "Mul:0, 224 x 224 pixels, (x - 127) / 128, antialiased"
    assert said["bottleneck"] == "bottleneck:0, 1280 numbers"
    assert said["labels"] == "dark knight; snow queen"
    assert said["refused"] == "nothing"


def test_a_strangers_names_are_printed_safely(tmp_path: Path, call: Run) -> None:
    builder = Builder()
    builder.const("\x1b[31mred\n", np.float32(1))
    builder.op("Evil\x1b[2J", "x", ())
    (tmp_path / "g.pb").write_bytes(serialise(builder.graph))
    done = call("inspect", tmp_path / "g.pb")
    assert done.returncode == 1
    assert "\x1b" not in done.stdout + done.stderr
