"""A graph that was seen before gives the same scores, and is refused for the same reasons."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from made.graphs import head_for, record_for
from made.place import ROOT, program
from made.strangers import LABELS as THEIRS
from made.strangers import made
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.config import GRAPH, LABELS
from tensor_guess.errors import UserError
from tensor_guess.graphs import network
from tensor_guess.graphs.files import Fed
from tensor_guess.graphs.graph import serialise
from tensor_guess.graphs.own import with_head
from tensor_guess.guessing import kept, loading
from tensor_guess.guessing.guess import Guess, guess
from tensor_guess.guessing.loading import Given
from tensor_guess.sorting.sort import sort
from tensor_guess.system import durable

PHOTOS = [ROOT / "test_data" / name for name in ("photo01.jpg", "photo02.png", "photo07.gif")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of networks, in a cache of the test's own."""
    cache = tmp_path / "cache"
    cache.mkdir()
    monkeypatch.setenv("TENSOR_GUESS_CACHE", str(cache))
    return cache / "networks"


@pytest.fixture
def small(tiny: Backbone, tmp_path: Path) -> Path:
    """A classifier's folder with a graph on the tiny backbone."""
    path = tmp_path / "small"
    path.mkdir()
    graph = with_head(tiny.graph, head_for(12), record_for(tiny))
    (path / GRAPH).write_bytes(serialise(graph))
    return path


