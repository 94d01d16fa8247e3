"""What was sorted comes back as it was, whole, whatever was killed, and nothing else is touched."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from itertools import count
from pathlib import Path
from signal import SIGKILL

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from made.sorting import Tree, sort_files, tree
from made.steps import bad_at, die_at, ended_of, full_from, reached
from tensor_guess.config import LAYOUTS, MANIFEST, WAYS
from tensor_guess.errors import UserError, WrongUsage
from tensor_guess.sorting.plan import Way
from tensor_guess.sorting.undo import undo

NAMES = ("a.jpg", "b.jpg", "2017/a.jpg", "2017/may/c", "-rf.jpg", "new\nline.jpg", "caf\udce9.jpg")
# What is in a test with kills: pictures alone, and pictures with companions; each with its bytes.
ALONE = {name: os.fsencode(name) for name in NAMES[:4]}
UNITS = {
    name: os.fsencode(name)
    for name in ("a.HEIC", "a.MOV", "a.HEIC.xmp", "2017/a.jpg", "2017/a.cr2", "2017/a.aae", "b.jpg")
}


class Folders:
    """SRC with pictures, DEST with somebody's own files, and what was in both."""

    def __init__(self, place: Path, contents: dict[str, bytes] | None = None) -> None:
        self.source, self.dest = place / "in", place / "out"
        for folder in (self.source, self.dest / "elsa"):
            folder.mkdir(parents=True)
        (self.dest / "elsa/a.jpg").write_bytes(b"somebody's own")
        (self.dest / "elsa-0.50000.jpg").write_bytes(b"somebody's own too")
        for own in self.dest.rglob("*.jpg"):
            os.utime(own, ns=(1, 1_000_000_000))
        found = {name: b"bytes of " + os.fsencode(name) for name in NAMES}
        for number, (name, data) in enumerate((found if contents is None else contents).items()):
            path = self.source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            path.chmod((0o644, 0o600, 0o755, 0o444)[number % 4])
            os.utime(path, ns=(1, 1_234_567_890_123_456_789 + number))
        self.before = self.now()

    def now(self) -> tuple[Tree, Tree]:
        return tree(self.source), tree(self.dest)

    def sort(self, way: Way) -> int:
        return sort_files(self.source, self.dest, way)

    def undo(self, run: str | None = None) -> int:
        done = undo(self.dest, self.source, run)
        assert done.left == ()
        return done.count


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path)


def events(folder: Path) -> Iterator[dict[str, object]]:
    for line in (folder / MANIFEST).read_bytes().split(b"\n"):
        with suppress(ValueError):
            yield json.loads(line)


names = (
    st.binary(min_size=1, max_size=30)
    .filter(lambda name: not name.startswith(b".") and not set(name) & {0, ord("/")})
    .map(os.fsdecode)
)
trees = st.dictionaries(
    st.lists(names, min_size=1, max_size=3).map("/".join), st.binary(max_size=3), max_size=12
)


@pytest.mark.slow
@settings(max_examples=60)
@given(trees, st.sampled_from(WAYS), st.sampled_from(LAYOUTS), st.booleans())
def test_sorted_and_undone_is_as_it_was(
    contents: dict[str, bytes], way: str, layout: str, keep_tree: bool
) -> None:
    def is_folder(name: str) -> bool:
        return any(each.startswith(f"{name}/") for each in contents)

    contents = {name: data for name, data in contents.items() if not is_folder(name)}
    with tempfile.TemporaryDirectory() as place:
        folders = Folders(Path(place), contents)
        how = Way(way, layout, keep_tree)
        assert folders.sort(how) == len(set(contents.values()))
        source, dest = folders.now()
        if way != "move":
            assert source == folders.before[0]
        there = {e[2] for e in (*source.values(), *dest.values()) if e[0] == "file"}
        assert there >= set(contents.values())
        if contents:
            assert folders.undo() == len(set(contents.values()))
        assert folders.now() == folders.before
        assert folders.sort(how) == len(set(contents.values()))
        assert folders.now() == (source, dest)


