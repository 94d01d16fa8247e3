"""Modules from anywhere: URLs, folders and archives; failures are one sentence each."""

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from made.hub import of_hub, tensorflow_hub
from made.place import ROOT, Run
from made.sites import Hub, served
from made.strangers import INPUTS, made
from tensor_guess.backbones import loading
from tensor_guess.backbones.backbone import Backbone, sides_of
from tensor_guess.backbones.modules import freeze, key_of, scaling_of
from tensor_guess.config import BOTTLENECK, NETWORK_INPUT
from tensor_guess.errors import UserError, WrongUsage
from tensor_guess.graphs import shapes
from tensor_guess.graphs.graph import array, check, cut, serialise
from tensor_guess.graphs.network import Network
from tensor_guess.guessing import loading as classifiers
from tensor_guess.images import encoded
from tensor_guess.images.pixels import pixels
from tensor_guess.images.scaling import Scaling
from tensor_guess.system import durable, scratch


def test_a_module_by_url_is_fetched_frozen_and_checked(
    site: tuple[Path, str], modules: Path, cache: Path
) -> None:
    folder, address = site
    (folder / "feature_vector").mkdir()
    _pack(modules / "tf2", folder / "feature_vector/5")  # as hubs name them: no extension
    graph = freeze(f"{address}/feature_vector/5")
    scaling = scaling_of(graph)
    assert scaling == Scaling(64, 0, 255)
    assert shapes.check(cut(graph, scaling, BOTTLENECK))[BOTTLENECK] == (1, 8)
    assert not list((cache / "downloads").iterdir())


def test_all_forms_of_a_module_are_the_same_network(modules: Path, tmp_path: Path) -> None:
    _pack(modules / "any_size", tmp_path / "any_64.tar.gz", "deeper/module_128")
    image = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    found = []
    for handle in (tmp_path / "any_128.tar.gz", tmp_path / "module_128"):
        if handle.suffix == ".gz":
            (tmp_path / "any_64.tar.gz").rename(handle)
        else:
            handle.symlink_to(modules / "any_size")
        graph = freeze(str(handle))
        scaling = scaling_of(graph)
        assert scaling.size == 128  # the module takes any; its name says this one
        network = Network(graph, scaling, BOTTLENECK, "float32", few=True)
        ((_, vector),) = network.run([(None, image)])
        found.append(vector)
    np.testing.assert_array_equal(found[0], found[1])


