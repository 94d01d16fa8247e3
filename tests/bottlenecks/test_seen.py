"""What was seen: a key is told again only of a file about which nothing has changed."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tensor_guess.bottlenecks.seen import Seen
from tensor_guess.images import encoded

LONG_AGO = 10**18


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A picture that was written long before it was seen."""
    monkeypatch.setattr("time.time_ns", lambda: 4 * 10**18)
    path = tmp_path / "x.bmp"
    Image.new("RGB", (3, 3)).save(path)
    os.utime(path, ns=(LONG_AGO, LONG_AGO))
    return path


def test_what_was_seen_is_known_to_the_next_run(photo: Path, tmp_path: Path) -> None:
    first, picture = Seen(tmp_path / "seen"), encoded.read(photo)
    assert first.key(photo) is None
    first.save()
    assert not (tmp_path / "seen").exists()  # nothing was seen
    first.remember(photo, picture)
    first.save()
    assert Seen(tmp_path / "seen").key(photo) == picture.key
    assert Seen(tmp_path / "seen").key(tmp_path / "other.bmp") is None


def _grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"0")
    os.utime(path, ns=(LONG_AGO, LONG_AGO))


def _replace(path: Path) -> None:
    copy = path.with_name("copy.bmp")
    copy.write_bytes(path.read_bytes())
    os.utime(copy, ns=(LONG_AGO, LONG_AGO))
    copy.rename(path)


@pytest.mark.parametrize(
    "change", [_grow, _replace, Path.unlink, lambda path: os.utime(path, ns=(1, 1))]
)
def test_a_file_that_changed_is_not_known(
    photo: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    seen = Seen(tmp_path / "seen")
    seen.remember(photo, encoded.read(photo))
    assert seen.key(photo)
    change(photo)
    assert seen.key(photo) is None


def test_a_damaged_list_is_not_believed(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = Seen(tmp_path / "seen")
    seen.remember(photo, encoded.read(photo))
    seen.save()
    data = bytearray((tmp_path / "seen").read_bytes())
    data[-1] ^= 1
    (tmp_path / "seen").write_bytes(data)
    assert Seen(tmp_path / "seen").key(photo) is None
    assert "seen is damaged; the pictures are read again" in capsys.readouterr().err


@pytest.mark.parametrize("size", [1, 79, 87, 89])
def test_a_sealed_list_that_has_no_whole_rows_is_not_believed(
    photo: Path, tmp_path: Path, size: int, capsys: pytest.CaptureFixture[str]
) -> None:
    data = bytes(size)
    (tmp_path / "seen").write_bytes(hashlib.sha256(data).digest() + data)
    assert Seen(tmp_path / "seen").key(photo) is None
    assert "seen is damaged; the pictures are read again" in capsys.readouterr().err
