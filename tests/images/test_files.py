"""The files below a folder: never outside it, whatever they are called."""

import os
import time
from pathlib import Path

import pytest

from tensor_guess.images import files
from tensor_guess.images.files import Files, LeftOut
from tensor_guess.sorting.companions import units


def test_a_folder_beside_with_the_same_start_of_name_is_outside(tmp_path: Path) -> None:
    for name in ("photos", "photos_private"):
        (tmp_path / name).mkdir()
    (tmp_path / "photos_private" / "x.jpg").touch()
    (tmp_path / "photos" / "x.jpg").symlink_to("../photos_private/x.jpg")
    ((path, reason),) = Files(tmp_path / "photos")
    assert (path.name, reason) == ("x.jpg", "is a link that leaves the folder")


HOSTILE = [
    b"new\nline.jpg",
    b"-rf.jpg",
    b"a'b\"c.jpg",
    b"$(touch x).jpg",
    b"\xff\xfe.jpg",
    b"n" * 251 + b".jpg",
    "\u202egpj.jpg".encode(),
    b" .jpg",
    b"*.jpg",
]


def test_hostile_names_are_found_as_they_are(tmp_path: Path) -> None:
    for name in HOSTILE:
        with open(os.path.join(os.fsencode(tmp_path), name), "wb"):
            pass
    found = Files(tmp_path)
    assert {os.fsencode(path.name) for path, reason in found if not reason} == set(HOSTILE)
    for path, _ in Files(tmp_path):
        assert str(LeftOut(path, "is empty")).isprintable()


def test_hidden_files_are_counted_but_not_our_own(tmp_path: Path) -> None:
    for name in (".DS_Store", ".tensor-guess-0123456789abcdef.tmp", "a.jpg"):
        (tmp_path / name).touch()
    found = Files(tmp_path)
    assert ([path.name for path, _ in found], found.hidden) == (["a.jpg"], 1)


def test_many_names_are_packed_and_listed_as_few_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [*HOSTILE, b"a", b"a 2.jpg", b"a.xmp", b"b.jpg", b"b.xmp", b"c.jpg", b"d", b"e.jpg"]
    for name in names:
        with open(os.path.join(os.fsencode(tmp_path), name), "wb"):
            pass
    (tmp_path / "f.jpg").symlink_to("b.jpg")
    (tmp_path / "g.jpg").symlink_to("/dev/null")
    few = list(Files(tmp_path).units(units))
    monkeypatch.setattr(files, "_UNPACKED", 4)
    monkeypatch.setattr(files, "_PIECE", 3)
    assert list(Files(tmp_path).units(units)) == few
    companions = [(path.name, beside) for path, _, beside in few if beside]
    assert companions == [("a", ("a.xmp",)), ("b.jpg", ("b.xmp",))]


@pytest.mark.long
def test_a_hundred_thousand_names_are_listed_fast(tmp_path: Path) -> None:
    for n in range(100_000):
        os.close(os.open(tmp_path / f"{n}.jpg", os.O_CREAT))
    start = time.perf_counter()
    assert sum(1 for _ in Files(tmp_path)) == 100_000
    assert time.perf_counter() - start < 100_000 / 20_000
