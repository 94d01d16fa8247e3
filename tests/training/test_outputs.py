"""What training leaves takes only its own place, all at once, and only if guessing can read it."""

import errno
import json
import os
import shutil
import time
from collections.abc import Callable
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest
from tensorboard.compat.proto.graph_pb2 import GraphDef

from made.graphs import copy_of, head_for, record_for
from made.place import ROOT, Run, program
from made.steps import bad_at, die_at, ended_of, full_from, reached
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.config import GRAPH, LABELS, RECORD, REPORT
from tensor_guess.errors import UserError, WrongUsage
from tensor_guess.evaluation import story
from tensor_guess.graphs.graph import serialise
from tensor_guess.graphs.own import with_head
from tensor_guess.guessing.loading import load
from tensor_guess.reporting import report
from tensor_guess.training import outputs
from tensor_guess.training.outputs import Outputs, publish_classifier

FEW = ("--backbone", "efficientnet_lite0", "--steps", "20")
OURS = (RECORD, LABELS, GRAPH)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two categories of eight pictures, not trained on yet."""
    return _pictures(tmp_path)


def _pictures(place: Path) -> Path:
    for category in ("dark_knight", "snow_queen"):
        (place / "tf_files/data" / category).mkdir(parents=True)
        for path in sorted((ROOT / "tf_files/data" / category).iterdir())[:8]:
            shutil.copy(path, place / "tf_files/data" / category)
    return place / "tf_files"


@pytest.fixture(scope="module")
def first(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Such a folder, trained on; not to be written to."""
    folder = _pictures(tmp_path_factory.mktemp("first"))
    assert program(cache)("train", folder, *FEW).returncode == 0
    return folder


@pytest.fixture
def again(first: Path, tmp_path: Path) -> Path:
    """A copy of it, for another training."""
    return Path(shutil.copytree(first, tmp_path / "again"))


