"""What came so far is gone on with only where it can be, and by one run at a time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from made.place import ROOT
from tensor_guess.errors import UserError
from tensor_guess.system.partial import opened

URL = "https://example.com/weights.h5"
HOLD = f"""
import sys; sys.path.insert(0, {str(ROOT / "src")!r})
from pathlib import Path
from tensor_guess.system.partial import opened
with opened(Path(sys.argv[1]), "{URL}") as partial:
    partial.restart('"etag"', 6)
    partial.append(b"abc")
    print("held", flush=True)
    sys.stdin.readline()
    partial.append(b"def")
"""


def test_what_came_is_there_for_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "x.partial"
    with opened(path, URL) as partial:
        partial.restart('"etag"', 6)
        partial.append(b"abc")
    with opened(path, URL) as partial:
        assert (partial.validator, partial.size, partial.complete) == ('"etag"', 3, False)
        partial.append(b"def")
        assert (partial.content(), partial.complete) == (b"abcdef", True)


def test_what_nobody_can_go_on_with_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "x.partial"
    with opened(path, URL) as partial:
        partial.restart("", None)  # a server that does not say which version it sent
        partial.append(b"abc")
    assert not path.exists()
    with opened(path, URL) as partial:
        partial.restart('"etag"', 6)
        partial.append(b"abc")
        partial.forget()
    assert not path.exists()


OF_TEXT = b'{"url": "%s", "validator": "x", "total": "3"}\nabc' % URL.encode()


@pytest.mark.parametrize(
    "spoil",
    [b"", b"{", b"[]\nabc", b'{"url": 1}\nabc', b"\xff" * 99, b"[" * 60_000 + b"\n", OF_TEXT],
)
def test_a_torn_file_is_begun_anew(tmp_path: Path, spoil: bytes) -> None:
    path = tmp_path / "x.partial"
    path.write_bytes(spoil)
    with opened(path, URL) as partial:
        assert (partial.size, partial.validator) == (0, "")


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_what_has_its_name_already_is_left_as_it_is(tmp_path: Path, kind: str) -> None:
    path, private = tmp_path / "x.partial", tmp_path / "private"
    private.write_text("private")
    if kind == "link":
        path.symlink_to(private)
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(UserError, match=f"could not write {path}: "), opened(path, URL) as partial:
        partial.restart("", None)
    assert private.read_text() == "private"
    assert os.path.lexists(path)


def test_of_another_url_nothing_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "x.partial"
    with opened(path, URL) as partial:
        partial.restart('"etag"', 6)
        partial.append(b"abc")
    with opened(path, f"{URL}?other") as partial:
        assert partial.size == 0


def test_a_second_run_waits_for_the_first(tmp_path: Path) -> None:
    path = tmp_path / "x.partial"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout
        assert first.stdin
        assert first.stdout.readline() == "held\n"
        first.stdin.write("go on\n")
        first.stdin.flush()
        with opened(path, URL) as partial:
            assert partial.content() == b"abcdef"
