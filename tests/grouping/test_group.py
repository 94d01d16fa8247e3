"""A heap in folders: every picture once, SRC untouched, and all of it can be taken back."""

import json
import os
import shutil
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from PIL import Image
from tensorboard.compat.proto.graph_pb2 import GraphDef

from made.place import ROOT
from made.sorting import tree
from tensor_guess.bottlenecks.extractor import Extractor
from tensor_guess.config import BOTTLENECKS, CONTACT_SHEET, MANIFEST, OUTLIERS
from tensor_guess.errors import UserError, WrongUsage
from tensor_guess.graphs.graph import serialise
from tensor_guess.grouping import group as grouping
from tensor_guess.grouping.group import Grouped, Wanted, group
from tensor_guess.sorting.undo import undo

COLOURS = {"red": (220, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 230)}
EACH = 6
HOSTILE_NAMES = (
    b"new\nline.png", b"-rf.png", b"latin1_\xe9.png", b"<b>&'\".png", b"n" * 251 + b".png",
    b"no_extension", b"\x1b[31m.png",
)  # fmt: skip


def picture(path: Path, colour: tuple[int, ...], seed: int, side: int = 24) -> Path:
    """A picture of that colour, with a noise of its own."""
    noise = np.random.default_rng(seed).integers(-20, 20, (side, side, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8)).save(path, "PNG")
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """SRC with pictures of three colours, in two folders, named by nothing."""
    folder, seed = tmp_path / "heap", 0
    for colour in COLOURS.values():
        for _ in range(EACH):
            picture(folder / ("a", "b/c")[seed % 2] / f"{seed * 7919 % 100}.png", colour, seed)
            seed += 1
    return folder


@pytest.fixture
def wanted(ours: GraphDef, tmp_path: Path) -> Wanted:
    """Three groups by the tiny backbone."""
    (tmp_path / "tiny.pb").write_bytes(serialise(ours))
    return Wanted(groups=3, backbone=str(tmp_path / "tiny.pb"))


def colour_of(path: Path) -> str:
    with Image.open(path) as image:
        mean = np.asarray(image.convert("RGB"), float).mean(axis=(0, 1))
    return ("red", "green", "blue")[int(mean.argmax())]


def copies_in(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("*/*") if p.parent.name != BOTTLENECKS)


def contents(paths: list[Path]) -> list[bytes]:
    return sorted(path.read_bytes() for path in paths)


def test_each_picture_is_copied_once_and_the_heap_stays_as_it_is(
    source: Path, tmp_path: Path, wanted: Wanted
) -> None:
    before = tree(source)
    done = group(source, tmp_path / "new/out", wanted)
    assert (sum(done.counts.values()), done.left_out) == (3 * EACH, ())
    found = copies_in(tmp_path / "new/out")
    assert contents(found) == contents([p for p in source.rglob("*") if p.is_file()])
    assert tree(source) == before


def test_a_folder_has_what_looks_alike(source: Path, tmp_path: Path, wanted: Wanted) -> None:
    done = group(source, tmp_path / "out", wanted)
    assert list(done.counts) == ["group-01", "group-02", "group-03"]
    seen = {name: {colour_of(p) for p in (tmp_path / "out" / name).iterdir()} for name in
            done.counts}  # fmt: skip
    assert sorted(map(sorted, seen.values())) == [["blue"], ["green"], ["red"]]


def test_names_are_numbered_from_the_most_typical_on(
    source: Path, tmp_path: Path, wanted: Wanted
) -> None:
    group(source, tmp_path / "out", wanted)
    lines = map(json.loads, (tmp_path / "out" / MANIFEST).read_text().splitlines())
    told = {each["copied_to"]: each for each in lines if "copied_to" in each}
    for folder in ("group-01", "group-02", "group-03"):
        own = sorted(name for name in told if name.startswith(f"{folder}/"))
        numbers = [Path(name).name.partition("-")[0] for name in own]
        assert numbers == [f"{n:02}" for n in range(1, len(own) + 1)]
        likeness = [told[name]["scores"][folder] for name in own]
        assert likeness == sorted(likeness, reverse=True)
        for name in own:
            assert name.partition("-")[2].endswith(f"-{Path(told[name]['image']).name}")