HANDLE = "google/imagenet/mobilenet_v2_100_224/feature_vector/4"
# A module of TF 1 and one of TF 2, which takes the size in its name.
KINDS = {"tf1_hub": 64, "called": 224}


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which tensorflow_hub keeps modules."""
    folder = tmp_path / "hub"
    folder.mkdir()
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(folder))
    return folder


def on_hub(folder: Path, module: Path) -> None:
    """Put a module where the server of `Hub` finds it."""
    archive = folder / f"storage/{HANDLE}.tar.gz"
    archive.parent.mkdir(parents=True)
    _pack(module, archive)


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


@pytest.mark.parametrize(("kind", "size"), KINDS.items())
def test_a_module_that_we_keep_is_found_by_tensorflow_hub(
    kind: str,
    size: int,
    modules: Path,
    hub_cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on_hub(tmp_path, modules / kind)
    with served(tmp_path, Hub) as address:
        handle = f"{address}/{HANDLE}"
        graph = freeze(handle)
    assert sides_of(graph) == [-1, size, size, 3]
    digest = hashlib.sha1(handle.encode()).hexdigest()
    assert names(hub_cache) == [digest, f"{digest}.descriptor.txt"]
    (said, *_) = (hub_cache / f"{digest}.descriptor.txt").read_text().splitlines()
    assert said == f"Module: {handle}"
    hub = tensorflow_hub()
    monkeypatch.setattr(socket, "socket", None)  # neither of them has the internet now
    assert hub.resolve(handle) == str(hub_cache / digest)
    image = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    network = Network(graph, Scaling(size, 0, 255), BOTTLENECK, "float32", few=True)
    ((_, found),) = network.run([(None, image)])
    np.testing.assert_allclose(found, of_hub(handle, image), atol=1e-5)


@pytest.mark.parametrize(("kind", "size"), KINDS.items())
def test_a_module_that_tensorflow_hub_keeps_is_used(
    kind: str, size: int, modules: Path, hub_cache: Path, tmp_path: Path
) -> None:
    on_hub(tmp_path, modules / kind)
    with served(tmp_path, Hub) as address:
        handle = f"{address}/{HANDLE}"
        kept = Path(tensorflow_hub().resolve(handle))
    before = names(hub_cache)
    assert kept.name in before
    graph = freeze(handle)
    check(graph, "kept")
    assert scaling_of(graph) == Scaling(size, 0, 255)
    assert names(hub_cache) == before


@pytest.fixture
def not_loaded(monkeypatch: pytest.MonkeyPatch, tiny: Backbone) -> None:
    """What is fetched is not loaded: any folder with a saved_model.pb is a module."""
    monkeypatch.setattr("tensor_guess.backbones.modules._frozen_apart", lambda *_: tiny.graph)


@pytest.fixture
def module(tmp_path: Path) -> Path:
    (tmp_path / "module").mkdir()
    (tmp_path / "module/saved_model.pb").write_bytes(b"not loaded")
    return tmp_path / "module"


@pytest.mark.usefixtures("not_loaded")
def test_only_whole_modules_are_kept_and_no_secret(
    site: tuple[Path, str], module: Path, hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = site
    (folder / "page").write_text("<html>not a module</html>")
    (folder / "empty").mkdir()
    _pack(folder / "empty", folder / "empty.tar.gz")
    for path in ("page", "empty.tar.gz"):
        with pytest.raises(UserError, match="module"):
            freeze(f"{address}/{path}")
    assert names(hub_cache) == []
    _pack(module, folder / "module.tar.gz", "deeper/module")
    handle = f"{address}/module.tar.gz?key=secret"
    kept = hub_cache / hashlib.sha1(handle.encode()).hexdigest()
    kept.mkdir()  # tensorflow_hub fills such a folder too
    freeze(handle)
    assert names(kept) == ["saved_model.pb"]
    assert names(hub_cache) == [kept.name, f"{kept.name}.descriptor.txt"]
    assert "secret" not in (hub_cache / f"{kept.name}.descriptor.txt").read_text()
    shutil.rmtree(kept)
    monkeypatch.setattr(os, "access", lambda *_: False)  # a folder that is only read
    freeze(handle)
    assert not kept.exists()


@pytest.mark.usefixtures("not_loaded")
def test_modules_are_fetched_and_not_loaded(
    site: tuple[Path, str], module: Path, hub_cache: Path, call: Run
) -> None:
    folder, address = site
    _pack(module, folder / "one.tar.gz")
    _pack(module, folder / "two.tar.gz")
    loading.fetch(f"{address}/two.tar.gz")  # frozen before
    shutil.rmtree(hub_cache)
    hub_cache.mkdir()
    for _ in range(2):
        done = call("fetch-modules", f"{address}/one.tar.gz", f"{address}/two.tar.gz")
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert len(names(hub_cache)) == 2
        (folder / "one.tar.gz").unlink(missing_ok=True)
    done = call("fetch-modules", f"{address}/three.tar.gz")
    assert done.returncode == 1
    assert "the answer was 404" in done.stderr.splitlines()[-1]
    assert len(names(hub_cache)) == 2


@pytest.mark.parametrize(
    ("url", "place", "said"),
    [
        ("https://example.com/x/1", None, "TFHUB_CACHE_DIR names no folder"),
        ("https://example.com/x/1", "/no/such", "TFHUB_CACHE_DIR names no folder"),
        ("x/1", "/", "x/1 is no URL of a module"),
        ("ftp://x/1", "/", "cannot be downloaded"),
    ],
)
def test_what_no_module_can_be_fetched_from(
    url: str, place: str | None, said: str, call: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    if place:
        monkeypatch.setenv("TFHUB_CACHE_DIR", place)
    done = call("fetch-modules", url)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert said in done.stderr


@pytest.mark.usefixtures("not_loaded")
def test_of_two_runs_that_keep_a_module_both_go_on(
    site: tuple[Path, str], module: Path, hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address = site
    _pack(module, folder / "module.tar.gz")
    publish = durable.publish_made

    def too_late(made: Path, path: Path) -> None:
        shutil.copytree(made, path)
        publish(made, path)

    monkeypatch.setattr(durable, "publish_made", too_late)
    freeze(f"{address}/module.tar.gz")
    assert len(names(hub_cache)) == 2


@pytest.mark.slow
def test_the_tutorial_of_ten_pictures_a_person(modules: Path, tmp_path: Path, call: Run) -> None:
    """A feature vector of TF Hub's MobileNet, not trained, fed 224 pixels divided by 255."""
    tf_files = tmp_path / "tf_files"
    for person in (ROOT / "tf_files/data").iterdir():
        shutil.copytree(person, tf_files / "data" / person.name)
        for path in sorted((tf_files / "data" / person.name).iterdir())[10:]:
            path.unlink()
    on_hub(tmp_path, modules / "called")
    with served(tmp_path, Hub) as address:
        handle = f"{address}/{HANDLE}"
        done = call(
            *("train", tf_files, "--tfhub_module", handle),
            *("--epochs", 5, "--train_batch_size", 32),
        )
    assert done.returncode == 0, done.stderr
    assert "20 pictures" in done.stderr
    known = classifiers.load(tf_files)
    assert (known.record.backbone, known.record.scaling) == (handle, Scaling(224, 0, 255))
    photo = ROOT / "test_data/photo01.jpg"
    done = call("guess", tf_files, photo, "--json")
    weights = array(known.graph, "final_training_ops/weights")
    biases = array(known.graph, "final_training_ops/biases")
    assert weights is not None
    # The module as it came, in its own library.
    fed = pixels(encoded.read(photo), known.record.scaling)
    logits = of_hub(str(modules / "called"), fed) @ weights + biases
    scores = np.exp(logits) / np.exp(logits).sum()
    said = json.loads(done.stdout)["scores"]
    np.testing.assert_allclose([said[each] for each in known.record.labels], scores, atol=1e-4)


