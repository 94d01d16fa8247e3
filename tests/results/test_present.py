"""Results are of what is in DEST, and replace only what classify-dir wrote."""

import shutil
from pathlib import Path

import pytest

from made.place import ROOT, Run
from made.sorting import sort_files, tree
from tensor_guess.config import FLAT, FOLDERS, MANIFEST, WAYS
from tensor_guess.errors import WrongUsage
from tensor_guess.results.present import Present, Shown, check, write
from tensor_guess.sorting.plan import Way, category_in
from tensor_guess.sorting.undo import undo

PHOTO = (ROOT / "test_data/photo01.jpg").read_bytes()
PHOTOS = ROOT / "test_data"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for number in range(30):
        path = tmp_path / "in" / f"IMG_{number}.JPG"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(PHOTO + bytes([number]))
    (tmp_path / "out").mkdir()
    return tmp_path / "in"


def shown(dest: Path, source: Path) -> list[Shown]:
    found = Present(dest, source, "").pictures()
    return [each for each in found if isinstance(each, Shown)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("layout", [FLAT, FOLDERS])
def test_the_category_is_that_of_the_name(source: Path, way: str, layout: str) -> None:
    dest = source.with_name("out")
    sort_files(source, dest, Way(way, layout))
    found = shown(dest, source)
    assert len(found) == 30
    for each in found:
        assert each.category == each.told.label
        doubtful = each.told.entry.name.startswith("review/")
        assert each.kind == ("unknown" if doubtful else "animal")


@pytest.mark.parametrize(
    ("path", "way", "category"),
    [
        ("darth_vader-0.99621.jpg", Way(), "darth_vader"),
        ("2017/may/a-1-0.50000-2.jpg", Way(keep_tree=True), "a-1"),
        ("review/a-1.00000.heic", Way(), "a"),
        ("a/b/c.jpg", Way(layout=FOLDERS), "a"),
        ("review/a/b.jpg", Way(layout=FOLDERS), "a"),
        ("named by hand.jpg", Way(), ""),
    ],
)
def test_a_path_in_dest_says_its_category(path: str, way: Way, category: str) -> None:
    assert category_in(path, way) == category


def test_only_what_is_there_and_came_from_this_folder_counts(source: Path, tmp_path: Path) -> None:
    dest, other = tmp_path / "out", tmp_path / "other"
    sort_files(source, dest, Way())
    other.mkdir()
    (other / "x.jpg").write_bytes(PHOTO + b"other")
    sort_files(other, dest, Way())
    assert [each.told.entry.image for each in shown(dest, other)] == ["x.jpg"]
    assert len(shown(dest, source)) == 30
    undo(dest, other)
    assert shown(dest, other) == []
    both = tmp_path / "both"
    both.mkdir()
    for folder in (source, dest):
        shutil.move(folder, both)
    assert len(shown(both / "out", both / "in")) == 30


def test_what_was_written_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).touch()
    check(tmp_path / "no such folder", ("a.json",))
    check(tmp_path, ("a.json", "b.json"))
    write(tmp_path, "x", {"a.json": b"one", "b.json": iter([b"t", b"wo"])})
    check(tmp_path, ("a.json", "b.json"))
    write(tmp_path, "x", {"a.json": b"three"})
    check(tmp_path, ("a.json", "b.json"))
    assert (tmp_path / "b.json").read_bytes() == b"two"
    (tmp_path / "b.json").write_bytes(b"mine")
    check(tmp_path, ("a.json",))
    with pytest.raises(
        WrongUsage, match=r"b\.json was not written by classify-dir, or was changed"
    ):
        check(tmp_path, ("a.json", "b.json"))
    (tmp_path / "b.json").unlink()
    (tmp_path / "b.json").symlink_to(tmp_path / "a.json")
    with pytest.raises(WrongUsage, match="move it away"):
        check(tmp_path, ("b.json",))


def test_undoing_removes_what_was_written_unless_somebody_changed_it(source: Path) -> None:
    dest = source.parent / "out"
    assert sort_files(source, dest, Way()) == 30
    write(dest, "x", {"a.json": b"one", "b.json": b"two"})
    write(dest, "x", {"a.json": b"three"})
    (dest / "b.json").write_bytes(b"mine")
    done = undo(dest, source)
    assert [(each.path.name, each.reason) for each in done.left] == [
        ("b.json", "was changed since; it stays")
    ]
    assert done.count == 30
    assert tree(dest).keys() == {"b.json"}


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).touch()
    write(tmp_path, "x", {"a.json": b"one"})

    def broken() -> object:
        yield b"half"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, "y", {"a.json": broken()})  # type: ignore[dict-item]
    assert tree(tmp_path, left=True).keys() == {"a.json"}
    assert (tmp_path / "a.json").read_bytes() == b"one"
    check(tmp_path, ("a.json",))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--results", "timelapse", "--dry-run"), "--dry-run touches nothing, so it writes no"),
        (("--results", "camtrap-dp"), "--location says where the camera stood"),
        (("--location", "1,2"), "--location says where the camera stood"),
        (("--results", "camtrap-dp", "--location", "91,0"), "is not in the range"),
        (("--results", "camtrap-dp", "--location", "here"), "is no place such as"),
        (("--results", "coco"), "Invalid value for '--results'"),
    ],
)
def test_options_that_make_no_sense_are_2_and_make_nothing(
    call: Run, trained: Path, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    done = call("classify-dir", trained, PHOTOS, tmp_path / "out", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in " ".join(done.stderr.split())
    assert not list(tmp_path.iterdir())