def test_the_same_bytes_are_one_picture(source: Path, tmp_path: Path, wanted: Wanted) -> None:
    one = next(path for path in sorted(source.rglob("*.png")))
    shutil.copy(one, source / "again.png")
    done = group(source, tmp_path / "out", wanted)
    assert (sum(done.counts.values()), done.same, done.left_out) == (3 * EACH, 1, ())


def test_near_copies_are_marked(source: Path, tmp_path: Path, wanted: Wanted) -> None:
    """All pictures of one colour are near copies to so small a network."""
    group(source, tmp_path / "out", wanted)
    page = (tmp_path / "out" / CONTACT_SHEET).read_text()
    assert page.count("near copy of") >= 3 * (EACH - 1)
    assert page.count("data:image/jpeg") == 3 * EACH


def test_what_is_chosen_is_of_all_kinds_and_marked(
    source: Path, tmp_path: Path, wanted: Wanted
) -> None:
    three = Wanted(3, 3, wanted.backbone)
    done = group(source, tmp_path / "out", three)
    chosen = [tmp_path / "out" / name for name in done.chosen]
    assert sorted(map(colour_of, chosen)) == ["blue", "green", "red"]
    page = (tmp_path / "out" / CONTACT_SHEET).read_text()
    assert page.count("★ label first") == 3


def test_what_cannot_be_read_is_left_out_with_the_reason(
    source: Path, tmp_path: Path, wanted: Wanted
) -> None:
    (source / "notes.jpg").write_text("no picture")
    (source / "out.png").symlink_to("/etc/hostname")
    (source / ".hidden.png").touch()
    done = group(source, tmp_path / "out", wanted)
    assert sorted(each.path.name for each in done.left_out) == ["notes.jpg", "out.png"]
    assert (sum(done.counts.values()), done.hidden) == (3 * EACH, 1)
    assert "notes.jpg" in (tmp_path / "out" / CONTACT_SHEET).read_text()


