"""A file under its final name is complete, whatever happens while it is written."""

import errno
import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from made.place import ROOT
from made.steps import STEPS, die_at, ended_of, full_from
from tensor_guess.errors import Unreadable, UserError
from tensor_guess.system.durable import (
    Journal,
    check_writable,
    draft,
    is_same,
    make_folder,
    make_folder_in,
    move,
    publish,
    publish_made,
    stage,
    stage_clone,
    stage_link,
    stage_symlink,
    sweep,
    turn,
)

OLD, NEW = b"old" * 5000, b"new" * 7000


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


@pytest.mark.parametrize("replace", [True, False])
def test_what_is_published_is_there_and_nothing_else(tmp_path: Path, replace: bool) -> None:
    publish(tmp_path / "a.pb", NEW, replace=replace)
    assert [path.name for path in tmp_path.iterdir()] == ["a.pb"]
    assert (tmp_path / "a.pb").read_bytes() == NEW


@pytest.mark.parametrize("mode", [0o600, 0o444, 0o4755, 0o640])
def test_a_copy_has_the_time_and_the_permissions_of_its_original(tmp_path: Path, mode: int) -> None:
    (tmp_path / "photo").write_bytes(OLD)
    (tmp_path / "photo").chmod(mode)
    os.utime(tmp_path / "photo", ns=(1, 1_234_567_890_123_456_789))
    with stage(tmp_path / "a", OLD, like=(tmp_path / "photo").stat()) as staged:
        staged.commit(replace=False)
    found = (tmp_path / "a").stat()
    assert found.st_mtime_ns == (tmp_path / "photo").stat().st_mtime_ns
    assert stat.S_IMODE(found.st_mode) == mode & 0o777


def test_the_old_file_is_replaced_only_where_that_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "a.pb"
    path.write_bytes(OLD)
    with pytest.raises(FileExistsError):
        publish(path, NEW, replace=False)
    assert path.read_bytes() == OLD
    publish(path, NEW)
    assert path.read_bytes() == NEW
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("name", ["n" * 255, "new\nline", "-rf", "a'b\"c", "東京", "\udcff"])
def test_any_name_that_the_system_takes_is_published(tmp_path: Path, name: str) -> None:
    publish(tmp_path / name, NEW, replace=False)
    assert (tmp_path / name).read_bytes() == NEW


