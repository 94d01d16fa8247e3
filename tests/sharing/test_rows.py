"""Shared bottlenecks are of what was trained on, and those of a stranger are not believed."""

import io
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.compat.proto.graph_pb2 import GraphDef

from made.graphs import head_for, record_for
from made.place import Run
from made.rows import photo
from made.strangers import INPUTS, made
from made.taught import handed_on
from made.zips import Members, members_of, packed
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.bottlenecks.extractor import Extractor
from tensor_guess.config import GRAPH, LABELS, MODEL_CARD, RECORD, ROWS, SUMS
from tensor_guess.errors import UserError, WrongUsage
from tensor_guess.graphs.graph import serialise
from tensor_guess.graphs.own import with_head
from tensor_guess.images import encoded
from tensor_guess.images.dataset import label_of
from tensor_guess.images.pixels import pixels
from tensor_guess.received.shared_zip import LIMITS, OPTIONAL
from tensor_guess.sharing import rows
from tensor_guess.sharing.card import REVEALED, Author
from tensor_guess.sharing.share import opened, share, verify

PICTURES = {"cat": [0, 1, 2], "dog": [10, 11, 12, 2]}  # 2 is in both: trained on as neither


@pytest.fixture(scope="module")
def shared(tiny: Backbone, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip with bottlenecks; beside it, the classifier's folder. Neither is to be changed."""
    return handed_on(tmp_path_factory.mktemp("shared") / "tf", tiny, PICTURES)


def table_in(members: Members) -> Any:
    return np.load(io.BytesIO(members[ROWS]), allow_pickle=False)


def with_table(members: Members, table: Any) -> Members:
    file = io.BytesIO()
    np.save(file, table, allow_pickle=table.dtype.hasobject)
    return members | {ROWS: file.getvalue()}


@pytest.mark.slow
def test_there_is_a_row_for_each_picture_in_each_of_its_categories(
    tiny: Backbone, shared: Path
) -> None:
    members = members_of(shared)
    assert list(members) == [*LIMITS, ROWS]
    table = table_in(members)
    (fingerprint,) = (each.name for each in shared.with_name("tf").glob("bottlenecks/*/"))
    assert table.dtype.names == ("key", "category", fingerprint)
    data = shared.with_name("tf") / "data"
    photos = {
        (k, sha256(path.read_bytes()).digest()): path
        for k, name in enumerate(("cat", "dog"))
        for path in (data / name).iterdir()
    }
    found = [(int(k), bytes(key)) for k, key in zip(table["category"], table["key"], strict=True)]
    assert found == sorted(photos)
    fed = [(each, pixels(encoded.read(photos[each]), tiny.scaling)) for each in found]
    computed = np.stack([row for _, row in Extractor(tiny).network().run(fed)])
    np.testing.assert_array_equal(table[fingerprint], computed)
    held = verify(shared)
    assert (held.digests, held.pictures) == (11, 6)


def test_it_is_said_what_bottlenecks_reveal_and_no_name_of_a_photo_is_in_it(
    shared: Path, tmp_path: Path, call: Run
) -> None:
    out = tmp_path / "x.zip"
    done = call("share", shared.with_name("tf"), out, "--with-bottlenecks")
    assert done.returncode == 0
    assert done.stderr == f"{out} has the bottlenecks of 6 pictures: {REVEALED}\n"
    assert out.read_bytes() == shared.read_bytes()
    card = members_of(out)[MODEL_CARD].decode()
    assert f"`{ROWS}` has the bottlenecks of 6 pictures" in card
    assert REVEALED in card
    assert b".bmp" not in out.read_bytes()
    done = call("verify", out)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "bottlenecks: 6 pictures"
    done = call("share", shared.with_name("tf"), tmp_path / "y.zip")
    assert (done.returncode, done.stderr) == (0, "")
    assert "bottlenecks" not in call("verify", tmp_path / "y.zip").stdout
    assert "reveal" not in members_of(tmp_path / "y.zip")[MODEL_CARD].decode()


def test_sharing_writes_nothing_but_the_zip_and_needs_no_cache(
    shared: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(shared.with_name("tf"), tmp_path / "tf")
    shutil.rmtree(folder / "bottlenecks")
    before = sorted(folder.rglob("*"))
    share(folder, tmp_path / "x.zip", Author(), with_bottlenecks=True)
    assert sorted(folder.rglob("*")) == before
    assert (tmp_path / "x.zip").read_bytes() == shared.read_bytes()


def add(folder: Path) -> None:
    photo(folder / "data/cat/new.bmp", 99)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (add, "are not those that it was trained on; run ./train.sh .*tf first"),
        (lambda tf: next((tf / "data/cat").glob("tf0*")).unlink(), "are not those that it was"),
        (
            lambda tf: os.rename(tf / "data/cat/tf0.bmp", tf / "data/dog/new.bmp"),
            "are not those that it was trained on",
        ),
        (lambda tf: (tf / RECORD).unlink(), "are not those that it was trained on"),
        (lambda tf: shutil.rmtree(tf / "data"), "has no folder data; put pictures into"),
        (lambda tf: shutil.rmtree(tf / "data/dog"), "there is only cat"),
    ],
)
def test_only_what_was_trained_on_is_shared(
    shared: Path, tmp_path: Path, spoil: Callable[[Path], object], said: str
) -> None:
    folder = shutil.copytree(shared.with_name("tf"), tmp_path / "tf")
    spoil(folder)
    with pytest.raises(UserError, match=said):
        share(folder, tmp_path / "x.zip", Author(), with_bottlenecks=True)
    assert not (tmp_path / "x.zip").exists()