def test_what_changes_meanwhile_is_left_out(
    source: Path, tmp_path: Path, wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed, gone = sorted(source.rglob("*.png"))[:2]
    copy = grouping._copy

    def late(*arguments: object) -> object:
        changed.write_bytes(b"another")
        gone.unlink()
        return copy(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(grouping, "_copy", late)
    done = group(source, tmp_path / "out", wanted)
    assert {each.path for each in done.left_out} == {changed, gone}
    assert len(copies_in(tmp_path / "out")) == sum(done.counts.values()) == 3 * EACH - 2
    assert done.counts.keys() <= {"group-01", "group-02", "group-03", OUTLIERS}


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_any_name_is_copied_and_shown(
    source: Path, tmp_path: Path, wanted: Wanted, name: bytes
) -> None:
    one = picture(source / os.fsdecode(name), COLOURS["red"], 99)
    group(source, tmp_path / "out", wanted)
    assert one.read_bytes() in contents(copies_in(tmp_path / "out"))
    page = (tmp_path / "out" / CONTACT_SHEET).read_bytes()
    assert b"<b>" not in page
    assert b"\x1b" not in page


def test_undo_takes_it_back_and_the_next_run_computes_nothing(
    source: Path, tmp_path: Path, wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    group(source, tmp_path / "out", wanted)
    done = undo(tmp_path / "out")
    assert (done.count, done.left) == (3 * EACH, ())
    assert sorted(os.listdir(tmp_path / "out")) == [BOTTLENECKS, CONTACT_SHEET, MANIFEST]

    def no_network(_: Extractor) -> NoReturn:
        raise AssertionError("something was computed again")

    monkeypatch.setattr(Extractor, "network", no_network)
    again = group(source, tmp_path / "out", Wanted(2, 0, wanted.backbone))
    assert sum(again.counts.values()) == 3 * EACH
    assert len(copies_in(tmp_path / "out")) == 3 * EACH


def test_what_a_killed_run_left_is_named_and_can_be_taken_back(
    source: Path, tmp_path: Path, wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object) -> NoReturn:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("tensor_guess.grouping.contact_sheet.page", killed)
        with pytest.raises(Killed):
            group(source, tmp_path / "out", wanted)
    with pytest.raises(WrongUsage, match=r"not empty: it has group-01; .* undo "):
        group(source, tmp_path / "out", wanted)
    undo(tmp_path / "out")
    done: Grouped = group(source, tmp_path / "out", wanted)
    assert len(copies_in(tmp_path / "out")) == sum(done.counts.values()) == 3 * EACH


def test_one_picture_is_a_group(tmp_path: Path, wanted: Wanted) -> None:
    picture(tmp_path / "heap/one.png", COLOURS["red"], 0)
    done = group(tmp_path / "heap", tmp_path / "out", Wanted(None, 5, wanted.backbone))
    assert (done.counts, done.chosen) == ({"group-01": 1}, ("group-01/01-one.png",))


def test_where_it_may_not_go(source: Path, tmp_path: Path, wanted: Wanted) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").touch()
    (tmp_path / "sheet").mkdir()
    (tmp_path / "sheet" / CONTACT_SHEET).write_text("<title>Sales</title>")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / BOTTLENECKS).symlink_to(tmp_path / "full")
    (tmp_path / "file").touch()
    before = tree(tmp_path)
    for dest, said in (
        (source, "the same folder as SRC"),
        (source / "out", "inside SRC"),
        (tmp_path / "full", "is not empty: it has mine.txt"),
        (tmp_path / "sheet", f"is not empty: it has {CONTACT_SHEET}"),
        (tmp_path / "linked", "is a link that leaves the folder"),
        (tmp_path / "file", "is not a folder"),
        (tmp_path, "is not empty"),
    ):
        with pytest.raises(WrongUsage, match=said):
            group(source, dest, wanted)
    with pytest.raises(WrongUsage, match="not a folder of pictures"):
        group(tmp_path / "file", tmp_path / "out", wanted)
    assert tree(tmp_path) == before


def test_without_pictures_nothing_is_made(tmp_path: Path, wanted: Wanted) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="has no pictures"):
        group(tmp_path / "empty", tmp_path / "out", wanted)
    assert not (tmp_path / "out").exists()
    (tmp_path / "empty/x.jpg").touch()
    with pytest.raises(UserError, match=r"no picture in .* can be used; the first: .*is empty"):
        group(tmp_path / "empty", tmp_path / "out", wanted)


def test_a_hidden_file_makes_no_folder_full(source: Path, tmp_path: Path, wanted: Wanted) -> None:
    """A launcher leaves one there before the program starts."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out/.tensor-guess-0123.tmp").touch()
    assert sum(group(source, tmp_path / "out", wanted).counts.values()) == 3 * EACH


@pytest.mark.slow
def test_a_stray_is_put_apart(source: Path, tmp_path: Path, lite0: object) -> None:
    """By a real network: pictures of a colour are alike, and a drawing is like none of them."""
    shutil.copy(ROOT / "test_data/photo01.jpg", source / "stray.jpg")
    done = group(source, tmp_path / "out", Wanted(3, 0, "efficientnet_lite0"))
    assert done.counts[OUTLIERS] >= 1
    assert any(p.name.endswith("stray.jpg") for p in (tmp_path / "out" / OUTLIERS).iterdir())
    assert "Near nothing" in (tmp_path / "out" / CONTACT_SHEET).read_text()