def test_a_link_under_the_final_name_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_bytes(OLD)
    (tmp_path / "a").symlink_to("theirs")
    with pytest.raises(FileExistsError):
        publish(tmp_path / "a", NEW, replace=False)
    publish(tmp_path / "a", NEW)
    assert (tmp_path / "theirs").read_bytes() == OLD


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["before the step", "after it"])
@pytest.mark.parametrize("replace", [True, False])
@pytest.mark.parametrize("there", [True, False], ids=["old file there", "none there"])
def test_a_crash_at_any_step_leaves_the_old_file_or_the_new(
    tmp_path: Path, there: bool, replace: bool, after: bool
) -> None:
    path = tmp_path / "a.pb"

    def write(nth: int) -> None:
        die_at(nth, after=after)
        publish(path, NEW, replace=replace)

    seen = set()
    for nth in range(1, 100):
        path.unlink(missing_ok=True)
        if there:
            path.write_bytes(OLD)
        ended = ended_of(partial(write, nth))
        found = path.read_bytes() if path.exists() else None
        assert found in ({OLD} if there else {None}) | ({NEW} if replace or not there else set())
        seen.add(found)
        if ended != -signal.SIGKILL:
            break
    # The loop went through all steps, and both ends of the story were seen.
    assert ended == (1 if there and not replace else 0)
    assert nth > 4
    assert len(seen) == (1 if there and not replace else 2)


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["before the step", "after it"])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_crash_at_any_step_leaves_what_others_made_whole_or_not_there(
    tmp_path: Path, kind: str, after: bool
) -> None:
    path = tmp_path / "exported"
    parts = [path] if kind == "file" else [path / "model.xml", path / "assets" / "labels.txt"]

    def write(nth: int) -> None:
        with draft(path) as made:
            for part in parts:
                target = made / part.relative_to(path)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(NEW)
            die_at(nth, after=after)
            publish_made(made, path)

    seen = set()
    for nth in range(1, 100):
        for each in tmp_path.iterdir():
            shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()
        ended = ended_of(partial(write, nth))
        seen.add(path.exists())
        if path.exists():
            assert [part.read_bytes() for part in parts] == [NEW] * len(parts)
        if ended != -signal.SIGKILL:
            break
    assert (ended, seen, leftovers(tmp_path)) == (0, {False, True}, [])
    assert nth > 4


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("replace", [True, False])
def test_an_error_at_any_step_is_said_and_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replace: bool, step: str
) -> None:
    path, real, said = tmp_path / "a.pb", getattr(os, step), set()
    for nth in range(1, 5):
        path.write_bytes(OLD) if replace else path.unlink(missing_ok=True)
        calls = 0

        def fail(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == nth:  # noqa: B023 # called in this round only
                raise OSError(errno.EIO, "Input/output error")
            return real(*arguments, **options)

        monkeypatch.setattr(os, step, fail)
        try:
            publish(path, NEW, replace=replace)
        except UserError as error:
            said.add(str(error))
        monkeypatch.undo()
        found = path.read_bytes() if path.exists() else None
        assert found in {OLD if replace else None, NEW}
    unused = {"link" if replace else "replace", "rename", "mkdir", "unlink", "rmdir", "symlink"}
    unused |= {"fchmod", "utime"}
    assert said == (set() if step in unused else {f"could not write {path}: input/output error"})


def test_a_disk_that_is_full_from_any_step_on_leaves_the_old_files_or_the_new(
    tmp_path: Path,
) -> None:
    """What belongs together is staged first: then there is room for all of it or for none."""
    names, seen = ("a", "b"), set()

    def write(nth: int) -> None:
        full_from(nth)
        with stage(tmp_path / "a", NEW) as a, stage(tmp_path / "b", NEW) as b:
            ready.touch()
            a.commit()
            b.commit()

    ready = tmp_path / "ready"
    for nth in range(1, 100):
        for name in names:
            (tmp_path / name).write_bytes(OLD)
        ready.unlink(missing_ok=True)
        ended = ended_of(partial(write, nth))
        if not ready.exists():
            assert [(tmp_path / name).read_bytes() for name in names] == [OLD, OLD]
        assert leftovers(tmp_path) == []
        seen.add(ready.exists())
        if ended == 0:
            break
    assert (ended, seen) == (0, {False, True})


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_syncs_no_folders_is_published_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    real = os.fsync

    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(number, os.strerror(number))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    publish(tmp_path / "a", NEW)
    assert (tmp_path / "a").read_bytes() == NEW


NO_LINKS = OSError(errno.EPERM, "Operation not permitted")


def refuse_links(*_: Any, **__: Any) -> None:
    raise NO_LINKS


def test_without_hard_links_nothing_is_replaced_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", refuse_links)  # as exFAT does
    path = tmp_path / "a.jpg"
    publish(path, NEW, replace=False)
    assert path.read_bytes() == NEW
    with pytest.raises(FileExistsError):
        publish(path, OLD, replace=False)
    assert path.read_bytes() == NEW
    assert leftovers(tmp_path) == []


def test_without_hard_links_a_failing_rename_leaves_no_empty_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "link", refuse_links)
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(UserError, match="input/output error"):
        publish(tmp_path / "a.jpg", NEW, replace=False)
    assert list(tmp_path.iterdir()) == []


WRITER = """
import itertools, sys
from pathlib import Path
from tensor_guess.system.durable import publish
for n in itertools.count():
    publish(Path(sys.argv[1]), (b"%08d" % n) * 200_000)
    if n == 1:
        print("writing", flush=True)
"""


def killed_while_writing(path: Path, wait: float) -> None:
    source = ROOT / "src"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, path],
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(source)},
    ) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == b"writing\n"
        # Not a wait for something to happen: the moment of the kill is what varies.
        until = time.monotonic() + wait
        while time.monotonic() < until:
            path.read_bytes()
        writer.kill()