def test_a_module_that_reads_files_is_refused_by_name(modules: Path) -> None:
    with pytest.raises(UserError, match="its op ReadFile may read or write files"):
        freeze(str(modules / "writes"))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_module_that_writes_without_end_is_ended(modules: Path, run: Run) -> None:
    done = run("fetch", modules / "floods")
    assert done.returncode == 1
    said = f"tensor-guess: {modules}/floods cannot be used: it wrote more than expected\n"
    assert done.stderr == said


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_nothing_outlives_a_killed_program(
    modules: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the process that fetches nor the one that loads the module; its folder is swept."""
    shutil.make_archive(str(tmp_path / "module"), "gztar", modules / "floods")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with subprocess.Popen(
        [sys.executable, "-I", ROOT / "src", "fetch", tmp_path / "module.tar.gz"],
        env={"TENSOR_GUESS_CACHE": str(cache), "TMPDIR": str(temporary)},
    ) as program:
        found: list[int] = []
        while not any("freeze-module" in _command(pid) for pid in found):
            assert program.poll() is None
            found = _below(program.pid)
        program.kill()
    deadline = time.monotonic() + 5
    while any(map(_command, found)):
        assert time.monotonic() < deadline
    (left,) = temporary.iterdir()
    os.utime(left, (0, 0))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with scratch.folder():
        assert not left.exists()


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"../escaped": b"x"}, "leaves its folder"),
        ({"/absolute/escaped": b"x"}, "has no saved_model.pb"),  # unpacked inside
        ({"link": "../../escaped"}, "is a link or device"),
        ({"fifo": None}, "is a link or device"),
        ({"readme.txt": b"x"}, "has no saved_model.pb"),
        pytest.param(
            {"saved_model.pb": b"garbage"},
            "cannot be loaded as a SavedModel",
            marks=pytest.mark.tensorflow,
        ),
    ],
)
def test_archives_that_are_no_module(
    tmp_path: Path, members: dict[str, bytes | str | None], said: str
) -> None:
    archive = tmp_path / "module.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
            else:
                info.type = tarfile.FIFOTYPE if content is None else tarfile.SYMTYPE
                info.linkname = content or ""
                tar.addfile(info)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=said) as raised:
        freeze(str(archive))
    assert len(str(raised.value).splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before
    assert not Path("/absolute").exists()


@pytest.mark.parametrize("cut", [0, 1, 100])
def test_damaged_archives(modules: Path, tmp_path: Path, cut: int) -> None:
    archive = tmp_path / "module.tar.gz"
    _pack(modules / "tf2", archive)
    archive.write_bytes(archive.read_bytes()[:cut])
    with pytest.raises(UserError, match=r"is no \.tar\.gz of a module, or is damaged"):
        freeze(str(archive))


@pytest.mark.slow
def test_the_program_refuses_a_bomb(tmp_path: Path, call: Run) -> None:
    """Its first header says that it has a name of 3 GB."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 3_000_000_000
    bomb = tmp_path / "bomb.tar.gz"
    bomb.write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(100_000_000)))
    done = call("fetch", bomb)
    assert done.returncode == 1
    said = f"tensor-guess: {bomb} is refused: its headers say more of its files than any need\n"
    assert done.stderr == said


