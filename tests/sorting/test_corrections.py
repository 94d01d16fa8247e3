"""What a person has said by moving sorted pictures, whatever else lies in the folder."""

import os
import shutil
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from made.place import ROOT
from made.sorting import CATEGORIES, sort_files, tree
from tensor_guess.config import COPY, FLAT, FOLDERS, LINK, MANIFEST, SYMLINK, WAYS
from tensor_guess.errors import UserError, WrongUsage
from tensor_guess.sorting.corrections import Categories, Corrections, Labelled, find, names_in
from tensor_guess.sorting.plan import Places, Way
from tensor_guess.system.durable import Journal

PHOTO = (ROOT / "test_data" / "photo01.jpg").read_bytes()
DATA = Categories(CATEGORIES)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Forty pictures, some in folders, each of its own bytes."""
    folder = tmp_path / "in"
    for number in range(40):
        path = folder / ("" if number % 3 else "2017/may") / f"photo{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PHOTO + bytes([number]))
    return folder


def sorted_by(way: Way, source: Path) -> Path:
    dest = source.with_name("out")
    dest.mkdir()
    sort_files(source, dest, way)
    return dest


def pictures(dest: Path, folder: str) -> list[Path]:
    return sorted(p for p in (dest / folder).rglob("*") if not p.is_dir())


def moved(found: Corrections) -> set[tuple[str, str]]:
    return {(each.path.name, each.category) for each in found.moved}


def move(path: Path, folder: Path, name: str = "") -> tuple[str, str]:
    """Drag a picture to a folder of a category; return what that says."""
    folder.mkdir(parents=True, exist_ok=True)
    path.rename(folder / (name or path.name))
    return name or path.name, folder.name


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("keep_tree", [False, True])
def test_untouched_there_is_nothing_and_dragged_it_is_found(
    source: Path, way: str, keep_tree: bool
) -> None:
    dest = sorted_by(Way(way, FOLDERS, keep_tree), source)
    assert find(dest, DATA) == Corrections()
    # A relative link goes on working only at the same depth, as a file manager knows.
    depth = "2017/may" if keep_tree else "."
    of = next(p for p in pictures(dest, "elsa") if p.parent == dest / "elsa" / depth)
    (dest / "darth_vader" / depth).mkdir(parents=True, exist_ok=True)
    of.rename(dest / "darth_vader" / depth / "new name.jpg")
    before = tree(dest)
    found = find(dest, DATA)
    assert moved(found) == {("new name.jpg", "darth_vader")}
    assert (found.strange, found.left_out) == ({}, [])
    assert tree(dest) == before


def test_every_kind_of_move(source: Path) -> None:
    dest = sorted_by(Way(layout=FOLDERS), source)
    elsa, vader = pictures(dest, "elsa"), pictures(dest, "darth_vader")
    doubtful = pictures(dest, "review/elsa")
    # The category called review has a folder of its own: the other is sorting's.
    own = pictures(dest, "review_")
    said = {
        move(elsa[0], dest / "darth_vader"),
        move(elsa[1], dest / "anna"),  # a new category
        move(own[0], dest / "elsa", "renamed.jpg"),
        move(doubtful[0], dest / "elsa"),  # confirmed
        (move(vader[0], dest / "review_")[0], "review"),
    }
    move(elsa[2], dest / "elsa", "another name.jpg")
    move(elsa[3], dest / "elsa/best")
    move(vader[1], dest / "unknown")
    move(vader[2], dest / "review/elsa")
    vader[3].rename(dest / vader[3].name)
    vader[4].unlink()
    found = find(dest, DATA)
    assert moved(found) == said
    assert not found.left_out
    assert len({each.sha256 for each in found.moved}) == len(said)


def test_a_folder_renamed_is_all_its_pictures_moved(source: Path) -> None:
    dest = sorted_by(Way(layout=FOLDERS), source)
    names = {p.name for p in pictures(dest, "elsa")}
    (dest / "elsa").rename(dest / "anna")
    assert moved(find(dest, DATA)) == {(name, "anna") for name in names}
    # In another spelling it is the same label, so the same category.
    (dest / "anna").rename(dest / "ELSA")
    assert not find(dest, DATA).moved


def test_a_copy_in_another_folder_is_a_contradiction(source: Path) -> None:
    dest = sorted_by(Way(layout=FOLDERS), source)
    path = pictures(dest, "elsa")[0]
    shutil.copy(path, dest / "darth_vader")
    found = find(dest, DATA)
    assert not found.moved
    (left,) = found.left_out
    assert left.reason == "is in several categories: darth_vader, elsa; leave it in one"
    path.unlink()
    assert moved(find(dest, DATA)) == {(path.name, "darth_vader")}
    # Twice in one folder contradicts nothing.
    shutil.copy(dest / "darth_vader" / path.name, dest / "darth_vader" / "twice.jpg")
    assert [each.category for each in find(dest, DATA).moved] == ["darth_vader"]


def test_what_no_run_sorted_is_counted_and_never_learned(source: Path) -> None:
    dest = sorted_by(Way(layout=FOLDERS), source)
    (dest / "elsa" / "edited.jpg").write_bytes(PHOTO + b"edited")
    (dest / "holiday").mkdir()
    (dest / "holiday/mine.jpg").write_bytes(PHOTO + b"mine")
    for folder in ("", "review", "unknown", "elsa"):
        (dest / folder).mkdir(exist_ok=True)
        (dest / folder / "notes.txt").write_text("no picture")
    (dest / "review/mine.jpg").write_bytes(PHOTO + b"mine too")
    (dest / "elsa/.hidden.jpg").write_bytes(PHOTO + b"hidden")
    (dest / "elsa/private.jpg").symlink_to("/etc/passwd")
    found = find(dest, DATA)
    assert (found.moved, found.left_out) == ([], [])
    assert found.strange == {"elsa": 1, "holiday": 1}


def test_where_lines_are_damaged_no_guess_is_taken_for_a_correction(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dest = sorted_by(Way(layout=FOLDERS), source)
    lines = (dest / MANIFEST).read_bytes().splitlines(keepends=True)
    kept = [line if b"elsa" not in line else b'{"x\n' for line in lines]
    (dest / MANIFEST).write_bytes(b"".join(kept))
    found = find(dest, DATA)
    assert not found.moved
    assert found.strange["elsa"] == len(pictures(dest, "elsa"))
    assert "damaged lines passed over" in capsys.readouterr().err


def test_what_a_killed_run_brought_and_did_not_tell_counts_too(source: Path) -> None:
    dest = sorted_by(Way(layout=FOLDERS), source)
    lines = (dest / MANIFEST).read_bytes().splitlines(keepends=True)
    (dest / MANIFEST).write_bytes(b"".join(line for line in lines if b'"scores"' not in line))
    said = move(pictures(dest, "elsa")[0], dest / "darth_vader")
    found = find(dest, DATA)
    assert (moved(found), found.strange) == ({said}, {})


def test_pictures_sorted_flat_say_nothing_until_they_are_in_a_folder(source: Path) -> None:
    dest = sorted_by(Way(layout=FLAT, keep_tree=True), source)
    with pytest.raises(WrongUsage, match=r"sorted without folders.* sort with --layout folders"):
        find(dest, DATA)
    (source / "more.jpg").write_bytes(PHOTO + b"more")
    sort_files(source, dest, Way(layout=FOLDERS))
    assert not find(dest, DATA).moved
    flat = [p for p in dest.iterdir() if p.suffix == ".jpg"]
    said = move(flat[0], dest / "elsa")
    flat[1].rename(dest / "2017" / flat[1].name)  # a folder of SRC
    assert moved(find(dest, DATA)) == {said}


def test_what_was_undone_is_nobodys_guess(source: Path) -> None:
    from tensor_guess.sorting.undo import undo

    dest = sorted_by(Way(layout=FOLDERS), source)
    move(pictures(dest, "elsa")[0], dest / "darth_vader", "mine.jpg")
    undo(dest, source)
    found = find(dest, DATA)
    assert (found.moved, found.strange) == ([], {"darth_vader": 1})


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_picture_that_cannot_be_read_is_named(source: Path) -> None:
    dest = sorted_by(Way(COPY, FOLDERS), source)
    path = pictures(dest, "elsa")[0]
    path.chmod(0)
    (left,) = find(dest, DATA).left_out
    assert (left.path, left.reason) == (path, "permission denied")


def test_pipes_and_broken_links_cost_only_themselves(source: Path) -> None:
    dest = sorted_by(Way(SYMLINK, FOLDERS), source)
    said = move(pictures(dest, "elsa")[0], dest / "darth_vader")
    os.mkfifo(dest / "elsa/pipe.jpg")
    (dest / "elsa/nowhere.jpg").symlink_to("nowhere")
    shutil.rmtree(source)
    found = find(dest, DATA)
    assert moved(found) == {said}
    assert [each.path.name for each in found.left_out] == ["pipe.jpg"]


@pytest.mark.parametrize(
    ("make", "error", "said"),
    [
        (lambda dest: None, WrongUsage, "there is no folder"),
        (lambda dest: dest.touch(), WrongUsage, "there is no folder"),
        (lambda dest: dest.mkdir(), UserError, "nothing was sorted into"),
    ],
)
def test_a_folder_that_was_not_sorted_is_refused(
    tmp_path: Path, make: object, error: type[UserError], said: str
) -> None:
    make(tmp_path / "out")  # type: ignore[operator]
    with pytest.raises(error, match=said):
        find(tmp_path / "out", DATA)


@given(st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=6))
def test_each_folder_that_sorting_makes_is_its_category(names: list[str]) -> None:
    places, categories = Places(Way(layout=FOLDERS), names), Categories(names)
    assert [categories.of(places.name(each)) for each in names] == names
    assert categories.of(places.name("", unknown=True)) is None
    assert categories.of("review") is None
    assert categories.of("") is None


FOLDERS_THERE = ("elsa", "darth_vader", "review/elsa", "review/darth_vader", "unknown")
PLACES = (*FOLDERS_THERE, "", "anna", "elsa/deeper", "Elsa", None)


@given(st.lists(st.tuples(st.sampled_from(FOLDERS_THERE), st.sampled_from(PLACES)), max_size=8))
def test_a_correction_is_a_category_that_was_not_chosen_before(
    moves: list[tuple[str, str | None]],
) -> None:
    """Whatever was sorted where, and dragged, renamed or deleted since."""
    chosen = {each: each.partition("/")[0] for each in FOLDERS_THERE if "review" not in each}
    chosen |= {"unknown": "", "anna": "anna", "elsa/deeper": "elsa", "Elsa": "elsa"}
    with TemporaryDirectory() as name, Journal(Path(name, MANIFEST)) as journal:
        dest = Path(name)
        header: dict[str, Any] = {"run": "x", "classifier": "", "source": "/in", "way": "copy"}
        journal.add(**header, destination=name, layout=FOLDERS)
        expected = set()
        for number, (before, now) in enumerate(moves):
            data = b"\xff\xd8\xff" + bytes([number])
            told: dict[str, Any] = {"image": f"{number}.jpg", "scores": {}, "by": "x"}
            told |= {"copied_to": f"{before}/{number}.jpg", "sha256": sha256(data).hexdigest()}
            journal.add(**told)
            if now is not None:
                (dest / now).mkdir(parents=True, exist_ok=True)
                (dest / now / f"renamed {number}.jpg").write_bytes(data)
                category = chosen.get(now, "")
                if category and category != chosen.get(before, ""):
                    expected.add((told["sha256"], category))
        found = find(dest, DATA)
        assert {(each.sha256, each.category) for each in found.moved} == expected
        assert (found.strange, found.left_out) == ({}, [])


def test_what_data_has_is_known_by_its_bytes(tmp_path: Path) -> None:
    for name, data in {"b/x.jpg": b"one", "b/y.jpg": b"two", "a/deep/x.jpg": b"one"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "beside.jpg").write_bytes(b"one")
    digests = [sha256(data).hexdigest() for data in (b"one", b"two", b"six")]
    known = Labelled(tmp_path)
    assert [sorted(known.has(each, 3)) for each in digests] == [["a", "b"], ["b"], []]
    (tmp_path / "a/new.jpg").write_bytes(b"six")
    known.add("a", tmp_path / "a/new.jpg", digests[2])
    assert known.has(digests[2], 3) == {"a": tmp_path / "a/new.jpg"}
    assert names_in(tmp_path) == ["a", "b"]
    assert names_in(tmp_path / "none") == []


def test_links_of_one_kind_do_not_pass_for_another(source: Path) -> None:
    """A stranger's DEST must not make us read what it leads to."""
    dest = sorted_by(Way(LINK, FOLDERS), source)
    private = source.with_name("private.jpg")
    private.write_bytes(PHOTO + b"private")
    (dest / "elsa/link.jpg").symlink_to(private)
    assert find(dest, DATA) == Corrections()