@pytest.mark.parametrize("way", WAYS)
def test_each_way_brings_the_file_itself_or_its_likeness(folders: Folders, way: str) -> None:
    assert folders.sort(Way(way, "folders")) == len(NAMES)
    told = [line for line in events(folders.dest) if "sha256" in line]
    key = {"copy": "copied_to", "move": "moved_to", "link": "linked_to"}.get(way, "symlinked_to")
    for line in told:
        image, to = folders.source / str(line["image"]), folders.dest / str(line[key])
        before = folders.before[0][str(line["image"])]
        assert to.read_bytes() == before[2]
        assert to.stat().st_mtime_ns == before[3]
        assert to.stat().st_mode & 0o777 == before[1]
        assert to.is_symlink() == (way == "symlink")
        assert image.exists() == (way != "move")
        if way == "link":
            assert os.path.samestat(image.stat(), to.stat())
    assert len(told) == len(NAMES)


@pytest.mark.parametrize("what", [dict.fromkeys(NAMES, b""), UNITS], ids=["alone", "units"])
@pytest.mark.parametrize("way", WAYS)
def test_folders_moved_together_are_still_undone_and_resumed(
    tmp_path: Path, way: str, what: dict[str, bytes]
) -> None:
    folders = Folders(tmp_path / "here", {name: os.fsencode(name) for name in what})
    pictures = 3 if what is UNITS else len(NAMES)
    how = Way(way, "folders")
    folders.sort(how)
    (tmp_path / "here").rename(tmp_path / "there")
    folders.source, folders.dest = tmp_path / "there/in", tmp_path / "there/out"
    if way == "symlink":
        assert all(path.exists() for path in folders.dest.rglob("*") if path.is_symlink())
    (folders.source / "new.jpg").write_bytes(b"new")
    assert folders.sort(how) == 1
    if way == "move":
        assert undo(folders.dest, folders.source).count == 1
        assert undo(folders.dest, folders.source).count == pictures
    else:  # the manifest says where SRC is, from DEST
        assert undo(folders.dest).count == 1
        assert undo(folders.dest).count == pictures
    (folders.source / "new.jpg").unlink()
    assert folders.now() == folders.before


def test_runs_are_undone_one_by_one_or_by_name(folders: Folders) -> None:
    states, runs = [folders.now()], []
    for number in range(3):
        (folders.source / f"{number}.png").write_bytes(b"%d" % number)
        states.append((tree(folders.source), folders.now()[1]))
        folders.sort(Way(("copy", "link", "symlink")[number]))
        runs.append([line["run"] for line in events(folders.dest) if "run" in line][-1])
    assert undo(folders.dest).run == runs[2]
    done = undo(folders.dest, run=str(runs[0]))
    assert (done.count, done.earlier) == (len(NAMES) + 1, 1)
    with pytest.raises(UserError, match=f"run {runs[0]} is undone already"):
        undo(folders.dest, run=str(runs[0]))
    assert undo(folders.dest).run == runs[1]
    with pytest.raises(UserError, match="every run is undone already"):
        undo(folders.dest)
    with pytest.raises(WrongUsage, match=f"has no run 12ab; the last are .*{runs[2]}"):
        undo(folders.dest, run="12ab")
    assert tree(folders.dest) == states[0][1]


