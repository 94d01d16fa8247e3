"""Copies land whole, once, in flat time, whatever happens at any step."""

import errno
import json
import os
from collections.abc import Iterable
from hashlib import sha256
from itertools import count
from pathlib import Path
from time import process_time

import pytest

from made.steps import die_at, ended_of, full_from
from tensor_guess.config import MANIFEST
from tensor_guess.errors import UserError
from tensor_guess.images.encoded import Picture, any_file
from tensor_guess.sorting.apply import Applying
from tensor_guess.sorting.manifest import Manifest
from tensor_guess.sorting.plan import Place

SCORES = {"elsa": 1.0, "darth vader": 0.0}
ELSA, PLACE = ("elsa", False), Place("", "elsa-1.00000", ".jpg")


def pictures(numbers: Iterable[int]) -> list[Picture]:
    """Pictures of equal size, each with bytes of its own."""
    found = []
    for number in numbers:
        data = number.to_bytes(4, "big") * 3
        found.append(Picture(data, "JPEG", sha256(data).digest(), os.stat(__file__)))
    return found


def copy(destination: Path, of: list[Picture]) -> int:
    """How many are copied by one run; those that the manifest knows are left."""
    with (
        Manifest(destination, Path("/photos"), "digest") as manifest,
        Applying(manifest) as applying,
    ):
        for number, picture in enumerate(of):
            if picture.key.hex() not in manifest.known:
                applying.add(Path(f"/photos/{number}.jpg"), picture, ELSA, PLACE, SCORES)
    return applying.counts[ELSA]


def copied(destination: Path) -> dict[str, bytes]:
    """The bytes of each file in DEST, by name; of finished ones only."""
    return {
        path.name: path.read_bytes()
        for path in destination.iterdir()
        if path.name != MANIFEST and not path.name.startswith(".")
    }


def told(destination: Path) -> list[str]:
    lines = map(json.loads, (destination / MANIFEST).read_bytes().splitlines())
    return [line["copied_to"] for line in lines if "copied_to" in line]


def test_names_are_numbered_in_the_order_of_the_pictures(tmp_path: Path) -> None:
    of = pictures(range(100))
    assert copy(tmp_path, of) == 100
    names = ["elsa-1.00000.jpg", *(f"elsa-1.00000-{number}.jpg" for number in range(2, 101))]
    assert told(tmp_path) == names
    assert copied(tmp_path) == {name: each.data for name, each in zip(names, of, strict=True)}


def test_somebodys_own_files_keep_their_names(tmp_path: Path) -> None:
    (tmp_path / "elsa-1.00000.jpg").write_bytes(b"x" * 12)
    (tmp_path / "elsa-1.00000-3.jpg").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "elsa-1.00000-4.jpg")
    assert copy(tmp_path, pictures(range(3))) == 3
    assert told(tmp_path) == [f"elsa-1.00000-{number}.jpg" for number in (2, 5, 6)]


def test_a_copy_without_its_line_is_taken_for_what_it_is(tmp_path: Path) -> None:
    of = pictures(range(5))
    (tmp_path / "elsa-1.00000-7.jpg").write_bytes(of[3].data)
    assert copy(tmp_path, of) == 5
    assert len(copied(tmp_path)) == 5
    assert told(tmp_path)[3] == "elsa-1.00000-7.jpg"


def test_a_name_that_another_run_takes_meanwhile_is_passed_over(tmp_path: Path) -> None:
    one, other = pictures([1, 2])
    with Manifest(tmp_path, Path("/photos"), "a") as manifest, Applying(manifest) as applying:
        applying.add(Path("/photos/1.jpg"), one, ELSA, PLACE, SCORES)
        assert copy(tmp_path, [other]) == 1
    assert set(copied(tmp_path).values()) == {one.data, other.data}
    assert sorted(told(tmp_path)) == ["elsa-1.00000-2.jpg", "elsa-1.00000.jpg"]


