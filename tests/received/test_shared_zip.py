"""Whatever was changed in a shared zip on its way is noticed, and nothing is written."""

import json
import random
import zipfile
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest
from tensorboard.compat.proto.graph_pb2 import GraphDef

from made.graphs import head_for, record_for
from made.zips import Members, members_of, packed
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.config import GRAPH, LABELS, MODEL_CARD, RECORD, SELF_TEST, SUMS
from tensor_guess.errors import UserError
from tensor_guess.graphs.graph import parse, serialise
from tensor_guess.graphs.own import with_head
from tensor_guess.received.shared_zip import LIMITS, read
from tensor_guess.system import archive


def test_a_zip_of_another_program_with_the_same_files_holds(
    shared_zip: Path, tmp_path: Path
) -> None:
    members = members_of(shared_zip)
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as made:
        for name in sorted(members):
            made.writestr(name, members[name])
    one, other = read(tmp_path / "x.zip"), read(shared_zip)
    assert (one.classifier.data, one.model) == (other.classifier.data, other.model)
    assert (one.digests, one.worst) == (other.digests, other.worst)


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
        read(path)
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
        read(path)


@pytest.mark.parametrize("name", [name for name in LIMITS if name != SUMS])
def test_each_digest_is_checked(shared_zip: Path, tmp_path: Path, name: str) -> None:
    members = members_of(shared_zip)
    path = tmp_path / "x.zip"
    path.write_bytes(packed(members | {name: members[name] + b"\n"}, summed=False))
    with pytest.raises(UserError, match=f"{name} in .* does not match SHA256SUMS"):
        read(path)


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
            read(path)
    assert noticed > 300


def test_a_zip_cut_anywhere_is_noticed(shared_zip: Path, tmp_path: Path) -> None:
    whole, path = shared_zip.read_bytes(), tmp_path / "x.zip"
    for length in [*range(0, len(whole), len(whole) // 50), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match="is refused"):
            read(path)


def test_a_graph_that_says_3_gb_is_refused(shared_zip: Path, tmp_path: Path) -> None:
    data = bytearray(shared_zip.read_bytes())
    entry = data.rindex(b"PK\x01\x02")
    size = (3_000_000_000).to_bytes(4, "little")
    data[entry + 24 : entry + 28] = size
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"retrained_graph\.pb in it has 3000000000 bytes; at most"):
        read(path)