def test_what_was_never_sorted_is_not_undone(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing was sorted into .*: it has no manifest\.jsonl"):
        undo(tmp_path)
    assert not list(tmp_path.iterdir())
    for arguments in ((tmp_path / "no",), (tmp_path, tmp_path / "no")):
        with pytest.raises(WrongUsage, match="there is no folder"):
            undo(*arguments)


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "edited": (lambda path: path.write_bytes(b"edited"), "was changed since; it stays"),
    "gone": (lambda path: None, "is gone: it was moved or deleted since"),
    "link": (lambda path: path.symlink_to("/etc/passwd"), "was changed since; it stays"),
    "folder": (lambda path: path.mkdir(), "was changed since; it stays"),
    "fifo": (os.mkfifo, "was changed since; it stays"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("way", WAYS)
def test_what_was_changed_since_is_left_and_named(folders: Folders, way: str, change: str) -> None:
    folders.sort(Way(way))
    path = next(p for p in folders.dest.iterdir() if p.stem.startswith("darth_vader"))
    path.unlink()
    CHANGES[change][0](path)
    changed = tree(folders.dest).get(path.name)
    done = undo(folders.dest, folders.source)
    assert done.count == len(NAMES) - 1
    assert [(left.path, left.reason) for left in done.left] == [(path, CHANGES[change][1])]
    assert tree(folders.dest).get(path.name) == changed
    with pytest.raises(UserError, match="every run is undone already"):  # it is no longer ours
        undo(folders.dest, folders.source)


@pytest.mark.parametrize("way", ["copy", "link"])
@pytest.mark.parametrize("change", ["gone", "edited", "moved"])
def test_the_last_copy_of_a_picture_is_never_removed(
    folders: Folders, way: str, change: str
) -> None:
    folders.sort(Way(way, "folders"))
    original = folders.source / "b.jpg"
    (to,) = (p for p in folders.dest.rglob("b.jpg"))
    data, link = original.read_bytes(), folders.source / "elsewhere"
    if change == "moved":
        original.rename(link)
    else:
        original.unlink()
        if change == "edited":
            original.write_bytes(b"edited")
    done = undo(folders.dest)
    assert [left.path for left in done.left] == [to]
    assert "stays: the original, " in done.left[0].reason
    assert to.read_bytes() == data
    if change == "moved":
        link.rename(original)
        assert undo(folders.dest).count == 1  # an obstacle elsewhere: it can be tried again
        assert folders.now() == folders.before


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("member", ["a.HEIC", "a.MOV", "a.HEIC.xmp"])
@pytest.mark.parametrize("way", WAYS)
def test_a_unit_of_which_one_was_changed_since_stays_whole(
    tmp_path: Path, way: str, member: str, change: str
) -> None:
    folders = Folders(tmp_path, UNITS)
    folders.sort(Way(way, "folders"))
    path = next(folders.dest.rglob(member))
    path.unlink()
    CHANGES[change][0](path)
    own = {name: e for name, e in tree(folders.dest).items() if Path(name).name[:2] == "a."}
    done = undo(folders.dest, folders.source)
    assert (done.count, done.companions) == (2, 2)
    left = {each.path.name: each.reason for each in done.left}
    assert left.pop(member) == CHANGES[change][1]
    assert set(left.values()) == {f"stays with {member}"}
    assert len(left) == 2
    kept = [name for name in own if name.rpartition("/")[2] in (member, *left)]
    assert all(tree(folders.dest)[name] == own[name] for name in kept)
    assert len(kept) == 3 - (change == "gone")
    with pytest.raises(UserError, match="every run is undone already"):  # it is no longer ours
        undo(folders.dest, folders.source)


@pytest.mark.parametrize("way", ["copy", "move", "link"])
def test_a_unit_of_which_one_cannot_go_yet_stays_whole_until_it_can(
    tmp_path: Path, way: str
) -> None:
    """The original is gone; or, of a move, its place is taken."""
    folders = Folders(tmp_path, UNITS)
    folders.sort(Way(way, "folders"))
    original, aside = folders.source / "a.MOV", tmp_path / "aside"
    if way == "move":
        original.write_bytes(b"another")
    else:
        original.rename(aside)
    done = undo(folders.dest, folders.source)
    assert sorted(each.path.name for each in done.left) == ["a.HEIC", "a.HEIC.xmp", "a.MOV"]
    assert {path.name for path in folders.dest.rglob("a.*")} >= {"a.HEIC", "a.HEIC.xmp", "a.MOV"}
    assert (way == "move") != (folders.source / "a.HEIC").exists()
    if way == "move":
        original.unlink()
    else:
        aside.rename(original)
    done = undo(folders.dest, folders.source)
    assert (done.count, done.companions, done.left) == (1, 2, ())
    assert folders.now() == folders.before


def test_copies_are_not_removed_if_the_originals_cannot_be_seen(folders: Folders) -> None:
    folders.sort(Way())
    there = tree(folders.dest)
    folders.source.rename(folders.source.with_name("away"))
    with pytest.raises(WrongUsage, match=r"cannot be seen; name their folder: undo .* SRC"):
        undo(folders.dest)
    assert tree(folders.dest) == there
    assert undo(folders.dest, folders.source.with_name("away")).count == len(NAMES)


def test_moves_go_only_where_the_user_says(folders: Folders) -> None:
    folders.sort(Way("move"))
    there = tree(folders.dest)
    with pytest.raises(WrongUsage, match=r"pictures were moved; name the folder .*SRC \(it was "):
        undo(folders.dest)
    assert tree(folders.dest) == there


def test_a_moved_picture_never_replaces_what_is_there_now(folders: Folders) -> None:
    folders.sort(Way("move", "folders"))
    (folders.source / "b.jpg").write_bytes(b"another")
    done = undo(folders.dest, folders.source)
    assert "stays: there is another" in done.left[0].reason
    assert (folders.source / "b.jpg").read_bytes() == b"another"
    (folders.source / "b.jpg").unlink()
    assert folders.undo() == 1
    assert folders.now() == folders.before


def test_a_folder_that_became_a_link_is_not_followed(folders: Folders, tmp_path: Path) -> None:
    folders.sort(Way("move", "folders"))
    other = tmp_path / "other"
    shutil.rmtree(folders.source / "2017")
    other.mkdir()
    (folders.source / "2017").symlink_to(other)
    done = undo(folders.dest, folders.source)
    assert {left.reason.split(": ")[0] for left in done.left} == {"stays"}
    assert len(done.left) == 2
    assert not list(other.iterdir())


@pytest.mark.parametrize("way", ["copy", "link"])
def test_a_folder_of_dest_that_became_a_link_is_not_followed(
    folders: Folders, tmp_path: Path, way: str
) -> None:
    folders.sort(Way(way, "folders"))
    other = tmp_path / "other"
    folder = next(p.parent for p in folders.dest.rglob("b.jpg"))
    folder.rename(other)
    folder.symlink_to(other)
    there = tree(other)
    done = undo(folders.dest)
    assert done.left
    assert tree(other) == there


def written(folder: Path, *lines: Mapping[str, object]) -> None:
    head = {"run": "0" * 16, "classifier": "", "source": str(folder), "destination": str(folder)}
    with (folder / MANIFEST).open("w") as file:
        file.writelines(json.dumps(line) + "\n" for line in (head, *lines))


@pytest.mark.parametrize("key", ["copied_to", "linked_to", "moved_to"])
@pytest.mark.parametrize(
    ("image", "name"),
    [("mine.jpg", "mine.jpg"), ("../x/mine.jpg", "mine.jpg"), ("mine.jpg", "../x/mine.jpg")],
)
def test_a_strangers_manifest_removes_no_file_of_yours(
    tmp_path: Path, key: str, image: str, name: str
) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    mine = folder / "mine.jpg"
    mine.write_bytes(b"mine")
    digest = sha256(b"mine").hexdigest()
    written(folder, {"image": image, key: name, "sha256": digest, "label": "a", "scores": {}})
    with suppress(UserError):
        undo(folder, folder)
    with suppress(UserError):
        undo(folder)
    assert mine.read_bytes() == b"mine"
    assert sorted(path.name for path in tmp_path.rglob("*")) == [MANIFEST, "mine.jpg", "x"]


def test_hidden_files_are_no_business_of_a_manifest(tmp_path: Path) -> None:
    home, out = tmp_path / "home", tmp_path / "out"
    for folder in (home, out):
        folder.mkdir()
    (out / "x.jpg").write_bytes(b"evil")
    digest = sha256(b"evil").hexdigest()
    line = {"image": ".config/x", "moved_to": "x.jpg", "sha256": digest, "label": "a", "scores": {}}
    written(out, line)
    with pytest.raises(UserError, match="every run is undone already"):
        undo(out, home)
    assert not list(home.iterdir())


def test_the_manifest_of_the_version_before_is_undone(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    for folder in (source, out / "review"):
        folder.mkdir(parents=True)
    head = {"run": "0" * 16, "classifier": "", "source": str(source), "destination": str(out)}
    lines: list[Mapping[str, object]] = [head]
    for name in ("a.jpg", "review/b.jpg"):
        for path in (source / os.path.basename(name), out / name):
            path.write_bytes(name.encode())
        digest = sha256(name.encode()).hexdigest()
        line = {"image": os.path.basename(name), "copied_to": name, "sha256": digest, "label": "a"}
        lines.append(line | {"scores": {"a": 1.0}})
    (out / MANIFEST).write_text("".join(json.dumps(line) + "\n" for line in lines))
    before = tree(source)
    assert undo(out).count == 2
    assert (tree(source), set(tree(out))) == (before, {"review"})


# --- killed at every step; on a full disk, on a bad one

HOWS = [die_at, full_from, bad_at]


def whole(folders: Folders) -> None:
    """No picture is lost or half there."""
    wanted = {e[2] for tree_ in folders.before for e in tree_.values() if e[0] == "file"}
    there = {e[2] for tree_ in folders.now() for e in tree_.values() if e[0] == "file"}
    assert there == wanted


def in_one_place(folders: Folders) -> None:
    """All of a unit is in SRC, or all of it is in DEST."""
    there = [{e[2] for e in tree_.values() if e[0] == "file"} for tree_ in folders.now()]
    names = [name for name, e in folders.before[0].items() if e[0] == "file"]
    for name in names:
        own = {os.fsencode(each) for each in names if each.startswith(name.partition(".")[0] + ".")}
        assert any(own <= each for each in there)


def interrupted(
    tmp_path: Path,
    how: Callable[[int], None],
    way: Way,
    work: str,
    what: dict[str, bytes] = ALONE,
) -> Iterator[Folders]:
    """Folders after an interruption at each step of sorting or of undoing."""
    for nth in count(1):
        folders = Folders(tmp_path / str(nth), what)
        if work == "undo":
            folders.sort(way)

        def run(folders: Folders = folders, nth: int = nth) -> None:
            how(nth)
            folders.sort(way) if work == "sort" else undo(folders.dest, folders.source)

        ended = ended_of(run)
        whole(folders)
        in_one_place(folders)
        if not reached():
            assert (ended, nth > 15) == (0, True)
            return
        assert ended in ((-SIGKILL,) if how is die_at else (0, 1))
        yield folders
        shutil.rmtree(tmp_path / str(nth))


def undone(folders: Folders) -> None:
    """Undo all that can be; nothing half-written is left by a run that said that it began."""
    with suppress(UserError):
        while True:
            assert not undo(folders.dest, folders.source).left


# In every run by a kill; by a full disk and a broken one in the long run.
NOW_AND_LONG = [HOWS[0], *(pytest.param(how, marks=pytest.mark.long) for how in HOWS[1:])]
# Copied and moved; linked too in the long run.
NOW_AND_LONG_WAYS = [
    "copy",
    "move",
    *(pytest.param(way, marks=pytest.mark.long) for way in WAYS if way not in ("copy", "move")),
]
# Each in one layout; in both in the long run.
WHAT_AND_LAYOUT = [
    (ALONE, "flat"),
    (UNITS, "folders"),
    pytest.param(ALONE, "folders", marks=pytest.mark.long),
    pytest.param(UNITS, "flat", marks=pytest.mark.long),
]


@pytest.mark.slow
@pytest.mark.parametrize(("what", "layout"), WHAT_AND_LAYOUT)
@pytest.mark.parametrize("way", NOW_AND_LONG_WAYS)
@pytest.mark.parametrize("how", NOW_AND_LONG)
def test_sorting_interrupted_at_any_step_goes_on_as_if_it_had_not_been(
    tmp_path: Path, how: Callable[[int], None], way: str, what: dict[str, bytes], layout: str
) -> None:
    sorting = Way(way, layout)
    never = Folders(tmp_path / "never", what)
    never.sort(sorting)
    for folders in interrupted(tmp_path, how, sorting, "sort", what):
        folders.sort(sorting)
        assert folders.now() == never.now()
        headers = [line["run"] for line in events(folders.dest) if "run" in line]
        if len(set(headers)) == 1:  # else it had come to its end
            folders.undo()
            with pytest.raises(UserError, match="is undone already"):
                undo(folders.dest, folders.source)
        else:
            undone(folders)
        assert folders.now() == folders.before


@pytest.mark.slow
@pytest.mark.parametrize(("what", "layout"), WHAT_AND_LAYOUT)
@pytest.mark.parametrize("way", NOW_AND_LONG_WAYS)
@pytest.mark.parametrize("how", NOW_AND_LONG)
def test_sorting_interrupted_at_any_step_is_undone(
    tmp_path: Path, how: Callable[[int], None], way: str, what: dict[str, bytes], layout: str
) -> None:
    for folders in interrupted(tmp_path, how, Way(way, layout), "sort", what):
        undone(folders)
        assert folders.now() == folders.before


@pytest.mark.slow
@pytest.mark.parametrize("what", [ALONE, UNITS], ids=["alone", "units"])
@pytest.mark.parametrize("then", ["undo", "sort"])
@pytest.mark.parametrize("way", NOW_AND_LONG_WAYS)
@pytest.mark.parametrize("how", NOW_AND_LONG)
def test_undo_interrupted_at_any_step_goes_on(
    tmp_path: Path, how: Callable[[int], None], way: str, then: str, what: dict[str, bytes]
) -> None:
    sorting = Way(way, "folders")
    never = Folders(tmp_path / "never", what)
    never.sort(sorting)
    for folders in interrupted(tmp_path, how, sorting, "undo", what):
        if then == "sort":
            folders.sort(sorting)
            assert folders.now() == never.now()
        undone(folders)
        assert folders.now() == folders.before


@pytest.fixture
def other_disk() -> Iterator[Path]:
    """A folder on another disk than temporary folders are on."""
    try:
        found = Path(tempfile.mkdtemp(dir="/dev/shm"))
    except OSError:
        pytest.skip("there is no /dev/shm")
    yield found
    shutil.rmtree(found)


@pytest.mark.slow
@pytest.mark.parametrize(
    "what", [ALONE, pytest.param(UNITS, marks=pytest.mark.long)], ids=["alone", "units"]
)
@pytest.mark.parametrize("work", ["sort", "undo"])
@pytest.mark.parametrize("how", NOW_AND_LONG)
def test_moves_to_another_disk_are_copied_checked_and_removed(
    tmp_path: Path, other_disk: Path, how: Callable[[int], None], work: str, what: dict[str, bytes]
) -> None:
    if other_disk.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is only one disk")
    for nth in count(1):
        folders = Folders(tmp_path / str(nth), what)
        elsewhere = other_disk / str(nth)
        shutil.move(folders.dest, elsewhere)
        folders.dest = elsewhere
        if work == "undo":
            folders.sort(Way("move"))

        def run(folders: Folders = folders, nth: int = nth) -> None:
            how(nth)
            folders.sort(Way("move")) if work == "sort" else undo(folders.dest, folders.source)

        ended = ended_of(run)
        whole(folders)
        if reached() and work == "sort" and nth % 2:
            folders.sort(Way("move"))
            assert not [e for e in tree(folders.source).values() if e[0] == "file"]
        undone(folders)
        assert folders.now() == folders.before
        if not reached():
            assert (ended, nth > 15) == (0, True)
            return


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_after_a_kill_undo_leaves_nothing_half_written(tmp_path: Path, way: str) -> None:
    for folders in interrupted(tmp_path, die_at, Way(way, "folders", True), "sort"):
        undone(folders)
        assert tree(folders.dest, left=True) == folders.before[1]
        assert tree(folders.source, left=True) == folders.before[0]


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_after_a_killed_undo_the_next_leaves_nothing_half_written(tmp_path: Path, way: str) -> None:
    for folders in interrupted(tmp_path, die_at, Way(way, "folders", True), "undo"):
        undone(folders)
        assert tree(folders.dest, left=True) == folders.before[1]
        assert tree(folders.source, left=True) == folders.before[0]