@pytest.mark.parametrize("taken", [".mov", ".jpg", ".jpg.xmp"])
@pytest.mark.parametrize("links", [True, False])
def test_a_name_of_a_unit_that_another_run_takes_meanwhile_moves_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: str, links: bool
) -> None:
    """Also where there are no hard links."""
    source, out = tmp_path / "in", tmp_path / "out"
    for folder in (source, out):
        folder.mkdir()
    if not links:

        def refuse(*_: object, **__: object) -> None:
            raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

        monkeypatch.setattr(os, "link", refuse)
    place, members = PLACE._replace(beside=(".mov", ".jpg.xmp")), []
    for name in ("a.jpg", "a.mov", "a.jpg.xmp"):
        (source / name).write_bytes(name.encode())
        members.append((source / name, any_file(source / name)))
    with Manifest(out, source, "a") as manifest, Applying(manifest) as applying:
        applying.add(*members[0], ELSA, place, SCORES, members[1:])
        (out / f"elsa-1.00000{taken}").write_bytes(b"another's")
    assert copied(out) == {
        f"elsa-1.00000{taken}": b"another's",
        "elsa-1.00000-2.jpg": b"a.jpg",
        "elsa-1.00000-2.mov": b"a.mov",
        "elsa-1.00000-2.jpg.xmp": b"a.jpg.xmp",
    }
    lines = [json.loads(line) for line in (out / MANIFEST).read_bytes().splitlines()]
    own = [line for line in lines if "copied_to" in line]
    unit = "elsa-1.00000-2.jpg"
    assert [line.get("companion_of") for line in own] == [unit, unit, None]
    assert not list(out.glob(".*"))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["killed before", "killed after", "full"])
def test_after_every_step_nothing_is_lost_and_a_rerun_completes(tmp_path: Path, how: str) -> None:
    of = pictures(range(3))
    for nth in count(1):
        destination = tmp_path / str(nth)
        destination.mkdir()
        (destination / "elsa-1.00000.jpg").write_bytes(b"somebody's own")

        def copy_them(destination: Path = destination, nth: int = nth) -> None:
            if how == "full":
                full_from(nth)
            else:
                die_at(nth, after=how == "killed after")
            copy(destination, of)

        ended = ended_of(copy_them)
        whole = {b"somebody's own", *(picture.data for picture in of)}
        assert set(copied(destination).values()) <= whole, "no copy is half a picture"
        assert set(told_of_any(destination)) <= copied(destination).keys()
        copy(destination, of)
        assert sorted(copied(destination).values()) == sorted(whole), "each is there, once"
        assert sorted(set(told(destination))) == sorted(copied(destination).keys() - {FIRST})
        if ended == 0:
            break
    assert nth > 15


FIRST = "elsa-1.00000.jpg"


def told_of_any(destination: Path) -> list[str]:
    """What the manifest tells, if there is one; its last line may be half a line."""
    path = destination / MANIFEST
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [found["copied_to"] for line in lines if "copied_to" in (found := json.loads(line))]


def test_a_full_disk_is_one_sentence_and_what_is_copied_is_told(tmp_path: Path) -> None:
    def fill() -> None:
        full_from(40)
        with pytest.raises(UserError, match=r"could not write .*: no space left on device"):
            copy(tmp_path, pictures(range(50)))

    assert ended_of(fill) == 0
    assert not list(tmp_path.glob(".*"))
    assert copy(tmp_path, pictures(range(50))) == 50 - len(told_before(tmp_path))


def told_before(destination: Path) -> list[str]:
    """What the first of two runs told."""
    lines = [json.loads(line) for line in (destination / MANIFEST).read_bytes().splitlines()]
    second = max(i for i, line in enumerate(lines) if "run" in line)
    return [line["copied_to"] for line in lines[:second] if "copied_to" in line]


@pytest.mark.slow
def test_equal_scores_cost_the_same_however_many(tmp_path: Path) -> None:
    def seconds_each(number: int) -> float:
        destination = tmp_path / str(number)
        destination.mkdir()
        of = pictures(range(number))
        start = process_time()
        copy(destination, of)
        return (process_time() - start) / number

    assert seconds_each(3000) < 5 * seconds_each(300)  # trying every name: ten times and more


def test_what_was_left_out_and_came_later_is_not_left_out(tmp_path: Path) -> None:
    source = tmp_path / "a.jpg"
    source.write_bytes(b"growing")
    dest = tmp_path / "out"
    dest.mkdir()
    with Manifest(dest, tmp_path, "digest") as manifest, Applying(manifest) as applying:
        early = any_file(source)
        source.write_bytes(b"grown")
        applying.add(source, early, ELSA, PLACE, SCORES)
        applying.settle()
        assert [each.path for each in applying.left_out.values()] == [source]
        applying.add(source, any_file(source), ELSA, PLACE, SCORES)
        applying.settle()
        assert (applying.left_out, applying.counts[ELSA]) == ({}, 1)
    assert list(copied(dest).values()) == [b"grown"]
