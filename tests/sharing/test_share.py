"""What is shared can be verified by anyone, and whatever was changed on the way is noticed."""

import io
import json
import os
import random
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest
from tensorboard.compat.proto.graph_pb2 import GraphDef

from made import strangers
from made.graphs import LABELS as NAMES
from made.graphs import head_for, record_for
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.config import GRAPH, LABELS, MODEL_CARD, RECORD, SELF_TEST, SUMS
from tensor_guess.errors import UserError, WrongUsage
from tensor_guess.graphs.graph import parse, serialise
from tensor_guess.graphs.own import with_head
from tensor_guess.sharing.card import Author
from tensor_guess.sharing.share import LIMITS, share, verify
from tensor_guess.system import archive

AUTHOR = Author("telling films apart", "CC-BY-4.0")
Members = dict[str, bytes]


@pytest.fixture(scope="module")
def shared_zip(ours: GraphDef, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small classifier's zip; not to be written to."""
    folder = tmp_path_factory.mktemp("shared")
    (folder / "x.pb").write_bytes(serialise(ours))
    share(folder / "x.pb", folder / "x.zip", AUTHOR)
    return folder / "x.zip"


def members_of(path: Path) -> Members:
    with zipfile.ZipFile(path) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def packed(members: Members, *, summed: bool = True) -> bytes:
    """A zip of these; `summed`: with the digests that they have now."""
    if summed:
        others = [name for name in members if name != SUMS]
        lines = [f"{sha256(members[name]).hexdigest()}  {name}\n" for name in others]
        members = {SUMS: "".join(lines).encode()} | {name: members[name] for name in others}
    return archive.written(members)


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


def test_a_zip_of_another_program_with_the_same_files_holds(
    shared_zip: Path, tmp_path: Path
) -> None:
    members = members_of(shared_zip)
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as made:
        for name in sorted(members):
            made.writestr(name, members[name])
    assert verify(tmp_path / "x.zip") == verify(shared_zip)


def with_other_head(tiny: Backbone, members: Members) -> Members:
    graph = with_head(tiny.graph, head_for(12, seed=3), record_for(tiny))
    return members | {GRAPH: serialise(graph)}


def without_record_of_the_old(members: Members) -> Members:
    model = json.loads(members[RECORD])
    return members | {RECORD: json.dumps(model | {"graph_sha256": _digest(members)}).encode()}


def _digest(members: Members) -> str:
    return sha256(members[GRAPH]).hexdigest()


def with_op(members: Members, op: str) -> Members:
    graph = parse(members[GRAPH], "x.pb")
    graph.node.add(op=op, name="evil")
    return members | {GRAPH: serialise(graph)}


CHANGED: dict[str, tuple[Callable[[Backbone, Members], Members], str]] = {
    "another head": (with_other_head, "model.json in .* was not written with the graph"),
    "another head, and its record": (
        lambda tiny, members: without_record_of_the_old(with_other_head(tiny, members)),
        "the self-test of .* fails: a score of self_test/1.png differs by",
    ),
    "no graph": (lambda _, m: m | {GRAPH: b""}, "retrained_graph.pb in .* is not a frozen graph"),
    "a cut graph": (lambda _, m: m | {GRAPH: m[GRAPH][:-50]}, "is not a frozen graph|damaged"),
    "a web page": (lambda _, m: m | {GRAPH: b"<html>" * 99}, "is not a frozen graph"),
    "a program": (lambda _, m: with_op(m, "WriteFile"), "its op WriteFile may read or write files"),
    "another's graph": (lambda _, m: m | {GRAPH: serialise(_foreign())}, "retrained_graph.pb in"),
    "a label too many": (lambda _, m: m | {LABELS: m[LABELS] + b"x\n"}, "are not the labels"),
    "a label too few": (lambda _, m: m | {LABELS: b"elsa\n"}, "are not the labels"),
    "labels swapped": (
        lambda _, m: m | {LABELS: "elsa\ndarth vader\n東京\n".encode()},
        "are not the labels",
    ),
    "labels in another encoding": (
        lambda _, m: m | {LABELS: m[LABELS].decode().encode("utf-16")},
        "retrained_labels.txt in .* is not UTF-8",
    ),
    "model.json of another": (
        lambda _, m: (
            m | {RECORD: json.dumps(json.loads(m[RECORD]) | {"graph_sha256": "0" * 64}).encode()}
        ),
        "model.json in .* was not",
    ),
    "model.json damaged": (lambda _, m: m | {RECORD: b"{"}, "model.json in .* is damaged"),
    "scores damaged": (lambda _, m: m | {SELF_TEST: b"[]"}, "self_test.json in .* is damaged"),
    "pictures swapped": (
        lambda _, m: m | {"self_test/1.png": m["self_test/2.png"]},
        "the self-test of .* fails: a score of self_test/1.png",
    ),
    "a picture damaged": (lambda _, m: m | {"self_test/3.png": b""}, "3.png in .* cannot be dec"),
    "a file too many": (lambda _, m: m | {"setup.py": b""}, "has the file setup.py, which does"),
    "a file above": (lambda _, m: m | {"../x": b""}, r"has the file \.\./x, which does not"),
    "no card": (lambda _, m: {n: m[n] for n in m if n != MODEL_CARD}, "has no MODEL_CARD.md"),
}


def _foreign() -> GraphDef:
    graph = GraphDef()
    graph.node.add(op="Placeholder", name="x")
    return graph


@pytest.mark.parametrize("kind", CHANGED)
def test_what_was_changed_is_noticed_though_the_digests_are_right(
    tiny: Backbone, shared_zip: Path, tmp_path: Path, kind: str
) -> None:
    change, said = CHANGED[kind]
    path = tmp_path / "x.zip"
    path.write_bytes(packed(change(tiny, members_of(shared_zip))))
    with pytest.raises(UserError, match=said) as raised:
        verify(path)
    assert raised.value.exit_code == 1
    assert str(raised.value).isprintable()
    assert [each.name for each in tmp_path.iterdir()] == ["x.zip"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda sums: b"", "MODEL_CARD.md in .* does not match SHA256SUMS"),
        (lambda sums: sums.replace(b"retrained_labels", b"retrained_table"), "labels.txt in"),
        (lambda sums: sums + sums[:67].replace(b"M", b"m"), "names files that are not there"),
        (lambda sums: sums + b"\xff\n", "names files that are not there"),
        (lambda sums: sums.upper(), "does not match"),
        (lambda sums: sums.replace(b"\n", b"\r\n"), "does not match"),
    ],
)
def test_wrong_digests_are_noticed(
    shared_zip: Path, tmp_path: Path, change: Callable[[bytes], bytes], said: str
) -> None:
    members = members_of(shared_zip)
    path = tmp_path / "x.zip"
    path.write_bytes(packed(members | {SUMS: change(members[SUMS])}, summed=False))
    with pytest.raises(UserError, match=said):
        verify(path)