def whole(data: bytes) -> bool:
    return len(data) == 1_600_000 and data == data[:8] * 200_000


@pytest.mark.parametrize("wait", [0, 0.003, 0.007, 0.012, 0.02])
def test_a_kill_at_random_leaves_a_complete_file(tmp_path: Path, wait: float) -> None:
    killed_while_writing(tmp_path / "a", wait)
    assert whole((tmp_path / "a").read_bytes())


@pytest.mark.long
def test_a_hundred_kills_at_random_leave_complete_files(tmp_path: Path) -> None:
    for n in range(100):
        killed_while_writing(tmp_path / "a", n / 2000)
        assert whole((tmp_path / "a").read_bytes())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if os.getuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk, and not everywhere")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("replace", [True, False])
def test_a_full_disk_is_said_and_leaves_what_was_there(small_disk: Path, replace: bool) -> None:
    path = small_disk / "a.pb"
    if replace:
        path.write_bytes(OLD)
    with pytest.raises(UserError, match=r"a\.pb: no space left on device"):
        publish(path, bytes(2_000_000), replace=replace)
    assert [each.name for each in small_disk.iterdir()] == (["a.pb"] if replace else [])
    assert not replace or path.read_bytes() == OLD
    publish(path, NEW, replace=replace)  # what failed has given its space back
    assert path.read_bytes() == NEW


def test_a_folder_that_cannot_be_written_is_said_before_the_work(tmp_path: Path) -> None:
    check_writable(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UserError, match=r"cannot write to .*missing: no such file or directory"):
        check_writable(tmp_path / "missing")
    with pytest.raises(UserError, match=r"could not write .*: no such file or directory"):
        publish(tmp_path / "missing" / "a", NEW)


def test_a_folder_is_made_with_its_parents_or_it_is_said_why_not(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match="could not make the folder"):
            make_folder(path)


def test_only_what_a_killed_run_left_a_day_ago_is_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A child that dies while it writes leaves a real temporary name.
    def write() -> None:
        die_at(1, after=True)
        publish(tmp_path / "a", NEW)

    assert ended_of(write) == -signal.SIGKILL
    (left,) = (tmp_path / name for name in leftovers(tmp_path))
    draft = left.with_name(f"{left.stem}-folder{left.suffix}")
    (draft / "model").mkdir(parents=True)
    theirs = tmp_path / ".somebody's.tmp"
    theirs.touch()
    odd = left.with_name(f"{left.stem}-link{left.suffix}")
    odd.symlink_to(tmp_path / "nothing")
    # The time of a photo that is being copied is no sign of age.
    for path in (left, theirs, draft):
        os.utime(path, (0, 0))
    sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([left, draft, theirs, odd])
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 2 * 24 * 3600)
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == [theirs]


def test_a_run_sweeps_at_once_what_is_its_own(tmp_path: Path) -> None:
    for run in ("0" * 16, "1" * 16):
        stage(tmp_path / "a", NEW, run=run)
    sweep(tmp_path, "1" * 16)
    assert ["0" * 16 in name for name in leftovers(tmp_path)] == [True]


@pytest.mark.parametrize("step", ["fchmod", "utime"])
def test_what_cannot_be_like_its_original_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(UserError, match="input/output error"):
        stage(tmp_path / "a", NEW, like=tmp_path.stat())
    assert not list(tmp_path.iterdir())


def test_another_name_of_a_file_is_staged_or_the_reason_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photo").write_bytes(OLD)
    with stage_link(tmp_path / "a", tmp_path / "photo", run="") as staged:
        staged.commit(replace=False)
    assert is_same(tmp_path / "a", tmp_path / "photo")
    with pytest.raises(Unreadable, match="no such file"):
        stage_link(tmp_path / "b", tmp_path / "missing", run="")
    for number in (errno.EXDEV, errno.EPERM):
        monkeypatch.setattr(os, "link", refusing(number))
        with pytest.raises(Unreadable, match="cannot get another name"):
            stage_link(tmp_path / "b", tmp_path / "photo", run="")
    monkeypatch.setattr(os, "link", refusing(errno.ENOSPC))
    with pytest.raises(UserError, match="no space left"):
        stage_link(tmp_path / "b", tmp_path / "photo", run="")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "photo"]


