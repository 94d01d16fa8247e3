"""What is wrong with the pictures is found, and only what can be spared is set aside."""

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from made.place import ROOT
from tensor_guess.bottlenecks.examples import Examples
from tensor_guess.config import BOTTLENECKS
from tensor_guess.images.dataset import Category, Dataset, Split, part_of
from tensor_guess.images.files import LeftOut
from tensor_guess.training import doctor
from tensor_guess.training.doctor import Examined, Findings, Picture, Sized, examine
from tensor_guess.training.set_aside import bring_back

HELD_OUT = (10, 10)


def bytes_in(part: Split, seed: int) -> bytes:
    """Bytes whose hash puts them into that split."""
    for number in range(10_000):
        data = b"%d %d" % (seed, number)
        if part_of(hashlib.sha256(data).digest(), *HELD_OUT) is part:
            return data
    raise AssertionError


class Case:
    """A folder of files, and what was found among them."""

    def __init__(self, tf_files: Path) -> None:
        self.tf_files = tf_files
        self.files: dict[str, list[Path]] = {}
        self.keys: dict[Path, bytes] = {}
        self.areas: dict[Path, int] = {}
        self.splits: dict[Path, Split] = {}

    def file(self, name: str, data: bytes | Split = Split.TRAINING, area: int = 1) -> Path:
        """`name` is category/name."""
        path = self.tf_files / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(data, Split):
            data = bytes_in(data, len(self.keys))
        path.write_bytes(data)
        self.files.setdefault(path.parent.name, []).append(path)
        self.keys[path] = hashlib.sha256(data).digest()
        self.areas[path] = area
        self.splits[path] = part_of(self.keys[path], *HELD_OUT)
        return path

    def group(self, *paths: Path) -> tuple[Picture, ...]:
        return tuple(Picture(path, path.parent.name, self.splits[path].value) for path in paths)

    def spared(
        self,
        unreadable: Sequence[Path] = (),
        exact: Sequence[Sequence[Path]] = (),
        contradicting: Sequence[Sequence[Path]] = (),
        near: Sequence[Sequence[Path]] = (),
    ) -> set[str]:
        """The names of what would be set aside."""
        findings = Findings(
            counts={}, input_size=16, unreadable=tuple(LeftOut(each, "no") for each in unreadable),
            exact=tuple(map(tuple, exact)), contradicting=tuple(map(tuple, contradicting)),
            near=tuple(self.group(*each) for each in near), across=(), tiny=(), huge=(),
            suspects=(), missing=(),
        )  # fmt: skip
        categories = tuple(Category(name, name, tuple(paths)) for name, paths in self.files.items())
        data = Dataset(categories, (), 0)
        examined = Examined(findings, self.tf_files, data, self.keys, self.areas, HELD_OUT)
        return {os.fspath(each.place) for each in examined.spares()}


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_of_exact_copies_one_stays_and_test_pictures_all_do(case: Case) -> None:
    same = bytes_in(Split.TRAINING, 1)
    tested = bytes_in(Split.TESTING, 1)
    group = [case.file(f"cat/{name}", same) for name in "abc"]
    test = [case.file(f"cat/{name}", tested) for name in "xy"]
    assert case.spared(exact=[group, test]) == {"cat/b", "cat/c"}


def test_of_near_copies_in_training_the_largest_stays(case: Case) -> None:
    a, b, c = (
        case.file(f"cat/{name}", area=area) for name, area in zip("abc", (1, 3, 2), strict=True)
    )
    v, t = case.file("cat/v", Split.VALIDATION, 9), case.file("cat/t", Split.TESTING, 9)
    assert case.spared(near=[[a, b, c, v, t]]) == {"cat/a", "cat/c"}
    assert case.spared(near=[[a, t], [b, v]]) == set()


def test_each_that_goes_leaves_one_that_it_is_like(case: Case) -> None:
    a, b, c, d = (case.file(f"cat/{name}", area=9 - n) for n, name in enumerate("abcd"))
    # In this chain, a and c are not alike, nor b and d.
    assert case.spared(near=[[a, b], [b, c], [c, d]]) == {"cat/b", "cat/d"}
    # b is the largest: both others may go.
    case.areas[b] = 20
    assert case.spared(near=[[a, b], [b, c]]) == {"cat/a", "cat/c"}


def test_near_copies_in_two_categories_are_left_to_the_user(case: Case) -> None:
    a, b = case.file("cat/a"), case.file("dog/b")
    assert case.spared(near=[[a, b]]) == set()


def test_pictures_that_contradict_go_together_or_stay(case: Case, tmp_path: Path) -> None:
    same = bytes_in(Split.TRAINING, 1)
    pair = [case.file("cat/a", same), case.file("dog/a", same)]
    assert case.spared(contradicting=[pair]) == {"cat/a", "dog/a"}
    outside = tmp_path.with_name(tmp_path.name + "-outside") / "a"
    outside.parent.mkdir()
    outside.write_bytes(same)
    assert case.spared(contradicting=[[*pair, outside]]) == set()