def test_failures_of_a_download_are_said(site: tuple[Path, str], cache: Path) -> None:
    folder, address = site
    (folder / "page").write_text("<html>not a module</html>")
    for path, said in (("missing", "404"), ("page", r"is no \.tar\.gz of a module")):
        with pytest.raises(UserError, match=said):
            freeze(f"{address}/{path}")
    with pytest.raises(UserError, match="--offline was given"):
        loading.load(f"{address}/page", offline=True)
    assert not list((cache / "downloads").iterdir())


def test_paths_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="no such file or folder"):
        loading.load(str(tmp_path / "module"))
    with pytest.raises(UserError, match=r"has no saved_model\.pb"):
        freeze(str(tmp_path))


def test_input_and_bottleneck_have_our_names(modules: Path) -> None:
    graph = freeze(str(modules / "tf1"))
    assert {NETWORK_INPUT, BOTTLENECK} <= {node.name for node in graph.node}


BAD_FOLDERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "a pipe": (lambda folder: os.mkfifo(folder / "x"), "x is a link or device"),
    "a pipe deeper": (lambda folder: os.mkfifo(folder / "variables/x"), "x is a link or device"),
    "endless": (lambda folder: (folder / "x").symlink_to("/dev/zero"), "x is a link or device"),
    "itself": (lambda folder: (folder / "x").symlink_to(folder), "x is a link or device"),
    "a loop": (lambda folder: (folder / "x").symlink_to("x"), "x is a link or device"),
    "a private file": (lambda folder: (folder / "x").symlink_to("/etc/passwd"), "cp -rL"),
    "the graph": (lambda folder: _swap(folder / "saved_model.pb"), "is a link or device"),
    "too many": (lambda folder: _fill(folder), "more files or bytes than a module"),
    "too large": (lambda folder: os.truncate(folder / "variables/large", 2**40), "or bytes than"),
    "no module": (lambda folder: _empty(folder), r"is no module: it has no saved_model\.pb"),
}


@pytest.mark.parametrize("kind", BAD_FOLDERS)
def test_a_strangers_folder_is_bounded(modules: Path, tmp_path: Path, call: Run, kind: str) -> None:
    spoil, said = BAD_FOLDERS[kind]
    folder = Path(shutil.copytree(modules / "tf2", tmp_path / "module"))
    (folder / "variables/large").touch()
    spoil(folder)
    done = call("fetch", folder)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"tensor-guess: {folder} is ")
    assert re.search(said, line)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["module.tar.gz", "module"])
def test_a_handle_that_is_no_regular_file_does_not_hang(
    tmp_path: Path, run: Run, name: str
) -> None:
    os.mkfifo(tmp_path / name)
    for path in (tmp_path / name, "/dev/zero"):
        done = run("fetch", path)
        assert done.returncode == 1
        assert done.stderr == f"tensor-guess: could not read {path}: is not a regular file\n"


def test_an_archive_of_a_terabyte_is_refused_unread(tmp_path: Path, call: Run) -> None:
    with (tmp_path / "a.tar.gz").open("wb") as file:
        file.truncate(2**40)
    done = call("fetch", tmp_path / "a.tar.gz")
    assert done.returncode == 1
    assert done.stderr.endswith("a.tar.gz: is larger than 2000 MB\n")