@pytest.mark.parametrize("name", [name for name in LIMITS if name != SUMS])
def test_each_digest_is_checked(shared_zip: Path, tmp_path: Path, name: str) -> None:
    members = members_of(shared_zip)
    path = tmp_path / "x.zip"
    path.write_bytes(packed(members | {name: members[name] + b"\n"}, summed=False))
    with pytest.raises(UserError, match=f"{name} in .* does not match SHA256SUMS"):
        verify(path)


def test_a_flipped_byte_anywhere_is_noticed_or_changes_nothing(
    shared_zip: Path, tmp_path: Path
) -> None:
    whole, known = shared_zip.read_bytes(), members_of(shared_zip)
    draw, path = random.Random(8), tmp_path / "x.zip"
    # The list of files at the end is a few hundred bytes, the rest mostly the graph.
    places = [draw.randrange(len(whole)) for _ in range(300)]
    places += [len(whole) - 1 - draw.randrange(900) for _ in range(100)]
    noticed = 0
    for place in places:
        data = bytearray(whole)
        data[place] ^= 1 << draw.randrange(8)
        path.write_bytes(data)
        with suppress(UserError):
            assert archive.read(path, LIMITS) == known
            continue
        noticed += 1
        with pytest.raises(UserError):
            verify(path)
    assert noticed > 300


def test_a_zip_cut_anywhere_is_noticed(shared_zip: Path, tmp_path: Path) -> None:
    whole, path = shared_zip.read_bytes(), tmp_path / "x.zip"
    for length in [*range(0, len(whole), len(whole) // 50), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match="is refused"):
            verify(path)


def test_a_graph_that_says_3_gb_is_refused(shared_zip: Path, tmp_path: Path) -> None:
    data = bytearray(shared_zip.read_bytes())
    entry = data.rindex(b"PK\x01\x02")
    size = (3_000_000_000).to_bytes(4, "little")
    data[entry + 24 : entry + 28] = size
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"retrained_graph\.pb in it has 3000000000 bytes; at most"):
        verify(path)


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
