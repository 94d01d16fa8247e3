"""What a folder of pictures means: labels that survive, a split that stays."""

import os
import re
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from made.place import ROOT
from tensor_guess.errors import UserError, WrongUsage
from tensor_guess.images.dataset import Split, find, is_category, label_of, part_of, split

ASCII = st.text(st.characters(max_codepoint=127), max_size=30)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
KEYS = st.lists(st.binary(min_size=32, max_size=32), unique=True, max_size=40)
# What is held out in total leaves something to train on, as the command line demands.
PERCENTAGES = st.tuples(st.integers(0, 45), st.integers(0, 45))

LABELS = {
    "Darth_Vader": "darth vader",
    "elsa": "elsa",
    "  --  C++ / C# ": "c c",
    "東京": "東京",
    "हिन्दी": "हिन्दी",
    "Café": "café",
    "Cafe\u0301": "café",
    "STRASSE": "strasse",
    "Straße": "strasse",
    "ΟΔΟΣ": "οδοσ",
    "cereal_box ": "cereal box",
    "٣ قطط": "٣ قطط",
    "한국어": "한국어",
    "new\nline\ttab": "new line tab",
    "🎃🎃": "",
    "___": "",
}


@pytest.mark.parametrize(("name", "label"), LABELS.items())
def test_label_of_a_folder(name: str, label: str) -> None:
    assert label_of(name) == label


@pytest.mark.parametrize(
    "name", ["a", "Darth_Vader", "東京", "~a", "a.b", "x" * 255, "x\udcff", "\\1"]
)
def test_what_a_category_may_be_called(tmp_path: Path, name: str) -> None:
    assert is_category(name)
    (tmp_path / name).mkdir()


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".a", "/a", "../a", "a/b", "a/", "a\0", "---", "x" * 256, "é" * 128, "\ud800a"],
)
def test_what_no_category_may_be_called(name: str) -> None:
    assert not is_category(name)


@given(ASCII)
def test_label_of_an_ascii_name_is_that_of_retrain_py(name: str) -> None:
    assert label_of(name) == re.sub(r"[^a-z0-9]+", " ", name.lower()).strip()


@given(NAMES)
@example("\u0345\u0301")
@example("\u1fb4")
@example("\u0130")
def test_a_label_is_its_own_label_and_the_same_however_it_is_composed(name: str) -> None:
    label = label_of(name)
    assert label_of(label) == label
    assert label_of(unicodedata.normalize("NFC", name)) == label
    assert label_of(unicodedata.normalize("NFD", name)) == label


@given(NAMES)
def test_a_label_is_one_printable_line_without_two_spaces(name: str) -> None:
    label = label_of(name)
    assert len(label.splitlines()) <= 1
    assert label == " ".join(label.split(" "))
    assert label.strip() == label
    assert "  " not in label
    assert not set(label) & set('/\\<>:"|?*_-.')


def undisturbed(key: bytes, validation: int, testing: int) -> Split:
    """The part of an image among so many others that nothing has to be borrowed."""
    others = [bytes([n]) + bytes(31) for n in range(0, 256, 2)]
    return split([key, *(each for each in others if each != key)], validation, testing)[0]


@given(KEYS, PERCENTAGES, st.randoms(use_true_random=False))
def test_the_split_does_not_depend_on_the_order(
    keys: list[bytes], percentages: tuple[int, int], random: Random
) -> None:
    shuffled = list(keys)
    random.shuffle(shuffled)
    before = dict(zip(keys, split(keys, *percentages), strict=True))
    assert dict(zip(shuffled, split(shuffled, *percentages), strict=True)) == before


@given(KEYS, PERCENTAGES)
def test_no_part_that_is_wanted_is_empty(keys: list[bytes], percentages: tuple[int, int]) -> None:
    validation, testing = percentages
    parts = split(keys, validation, testing)
    assert len(parts) == len(keys)
    if keys:
        assert Split.TRAINING in parts
    if len(keys) >= 2 and (validation or testing):
        assert set(parts) > {Split.TRAINING}
    for part, percentage in ((Split.VALIDATION, validation), (Split.TESTING, testing)):
        assert (part in parts) if percentage and len(keys) >= 3 else True
        assert percentage or part not in parts