def test_a_module_is_frozen_once_and_known_by_its_content(modules: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(modules / "tf2", tmp_path / "copy"))
    assert key_of(str(copy)) == key_of(str(modules / "tf2"))
    first = loading.load(str(copy))
    (copy / "saved_model.pb").write_bytes((modules / "writes/saved_model.pb").read_bytes())
    assert key_of(str(copy)) != key_of(str(modules / "tf2"))
    assert loading.load(str(modules / "tf2")).sha256 == first.sha256


def test_a_classifier_of_a_module_needs_the_module_no_more(
    modules: Path, tmp_path: Path, call: Run
) -> None:
    module = Path(shutil.copytree(modules / "tf2", tmp_path / "module"))
    tf_files = tmp_path / "tf_files"
    shutil.copytree(ROOT / "tf_files/data", tf_files / "data")
    done = call("train", tf_files, "--tfhub_module", module, "--steps", 20)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(module)
    again = call("train", tf_files, "--steps", 20)
    assert again.returncode == 0, again.stderr
    assert "0 computed, 80 from the cache" in again.stderr
    assert call("guess", tf_files, ROOT / "test_data/photo01.jpg").returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("flavour", INPUTS)
def test_a_graph_is_all_one_needs_to_go_on_with_new_categories(
    flavour: str, tmp_path: Path, call: Run
) -> None:
    (tmp_path / "theirs").mkdir()
    graph = tmp_path / "theirs/output_graph.pb"
    graph.write_bytes(serialise(made(flavour)))
    found = []
    for name, start in (("one", graph), ("other", graph.parent)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "data").symlink_to(ROOT / "tf_files/data")
        done = call("train", tmp_path / name, "--from", start, "--steps", 50)
        assert done.returncode == 0, done.stderr
        found.append(json.loads((tmp_path / name / "model.json").read_text()))
    assert found[0]["backbone_sha256"] == found[1]["backbone_sha256"]
    assert found[0]["backbone"] == "output_graph.pb"
    assert found[0]["labels"] == ["dark knight", "snow queen"]
    # From what came of it, its folder or its graph, it goes on with the same backbone.
    again = call("train", tmp_path / "one", "--from", tmp_path / "other", "--steps", 20)
    assert "0 computed, 80 from the cache" in again.stderr
    kept = json.loads((tmp_path / "one/model.json").read_text())
    assert kept["backbone_sha256"] == found[0]["backbone_sha256"]


def test_the_program_trains_on_a_module_by_url(
    site: tuple[Path, str], modules: Path, tmp_path: Path, run: Run
) -> None:
    _pack(modules / "tf2", site[0] / "module.tar.gz")
    tf_files = tmp_path / "tf_files"
    shutil.copytree(ROOT / "tf_files/data", tf_files / "data")
    handle = f"{site[1]}/module.tar.gz?key=secret"
    done = run("train", tf_files, "--tfhub_module", handle, "--steps", 20)
    assert done.returncode == 0, done.stderr
    told = json.loads((tf_files / "model.json").read_text())
    assert told["backbone"] == f"{site[1]}/module.tar.gz"
    assert b"secret" not in (tf_files / "retrained_graph.pb").read_bytes()
    (site[0] / "module.tar.gz").unlink()
    again = run("train", tf_files, "--tfhub_module", handle, "--steps", 20, "--offline")
    assert "0 computed, 80 from the cache" in again.stderr
    missing = run("train", tf_files, "--tfhub_module", f"{site[1]}/other.tar.gz")
    assert missing.returncode == 1
    assert len(missing.stderr.splitlines()) == 1
    assert "404" in missing.stderr


def _below(pid: int) -> list[int]:
    """The processes that the process started, and those that they did."""
    try:
        own = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [below for child in map(int, own) for below in (child, *_below(child))]


def _command(pid: int) -> str:
    """What the process was started as; "" where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _swap(path: Path) -> None:
    path.rename(path.with_name("y"))
    path.symlink_to("y")


def _empty(folder: Path) -> None:
    for path in folder.glob("*.pb"):
        path.unlink()


def _fill(folder: Path) -> None:
    for number in range(2_000):
        (folder / "assets" / str(number)).touch()


def _pack(folder: Path, archive: Path, inside: str = ".") -> None:
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, inside)