def state(folder: Path) -> dict[str, str]:
    """Every file below the folder but the cache, by name, and the digest of its bytes."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest()
        for path in files
        if "bottlenecks" not in path.parts
    }


def test_what_a_killed_training_left_half_written_is_swept_a_day_later(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = folder / ".tensor-guess-0123456789abcdef.tmp"
    left.write_bytes(b"half a graph")
    os.utime(left, (0, 0))  # of no account: a half-made copy may have its original's time
    outputs.check(Outputs(folder / GRAPH, folder / LABELS), folder / "data")
    assert left.exists()
    tomorrow = time.time() + 24 * 3600 + 1
    monkeypatch.setattr(time, "time", lambda: tomorrow)
    outputs.check(Outputs(folder / GRAPH, folder / LABELS), folder / "data")
    assert not left.exists()


# --- what is not ours is never replaced


def _tensorflow_js(folder: Path) -> list[object]:
    (folder / "app").mkdir()
    (folder / "app/model.json").write_text('{"format": "layers-model", "generatedBy": "keras"}')
    return ["--output_graph", folder / "app/graph.pb"]


def _notes(folder: Path) -> list[object]:
    (folder / "notes.txt").write_text("Dear diary,\n")
    return ["--output_labels", folder / "notes.txt"]


def _page(folder: Path) -> list[object]:
    (folder / GRAPH).write_text("\n\n<html>not found</html>")
    return []


def _link(folder: Path) -> list[object]:
    (folder / "kept.txt").write_text("dark knight\n")
    (folder / LABELS).symlink_to("kept.txt")
    return []


def _fifo(folder: Path) -> list[object]:
    os.mkfifo(folder / RECORD)
    return []


def _photo_as_labels(folder: Path) -> list[object]:
    return ["--output_labels", next(folder.glob("data/snow_queen/*"))]


def _photo_as_graph(folder: Path) -> list[object]:
    return ["--output_graph", next(folder.glob("data/dark_knight/*"))]


def _beside_photos(folder: Path) -> list[object]:
    return ["--output_graph", folder / "data/dark_knight/new.pb"]


def _in_a_linked_category(folder: Path) -> list[object]:
    (folder / "data/snow_queen").rename(folder.parent / "photos")
    (folder / "data/snow_queen").symlink_to(folder.parent / "photos")
    return ["--output_labels", folder.parent / "photos/new.txt"]


def _bottlenecks_there(folder: Path) -> list[object]:
    return ["--bottleneck_dir", folder / "data/snow_queen/cache"]


def _one_file(folder: Path) -> list[object]:
    return ["--output_graph", folder / "x", "--output_labels", folder / "x"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (_tensorflow_js, "model.json is not a model.json that training wrote"),
        (_notes, "notes.txt is not a labels file"),
        (_page, f"{GRAPH} is not a frozen graph"),
        (_link, f"{LABELS} is not a labels file (is a link), and nothing else is replaced"),
        (_fifo, "is not a model.json that training wrote (is not a regular file)"),
        (_photo_as_labels, "would lie among the pictures"),
        (_photo_as_graph, "would lie among the pictures"),
        (_beside_photos, "would lie among the pictures"),
        (_in_a_linked_category, "would lie among the pictures"),
        (_bottlenecks_there, "would lie among the pictures"),
        (_one_file, "cannot be one file"),
    ],
)
def test_what_training_did_not_write_is_refused_before_the_work(
    folder: Path, call: Run, given: Callable[[Path], list[object]], said: str
) -> None:
    options = given(folder)
    before = state(folder.parent)
    done = call("train", folder, *FEW, *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert state(folder.parent) == before


@pytest.mark.slow
def test_what_training_wrote_is_replaced_damaged_too(again: Path, call: Run) -> None:
    good = state(again)
    os.truncate(again / GRAPH, 5000)
    (again / LABELS).write_text("elsa\nan old one\n")
    assert call("train", again, *FEW).returncode == 0
    assert state(again) == good
    for name in OURS:
        (again / name).write_bytes(b"")
    assert call("train", again, *FEW).returncode == 0
    assert state(again) == good


# --- a classifier that guessing refuses takes nobody's place


@pytest.mark.parametrize(
    ("option", "code", "said"),
    [
        ("--learning_rate=nan", 2, "nan is no finite number"),
        ("--learning_rate=inf", 2, "inf is no finite number"),
        ("--learning_rate=1e38", 1, "choose a smaller --learning_rate than 1e+38"),
        ("--final_tensor_name=Mul", 2, "is the name of another tensor"),
        ("--final_tensor_name=bottleneck", 2, "is the name of another tensor"),
        ("--final_tensor_name=final_training_ops/logits", 2, "is the name of another tensor"),
        ("--final_tensor_name=a:0", 2, "is not a valid name for a tensor"),
        ("--final_tensor_name=", 2, "is not a valid name for a tensor"),
        ("--train_batch_size=2000000000", 2, "is not in the range"),
        ("--validation_batch_size=2000000000", 2, "is not in the range"),
    ],
)
def test_a_senseless_training_leaves_the_classifier_as_it_was(
    again: Path, call: Run, option: str, code: int, said: str
) -> None:
    before = state(again)
    done = call("train", again, *FEW, option)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert "Warning" not in done.stderr
    assert state(again) == before


# --- at every step: a crash, a full disk


@pytest.fixture
def two(tiny: Backbone) -> list[tuple[bytes, bytes, bytes]]:
    """Two classifiers of other labels: graph, labels file and model.json."""
    found = []
    for labels in (("a", "b", "c"), ("d", "e", "f")):
        record = record_for(tiny)
        record = type(record)(**{**record.__dict__, "labels": labels, "categories": labels})
        graph = serialise(with_head(tiny.graph, head_for(12), record))
        lines = "".join(f"{label}\n" for label in labels).encode()
        found.append((graph, lines, story.written(record, sha256(graph).hexdigest(), {})))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("how", ["killed before", "killed after", "full"])
def test_after_every_step_of_publishing_one_of_the_two_classifiers_is_there(
    tmp_path: Path, two: list[tuple[bytes, bytes, bytes]], how: str
) -> None:
    where = Outputs(tmp_path / GRAPH, tmp_path / LABELS)
    for nth in count(1):
        publish_classifier(where, *two[0])

        def publish_the_other(nth: int = nth) -> None:
            if how == "full":
                full_from(nth)
            else:
                die_at(nth, after=how == "killed after")
            publish_classifier(where, *two[1])

        ended = ended_of(publish_the_other)
        labels = load(tmp_path).record.labels
        assert labels in (("a", "b", "c"), ("d", "e", "f"))
        outputs.check(where, tmp_path / "data")  # and can be replaced
        if ended == 0:
            break
        if how == "full":
            assert not list(tmp_path.glob(".*")), "what could not be committed is gone"
    assert nth > 12
    assert labels == ("d", "e", "f")


def test_a_full_disk_is_one_sentence(
    tmp_path: Path, two: list[tuple[bytes, bytes, bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    where = Outputs(tmp_path / GRAPH, tmp_path / LABELS)
    publish_classifier(where, *two[0])
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(UserError, match=r"could not write .*model.json: no space left"):
        publish_classifier(where, *two[1])
    assert load(tmp_path).record.labels == ("a", "b", "c")


# --- the report is an extra: a classifier is worth more

PAGE = b"<!doctype html>" + report.MARK
OTHER_PAGE = PAGE + b"<p>of the other"


@pytest.mark.slow
@pytest.mark.parametrize("how", ["killed before", "killed after", "full", "bad"])
def test_after_every_step_with_a_report_one_of_the_two_classifiers_is_there(
    tmp_path: Path, two: list[tuple[bytes, bytes, bytes]], how: str
) -> None:
    where = Outputs(tmp_path / GRAPH, tmp_path / LABELS)
    for nth in count(1):
        publish_classifier(where, *two[0], PAGE)

        def publish_the_other(nth: int = nth) -> None:
            if how == "full":
                full_from(nth)
            elif how == "bad":
                bad_at(nth)
            else:
                die_at(nth, after=how == "killed after")
            publish_classifier(where, *two[1], OTHER_PAGE)

        ended = ended_of(publish_the_other)
        labels = load(tmp_path).record.labels
        assert labels in (("a", "b", "c"), ("d", "e", "f"))
        there = where.report.read_bytes() if where.report.exists() else None
        assert there in (None, PAGE, OTHER_PAGE)  # and whole
        if ended == 0:
            # The classifier is new; a report on the old one would be about another.
            assert (labels, there == PAGE) == (("d", "e", "f"), False)
        if not reached():
            break
    assert nth > 15
    assert (ended, there) == (0, OTHER_PAGE)


def test_a_report_that_cannot_be_written_spoils_no_classifier(
    tmp_path: Path,
    two: list[tuple[bytes, bytes, bytes]],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    where = Outputs(tmp_path / GRAPH, tmp_path / LABELS)
    publish_classifier(where, *two[0], PAGE)
    write = os.write

    def full(handle: int, data: bytes) -> int:
        if bytes(data).startswith(b"<!doctype"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, data)

    monkeypatch.setattr(os, "write", full)
    publish_classifier(where, *two[1], OTHER_PAGE)
    monkeypatch.undo()
    assert load(tmp_path).record.labels == ("d", "e", "f")
    assert not where.report.exists()
    assert "could not write" in capfd.readouterr().err


def test_without_a_new_report_the_old_one_goes(
    tmp_path: Path, two: list[tuple[bytes, bytes, bytes]]
) -> None:
    where = Outputs(tmp_path / GRAPH, tmp_path / LABELS)
    publish_classifier(where, *two[0], PAGE)
    assert where.report.read_bytes() == PAGE
    publish_classifier(where, *two[1])
    assert not where.report.exists()


@pytest.mark.parametrize("theirs", ["page", "link", "folder"])
def test_another_program_s_report_stays_and_that_is_said(
    tmp_path: Path,
    two: list[tuple[bytes, bytes, bytes]],
    capfd: pytest.CaptureFixture[str],
    theirs: str,
) -> None:
    where = Outputs(tmp_path / GRAPH, tmp_path / LABELS)
    if theirs == "page":
        where.report.write_bytes(b"<!doctype html><title>Sales</title>")
    elif theirs == "link":
        (tmp_path / "kept.html").write_bytes(PAGE)
        where.report.symlink_to("kept.html")
    else:
        where.report.mkdir()
    before = state(tmp_path)
    outputs.check(where, tmp_path / "data")
    assert not outputs.may_report(where)
    said = capfd.readouterr().err
    assert f"{REPORT} is not a report that training wrote" in said
    assert said.count("\n") == 1
    publish_classifier(where, *two[0], PAGE)
    publish_classifier(where, *two[1])
    assert {name: digest for name, digest in state(tmp_path).items() if name in before} == before
    assert load(tmp_path).record.labels == ("d", "e", "f")


def test_labels_of_an_interrupted_training_are_told_and_not_used(
    tmp_path: Path,
    two: list[tuple[bytes, bytes, bytes]],
    capfd: pytest.CaptureFixture[str],
) -> None:
    publish_classifier(Outputs(tmp_path / GRAPH, tmp_path / LABELS), *two[0])
    (tmp_path / RECORD).write_bytes(two[1][2])
    (tmp_path / LABELS).write_bytes(two[1][1])
    assert load(tmp_path).record.labels == ("a", "b", "c")
    said = capfd.readouterr().err
    assert "is left from a training that did not end" in said
    assert said.count("\n") == 1
    (tmp_path / RECORD).write_bytes(two[0][2])
    with pytest.raises(UserError, match="does not have the labels that are inside"):
        load(tmp_path)


def test_other_programs_graphs_are_graphs_too(ours: GraphDef, tmp_path: Path) -> None:
    where = Outputs(tmp_path / "theirs.pb", tmp_path / "theirs.txt")
    graph = copy_of(ours)
    graph.node[0].name = "n" * 300
    where.graph.write_bytes(serialise(graph))
    outputs.check(where, tmp_path / "data")
    for start in (b"\n", b"\n\n", b"\n\n\n\n\n\n", b"\n" + b"\xff" * 15, b"\xff\xd8\xff", b"PK"):
        where.graph.write_bytes(start)
        with pytest.raises(WrongUsage, match="is not a frozen graph"):
            outputs.check(where, tmp_path / "data")


def test_a_model_json_of_ours_is_known_by_what_training_writes(
    tmp_path: Path, two: list[tuple[bytes, bytes, bytes]]
) -> None:
    where = Outputs(tmp_path / GRAPH, tmp_path / LABELS)
    model = json.loads(two[0][2])
    where.model.write_text(json.dumps(model))
    outputs.check(where, tmp_path / "data")
    del model["graph_sha256"]
    for text in (json.dumps(model), "[" * 100_000, "[]", "half"):
        where.model.write_text(text)
        with pytest.raises(WrongUsage, match=r"is not a model\.json that training wrote"):
            outputs.check(where, tmp_path / "data")