def test_what_has_no_rows_to_share_is_refused(
    tiny: Backbone, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "x.zip"
    with pytest.raises(WrongUsage, match="is no folder, and bottlenecks are made of the pictures"):
        share(shared.with_name("tf") / GRAPH, out, Author(), with_bottlenecks=True)
    folder = tmp_path / "tuned"
    photo(folder / "data/cat/1.bmp", 1)
    record = replace(record_for(tiny), fine_tuned=2)
    (folder / GRAPH).write_bytes(serialise(with_head(tiny.graph, head_for(12), record)))
    with pytest.raises(UserError, match="was fine-tuned, so its bottlenecks go with nobody else's"):
        share(folder, out, Author(), with_bottlenecks=True)
    (folder / GRAPH).write_bytes(serialise(made(next(iter(INPUTS)))))
    (folder / LABELS).write_text("tulips\nroses\nviolets\n")
    with pytest.raises(UserError, match="is another program's; train on its backbone"):
        share(folder, out, Author(), with_bottlenecks=True)
    monkeypatch.setitem(OPTIONAL, ROWS, 100)
    with pytest.raises(UserError, match="the bottlenecks of 7 pictures are too many for a zip"):
        share(shared.with_name("tf"), out, Author(), with_bottlenecks=True)
    assert not out.exists()


def put(name: str, where: int, value: Any) -> Callable[[Any], Any]:
    """A change of a table: a value in the field whose name begins like that."""

    def change(table: Any) -> Any:
        (field,) = (each for each in table.dtype.names if each.startswith(name))
        table[field][where] = value
        return table

    return change


def bottleneck(where: int, value: float) -> Callable[[Any], Any]:
    def change(table: Any) -> Any:
        table[table.dtype.names[2]][where, 0] = value
        return table

    return change


def as_type(kind: str, width: int, name: str = "") -> Callable[[Any], Any]:
    """The table with other numbers in its last field, under that name."""

    def change(table: Any) -> Any:
        last = name or table.dtype.names[2]
        row = np.dtype([("key", "V32"), ("category", "<u4"), (last, kind, (width,))])
        found = np.zeros(len(table), row)
        found["key"], found["category"] = table["key"], table["category"]
        return found

    return change


DAMAGED = "bottlenecks.npy in .* is damaged"
CHANGED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "not a number": (bottleneck(0, np.nan), f"{DAMAGED}; get it again"),
    "infinite": (bottleneck(3, -np.inf), f"{DAMAGED}; get it again"),
    "a category too many": (put("category", 6, 2), f"{DAMAGED}; get it again"),
    "a huge category": (put("category", 6, 2**32 - 1), f"{DAMAGED}; get it again"),
    "a category too few": (lambda t: t[:3], f"{DAMAGED}; get it again"),
    "no rows": (lambda t: t[:0], f"{DAMAGED}; get it again"),
    "another order": (lambda t: t[::-1], f"{DAMAGED}; get it again"),
    "a row twice": (lambda t: t[[0, 0, 1, 2, 3, 4, 5, 6]], f"{DAMAGED}; get it again"),
    "a row less": (lambda t: t[1:], "is not of the pictures that it was trained on"),
    "another key": (put("key", 0, bytes(32)), "is not of the pictures that it was trained on"),
    "too wide": (
        as_type("<f4", 13),
        f"{DAMAGED}, or of another backbone",
    ),
    "doubles": (
        as_type("<f8", 12),
        f"{DAMAGED}, or of another backbone",
    ),
    "of another extractor": (
        as_type("<f4", 12, "0" * 32),
        f"{DAMAGED}, or of another backbone",
    ),
    "a pickle": (lambda t: np.array([print], object), f"{DAMAGED}, or of another backbone"),
    "a plain table": (lambda t: t[t.dtype.names[2]], f"{DAMAGED}, or of another backbone"),
}


