"""Temporary folders go when they are not needed any more, those of killed runs too; no others."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from made.place import ROOT
from tensor_guess.errors import UserError
from tensor_guess.system import scratch
from tensor_guess.system.progress import OutOfTime

DAY = 24 * 3600
HOLD = f"""
import sys; sys.path.insert(0, {str(ROOT / "src")!r})
from tensor_guess.system import scratch
with scratch.folder() as folder:
    (folder / "a").write_text("a")
    print(folder, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The system's temporary folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def aged(path: Path, seconds: float = DAY + 60) -> None:
    past = time.time() - seconds
    os.utime(path, (past, past), follow_symlinks=False)


def test_a_folder_is_the_users_own_and_goes(place: Path) -> None:
    with scratch.folder() as folder:
        assert folder.parent == place
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "b/c").mkdir(parents=True)
        (folder / "b/c/d").write_text("d")
    assert not list(place.iterdir())


@pytest.mark.parametrize("killed", [True, False])
def test_what_a_killed_run_left_goes_after_a_day(place: Path, killed: bool) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD],
        env={"TMPDIR": str(place)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout
        left = Path(run.stdout.readline().removesuffix("\n"))
        if killed:
            run.kill()
            run.wait()
            with scratch.folder():
                assert left.is_dir()  # it may be looked at
        aged(left)
        with scratch.folder():
            assert left.is_dir() is not killed  # a run may have slept for a day
        run.kill()


def test_what_is_not_a_runs_stays(place: Path) -> None:
    """A clone, photos, a link: /tmp has them too, with names like ours."""
    names = ("tensor-guess-main", ".tensor-guess-photos", "tensor-guess-x.tmp", "abcdefgh")
    for name in names:
        (place / name).mkdir()
        aged(place / name)
    photos = place / "photos"
    photos.mkdir()
    (photos / "a.jpg").touch()
    link = place / ".tensor-guess-link1234.tmp"
    link.symlink_to(photos)
    aged(photos)
    aged(link)
    file = place / ".tensor-guess-file1234.tmp"
    file.touch()
    aged(file)
    with scratch.folder():
        pass
    assert {each.name for each in place.iterdir()} == {*names, "photos", link.name, file.name}
    assert (photos / "a.jpg").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's folder")
def test_another_users_folder_stays(place: Path) -> None:
    theirs = place / ".tensor-guess-theirs12.tmp"
    theirs.mkdir()
    os.chown(theirs, 54321, 54321)
    aged(theirs)
    with scratch.folder():
        assert theirs.is_dir()


def test_no_place_for_it_is_said(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(place / "nowhere"))
    with (
        pytest.raises(UserError, match="could not make a temporary folder: no such file"),
        scratch.folder(),
    ):
        pass


def killed(place: Path) -> Path:
    """A kept folder, `a`, whose run was killed half-way."""
    kept = scratch.kept(place, "a")
    folder = kept.__enter__()
    (folder / "half").write_text("half")
    assert not kept.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    return folder


def test_a_kept_folder_goes_when_all_is_done_and_stays_otherwise(tmp_path: Path) -> None:
    folder = killed(tmp_path / "place")
    with scratch.kept(tmp_path / "place", "b") as other:
        assert other != folder
    with scratch.kept(tmp_path / "place", "a") as again:
        assert again == folder
        assert (again / "half").read_text() == "half"
        assert again.stat().st_mode & 0o777 == 0o700
    assert not list((tmp_path / "place").iterdir())


def test_a_kept_folder_goes_if_the_time_is_up(tmp_path: Path) -> None:
    kept = scratch.kept(tmp_path, "a")
    folder = kept.__enter__()
    assert not kept.__exit__(OutOfTime, OutOfTime(), None)
    assert not folder.exists()


def test_a_kept_folder_is_one_runs_alone(tmp_path: Path) -> None:
    with (
        scratch.kept(tmp_path, "a"),
        pytest.raises(UserError, match="another run is at work in"),
        scratch.kept(tmp_path, "a"),
    ):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="could not make"), scratch.kept(tmp_path / "file", "a"):
        pass


def test_a_kept_folder_goes_after_a_day(tmp_path: Path) -> None:
    folder = killed(tmp_path)
    aged(folder)
    with scratch.kept(tmp_path, "b"):
        assert not folder.exists()
