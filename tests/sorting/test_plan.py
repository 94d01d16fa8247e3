"""Places of pictures: inside DEST, each category's own, with names that a disk can have."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensor_guess.config import LAYOUTS, MANIFEST, REVIEW
from tensor_guess.sorting.plan import Place, Places, Way, file_name, is_inside

# Bytes, as names are; none with the two that no name has, and none hidden.
names = (
    st.binary(min_size=1, max_size=255)
    .filter(lambda name: not name.startswith(b".") and not set(name) & {0, ord("/")})
    .map(os.fsdecode)
)
categories = st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=6, unique=True)
ways = st.builds(Way, st.just("copy"), st.sampled_from(LAYOUTS), st.booleans())


@given(ways, categories, st.lists(names, min_size=1, max_size=4), st.booleans(), st.integers(1, 99))
def test_any_place_is_inside_and_its_name_fits(
    way: Way, known: list[str], parts: list[str], review: bool, number: int
) -> None:
    places = Places(way, known)
    for category in known:
        name = places.name(category)
        place = places.place(Path(*parts), name, 0.5, "jpg", review=review)
        path = place.path(number)
        assert is_inside(path)
        assert place.number(path) == number
        assert len(os.fsencode(os.path.basename(path))) <= 255
        first = path.split("/")[0]
        assert first.casefold() != MANIFEST
        assert (first == REVIEW) == (review and "/" in path)


@given(ways, categories, names, st.integers(1, 99), st.integers(1, 99))
def test_numbers_tell_names_apart(way: Way, known: list[str], name: str, a: int, b: int) -> None:
    places = Places(way, known)
    place = places.place(Path(name), places.name(known[0]), 1.0, "jpg")
    assert (place.path(a) == place.path(b)) == (a == b)


@given(categories)
def test_each_category_has_a_folder_of_its_own(known: list[str]) -> None:
    places = Places(Way(layout="folders"), known)
    folders = [places.name(each).casefold() for each in known]
    folders.append(places.name(known[0], unknown=True).casefold())
    assert len(set(folders)) == len(known) + 1
    assert not {REVIEW, MANIFEST} & set(folders)


@pytest.mark.parametrize(
    ("way", "review", "path"),
    [
        (Way(), False, "elsa-0.50000.png"),
        (Way(), True, "review/elsa-0.50000.png"),
        (Way(keep_tree=True), False, "2017/may/elsa-0.50000.png"),
        (Way(keep_tree=True), True, "review/2017/may/elsa-0.50000.png"),
        (Way(layout="folders"), False, "elsa/a.b.JPG"),
        (Way(layout="folders"), True, "review/elsa/a.b.JPG"),
        (Way(layout="folders", keep_tree=True), False, "elsa/2017/may/a.b.JPG"),
        (Way(layout="folders", keep_tree=True), True, "review/elsa/2017/may/a.b.JPG"),
    ],
)
def test_the_place_in_each_layout(way: Way, review: bool, path: str) -> None:
    image = Path("2017/may/a.b.JPG")
    assert Places(way, ["elsa"]).place(image, "elsa", 0.5, "png", review=review).path(1) == path


@pytest.mark.parametrize("folder", ["review", "Manifest.jsonl"])
def test_a_folder_of_src_with_a_name_of_ours_gets_another(folder: str) -> None:
    places = Places(Way(keep_tree=True), ["elsa"])
    place = places.place(Path(folder, "x.jpg"), "elsa", 0.5, "jpg")
    assert place.path(2) == f"{folder}_/elsa-0.50000-2.jpg"


def test_a_category_called_review_is_not_for_review() -> None:
    places = Places(Way(layout="folders"), ["Review", "a:b", "a?b"])
    assert [places.name(each) for each in ("Review", "a:b", "a?b")] == ["Review_", "a_b", "a_b_"]


def test_a_long_name_gets_its_number_all_the_same() -> None:
    place = Place("elsa", "é" * 125, ".jpg")
    assert place.path(1) == f"elsa/{'é' * 125}.jpg"
    assert place.path(10) == f"elsa/{'é' * 124}-10.jpg"
    assert place.number(place.path(10)) == 10
    assert place.number(f"elsa/{'é' * 123}-10.jpg") is None


@given(names, st.lists(st.sampled_from((".mov", ".jpg.xmp", ".cr2.xmp")), unique=True))
def test_a_unit_shares_all_but_its_ends(name: str, beside: list[str]) -> None:
    place = Places(Way(layout="folders"), ["elsa"]).place(Path(name), "elsa", 0.5, "jpg")
    unit = place._replace(beside=tuple(beside))
    for number in (1, 2, 12345):
        picture, *own = unit.paths(number)
        assert picture == unit.path(number)
        assert all(len(os.fsencode(each)) <= 255 + len("elsa/") for each in (picture, *own))
        start = picture.removesuffix(unit.suffix)
        assert own == [f"{start}{each}" for each in beside]


@pytest.mark.parametrize("path", ["", "/x", "../x", "a/../x", "a//b", "a/", ".x", "a/.b", "a\0"])
def test_what_is_not_inside(path: str) -> None:
    assert not is_inside(path)


@pytest.mark.slow
@given(st.text(max_size=300))
def test_any_category_becomes_a_safe_file_name(category: str) -> None:
    name = file_name(category)
    assert 0 < len(name.encode()) <= 220
    assert not set(name) & set('<>:"/\\|?*\0\n')
    assert not name.startswith(("-", ".", " "))
    assert not name.endswith((".", " "))
    assert file_name(name) == name


@pytest.mark.parametrize(
    ("category", "name"),
    [
        ("darth_vader", "darth_vader"),
        ("cereal_box ", "cereal_box"),
        ("東京", "東京"),
        ("a/b:c", "a_b_c"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("--help", "help"),
        ("...", "_"),
    ],
)
def test_file_names_of_odd_categories(category: str, name: str) -> None:
    assert file_name(category) == name


@pytest.mark.parametrize(
    ("categories", "name"),
    [
        (["elsa"], "unknown"),
        (["Unknown", "elsa"], "unknown_"),
        (["unknown", "unknown_"], "unknown__"),
    ],
)
def test_a_category_called_unknown_is_no_unknown_picture(categories: list[str], name: str) -> None:
    assert Places(Way(), categories).name(categories[0], unknown=True) == name
