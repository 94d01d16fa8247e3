"""Whatever lies at a path that a command is given: a sentence and an exit code, at once."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.compat.proto.graph_pb2 import GraphDef

from made.place import ROOT
from tensor_guess.config import GRAPH
from tensor_guess.graphs.graph import serialise

# Runs commands one after the other, as the program does; says of each how it ended.
DRIVER = """
import contextlib, io, json, sys, time, traceback
sys.path.insert(0, sys.argv[1])
from tensor_guess.commands.main import main
for line in sys.stdin:
    sys.argv = ["tensor-guess", *json.loads(line)]
    out, err, start = io.StringIO(), io.StringIO(), time.monotonic()
    code = "none"
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
        except BaseException:
            err.write(traceback.format_exc())
    print(json.dumps([code, err.getvalue(), time.monotonic() - start]), flush=True)
"""
# Of the classifier that is there, whose network is small: paths are what this is about.
FEW = ("--from", "tf", "--steps", "2")
X = "X"
COMMANDS: dict[str, tuple[str, ...]] = {
    "guess X": ("guess", X, "photo.jpg"),
    "guess of X": ("guess", "tf", X),
    "guess --labels X": ("guess", "tf", "photo.jpg", "--labels", X),
    "guess --graph X": ("guess", "--graph", X, "photo.jpg"),
    "sort by X": ("classify-dir", X, "photos", "new/out"),
    "sort X": ("classify-dir", "tf", X, "new/out"),
    "sort to X": ("classify-dir", "tf", "photos", X),
    "heap X": ("heap", X, "new/out", "--backbone", "tf"),
    "heap to X": ("heap", "photos", X, "--backbone", "tf"),
    "heap --backbone X": ("heap", "photos", "new/out", "--backbone", X),
    "train X": ("train", X, *FEW),
    "train --image-dir X": ("train", "tf", *FEW, "--image-dir", X),
    "train --bottleneck-dir X": ("train", "tf", *FEW, "--bottleneck-dir", X),
    "train --output-graph X": ("train", "tf", *FEW, "--output-graph", X),
    "train --output-labels X": ("train", "tf", *FEW, "--output-labels", X),
    "train --summaries-dir X": ("train", "tf", *FEW, "--summaries-dir", X),
    "train --from X": ("train", "tf", "--steps", "2", "--from", X),
    "guess --explain X": ("guess", "tf", "photo.jpg", "--explain", X),
    "evaluate X": ("evaluate", X, "tf/data"),
    "evaluate on X": ("evaluate", "tf", X),
    "evaluate --csv X": ("evaluate", "tf", "tf/data", "--csv", X),
    "study X": ("study", X, "photo.jpg", "new/out.html"),
    "study of X": ("study", "tf", X, "new/out.html"),
    "study to X": ("study", "tf", "photo.jpg", X),
    "inspect X": ("inspect", X),
    "export X": ("export", X, "new/model", "--format", "openvino"),
    "export --pictures X": (
        "export", "tf", "new/model", "--format", "openvino", "--pictures", X,
    ),
    "export to X": ("export", "tf", X, "--format", "openvino"),
    "share X": ("share", X, "new/x.zip"),
    "share to X": ("share", "tf", X),
    "verify X": ("verify", X),
}  # fmt: skip


def kinds(folder: Path) -> dict[str, str]:
    """Paths to all that can lie there, made in the folder."""
    os.mkfifo(folder / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.open(folder, os.O_RDONLY)
        server.bind(f"/proc/self/fd/{here}/socket")
        os.close(here)
    (folder / "dangling").symlink_to("nowhere")
    (folder / "loop").symlink_to("loop")
    (folder / "zero").symlink_to("/dev/zero")
    (folder / "unreadable").write_text("x")
    (folder / "unreadable").chmod(0)
    (folder / "text").write_text("no picture\n")
    (folder / "empty_file").touch()
    (folder / "empty").mkdir()
    for name, mode in (("locked", 0), ("readonly", 0o555)):
        (folder / name / "in").mkdir(parents=True)
        (folder / name).chmod(mode)
    names = ["fifo", "socket", "dangling", "loop", "zero", "unreadable", "text", "empty_file"]
    names += ["empty", "locked", "locked/in", "locked/new", "readonly", "readonly/new"]
    return {name: name for name in names} | {
        "nowhere": "no/such/file",
        "below a file": "text/x",
        "a long name": "x" * 300,
        "a long path": "x/" * 2500,
        "nothing": "",
        "a dash": "-",
        "a newline": "new\nline",
        "an escape": "\x1b[2J",
        "not UTF-8": "\udcff\udcfe",
        "a home": "~",
        "a pipe": "/dev/stdin",
    }


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="makes what Linux has")
@pytest.mark.parametrize("command", COMMANDS)
def test_any_path_is_a_sentence_and_an_exit_code(
    command: str, ours: GraphDef, tmp_path: Path, cache: Path
) -> None:
    paths = kinds(tmp_path)
    shutil.copytree(ROOT / "tf_files/data", tmp_path / "tf/data")
    (tmp_path / "tf" / GRAPH).write_bytes(serialise(ours))
    shutil.copy(ROOT / "test_data/photo01.jpg", tmp_path / "photo.jpg")
    (tmp_path / "photos").mkdir()
    shutil.copy(ROOT / "test_data/photo01.jpg", tmp_path / "photos")
    (tmp_path / "new").mkdir()
    calls = [[path if each is X else each for each in COMMANDS[command]] for path in paths.values()]
    # Permissions hold for root too.
    bound = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    done = subprocess.run(
        [*(bound if os.getuid() == 0 else []), sys.executable, "-I", "-c", DRIVER, ROOT / "src"],
        env={"TENSOR_GUESS_CACHE": str(cache), "PATH": "/usr/bin:/bin"},
        cwd=tmp_path,
        input="".join(f"{json.dumps(call)}\n" for call in calls),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    for name in ("locked", "readonly"):
        (tmp_path / name).chmod(0o755)
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(results) == len(calls), done.stderr
    for name, (code, said, seconds) in zip(paths, results, strict=True):
        assert code in (0, 1, 2, 3), (name, said)
        assert code == 0 or said.strip(), name
        assert all(line.isprintable() for line in said.splitlines()), (name, said)
        assert seconds < 10, name
