"""Fine-tuning: only the last blocks change, what is said is true, and a kill costs one epoch."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from made.place import ROOT, Run, program
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.config import BOTTLENECK, GRAPH, LABELS, RECORD
from tensor_guess.errors import UserError
from tensor_guess.finetuning.finetune import blocks_to_train
from tensor_guess.graphs import graph as graphs
from tensor_guess.graphs.graph import array, cut
from tensor_guess.images import dataset, encoded
from tensor_guess.images.dataset import Split

BLOCKS, EPOCHS = 2, 3
TUNED = (
    "--backbone=efficientnet_lite0",
    "--steps=50",
    f"--fine_tune={BLOCKS}",
    f"--fine_tune_epochs={EPOCHS}",
    "--versions=2",
    "--augment",
    "--no-report",
)


@pytest.fixture
def tf_files(tmp_path: Path) -> Path:
    """A folder with twelve pictures a category."""
    for category in ("dark_knight", "snow_queen"):
        (tmp_path / "tf_files/data" / category).mkdir(parents=True)
        for path in sorted((ROOT / "tf_files/data" / category).iterdir())[:12]:
            shutil.copy(path, tmp_path / "tf_files/data" / category)
    return tmp_path / "tf_files"


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> tuple[Path, str]:
    """A classifier that was fine-tuned, and what was said."""
    folder = tmp_path_factory.mktemp("tuned")
    shutil.copytree(ROOT / "tf_files/data", folder / "data")
    done = program(cache)("train", folder, *TUNED)
    assert done.returncode == 0, done.stderr
    return folder, done.stderr


@pytest.mark.slow
@pytest.mark.tensorflow
def test_only_the_last_blocks_change(tuned: tuple[Path, str], lite0: Backbone) -> None:
    folder, said = tuned
    own = graphs.parse((folder / GRAPH).read_bytes(), GRAPH)
    found = {node.name: array(own, node.name) for node in own.node if node.op == "Const"}
    changed = {
        node.name
        for node in cut(lite0.graph, lite0.scaling, BOTTLENECK)
        if node.op == "Const" and different(array(lite0.graph, node.name), found[node.name])
    }
    assert changed == {each for block in blocks_to_train(lite0, BLOCKS) for each in block.weights}
    assert f"fine-tuning the last {BLOCKS} blocks of efficientnet_lite0 on 2 versions of" in said
    assert not list((folder / "bottlenecks").glob(".tensor-guess-*"))
    assert json.loads((folder / RECORD).read_text())["fine_tuned"] == BLOCKS


def different(one: NDArray[Any] | None, other: NDArray[Any] | None) -> bool:
    assert one is not None
    assert other is not None
    return not np.array_equal(one, other)


@pytest.mark.slow
@pytest.mark.tensorflow
def test_the_graph_gets_as_many_validation_pictures_right_as_was_said(
    tuned: tuple[Path, str], call: Run
) -> None:
    folder, said = tuned
    validation = []
    for category in sorted((folder / "data").iterdir()):
        paths = {encoded.read(path).key: path for path in category.iterdir()}
        parts = dataset.split(sorted(paths), 10, 10)
        validation += [
            paths[key]
            for key, part in zip(sorted(paths), parts, strict=True)
            if part is Split.VALIDATION
        ]
    done = call("guess", folder, *validation, "--json")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    right = sum(each["category"] == Path(each["image"]).parent.name for each in found)
    percent = f"{100 * right / len(validation):.1f}%"
    assert f"validation accuracy: {percent} (N={len(validation)}, " in said


@pytest.mark.slow
@pytest.mark.tensorflow
def test_training_again_starts_from_the_backbone_as_it_was(
    tuned: tuple[Path, str], tmp_path: Path, run: Run, lite0: Backbone
) -> None:
    shutil.copytree(tuned[0], tmp_path / "tf")
    done = run("train", tmp_path / "tf", "--steps=50", "--no-report")
    assert (
        "training starts from efficientnet_lite0 as it was before it was fine-tuned" in done.stderr
    )
    assert json.loads((tmp_path / "tf" / RECORD).read_text())["backbone_sha256"] == lite0.sha256


@pytest.mark.slow
@pytest.mark.tensorflow
def test_copies_are_told_by_the_backbone_as_it_was(tuned: tuple[Path, str], call: Run) -> None:
    """The one that was fine-tuned makes most pictures of a category nearly the same."""
    done = call("evaluate", tuned[0], tuned[0] / "data", "--json")
    found = json.loads(done.stdout)
    assert found["accuracy"]["count"] > 0
    done = call("inspect", tuned[0])
    assert f"with efficientnet_lite0, its last {BLOCKS} blocks fine-tuned\n" in done.stdout


@pytest.mark.slow
@pytest.mark.tensorflow
def test_a_folder_may_be_named_from_where_the_user_is(
    tf_files: Path, call: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that trains works in another folder."""
    monkeypatch.chdir(tf_files.parent)
    done = call("train", tf_files.name, *TUNED, "--fine_tune_epochs=1")
    assert done.returncode == 0, done.stderr
    assert json.loads((tf_files / RECORD).read_text())["fine_tuned"] == BLOCKS