def test_a_symbolic_link_is_staged_and_never_replaces_a_file(tmp_path: Path) -> None:
    for name, there in (("a", False), ("photo", True)):
        (tmp_path / "photo").write_bytes(OLD)
        with stage_symlink(tmp_path / name, "nowhere", run="") as staged:
            if there:
                with pytest.raises(FileExistsError):
                    staged.commit(replace=False)
            else:
                staged.commit(replace=False)
    assert os.readlink(tmp_path / "a") == "nowhere"
    assert (tmp_path / "photo").read_bytes() == OLD
    assert leftovers(tmp_path) == []


def refusing(number: int) -> Callable[..., None]:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has this call")
@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL])
def test_where_no_blocks_can_be_shared_nothing_is_staged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(fcntl, "ioctl", refusing(number))
    (tmp_path / "photo").write_bytes(OLD)
    with (tmp_path / "photo").open("rb") as file:
        like = os.fstat(file.fileno())
        assert stage_clone(tmp_path / "a", file.fileno(), like=like, run="") is None
    assert [path.name for path in tmp_path.iterdir()] == ["photo"]


def test_a_move_that_was_killed_between_its_names_is_completed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(OLD)
    os.link(tmp_path / "a", tmp_path / "b")
    move(tmp_path / "a", tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def journal(path: Path) -> list[dict[str, Any]]:
    with Journal(path, read_only=True) as found:
        return list(found.lines())


def test_a_journal_gives_its_lines_back_whatever_was_killed(tmp_path: Path) -> None:
    path, names = tmp_path / "j", ["new\nline", "\udcff", "x" * 70_000]
    with Journal(path) as first:
        for name in names:
            first.add(name=name, sync=True)
    with path.open("ab") as file:
        file.write(b'{"half a li')
    with Journal(path) as second:
        assert [line["name"] for line in second.lines()] == names
        assert second.damaged == 1
        second.add(name="last")
    assert [line["name"] for line in journal(path)] == [*names, "last"]
    with Journal(path, read_only=True) as third, pytest.raises(UserError, match="could not write"):
        third.add(name="no")


def test_a_journal_that_is_missing_is_made_only_if_wanted(tmp_path: Path) -> None:
    for options in ({"make": False}, {"read_only": True, "make": False}):
        with pytest.raises(UserError, match="no such file"), Journal(tmp_path / "j", **options):
            pass
    assert not list(tmp_path.iterdir())


def test_only_the_folder_below_the_root_is_made(tmp_path: Path) -> None:
    make_folder_in(tmp_path, tmp_path / "a" / "b")
    make_folder_in(tmp_path, tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


def test_a_file_is_moved_to_a_free_name_only(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"1")
    other.write_bytes(b"2")
    with pytest.raises(FileExistsError):
        move(one, other)
    assert (one.read_bytes(), other.read_bytes()) == (b"1", b"2")
    move(one, tmp_path / "new\nname")
    assert {path.name for path in tmp_path.iterdir()} == {"new\nname", "other"}
    with pytest.raises(UserError, match="could not write"):
        move(one, tmp_path / "third")


def test_a_folder_is_kept_for_one_at_a_time_and_waiting_is_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code = (
        "import sys; from pathlib import Path; from tensor_guess.system.durable import turn\n"
        "with turn(Path(sys.argv[1])): print('mine', flush=True); input()"
    )
    with turn(tmp_path):
        other = subprocess.Popen(
            [sys.executable, "-c", code, tmp_path],
            env={"PYTHONPATH": str(ROOT / "src")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert other.stderr
        said = f"another run is at work in {tmp_path}; waiting for it\n"
        assert other.stderr.readline() == said
    assert other.stdout
    assert other.stdout.readline() == "mine\n"
    other.kill()  # what is dead keeps nothing
    other.communicate()
    with turn(tmp_path):
        pass
    assert capfd.readouterr().err == ""


def test_without_locks_all_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with turn(tmp_path), turn(tmp_path):
        pass