@given(KEYS, KEYS, PERCENTAGES)
def test_adding_images_moves_none_save_while_parts_have_to_borrow(
    old: list[bytes], new: list[bytes], percentages: tuple[int, int]
) -> None:
    together = list(dict.fromkeys(old + new))
    before = dict(zip(old, split(old, *percentages), strict=True))
    after = dict(zip(together, split(together, *percentages), strict=True))
    moved = [key for key in old if before[key] is not after[key]]
    own = {key: undisturbed(key, *percentages) for key in old}
    wanted = 1 + sum(each > 0 for each in percentages)
    if len(set(own.values())) == wanted:  # no part has to borrow
        assert moved == []
    assert len(moved) <= 4


@given(KEYS, PERCENTAGES)
def test_only_an_empty_part_borrows_and_only_the_lowest_hash_of_a_part(
    keys: list[bytes], percentages: tuple[int, int]
) -> None:
    parts = split(keys, *percentages)
    own = [undisturbed(key, *percentages) for key in keys]
    borrowed = [n for n, part in enumerate(parts) if part is not own[n]]
    assert len({parts[n] for n in borrowed}) == len(borrowed)
    for n in borrowed:
        assert parts[n] not in own
        lower = [m for m in range(len(keys)) if own[m] is own[n] and keys[m] < keys[n]]
        assert all(m in borrowed for m in lower)