@pytest.fixture
def anew(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was loaded, not taken as it was kept."""
    seen: list[object] = []
    load = loading.load

    def watched(which: Any) -> Any:
        seen.append(which)
        return load(which)

    monkeypatch.setattr(loading, "load", watched)
    return seen


def scores(which: Path | Given, **how: Any) -> list[dict[str, float]]:
    found = list(guess(which, PHOTOS, **how))
    assert all(isinstance(each, Guess) for each in found)
    return [each.scores for each in found if isinstance(each, Guess)]


@pytest.mark.slow
def test_a_graph_seen_before_gives_the_same_scores(
    trained: Path, tmp_path: Path, folder: Path, anew: list[object]
) -> None:
    first = scores(trained)
    assert len(anew) == len(list(folder.iterdir())) == 1
    assert scores(trained) == first
    assert len(anew) == 1
    # For many pictures it is another network.
    done = [sort(trained, ROOT / "test_data", tmp_path / name) for name in "ab"]
    assert len(anew) == len(list(folder.iterdir())) == 2
    assert done[0].sorted == done[1].sorted > 5
    assert names(tmp_path / "a") == names(tmp_path / "b")


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir() if each.suffix != ".jsonl")


@pytest.mark.slow
def test_the_program_says_the_same(trained: Path, folder: Path) -> None:
    run = program(folder.parent)
    said = [run("guess", trained, *PHOTOS, "--json") for _ in range(2)]
    assert said[0].stdout == said[1].stdout
    assert [each.stderr for each in said] == ["", ""]
    assert len(list(folder.iterdir())) == 1


def flip_last_byte(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


@pytest.mark.parametrize(
    "spoil",
    [
        flip_last_byte,
        lambda path: path.write_bytes(b""),
        lambda path: path.chmod(0o666),
    ],
)
def test_what_is_damaged_is_made_again(
    small: Path, folder: Path, anew: list[object], spoil: Callable[[Path], object]
) -> None:
    first = scores(small)
    (entry,) = folder.iterdir()
    spoil(entry)
    assert scores(small) == first
    assert len(anew) == 2
    assert scores(small) == first
    assert len(anew) == 2


@pytest.mark.slow
def test_another_openvino_s_or_version_s_is_made_again(
    small: Path, folder: Path, anew: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = scores(small)
    with monkeypatch.context() as patch:
        patch.setattr(network, "runtime", lambda: ["another"])
        assert scores(small) == first
        assert len(anew) == 2
    assert scores(small) == first
    assert len(anew) == 3
    monkeypatch.setattr(kept, "__version__", "another")
    assert scores(small) == first
    assert len(anew) == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        lambda said, blob: (said, b"no model"),
        lambda said, blob: ({**said, "batch": 2}, blob),
        lambda said, blob: ({**said, "batch": None}, blob),
        lambda said, blob: ({**said, "record": {}}, blob),
        lambda said, blob: ({**said, "record": {**said["record"], "labels": ["a"]}}, blob),
        lambda said, blob: ({k: said[k] for k in ("runtime", "ours", "record")}, blob),
        lambda said, blob: ({"runtime": said["runtime"]}, blob),
        lambda said, blob: ({}, blob),
    ],
)
def test_what_is_no_such_network_is_made_again(
    small: Path,
    folder: Path,
    anew: list[object],
    change: Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]],
) -> None:
    first = scores(small)
    (entry,) = folder.iterdir()
    found = kept.find(entry.name)
    assert found is not None
    said, blob = change(found.said, bytes(found.blob))
    kept.keep(entry.name, said, memoryview(blob))
    assert scores(small) == first
    assert len(anew) == 2


@pytest.mark.slow
def test_labels_beside_it_must_still_fit(
    small: Path, folder: Path, anew: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    scores(small)
    (small / LABELS).write_text("other\nlabels\n", "utf-8")
    with pytest.raises(UserError, match="does not have the labels that are inside"):
        scores(small)
    assert len(anew) == 1
    (small / LABELS).unlink()
    scores(Given(small, fed=Fed(mean=1.0)))
    scores(Given(small, fed=Fed(mean=1.0)))
    assert len(anew) == 2
    assert capsys.readouterr().err.count("records its own settings") == 2


@pytest.mark.slow
def test_another_program_s_graph_goes_with_its_labels(
    tmp_path: Path, folder: Path, anew: list[object]
) -> None:
    path = tmp_path / "theirs"
    path.mkdir()
    (path / GRAPH).write_bytes(serialise(made("mobilenet")))
    (path / LABELS).write_text("\n".join(THEIRS), "utf-8")
    first = scores(path)
    assert scores(path) == first
    assert len(anew) == 1
    renamed = [f"{label} 2" for label in THEIRS]
    (path / LABELS).write_text("\n".join(renamed), "utf-8")
    assert {*scores(path)[0]} == {*renamed}
    assert len(anew) == 2
    (path / LABELS).write_text("\n".join(THEIRS[:-1]), "utf-8")
    with pytest.raises(UserError, match="do not belong together"):
        scores(path)
    (path / LABELS).write_text("\n".join(THEIRS), "utf-8")
    other = scores(Given(path, fed=Fed(mean=0.0, std=255.0)))
    assert other != first


def test_what_is_refused_is_not_kept(small: Path, folder: Path) -> None:
    graph = small / GRAPH
    graph.write_bytes(graph.read_bytes()[:-9])
    for _ in range(2):
        with pytest.raises(UserError, match="not a frozen graph"):
            scores(small)
    assert not folder.exists()


@pytest.mark.slow
def test_a_changed_graph_is_another(
    small: Path, tiny: Backbone, folder: Path, anew: list[object]
) -> None:
    scores(small)
    head = head_for(12)
    head.biases[:] = head.biases[::-1] + 0.5
    (small / GRAPH).write_bytes(serialise(with_head(tiny.graph, head, record_for(tiny))))
    scores(small)
    assert len(anew) == 2


@pytest.mark.slow
def test_without_a_cache_nothing_is_kept_and_nothing_said(
    small: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    first = scores(small)
    shutil.rmtree(folder)
    for variable, value in (
        ("TENSOR_GUESS_CACHE", "/nowhere/at/all"),
        ("TENSOR_GUESS_CACHE", str(small / GRAPH)),
        ("TENSOR_GUESS_DISTRUST", "others can write to it"),
    ):
        monkeypatch.setenv(variable, value)
        assert scores(small) == first
    assert not folder.exists()
    assert capfd.readouterr().err == ""


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_to_is_read(
    small: Path, folder: Path, anew: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = scores(small)

    def refused(*_: object, **__: object) -> None:
        raise UserError("could not write")

    monkeypatch.setattr(durable, "publish", refused)
    monkeypatch.setattr(os, "utime", read_only)
    assert scores(small) == first
    assert len(anew) == 1
    assert scores(small, precision="float32") == first
    assert len(anew) == 2
    assert len(list(folder.iterdir())) == 1


def read_only(*_: object) -> None:
    raise OSError(30, "Read-only file system")


@pytest.mark.slow
def test_two_at_once_agree(trained: Path, folder: Path) -> None:
    command = [sys.executable, "-I", str(ROOT / "src"), "guess", str(trained), *map(str, PHOTOS)]
    environ = {**os.environ, "TENSOR_GUESS_CACHE": str(folder.parent)}
    both = [subprocess.Popen(command, env=environ, stdout=subprocess.PIPE) for _ in range(2)]
    said = {each.communicate()[0] for each in both}
    assert [each.returncode for each in both] == [0, 0]
    assert len(said) == 1
    assert len(list(folder.iterdir())) == 1
    assert subprocess.run(command, env=environ, capture_output=True).stdout in said


@pytest.mark.slow
def test_the_precision_that_is_asked_for_counts(
    small: Path,
    folder: Path,
    anew: list[object],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    first = scores(small)
    assert scores(small, precision="float32") == first
    monkeypatch.setattr(network, "has_bf16", lambda: False)
    for _ in range(2):
        assert scores(small, precision="bf16") == first
    assert len(anew) == 3
    said = "asked for bf16, which this CPU does not have; computing in float32\n"
    assert capfd.readouterr().err == 2 * said