@pytest.mark.parametrize("kind", CHANGED)
def test_hostile_rows_are_one_sentence(shared: Path, tmp_path: Path, kind: str) -> None:
    change, said = CHANGED[kind]
    members = members_of(shared)
    refused(with_table(members, change(table_in(members))), tmp_path, said)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[:100],
        lambda data: data + b"\0",
        lambda data: data.replace(b"(7,)", b"(8,)"),
        lambda data: data.replace(b"(7,), }" + b" " * 11, b"(999999999999,), }"),
        lambda data: b"<html>",
    ],
)
def test_a_file_that_is_no_table_is_one_sentence(
    shared: Path, tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    members = members_of(shared)
    refused(members | {ROWS: change(members[ROWS])}, tmp_path, f"{DAMAGED}, or of another backb")


def refused(members: Members, folder: Path, said: str) -> None:
    path = folder / "x.zip"
    path.write_bytes(packed(members))
    with pytest.raises(UserError, match=said) as raised:
        verify(path)
    assert raised.value.exit_code == 1
    assert str(raised.value).isprintable()
    assert [each.name for each in folder.iterdir()] == ["x.zip"]


def test_its_digest_is_checked_and_its_size_is_bounded(shared: Path, tmp_path: Path) -> None:
    members, path = members_of(shared), tmp_path / "x.zip"
    path.write_bytes(packed(members | {ROWS: members[ROWS] + b"\n"}, summed=False))
    with pytest.raises(UserError, match=r"bottlenecks.npy in .* does not match SHA256SUMS"):
        verify(path)
    for named in (SUMS, ROWS):
        kept = {name: members[name] for name in members if name != named}
        path.write_bytes(packed(kept, summed=False))
        with pytest.raises(UserError, match=r"has no SHA256SUMS|names files that are not"):
            verify(path)
    data = bytearray(shared.read_bytes())
    end = data.rindex(b"PK\x01\x02")  # of the last file in the list
    data[end + 20 : end + 28] = (500_000_001).to_bytes(4, "little") * 2
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"bottlenecks.npy in it has 500000001 bytes; at most"):
        verify(path)


def with_categories(tiny: Backbone, shared: Path, categories: tuple[str, ...]) -> Members:
    """The zip with a graph, a record and rows that have these categories."""
    labels = tuple(label_of(each) for each in categories)
    record = replace(record_for(tiny), labels=labels, categories=categories, thresholds={})
    graph = with_head(tiny.graph, head_for(12, len(labels)), record)
    folder = shared.parent
    (folder / "odd.pb").write_bytes(serialise(graph))
    (folder / "odd.zip").unlink(missing_ok=True)
    share(folder / "odd.pb", folder / "odd.zip", Author())
    members, known = members_of(folder / "odd.zip"), members_of(shared)
    table = table_in(known)
    table["category"] %= len(labels)
    table = table[
        sorted(range(len(table)), key=lambda i: (table["category"][i], bytes(table["key"][i])))
    ]
    keys = [bytes(key).hex() for key in table["key"]]
    lines = sorted(f"{key}  {labels[k]}\n" for key, k in zip(keys, table["category"], strict=True))
    digest = sha256("".join(lines).encode()).hexdigest()
    model = json.dumps(json.loads(members[RECORD]) | {"data_sha256": digest}).encode()
    return with_table(members | {RECORD: model}, table)


@pytest.mark.parametrize(
    "name", ["../x", "x/y", "/x", "..x", ".x", "x\0y", "x" * 256, "\ud800x", "---x/.."]
)
def test_a_category_that_is_no_folder_s_name_is_refused(
    tiny: Backbone, shared: Path, tmp_path: Path, name: str
) -> None:
    members = with_categories(tiny, shared, ("cat", name))
    refused(members, tmp_path, "has .* as a category; get it again")


def test_labels_are_those_of_the_categories_and_each_is_there_once(
    tiny: Backbone, shared: Path, tmp_path: Path
) -> None:
    members = with_categories(tiny, shared, ("cat", "Cat"))
    refused(members, tmp_path, "would both be labelled 'cat'")
    refused(with_categories(tiny, shared, ("cat",)), tmp_path, "there is only cat|is damaged")


def test_a_program_beside_the_rows_is_refused(shared: Path, tmp_path: Path) -> None:
    refused(members_of(shared) | {"bottlenecks.pkl": b""}, tmp_path, "which does not belong there")


def test_rows_of_a_fine_tuned_graph_are_refused(
    tiny: Backbone, shared: Path, tmp_path: Path
) -> None:
    record = replace(
        record_for(tiny), labels=("cat", "dog"), categories=("cat", "dog"), fine_tuned=1,
        thresholds={},
    )  # fmt: skip
    graph: GraphDef = with_head(tiny.graph, head_for(12, 2), record)
    (shared.parent / "tuned.pb").write_bytes(serialise(graph))
    share(shared.parent / "tuned.pb", shared.parent / "tuned.zip", Author())
    members = members_of(shared.parent / "tuned.zip")
    refused(members | {ROWS: members_of(shared)[ROWS]}, tmp_path, "was fine-tuned, so its bott")


def test_pictures_in_several_categories_count_once(shared: Path) -> None:
    found, story = opened(shared)
    assert rows.count(rows.read(found.rows, found.classifier, story, shared)) == 6
    with pytest.raises(UserError, match="has no bottlenecks; its author can share it with"):
        rows.read(None, found.classifier, story, shared)
