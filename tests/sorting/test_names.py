"""Names in DEST that are free, and what a killed run has left there."""

import os
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from tensor_guess.errors import UserError
from tensor_guess.images.encoded import Picture
from tensor_guess.sorting.manifest import Manifest
from tensor_guess.sorting.names import Names
from tensor_guess.sorting.plan import Place, Way

PLACE = Place("elsa", "photo", ".jpg")


def picture(data: bytes) -> Picture:
    return Picture(data, "JPEG", sha256(data).digest(), os.stat(__file__))


def names(tmp_path: Path, way: str = "copy") -> Names:
    for folder in ("in", "out"):
        (tmp_path / folder).mkdir(exist_ok=True)
    with Manifest(tmp_path / "out", tmp_path / "in", "", Way(way, "folders")) as manifest:
        return Names(manifest)


def test_taken_names_are_passed_over_and_no_name_is_given_twice(tmp_path: Path) -> None:
    (tmp_path / "out/elsa").mkdir(parents=True)
    for name in ("photo.jpg", "photo-3.jpg"):
        (tmp_path / "out/elsa" / name).touch()
    found = names(tmp_path)
    assert [found.next(PLACE) for _ in range(3)] == [(f"elsa/photo-{n}.jpg",) for n in (2, 4, 5)]


@pytest.mark.parametrize("name", ["photo.jpg", "photo-2.jpg", "photo-7.jpg"])
def test_an_untold_file_of_the_same_bytes_is_what_is_wanted(tmp_path: Path, name: str) -> None:
    (tmp_path / "out/elsa").mkdir(parents=True)
    (tmp_path / "out/elsa" / name).write_bytes(b"1")
    found = names(tmp_path)
    ((entry, there),) = found.entries([(tmp_path / "in/photo.jpg", picture(b"1"))], PLACE)
    assert (entry.name, entry.image, there) == (f"elsa/{name}", "photo.jpg", True)
    for other, place in ((b"2", PLACE), (b"1", PLACE._replace(stem="image"))):
        ((entry, there),) = found.entries([(tmp_path / "in/photo.jpg", picture(other))], place)
        assert not there


def test_a_link_is_wanted_only_if_it_is_that_link(tmp_path: Path) -> None:
    names(tmp_path)
    (tmp_path / "in/photo.jpg").write_bytes(b"1")
    (tmp_path / "out/elsa").mkdir()
    (tmp_path / "out/elsa/photo.jpg").symlink_to("../../elsewhere/photo.jpg")
    (tmp_path / "out/elsa/photo-2.jpg").write_bytes(b"1")
    members = [(tmp_path / "in/photo.jpg", picture(b"1"))]
    for way in ("symlink", "link"):
        ((entry, there),) = names(tmp_path, way).entries(members, PLACE)
        assert (entry.name, there) == ("elsa/photo-3.jpg", False)
    (tmp_path / "out/elsa/photo-4.jpg").symlink_to(entry_text := "../../in/photo.jpg")
    ((entry, there),) = names(tmp_path, "symlink").entries(members, PLACE)
    assert (entry.name, entry.links_to, there) == ("elsa/photo-4.jpg", entry_text, True)


UNIT = PLACE._replace(beside=(".mov", ".jpg.xmp"))


def of(data: bytes) -> list[tuple[Path, Picture]]:
    """A picture with two companions."""
    files = (("photo.jpg", data), ("photo.mov", b"film"), ("photo.jpg.xmp", b"words"))
    return [(Path("/in", name), picture(each)) for name, each in files]


@pytest.mark.parametrize("taken", ["photo.jpg", "photo.mov", "photo.jpg.xmp"])
def test_a_number_is_free_for_all_of_a_unit_or_for_none(tmp_path: Path, taken: str) -> None:
    (tmp_path / "out/elsa").mkdir(parents=True)
    (tmp_path / "out/elsa" / taken).touch()
    found, places = names(tmp_path), (UNIT, PLACE, PLACE._replace(suffix=".png", beside=(".mov",)))
    assert found.next(UNIT) == ("elsa/photo-2.jpg", "elsa/photo-2.mov", "elsa/photo-2.jpg.xmp")
    given = [name for place in places * 3 for name in found.next(place)]
    assert len(set(given)) == len(given)


@pytest.mark.parametrize("left", [(1,), (1, 0, 1), (1, 1, 1), (0, 1)])
def test_what_a_kill_left_of_a_unit_is_completed(tmp_path: Path, left: tuple[int, ...]) -> None:
    (tmp_path / "out/elsa").mkdir(parents=True)
    (tmp_path / "in").mkdir()
    members, paths = of(b"1"), UNIT.paths(3)
    with Manifest(tmp_path / "out", Path("/in"), "", Way("copy", "folders")) as manifest:
        found = [entry for entry, _ in Names(manifest).entries(members, UNIT)]
        begun = [replace(e, name=name) for e, name in zip(found, paths, strict=True)]
        manifest.beginning(
            [replace(e, companion_of=paths[0] * bool(i)) for i, e in enumerate(begun)]
        )
    for name, there, (_, each) in zip(paths, left, members, strict=False):
        if there:
            (tmp_path / "out" / name).write_bytes(each.data)
    with Manifest(tmp_path / "out", Path("/in"), "", Way("copy", "folders")) as manifest:
        again = Names(manifest).entries(members, UNIT)
        assert [entry.name for entry, _ in again] == list(paths)
        assert [entry.unit for entry, _ in again] == [paths[0]] * 3
        assert [there for _, there in again] == [*map(bool, left), *[False] * (3 - len(left))]
        # Somebody's own file is where the rest would come.
        (tmp_path / "out" / paths[2]).write_bytes(b"mine")
        names_ = [entry.name for entry, _ in Names(manifest).entries(members, UNIT)]
        assert names_ == list(UNIT.paths(1))


@pytest.mark.parametrize("at", ["elsa", "elsa/deeper"])
@pytest.mark.parametrize("what", ["link", "file"])
def test_nothing_is_made_where_a_link_leads(tmp_path: Path, at: str, what: str) -> None:
    found, other = names(tmp_path), tmp_path / "other"
    other.mkdir()
    path = tmp_path / "out" / at
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(other) if what == "link" else path.write_bytes(b"")
    with pytest.raises(UserError, match="is not a folder of its own; move it away"):
        found.make("elsa/deeper/more")
    assert not list(other.iterdir())


def test_a_folder_is_told_before_it_is_made(tmp_path: Path) -> None:
    for folder in ("in", "out"):
        (tmp_path / folder).mkdir()
    with Manifest(tmp_path / "out", tmp_path / "in", "") as manifest:
        Names(manifest).make("elsa/2017")
        said = (tmp_path / "out/manifest.jsonl").read_text()
        Names(manifest).make("elsa/2017")
        Names(manifest).make("")
        assert (tmp_path / "out/manifest.jsonl").read_text() == said
    assert said.count('"made": "elsa"') == said.count('"made": "elsa/2017"') == 1
    assert (tmp_path / "out/elsa/2017").is_dir()
