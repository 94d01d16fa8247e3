"""Other programs use our graph: each in a process of its own, with nothing of ours."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from made.graphs import head_for, record_for
from made.place import ROOT, Run
from made.strangers import made
from tensor_guess.backbones.backbone import of_graph
from tensor_guess.config import GRAPH, GRAPH_LABELS, LABELS
from tensor_guess.graphs.graph import parse, read, serialise
from tensor_guess.graphs.own import record_of, with_head
from tensor_guess.graphs.tf1_ops import attributes
from tensor_guess.images import encoded
from tensor_guess.images.pixels import pixels
from tensor_guess.images.scaling import Scaling

PHOTOS = sorted((ROOT / "tf_files" / "data").rglob("*.jpg"))[::10]

Scores = dict[str, dict[str, float]]


def parsed(said: str) -> Scores:
    """The scores of each image, out of what `guess` prints of several."""
    found: Scores = {}
    for block in said.strip().split("\n\n"):
        path, *lines = block.splitlines()
        pairs = (line.removesuffix(")").rsplit(" (score = ", 1) for line in lines)
        found[path.removesuffix(":")] = {label: float(score) for label, score in pairs}
    return found


def by_client(client: str, folder: Path, *arguments: object) -> Scores:
    """What the client says, in an empty folder of its own."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-I", ROOT / "tests" / client, *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return parsed(done.stdout)


def scaled(photos: list[Path], scaling: Scaling, folder: Path) -> list[Path]:
    """Files with what Mul:0 is fed for each of the photos: [1, S, S, 3]."""
    found = []
    for photo in photos:
        resized = pixels(encoded.read(photo), scaling).astype(np.float32)
        found.append(folder / f"{photo.stem}.npy")
        np.save(found[-1], ((resized - scaling.mean) / scaling.std)[None].astype(np.float32))
    return found


def check_clients(run: Run, folder: Path, tmp_path: Path) -> None:
    """Both clients see what `guess` sees with the classifier in the folder."""
    graph = parse(read(folder / GRAPH), "x.pb")
    for node in graph.node:
        known = attributes()[node.op]
        assert set(node.attr) <= set(known), node.name
        assert {name for name, value in known.items() if value is None} <= set(node.attr)
        assert all(value != known[name] for name, value in node.attr.items()), node.name
    arrays = scaled(PHOTOS, record_of(graph, "x.pb").scaling, tmp_path)
    done = run("guess", folder, *PHOTOS)
    assert done.returncode == 0, done.stderr
    ours = list(parsed(done.stdout).values())
    assert len(ours) == len(PHOTOS) > 4
    assert max(max(each.values()) - min(each.values()) for each in ours) > 0.1

    old = by_client(
        "old_client.py", tmp_path / "1", folder / GRAPH, f"{GRAPH_LABELS}:0", *PHOTOS, *arrays
    )
    new = by_client("openvino_client.py", tmp_path / "2", folder / GRAPH, folder / LABELS, *arrays)
    for found, photo, fed in zip(ours, PHOTOS, arrays, strict=True):
        assert new[str(fed)] == pytest.approx(found, abs=1e-4), photo
        assert old[str(fed)] == pytest.approx(found, abs=1e-4), photo
        assert old[str(photo)] == pytest.approx(found, abs=0.02), photo
        first, second, *_ = sorted(found.values(), reverse=True)
        if first - second > 0.1:
            assert next(iter(old[str(photo)])) == next(iter(found)), photo


@pytest.mark.tensorflow
def test_others_see_what_guess_sees(run: Run, trained: Path, tmp_path: Path) -> None:
    check_clients(run, trained, tmp_path)


@pytest.mark.tensorflow
@pytest.mark.long
def test_others_see_what_guess_sees_of_inception(run: Run, tmp_path: Path) -> None:
    from tensor_guess.backbones.catalogue import CATALOGUE
    from tensor_guess.backbones.keras_networks import freeze

    scaling = CATALOGUE["inception_v3"].scaling
    network = freeze("inception_v3", scaling.size, None)
    backbone = of_graph("inception_v3", scaling, network)
    folder = tmp_path / "tf_files"
    folder.mkdir()
    graph = with_head(network, head_for(2048), record_for(backbone))
    (folder / GRAPH).write_bytes(serialise(graph))
    (folder / LABELS).write_text("".join(f"{each}\n" for each in record_for(backbone).labels))
    check_clients(run, folder, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("backbone", ["tf1", "tf2", "mobilenet"])
def test_others_see_what_guess_sees_of_a_module_or_graph(
    run: Run, modules: Path, tmp_path: Path, backbone: str
) -> None:
    handle = modules / backbone
    if backbone == "mobilenet":
        handle = tmp_path / "mobilenet.pb"
        handle.write_bytes(serialise(made(backbone)))
    folder = tmp_path / "tf_files"
    folder.mkdir()
    (folder / "data").symlink_to(ROOT / "tf_files" / "data")
    done = run("train", folder, "--backbone", handle, "--learning-rate", "1")
    assert done.returncode == 0, done.stderr
    check_clients(run, folder, tmp_path)