@pytest.mark.slow
@pytest.mark.tensorflow
@pytest.mark.parametrize("all_of_it", [pytest.param(True, marks=pytest.mark.long), False])
def test_a_kill_costs_an_epoch(tf_files: Path, cache: Path, run: Run, all_of_it: bool) -> None:
    """Killed together, it goes on when run again; alone, for want of memory, at once."""
    other = tf_files.with_name("other")
    shutil.copytree(tf_files, other)
    assert run("train", other, *TUNED).returncode == 0
    with started(tf_files, cache) as process:
        assert process.stderr
        said = until(process.stderr, "epoch 1 of")
        os.kill(process.pid if all_of_it else fine_tuning(process.pid), signal.SIGKILL)
        said += process.stderr.read()
    if all_of_it:
        assert process.returncode == -signal.SIGKILL
        assert not (tf_files / GRAPH).exists()
        done = run("train", tf_files, *TUNED)
        assert done.returncode == 0
        said = done.stderr
        assert (tf_files / GRAPH).read_bytes() == (other / GRAPH).read_bytes()
        assert (tf_files / LABELS).read_bytes() == (other / LABELS).read_bytes()
    else:
        assert "there was too little memory; going on with batches of 16 pictures\n" in said
        assert process.returncode == 0
    assert "going on after epoch 1\n" in said
    assert "epoch 1 of" not in said.partition("going on after epoch 1\n")[2]
    assert not list((tf_files / "bottlenecks").glob(".tensor-guess-*"))


@pytest.mark.slow
def test_a_full_disk_is_said_before_it_is_full(tf_files: Path, run: Run) -> None:
    disk = tf_files / "bottlenecks"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.getuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk, and not everywhere")
    try:
        done = run("train", tf_files, *TUNED)
        assert not list(disk.rglob("inputs.*"))
    finally:
        subprocess.run(["umount", disk], check=True)
    assert (done.returncode, done.stdout) == (1, "")
    said = done.stderr.splitlines()[-1]
    assert "no space left on device; it needs 1 MB for what the blocks are fed" in said
    assert not (tf_files / GRAPH).exists()


def started(tf_files: Path, cache: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-I", "-u", "-X", "utf8", ROOT / "src", "train", tf_files, *TUNED],
        env={"TENSOR_GUESS_CACHE": str(cache), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(lines: Iterable[str], start: str) -> str:
    said = ""
    for line in lines:
        said += line
        if line.startswith(start):
            return said
    raise AssertionError(said)


def fine_tuning(process: int) -> int:
    """The process of it; others decode."""
    tasks = Path(f"/proc/{process}/task").iterdir()
    children = [each for task in tasks for each in (task / "children").read_text().split()]
    (child,) = (
        each for each in children if b"\0fine-tune\0" in Path(f"/proc/{each}/cmdline").read_bytes()
    )
    return int(child)


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ("--fine_tune=0", 2, "0 is not in the range x>=1"),
        ("--fine_tune=most", 2, "'most' is not a valid integer"),
        ("--fine_tune_epochs=3", 2, "say how to fine-tune; give --fine-tune too"),
        ("--fine_tune=1 --fine_tune_rate=0", 2, "0.0 is not in the range x>0"),
        ("--fine_tune=18", 1, "efficientnet_lite0 has only 17 blocks; give --fine_tune 17 or all"),
    ],
)
def test_what_cannot_be_tuned_is_said_before_any_work(
    tf_files: Path, call: Run, given: str, code: int, said: str
) -> None:
    done = call("train", tf_files, "--backbone=efficientnet_lite0", *given.split())
    assert done.returncode == code
    assert said in " ".join(done.stderr.split())
    assert [path.name for path in tf_files.iterdir()] == ["data"]


def test_a_backbone_with_computed_kernels_cannot_be_tuned(tiny: Backbone) -> None:
    graph = type(tiny.graph)()
    graph.CopyFrom(tiny.graph)
    for node in [node for node in graph.node if node.op in ("Conv2D", "MatMul")]:
        kernel = node.input[1]
        double = graph.node.add(op="AddV2", name=f"{kernel}_twice", input=[kernel, kernel])
        double.attr["T"].CopyFrom(node.attr["T"])
        node.input[1] = double.name
    computed = Backbone(tiny.name, tiny.scaling, tiny.sha256, graph)
    with pytest.raises(UserError, match="its weights are not stored as float32"):
        blocks_to_train(computed, None)
