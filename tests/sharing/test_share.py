"""What is shared can be verified by anyone, and whatever was changed on the way is noticed."""

import io
import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from tensorboard.compat.proto.graph_pb2 import GraphDef

from made import strangers
from made.graphs import LABELS as NAMES
from made.zips import Members, members_of, packed
from tensor_guess.config import GRAPH, LABELS, MODEL_CARD, RECORD, SELF_TEST, SUMS
from tensor_guess.errors import UserError, WrongUsage
from tensor_guess.graphs.graph import serialise
from tensor_guess.received.shared_zip import LIMITS
from tensor_guess.sharing.card import Author
from tensor_guess.sharing.share import share, verify
from tensor_guess.system import archive

AUTHOR = Author("telling films apart", "CC-BY-4.0")


@pytest.mark.slow
def test_a_trained_classifier_is_shared_whole(trained: Path, tmp_path: Path) -> None:
    assert share(trained, tmp_path / "x.zip", AUTHOR) == (tmp_path / "x.zip").stat().st_size
    members = members_of(tmp_path / "x.zip")
    assert list(members) == list(LIMITS)
    for name in (GRAPH, LABELS, RECORD):
        assert members[name] == (trained / name).read_bytes()
    card = members[MODEL_CARD].decode()
    model = json.loads(members[RECORD])
    low, _ = model["metrics"]["test_interval_95"]
    assert f"(N={model['metrics']['test_count']}, 95% interval {100 * low:.1f}% to" in card
    for label, counts in zip(model["labels"], model["counts"].values(), strict=True):
        line = f"| {label} | {counts['training']} | {counts['validation']} | {counts['testing']} |"
        assert line in card
    assert model["data_sha256"] in card
    assert "Licence of the backbone: Apache-2.0" in card
    held = verify(tmp_path / "x.zip")
    assert held.labels == ("dark knight", "snow queen")
    assert (held.digests, held.vectors) == (10, 5)
    assert held.worst < 1e-6


@pytest.mark.slow
def test_the_same_classifier_is_the_same_bytes_wherever_it_lies(
    trained: Path, classifier: Path, tmp_path: Path
) -> None:
    shutil.rmtree(classifier / "data")
    for number, folder in enumerate((trained, classifier)):
        share(folder, tmp_path / f"{number}.zip", AUTHOR)
    assert (tmp_path / "0.zip").read_bytes() == (tmp_path / "1.zip").read_bytes()
    share(trained, tmp_path / "2.zip", Author("another use", "CC-BY-4.0"))
    assert (tmp_path / "2.zip").read_bytes() != (tmp_path / "0.zip").read_bytes()


