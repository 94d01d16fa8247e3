"""Only what was added goes, whatever a person did meanwhile and whatever was killed."""

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from signal import SIGKILL

import pytest

from made.sorting import Tree, tree
from made.steps import bad_at, die_at, ended_of, full_from, reached
from made.tagging import XMP, pictures, tag_files
from tensor_guess.config import MANIFEST, TAGS
from tensor_guess.errors import UserError, WrongUsage
from tensor_guess.tagging.untag import is_meant, undo


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pictures(tmp_path / "in")
    return tmp_path / "in"


def words(path: Path) -> list[str]:
    """The keywords, in the order of the file."""
    text = path.read_text()
    return [each.partition("<")[0] for each in text.split("<rdf:li>")[1:]]


def state(folder: Path) -> dict[str, object]:
    """All but times, and sidecars by their words."""
    return {
        name: words(folder / name) if name.endswith(".xmp") else entry[:3]
        for name, entry in tree(folder).items()
    }


def test_undone_is_as_it_was_wherever_the_folder_is(folder: Path) -> None:
    before = state(folder)
    tag_files(folder)
    assert words(folder / "b.xmp") == ["holiday", "b", "all", "b", "all"]
    there = folder.rename(folder.with_name("there"))
    done = undo(there)
    assert (done.count, done.left, done.earlier) == (4, (), 0)
    assert state(there) == before
    assert (there / "b.xmp").stat().st_mode & 0o777 == 0o640
    with pytest.raises(UserError, match="every run is undone already"):
        undo(there)
    with pytest.raises(WrongUsage, match="has no run 12ab"):
        undo(there, "12ab")
    assert tag_files(there).counts.total() == 4  # it is not known any more


def test_a_person_may_do_anything_meanwhile(folder: Path) -> None:
    tag_files(folder)
    (folder / "a.jpg.xmp").write_text((folder / "a.jpg.xmp").read_text().replace(">a<", ">mine<"))
    (folder / "2017/a.jpg.xmp").unlink()
    (folder / "b.xmp").write_text((folder / "b.xmp").read_text().replace("<rdf:li>b</rdf:li>", ""))
    (folder / "2017/c.png.xmp").write_text("broken")
    done = undo(folder)
    assert done.count == 2
    (left,) = done.left
    assert (left.path, left.reason[:20]) == (folder / "2017/c.png.xmp", "stays: it is no XMP:")
    assert words(folder / "a.jpg.xmp") == ["mine", "mine"]
    assert words(folder / "b.xmp") == ["holiday"]
    assert not (folder / "2017/a.jpg.xmp").exists()
    (folder / "2017/c.png.xmp").write_text(XMP.replace("holiday", "all"))
    assert undo(folder).count == 1  # what could not be read is tried again


def test_runs_are_undone_one_by_one(folder: Path) -> None:
    before = state(folder)
    tag_files(folder)
    once = state(folder)
    (folder / "2018").mkdir()
    (folder / "2018/d.jpg").write_bytes(b"d")
    tag_files(folder, "another")
    assert words(folder / "2018/d.jpg.xmp") == ["d", "all", "d", "all"]
    done = undo(folder)
    assert (done.count, done.earlier) == (1, 1)
    shutil.rmtree(folder / "2018")
    assert state(folder) == once
    assert undo(folder).earlier == 0
    assert state(folder) == before


def test_links_are_not_followed_and_nothing_outside_is_touched(folder: Path) -> None:
    tag_files(folder)
    other = folder.with_name("other")
    (folder / "2017").rename(other)
    (folder / "2017").symlink_to(other)
    there = state(other)
    done = undo(folder)
    assert {each.path.parent.name for each in done.left} == {"2017"}
    assert state(other) == there


def test_a_strangers_journal_removes_no_file_of_yours(folder: Path) -> None:
    before: Tree = tree(folder)
    added = [
        {"sidecar": name, "subject": ["holiday"], "tags_list": [], "made": True}
        for name in ("a.jpg", "../in/b.xmp", "/etc/passwd", ".hidden/x.xmp")
    ]
    lines = [{"run": "1", "classifier": ""}, *({"by": "1", "adding": [e]} for e in added)]
    (folder / TAGS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert undo(folder).count == 0
    assert tree(folder) == before


def test_what_undo_means(folder: Path) -> None:
    assert not is_meant(folder)
    tag_files(folder)
    assert is_meant(folder)
    (folder / MANIFEST).touch()
    run = undo(folder).run
    assert not is_meant(folder)
    assert not is_meant(folder, run)
    (folder / MANIFEST).unlink()
    assert is_meant(folder)


@pytest.mark.slow
@pytest.mark.parametrize("work", ["tag", "undo"])
@pytest.mark.parametrize(
    "how", [die_at, *(pytest.param(how, marks=pytest.mark.long) for how in (full_from, bad_at))]
)
def test_interrupted_at_any_step_it_is_undone(
    tmp_path: Path, how: Callable[[int], None], work: str
) -> None:
    for nth in count(1):
        folder = tmp_path / str(nth)
        pictures(folder)
        before = state(folder)
        if work == "undo":
            tag_files(folder)

        def run(folder: Path = folder, nth: int = nth) -> None:
            how(nth)
            tag_files(folder) if work == "tag" else undo(folder)

        ended = ended_of(run)
        done = not reached()
        assert ended in ((0,) if done else (-SIGKILL,) if how is die_at else (0, 1))
        if (folder / TAGS).exists():
            with suppress(UserError):  # it had not begun, or come to its end
                assert not undo(folder).left
        assert state(folder) == before
        assert not [path for path in folder.rglob(".*") if path.name != TAGS]
        if done:
            assert nth > 15
            return
        shutil.rmtree(folder)