def test_the_parts_have_the_sizes_that_were_asked_for() -> None:
    import hashlib

    keys = [hashlib.sha256(bytes([n % 256, n // 256])).digest() for n in range(10_000)]
    parts = split(keys, 10, 20)
    for part, share in ((Split.VALIDATION, 0.1), (Split.TESTING, 0.2), (Split.TRAINING, 0.7)):
        assert abs(parts.count(part) / len(keys) - share) < 0.015


def folder_of(root: Path, *files: str) -> Path:
    for name in files:
        path = root / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (root / "data").mkdir(parents=True, exist_ok=True)
    return root


def test_categories_are_sorted_by_label_and_have_their_files(tmp_path: Path) -> None:
    found = find(folder_of(tmp_path, "b/1.jpg", "b/deep/er/2.jpg", "a_/3.jpg", "A+C/4.jpg"))
    assert [(each.name, each.label) for each in found.categories] == [
        ("a_", "a"),
        ("A+C", "a c"),
        ("b", "b"),
    ]
    names = [[path.name for path in each.files] for each in found.categories]
    assert names == [["3.jpg"], ["4.jpg"], ["1.jpg", "2.jpg"]]
    assert (found.left_out, found.hidden) == ((), 0)


def test_hidden_files_are_counted_and_stray_ones_named(tmp_path: Path) -> None:
    found = find(
        folder_of(
            tmp_path, "a/1.jpg", "a/.DS_Store", "a/._1.jpg", "a/.git/x", ".hidden/x", "b/1.jpg", "x"
        )
    )
    assert found.hidden == 4
    assert [(each.path.name, each.reason) for each in found.left_out] == [
        ("x", "lies beside the category folders, in none of them")
    ]


def test_links_stay_inside_save_for_a_category_itself(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "1.jpg").touch()
    root = folder_of(tmp_path / "tf", "a/1.jpg", "a/deep/2.jpg")
    data = root / "data"
    (data / "b").symlink_to(outside)
    (data / "a" / "inside.jpg").symlink_to("1.jpg")
    (data / "a" / "outside.jpg").symlink_to(outside / "1.jpg")
    (data / "a" / "round").symlink_to(".")
    (data / "a" / "up.jpg").symlink_to("../../../outside/1.jpg")
    (data / "a" / "deep" / "folder").symlink_to(outside)
    found = find(root)
    a, b = found.categories
    assert sorted(path.name for path in a.files) == ["1.jpg", "2.jpg", "inside.jpg"]
    assert [path.name for path in b.files] == ["1.jpg"]
    assert {each.path.name: each.reason for each in found.left_out} == {
        "outside.jpg": "is a link that leaves the folder",
        "up.jpg": "is a link that leaves the folder",
        "folder": "is a link that leaves the folder",
        "round": "is a link to a folder",
    }


NO_DATASETS: list[tuple[tuple[str, ...], str]] = [
    ((), "needs a folder of pictures for each of two or more categories; there is no folder"),
    (("a/1.jpg",), "two or more categories; there is only a$"),
    (("a/1.jpg", "b/.hidden"), "the folder .*/data/b has no pictures"),
    (("a/1.jpg", "___/1.jpg"), "the folder .*/data/___ has no letter or digit"),
    (("C++/1.jpg", "c#/1.jpg"), r"C\+\+ and c# in .* would both be labelled 'c'"),
    (("Café/1.jpg", "Cafe\u0301/1.jpg"), "would both be labelled 'café'"),
]


@pytest.mark.parametrize(("files", "said"), NO_DATASETS)
def test_what_cannot_be_trained_on_is_said(
    tmp_path: Path, files: tuple[str, ...], said: str
) -> None:
    with pytest.raises(UserError, match=said) as refused:
        find(folder_of(tmp_path, *files))
    assert refused.value.exit_code == 1


def test_the_wrong_folder_is_recognised(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "cars", "a/1.jpg", "b/1.jpg")
    for given_ in (root / "data", root / "data" / "a"):
        with pytest.raises(WrongUsage, match=r"did you mean .*/cars\?"):
            find(given_)
    with pytest.raises(WrongUsage, match="there is no folder"):
        find(tmp_path / "missing")
    with pytest.raises(WrongUsage, match="is not a folder"):
        find(root / "data" / "a" / "1.jpg")
    with pytest.raises(WrongUsage, match=r"there is no folder .*photos \(--image_dir\)"):
        find(root, tmp_path / "photos")
    with pytest.raises(WrongUsage, match=r"there is no folder .*photos \(--image_dir\)"):
        find(root, root / "photos")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="has no folder data; put pictures into"):
        find(tmp_path / "empty")


def test_another_folder_of_categories_is_used_where_it_is_given(tmp_path: Path) -> None:
    root = folder_of(tmp_path / "elsewhere", "a/1.jpg", "b/1.jpg")
    (tmp_path / "tf").mkdir()
    found = find(tmp_path / "tf", root / "data")
    assert [each.name for each in found.categories] == ["a", "b"]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


AS_NOBODY = """
import os, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from tensor_guess import errors
from tensor_guess.images import dataset
if os.getuid() == 0:
    os.setgid(65534); os.setuid(65534)
try:
    found = dataset.find(Path(sys.argv[2]))
    print(len(found.categories), *(f"{each.path.name}: {each.reason}" for each in found.left_out))
except errors.UserError as error:
    print(error)
"""


@pytest.mark.parametrize("mode", [0o000, 0o444, 0o111])
@pytest.mark.parametrize("where", ["data", "data/a", "data/a/deep"])
def test_what_may_not_be_read_is_said_and_no_traceback(
    open_folder: Path, where: str, mode: int
) -> None:
    folder_of(open_folder, "a/1.jpg", "a/deep/2.jpg", "b/1.jpg")
    (open_folder / where).chmod(mode)
    try:
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, ROOT / "src", open_folder],
            capture_output=True,
            text=True,
        )
    finally:
        (open_folder / where).chmod(0o755)
    assert done.stderr == ""
    if (mode, where) == (0o444, "data/a/deep"):
        # The names are known: opening the files will say why not.
        assert done.stdout == "2\n"
    else:
        assert "permission denied" in done.stdout


def test_the_part_of_a_picture_alone_is_by_its_hash() -> None:
    for percent, part in ((0, Split.VALIDATION), (15, Split.TESTING), (20, Split.TRAINING)):
        key = int(percent / 100 * 2**64 + 1).to_bytes(8, "big") + bytes(24)
        assert part_of(key, 10, 10) is part