def test_sha256sum_checks_what_unzip_gives(shared_zip: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(shared_zip) as opened:
        opened.extractall(tmp_path)
    done = subprocess.run(
        ["sha256sum", "-c", "--strict", SUMS], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0
    assert done.stdout.decode() == "".join(f"{name}: OK\n" for name in LIMITS if name != SUMS)


def test_a_graph_alone_tells_its_record_and_no_more(shared_zip: Path) -> None:
    members = members_of(shared_zip)
    model = json.loads(members[RECORD])
    assert tuple(model["labels"]) == NAMES
    assert "counts" not in model
    assert members[LABELS].decode().splitlines() == list(NAMES)
    assert "split: not known" in members[MODEL_CARD].decode()
    assert verify(shared_zip).labels == NAMES


@pytest.mark.slow
@pytest.mark.parametrize("flavour", strangers.INPUTS)
def test_another_programs_classifier_is_shared_too(tmp_path: Path, flavour: str) -> None:
    graph = serialise(strangers.made(flavour))
    (tmp_path / "output_graph.pb").write_bytes(graph)
    (tmp_path / "output_labels.txt").write_text("tulips\r\nroses\r\nroses\r\n")
    share(tmp_path, tmp_path / "x.zip", Author())
    members = members_of(tmp_path / "x.zip")
    assert members[GRAPH] == graph
    assert members[LABELS] == b"tulips\nroses\nroses (2)\n"
    card = members[MODEL_CARD].decode()
    assert "Made by: not known" in card
    assert "resized as `retrain.py` did" in card
    assert verify(tmp_path / "x.zip").worst < 1e-6
    (tmp_path / "output_labels.txt").rename(tmp_path / "elsewhere.names")
    with pytest.raises(UserError, match="say which by --labels"):
        share(tmp_path, tmp_path / "y.zip", Author())
    share(tmp_path, tmp_path / "y.zip", Author(), tmp_path / "elsewhere.names")
    assert (tmp_path / "y.zip").read_bytes() == (tmp_path / "x.zip").read_bytes()
    path = tmp_path / "swapped.zip"
    path.write_bytes(packed(members | {LABELS: b"roses\ntulips\nroses (2)\n"}))
    with pytest.raises(UserError, match=r"model\.json in .* was not written with the graph"):
        verify(path)


@pytest.mark.slow
def test_no_photo_is_in_it(trained: Path, tmp_path: Path) -> None:
    share(trained, tmp_path / "x.zip", AUTHOR)
    theirs = {sha256(path.read_bytes()).digest() for path in trained.rglob("data/*/*")}
    members = members_of(tmp_path / "x.zip")
    assert len(theirs) == 80
    assert not theirs & {sha256(data).digest() for data in members.values()}
    texts = b"".join(members[name] for name in (RECORD, MODEL_CARD, SELF_TEST, SUMS))
    assert str(trained).encode() not in texts
    assert b".jpg" not in texts.replace(b"photo.jpg", b"")


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("there.zip", "is there already"),
        ("link.zip", "is there already"),
        ("data", "is there already"),
        ("nowhere/x.zip", "there is no folder"),
        ("data/x.zip", "would lie among the pictures"),
        ("data/a/x.zip", "would lie among the pictures"),
        ("data/../data/a/x.zip", "would lie among the pictures"),
    ],
)
def test_the_zip_replaces_nothing_and_lies_not_among_the_pictures(
    ours: GraphDef, tmp_path: Path, out: str, said: str
) -> None:
    (tmp_path / GRAPH).write_bytes(serialise(ours))
    (tmp_path / "data/a").mkdir(parents=True)
    (tmp_path / "there.zip").write_bytes(b"mine")
    (tmp_path / "link.zip").symlink_to("nothing")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(WrongUsage, match=said):
        share(tmp_path, tmp_path / out, AUTHOR)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "there.zip").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / GRAPH).unlink(), "run ./train.sh .* first"),
        (lambda folder: (folder / LABELS).write_text("elsa\n"), "does not have the labels"),
        (lambda folder: (folder / RECORD).write_text("{"), "model.json is damaged"),
        (lambda folder: (folder / RECORD).write_text("{}"), "model.json is damaged"),
        (
            lambda folder: (folder / RECORD).write_text(
                (folder / RECORD).read_text().replace('"graph_sha256": "', '"graph_sha256": "0')
            ),
            "was not written with the graph",
        ),
        (lambda folder: os.truncate(folder / RECORD, 33_000_000), "model.json: is larger than"),
    ],
)
def test_what_contradicts_itself_is_not_shared(
    classifier: Path, tmp_path: Path, spoil: Callable[[Path], object], said: str
) -> None:
    spoil(classifier)
    with pytest.raises(UserError, match=said):
        share(classifier, tmp_path / "x.zip", AUTHOR)
    assert not (tmp_path / "x.zip").exists()


def test_a_path_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    for name in ("x.zip", "x" * 300):
        with pytest.raises(WrongUsage, match="there is no file"):
            verify(tmp_path / name)


def test_a_name_that_no_file_can_have_is_said(ours: GraphDef, tmp_path: Path) -> None:
    (tmp_path / GRAPH).write_bytes(serialise(ours))
    with pytest.raises(UserError, match=r"could not write .*: file name too long"):
        share(tmp_path, tmp_path / ("x" * 300), AUTHOR)
    assert [each.name for each in tmp_path.iterdir()] == [GRAPH]


def test_two_who_share_at_once_do_not_replace_each_other(
    ours: GraphDef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / GRAPH).write_bytes(serialise(ours))
    pack = archive.written

    def slow(members: Members) -> bytes:
        (tmp_path / "x.zip").write_bytes(b"the other's")
        return pack(members)

    monkeypatch.setattr(archive, "written", slow)
    with pytest.raises(WrongUsage, match="is there already"):
        share(tmp_path, tmp_path / "x.zip", AUTHOR)
    assert (tmp_path / "x.zip").read_bytes() == b"the other's"


def test_a_zip_in_memory_is_the_form_of_the_tests_themselves(shared_zip: Path) -> None:
    data = shared_zip.read_bytes()
    assert packed(members_of(shared_zip)) == data
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        assert opened.testzip() is None
