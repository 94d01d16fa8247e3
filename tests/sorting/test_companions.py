"""Which files go with which picture: by their names alone, and each with one."""

import os
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensor_guess.sorting.companions import ending, units

STEMS = ("IMG_1", "IMG_1 2", "IMG_1-2", "a.b", "caf\udce9", "new\nline")
ENDINGS = (
    "", ".jpg", ".JPG", ".jpeg", ".heic", ".HEIC", ".png", ".tif", ".mov", ".MOV", ".mp4", ".cr2",
    ".NEF", ".dng", ".aae", ".AAE", ".xmp", ".XMP", ".jpg.xmp", ".JPG.xmp", ".cr2.xmp", ".mov.xmp",
    ".jpg.json", ".jpg.pp3", ".thm", ".txt", ".json", ".xmp.xmp", ".",
)  # fmt: skip
folders = st.sets(
    st.builds("".join, st.tuples(st.sampled_from(STEMS), st.sampled_from(ENDINGS))), max_size=40
).map(sorted)


@given(folders)
def test_each_name_comes_once_and_in_order(names: list[str]) -> None:
    found = list(units(names))
    assert sorted(each for name, own in found for each in (name, *own)) == names
    assert [name for name, _ in found] == sorted(name for name, _ in found)


@given(folders)
def test_a_unit_shares_its_stem_and_gets_names_of_its_own_elsewhere(names: list[str]) -> None:
    for picture, own in units(names):
        stem = os.path.splitext(picture)[0]
        assert all(each.startswith(f"{stem}.") for each in own)
        for suffix in (os.path.splitext(picture)[1], ".png"):
            endings = [suffix, *(ending(picture, each, suffix) for each in own)]
            assert len({each.casefold() for each in endings}) == len(endings)


@given(folders, folders)
def test_what_else_is_in_the_folder_does_not_matter(names: list[str], others: list[str]) -> None:
    """Names with other beginnings, that is."""
    others = [f"x{name}" for name in others]
    both = list(units(sorted({*names, *others})))
    assert [each for each in both if each[0] in set(names)] == list(units(names))


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ("IMG_1.HEIC IMG_1.MOV IMG_1.AAE", {"IMG_1.HEIC": "IMG_1.AAE IMG_1.MOV"}),
        ("IMG_1.jpg IMG_1.mp4", {"IMG_1.jpg": "IMG_1.mp4"}),
        ("img_1.jpg IMG_1.mov", {"img_1.jpg": "", "IMG_1.mov": ""}),
        ("a.CR2 a.jpg", {"a.jpg": "a.CR2"}),
        ("a.NEF a.heic a.jpg", {"a.heic": "a.NEF", "a.jpg": ""}),
        ("a.cr2 a.cr2.xmp a.jpg a.jpg.xmp", {"a.jpg": "a.cr2 a.cr2.xmp a.jpg.xmp"}),
        ("a.cr2 a.xmp", {"a.cr2": "a.xmp"}),
        ("a.jpg a.png a.xmp", {"a.jpg": "a.xmp", "a.png": ""}),
        ("a.png a.tif a.xmp", {"a.png": "a.xmp", "a.tif": ""}),
        ("a.jpg a.jpeg a.aae", {"a.jpeg": "a.aae", "a.jpg": ""}),
        ("a.png a.mov", {"a.png": "", "a.mov": ""}),
        ("a.jpg a.jpg.json a.jpg.pp3 a.json", {"a.jpg": "a.jpg.json a.jpg.pp3", "a.json": ""}),
        ("a.jpg a.xmp a.XMP", {"a.jpg": "a.XMP", "a.xmp": ""}),
        ("a a.xmp b.jpg", {"a": "a.xmp", "b.jpg": ""}),
        ("a a-2.jpg a.jpg a.jpg.xmp a.xmp", {"a": "a.xmp", "a-2.jpg": "", "a.jpg": "a.jpg.xmp"}),
        ("a.b.jpg a.b.xmp a.jpg", {"a.b.jpg": "a.b.xmp", "a.jpg": ""}),
        ("a.mov a.mov.xmp", {"a.mov": "a.mov.xmp"}),
        ("notes.txt a.xmp", {"notes.txt": "", "a.xmp": ""}),
    ],
)
def test_who_goes_with_whom(names: str, found: dict[str, str]) -> None:
    expected = {name: tuple(own.split()) for name, own in found.items()}
    assert dict(units(sorted(names.split()))) == expected


def test_every_kind_goes_with_a_jpeg() -> None:
    for one, other in combinations(("mov", "dng", "aae", "xmp", "jpg.xmp", "raf", "thm"), 2):
        names = sorted(("a.jpg", f"a.{one}", f"a.{other}"))
        assert [name for name, _ in units(names)] == ["a.jpg"]


@pytest.mark.parametrize(
    ("picture", "companion", "suffix", "found"),
    [
        ("a.HEIC", "a.MOV", ".heic", ".MOV"),
        ("a.jpg", "a.jpg.xmp", ".png", ".png.xmp"),
        ("a.jpg", "a.cr2.xmp", ".jpg", ".cr2.xmp"),
        ("a", "a.xmp", ".jpg", ".jpg.xmp"),
        ("a.b.jpg", "a.b.aae", ".JPG", ".aae"),
    ],
)
def test_how_it_ends(picture: str, companion: str, suffix: str, found: str) -> None:
    assert ending(picture, companion, suffix) == found
