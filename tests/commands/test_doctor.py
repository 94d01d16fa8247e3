"""The doctor, as it is called: what it prints where, and its exit codes."""

import json
import shutil
from pathlib import Path

import pytest

from made.place import Run
from tensor_guess.config import JOURNAL, NOT_DUPLICATES, SET_ASIDE


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Missing argument 'TF_FILES'"),
        (("/no/such/folder",), "there is no folder /no/such/folder"),
        (("x", "--fix", "--undo"), "do not go together"),
        (("x", "--undo", "--json"), "do not go together"),
        (("x", "a.jpg"), "PICTURE and --not-duplicates go together"),
        (("x", "--not-duplicates"), "PICTURE and --not-duplicates go together"),
        (("x", "--fixx"), "No such option '--fixx'"),
        (("imagenet",), "there is no folder imagenet"),
    ],
)
def test_wrong_usage_is_2(call: Run, arguments: tuple[str, ...], said: str) -> None:
    done = call("doctor", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_what_cannot_be_examined_or_undone_is_one_sentence(call: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    cases: dict[tuple[str, ...], str] = {
        (): "needs a folder of pictures",
        ("--undo",): "nothing was set aside",
    }
    for option, said in cases.items():
        done = call("doctor", tmp_path, *option)
        assert (done.returncode, done.stdout) == (1, "")
        assert said in done.stderr
        assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_from_report_to_fix_to_undo(classifier: Path, run: Run) -> None:
    data = classifier / "data"
    shutil.copy(data / "dark_knight/dark_knight_01.jpg", data / "dark_knight/a\nb.jpg")
    (data / "snow_queen/\x1b[31m.jpg").write_text("no picture")
    (data / "snow_queen/\udcff.jpg").touch()
    done = run("doctor", classifier)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "pictures: 80 in 2 categories"
    assert "\x1b" not in done.stdout
    assert "files that cannot be read: 2" in lines
    assert "exact duplicates in a category: 1" in lines
    assert lines[-1].endswith(f" files to {classifier / SET_ASIDE}; --undo brings them back")
    assert not (classifier / JOURNAL).exists()
    done = run("doctor", classifier, "--json")
    found = json.loads(done.stdout)
    assert {"counts", "unreadable", "exact", "near", "suspects", "missing", "uneven"} <= set(found)
    assert len(found["unreadable"]) == 2
    done = run("doctor", classifier, "--fix")
    assert done.returncode == 0, done.stderr
    moved = done.stdout.splitlines()[-1]
    assert moved.endswith(f" files moved to {classifier / SET_ASIDE}")
    assert sum(path.is_file() for path in (classifier / SET_ASIDE).rglob("*")) >= 3
    (classifier / SET_ASIDE / "snow_queen/\x1b[31m.jpg").write_text("changed")
    done = run("doctor", classifier, "--undo")
    assert done.returncode == 3
    assert "was changed since; it stays there" in done.stderr
    assert "\x1b" not in done.stderr
    assert (data / "dark_knight/dark_knight_01.jpg").exists()
    assert (data / "dark_knight/a\nb.jpg").exists()


@pytest.mark.slow
def test_no_duplicates_are_remembered(classifier: Path, run: Run) -> None:
    data = classifier / "data/snow_queen"
    first, second = sorted(data.iterdir())[:2]
    done = run("doctor", classifier, first, second, "--not-duplicates")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"1 pair added to {classifier / NOT_DUPLICATES}\n"