def test_links_and_what_they_lead_to_stay(case: Case) -> None:
    same = bytes_in(Split.TRAINING, 1)
    a, b = (case.file(f"cat/{name}", same) for name in "ab")
    link = a.with_name("0")
    link.symlink_to("b")
    case.files["cat"].append(link)
    case.keys[link] = case.keys[b]
    assert case.spared(exact=[[link, a, b]]) == {"cat/a"}
    assert case.spared(unreadable=[link, b]) == set()


def test_a_file_that_two_categories_share_stays(case: Case) -> None:
    a = case.file("cat/a")
    case.files["dog"] = [a]
    assert case.spared(unreadable=[a]) == set()


# --- the first sight


def examples_of(paths: Sequence[Path], truth: Sequence[int]) -> Examples:
    categories = tuple(Category(name, name, ()) for name in ("cat", "dog"))
    keys = [bytes([n]) * 32 for n in range(len(paths))]
    parts = [Split.TRAINING] * len(paths)
    return Examples(Dataset(categories, (), 0), list(paths), keys, list(truth), parts)


def test_at_first_sight_at_most_three_lines(tmp_path: Path) -> None:
    paths = []
    for number in range(6):
        paths.append(tmp_path / f"{number}.png")
        Image.new("RGB", (100, 7 if number == 3 else 100)).save(paths[-1])
    even = examples_of(paths[:2], [0, 1])
    assert doctor.at_first_sight(even, [], 16) == []
    examples = examples_of(paths, [0, 0, 0, 0, 0, 1])
    near = [(5, np.array([0]))]
    lines = doctor.at_first_sight(examples, near, 16)
    assert lines == [
        "uneven: cat has 5.0 times the pictures of dog",
        f"1 picture smaller than 8 pixels, e.g. {paths[3]}",
        "near copies in several categories: 1 group",
    ]
    assert doctor.at_first_sight(examples, None, 16) == lines[:1]


# --- on real pictures, by the real network


def everything_in(folder: Path) -> dict[str, bytes]:
    return {
        os.fspath(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and BOTTLENECKS not in path.parts
    }


@pytest.mark.slow
def test_a_folder_of_mishaps_is_seen_through_and_put_in_order(classifier: Path) -> None:
    data = classifier / "data"
    first, second = (data / f"dark_knight/dark_knight_0{number}.jpg" for number in (1, 2))
    shutil.copy(first, data / "dark_knight/again.jpg")
    shutil.copy(second, data / "snow_queen/wrong.jpg")
    (data / "snow_queen/empty.png").touch()
    with Image.open(data / "snow_queen/snow_queen_01.jpg") as image:
        image.save(data / "snow_queen/saved.jpg", quality=80)
        image.resize((30, 20)).save(data / "snow_queen/tiny.png")
    shutil.copy(ROOT / "test_data/photo05.jpg", data / "dark_knight/other.jpg")
    before = everything_in(classifier)
    examined = examine(classifier)
    assert everything_in(classifier) == before
    found = examined.findings
    assert found.input_size == 224
    assert [each.path.name for each in found.unreadable] == ["empty.png"]
    assert [[each.name for each in group] for group in found.exact] == [
        ["again.jpg", "dark_knight_01.jpg"]
    ]
    assert {each.name for each in found.contradicting[0]} == {"dark_knight_02.jpg", "wrong.jpg"}
    near = [{each.path.name for each in group} for group in found.near]
    assert any({"snow_queen_01.jpg", "saved.jpg"} <= group for group in near)
    assert found.tiny[0] == Sized(data / "snow_queen/tiny.png", 30, 20)
    assert not found.huge
    done = examined.fix()
    assert not done.left
    assert 4 <= done.count <= 10
    again = examine(classifier)
    assert not list(again.spares())
    assert sorted(everything_in(classifier).values()) != sorted(before.values())  # the journal
    assert bring_back(classifier).count == done.count
    after = everything_in(classifier)
    assert {name: after[name] for name in before} == before


@pytest.mark.slow
def test_a_flipped_label_comes_first(classifier: Path) -> None:
    moved = classifier / "data/snow_queen/dark_knight_10.jpg"
    next(classifier.glob("data/dark_knight/dark_knight_10.*")).rename(moved)
    suspects = examine(classifier).findings.suspects
    assert suspects[0].path == moved
    assert (suspects[0].category, suspects[0].looks_like) == ("snow_queen", "dark_knight")


@pytest.mark.slow
def test_without_a_classifier_it_works_with_no_internet(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tf_files/data", tmp_path / "data")
    found = examine(tmp_path).findings
    assert sum(sum(each.values()) for each in found.counts.values()) == 80
