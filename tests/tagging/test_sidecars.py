"""Which file is the sidecar of a picture; it is replaced whole, and only as it was found."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tensor_guess.errors import Unreadable
from tensor_guess.tagging.sidecars import Sidecar, found, name_of


@pytest.mark.parametrize(
    ("picture", "companions", "name"),
    [
        ("a.jpg", (), "a.jpg.xmp"),
        ("a.jpg", ("a.xmp",), "a.xmp"),
        ("a.jpg", ("a.XMP", "a.jpg.XMP", "a.mov"), "a.jpg.XMP"),
        ("a.jpg", ("a.cr2", "a.cr2.xmp", "a.aae"), "a.jpg.xmp"),
        ("a", ("a.xmp",), "a.xmp"),
        ("caf\udce9.b.jpg", ("caf\udce9.b.xmp",), "caf\udce9.b.xmp"),
    ],
)
def test_whose_sidecar_it_is(picture: str, companions: tuple[str, ...], name: str) -> None:
    assert name_of(picture, companions) == name


def test_its_permissions_are_kept_and_its_time_is_new(tmp_path: Path) -> None:
    path = tmp_path / "a.xmp"
    path.write_bytes(b"old")
    path.chmod(0o640)
    os.utime(path, ns=(1, 1))
    sidecar = found(path, tmp_path)
    with sidecar.staged(b"new", "") as staged:
        sidecar.commit(staged)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o640)
    assert path.stat().st_mtime_ns > 1_000_000_000  # so that other programs see that it changed
    assert os.listdir(tmp_path) == ["a.xmp"]


CHANGES: dict[str, Callable[[Path], object]] = {
    "edited": lambda path: path.write_bytes(b"by a person"),
    "gone": lambda path: path.unlink(),
    "link": lambda path: (path.parent / "link").rename(path),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_another_program_did_meanwhile_is_not_overwritten(tmp_path: Path, change: str) -> None:
    path = tmp_path / "a.xmp"
    path.write_bytes(b"old")
    sidecar = found(path, tmp_path)
    (tmp_path / "link").symlink_to("b.xmp")
    CHANGES[change](path)
    after = path.read_bytes() if path.exists() else None
    with sidecar.staged(b"new", "") as staged, pytest.raises(Unreadable, match="was changed"):
        sidecar.commit(staged)
    assert (path.read_bytes() if path.exists() else None) == after
    sidecar = Sidecar(tmp_path / "b.xmp")
    (tmp_path / "b.xmp").write_bytes(b"new too")
    with sidecar.staged(b"new", "") as staged, pytest.raises(Unreadable, match="was changed"):
        sidecar.commit(staged)
    assert not list(tmp_path.glob(".*"))


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "link": (lambda path: path.symlink_to("/etc/hostname"), "is a link"),
    "fifo": (os.mkfifo, "is not a regular file"),
    "folder": (lambda path: path.mkdir(), "is not a regular file"),
    "protected": (lambda path: path.touch(0o444), "is write-protected"),
    "large": (lambda path: path.write_bytes(bytes(10_000_001)), "is larger than 10 MB"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_sidecar_of_ours_to_write(tmp_path: Path, what: str) -> None:
    REFUSED[what][0](tmp_path / "a.xmp")
    with pytest.raises(Unreadable, match=REFUSED[what][1]):
        found(tmp_path / "a.xmp", tmp_path)


def test_a_name_that_is_too_long_and_a_folder_that_leads_out_are_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/out").symlink_to(tmp_path)
    (tmp_path / "a.xmp").touch()
    for name, reason in (("n" * 252 + ".xmp", "too long"), ("out/a.xmp", "leaves the folder")):
        with pytest.raises(Unreadable, match=reason):
            found(tmp_path / "in" / name, tmp_path / "in")
