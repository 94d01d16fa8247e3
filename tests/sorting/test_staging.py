"""Staged is exactly what was looked at, or nothing."""

import errno
import fcntl
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tensor_guess.errors import Unreadable
from tensor_guess.images import encoded
from tensor_guess.images.encoded import Picture
from tensor_guess.sorting.manifest import Entry
from tensor_guess.sorting.staging import Moved, Staging, take_away

WAYS = ("copy", "move", "link", "symlink")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.new("RGB", (8, 8), "red").save(path)
    path.chmod(0o640)
    os.utime(path, ns=(1, 1_234_567_890_123_456_789))
    return path


def entry(way: str, picture: Picture) -> Entry:
    return Entry("photo.png", "a.png", way, picture.key.hex(), "photo.png" * (way == "symlink"))


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_content_time_and_permissions_are_kept(photo: Path, way: str, large: bool) -> None:
    picture, before = encoded.read(photo), photo.stat()
    if large:
        picture = encoded.let_go(picture)
    path = photo.with_name("a.png")
    with Staging("").stage(entry(way, picture), photo, path, picture) as staged:
        staged.commit(replace=False)
    assert path.read_bytes() == photo.read_bytes()
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    same = os.path.samestat(path.stat(), photo.stat())
    assert (same, path.is_symlink()) == (way != "copy", way == "symlink")
    assert sorted(each.name for each in photo.parent.iterdir()) == ["a.png", "photo.png"]


@pytest.mark.parametrize(("way", "large"), [("move", False), ("link", False), ("copy", True)])
def test_what_changed_meanwhile_is_left_out(photo: Path, way: str, large: bool) -> None:
    picture = encoded.read(photo)
    if large:
        picture = encoded.let_go(picture)
    status = photo.stat()
    photo.write_bytes(photo.read_bytes()[::-1])
    os.utime(photo, ns=(status.st_atime_ns, status.st_mtime_ns))  # of the same size and time
    if way == "move":  # then the bytes that were looked at could only be copied
        picture = encoded.let_go(picture)
    with pytest.raises(Unreadable, match="was changed while it was looked at"):
        Staging("").stage(entry(way, picture), photo, photo.with_name("a.png"), picture)
    assert [each.name for each in photo.parent.iterdir()] == ["photo.png"]


def test_without_another_name_a_move_copies_and_a_link_is_refused(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.link

    def other_disk(source: Any, *arguments: Any, **options: Any) -> None:
        if Path(source) == photo:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        real(source, *arguments, **options)

    monkeypatch.setattr(os, "link", other_disk)
    picture, path = encoded.read(photo), photo.with_name("a.png")
    with pytest.raises(Unreadable, match="cannot get another name: invalid cross-device link"):
        Staging("").stage(entry("link", picture), photo, path, picture)
    with Staging("").stage(entry("move", picture), photo, path, picture) as staged:
        staged.commit(replace=False)
    assert path.read_bytes() == photo.read_bytes()
    assert not os.path.samestat(path.stat(), photo.stat())
    take_away([Moved(photo, path, picture.key.hex())])
    assert [each.name for each in photo.parent.iterdir()] == ["a.png"]


def test_nothing_is_taken_away_that_is_not_in_its_place(photo: Path) -> None:
    key, path = encoded.read(photo).key.hex(), photo.with_name("a.png")
    for data in (b"something else", None):
        if data:
            path.write_bytes(data)
        else:
            path.unlink()
        with pytest.raises(Unreadable, match="it stays there"):
            take_away([Moved(photo, path, key)])
    path.write_bytes(photo.read_bytes())
    photo.write_bytes(b"edited since")
    with pytest.raises(Unreadable, match="it stays there"):
        take_away([Moved(photo, path, key)])
    assert photo.read_bytes() == b"edited since"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has this call")
@pytest.mark.parametrize("changed", [False, True])
def test_a_clone_is_checked_like_a_copy(
    photo: Path, monkeypatch: pytest.MonkeyPatch, changed: bool
) -> None:
    """The call of a file system that shares blocks: most test machines have none."""
    calls = []

    def ficlone(handle: int, request: int, source: int) -> None:
        assert request == 0x40049409
        data = os.pread(source, 1 << 20, 0)
        os.write(handle, data[::-1] if changed else data)
        calls.append(source)

    monkeypatch.setattr(fcntl, "ioctl", ficlone)
    picture, path = encoded.read(photo), photo.with_name("a.png")
    with Staging("").stage(entry("copy", picture), photo, path, picture) as staged:
        staged.commit(replace=False)
    assert len(calls) == 1
    assert path.read_bytes() == picture.data
    assert path.stat().st_mtime_ns == photo.stat().st_mtime_ns
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_file_system_that_cannot_clone_is_asked_once(
    photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    def refuse(*_: object) -> None:
        nonlocal calls
        calls += 1
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(fcntl, "ioctl", refuse)
    picture, staging = encoded.read(photo), Staging("")
    for name in ("a.png", "b.png", "c.png"):
        path = photo.with_name(name)
        with staging.stage(entry("copy", picture), photo, path, picture) as staged:
            staged.commit(replace=False)
    assert calls == (1 if sys.platform == "linux" else 0)
