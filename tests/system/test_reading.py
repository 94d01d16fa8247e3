"""A stranger's file gives its bytes or a reason; nothing hangs, grows or leads elsewhere."""

import hashlib
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from tensor_guess.errors import Unreadable
from tensor_guess.system.reading import is_written_to, opened, read, sha256


def test_a_file_is_read_whole_up_to_the_limit(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 1000)
    assert read(tmp_path / "a", 1000) == b"x" * 1000
    with pytest.raises(Unreadable, match=r"^is larger than 0\.000999 MB$"):
        read(tmp_path / "a", 999)


def test_a_digest_is_of_the_whole_file_up_to_the_limit(tmp_path: Path) -> None:
    data = bytes(range(256)) * 5000
    (tmp_path / "a").write_bytes(data)
    assert sha256(tmp_path / "a", len(data)) == hashlib.sha256(data).digest()
    with pytest.raises(Unreadable, match="is larger than"):
        sha256(tmp_path / "a", len(data) - 1)
    with pytest.raises(Unreadable, match="is larger than"):
        sha256(Path("/proc/self/status"), 10)  # its size is 0, whatever it gives


def test_an_empty_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert read(tmp_path / "a", 10) == b""


def test_what_the_system_calls_empty_is_bounded_too() -> None:
    """Files of /proc have a size of 0, whatever they give."""
    assert read(Path("/proc/self/status"), 1_000_000).startswith(b"Name:")
    with pytest.raises(Unreadable, match="is larger than"):
        read(Path("/proc/self/status"), 10)


@pytest.mark.parametrize("kind", ["fifo", "folder", "socket", "device", "link to a device"])
def test_only_regular_files_are_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    listening = socket.socket(socket.AF_UNIX)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        listening.bind(str(path))
    elif kind == "device":
        path = Path("/dev/zero")
    else:
        path.symlink_to("/dev/zero")
    with listening, pytest.raises(Unreadable, match=r"^is not a regular file$"):
        read(path, 100)


def test_a_link_is_followed_only_where_that_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"private")
    (tmp_path / "link").symlink_to("a")
    assert read(tmp_path / "link", 100) == b"private"
    with pytest.raises(Unreadable, match=r"^is a link$"):
        read(tmp_path / "link", 100, follow=False)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("none", "no such file"),
        ("n" * 300, "name too long"),
        ("a\0b", "null"),
        ("a/b", "not a dir"),
    ],
)
def test_what_cannot_be_there_is_said(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(Unreadable, match=reason):
        read(tmp_path / name, 100)


def test_an_error_while_it_is_open_is_a_reason(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(Unreadable, match="input/output error"), opened(tmp_path / "a"):
        raise OSError(5, "Input/output error")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who writes to a file")
def test_a_file_is_written_to_as_long_as_it_is_open_for_that(tmp_path: Path) -> None:
    usual = signal.signal(signal.SIGIO, signal.SIG_IGN)
    path = tmp_path / "a"
    assert not is_written_to(path)
    with path.open("wb") as file:
        assert is_written_to(path)
        with path.open("rb"):
            assert is_written_to(path)
        file.write(b"x")
    with path.open("rb"):
        assert not is_written_to(path)
    os.mkfifo(tmp_path / "pipe")
    assert not is_written_to(tmp_path / "pipe")
    signal.signal(signal.SIGIO, usual)
