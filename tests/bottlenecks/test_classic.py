"""A folder of `retrain.py`'s bottlenecks: names of every generation, files of any content."""

import hashlib
import os
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensor_guess.bottlenecks.classic import MAX_BYTES, Stored, index, read
from tensor_guess.errors import Unreadable

HUB = "https~tfhub.dev~google~imagenet~inception_v3~feature_vector~1"
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("name", "photo", "made_with"),
    [
        ("a.jpg.txt", "a.jpg", ""),
        ("a.JPEG.txt", "a.JPEG", ""),
        ("a.jpg_inception_v3.txt", "a.jpg", "inception_v3"),
        ("a.jpg_mobilenet_0.25_128.txt", "a.jpg", "mobilenet_0.25_128"),
        ("a.jpg_mobilenet_1.0_224_quantized.txt", "a.jpg", "mobilenet_1.0_224_quantized"),
        (f"a b_ü.png_{HUB}.txt", "a b_ü.png", HUB),
        ("a.jpg_b.jpg_inception_v3.txt", "a.jpg_b.jpg", "inception_v3"),
        ("two\nlines.jpg.txt", "two\nlines.jpg", ""),
    ],
)
def test_names_of_every_generation(tmp_path: Path, name: str, photo: str, made_with: str) -> None:
    (tmp_path / "Daisy").mkdir()
    (tmp_path / "Daisy" / name).touch()
    stored = found(tmp_path)
    (group,) = stored.groups
    assert (group.made_with, group.files) == (
        made_with,
        {"Daisy": {photo: tmp_path / "Daisy" / name}},
    )
    assert stored.strays == ()


def found(folder: Path) -> Stored:
    stored = index(folder)
    assert stored
    return stored


def test_generations_in_one_folder_are_told_apart_the_largest_first(tmp_path: Path) -> None:
    for name in ("a.jpg.txt", "a.jpg_inception_v3.txt", "b.jpg_inception_v3.txt"):
        for category in ("daisy", "roses"):
            (tmp_path / category).mkdir(exist_ok=True)
            (tmp_path / category / name).touch()
    assert [(group.made_with, len(group)) for group in found(tmp_path).groups] == [
        ("inception_v3", 4),
        ("", 2),
    ]


def test_what_the_names_say_of_the_network(tmp_path: Path) -> None:
    (tmp_path / "daisy").mkdir()
    said = {
        "mobilenet_0.25_128": (128, 8, "input"),
        "mobilenet_1.0_224_quantized": (224, 32, "input"),
        "inception_v3": (None, None, "Mul"),
        HUB: (None, None, "Placeholder"),
    }
    for made_with in said:
        (tmp_path / "daisy" / f"a.jpg_{made_with}.txt").touch()
    groups = {group.made_with: group for group in found(tmp_path).groups}
    assert {
        made_with: (group.size, group.channels, group.input) for made_with, group in groups.items()
    } == said
    handle = "https://tfhub.dev/google/imagenet/inception_v3/feature_vector/1"
    assert [made for made, group in groups.items() if group.is_of(handle)] == [HUB]


def test_strays_are_named_and_links_and_hidden_files_passed_over(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    folder = tmp_path / "bottlenecks"
    for each in (outside, folder / "daisy", folder / ".hidden", folder / "0123abcd"):
        each.mkdir(parents=True)
        (each / "a.jpg.txt").touch()
    (folder / "0123abcd" / "a.jpg.txt").rename(folder / "0123abcd" / "a.npy")
    (folder / "linked").symlink_to(outside)
    (folder / "daisy/.b.jpg.txt").touch()
    (folder / "daisy/notes.txt").touch()
    (folder / "readme.txt").touch()
    stored = found(folder)
    assert [group.files for group in stored.groups] == [
        {"daisy": {"a.jpg": folder / "daisy/a.jpg.txt"}}
    ]
    assert [each.path for each in stored.strays] == [folder / "daisy/notes.txt"]


def test_any_other_folder_is_none_of_them(tmp_path: Path) -> None:
    assert index(tmp_path / "missing") is None
    assert index(tmp_path) is None
    (tmp_path / "fingerprint").mkdir()
    (tmp_path / "fingerprint/rows.npy").touch()
    (tmp_path / "a.jpg.txt").touch()
    assert index(tmp_path) is None
    assert index(tmp_path / "a.jpg.txt") is None


@given(st.lists(FLOATS, min_size=1, max_size=50))
def test_what_retrain_py_wrote_comes_back_bit_by_bit(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[float]
) -> None:
    path = tmp_path_factory.getbasetemp() / "a.jpg.txt"
    row = np.array(numbers, np.float32)
    path.write_text(",".join(str(x) for x in row))
    key, back = read(path, len(row))
    assert back.tobytes() == row.tobytes()
    assert key == hashlib.sha256(path.read_bytes()).digest()


@given(st.binary(max_size=60) | st.text("0123456789.,-e\n ", max_size=60).map(str.encode))
def test_any_bytes_are_numbers_or_a_reason(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "b.jpg.txt"
    path.write_bytes(data)
    try:
        _, row = read(path)
    except Unreadable:
        return
    assert len(row) == data.count(b",") + 1
    assert np.isfinite(row).all()


DAMAGED = {
    b"": "is empty",
    b" \n": "is empty",
    b"<!DOCTYPE html>": "is no list of numbers",
    b"version https://git-lfs.github.com/spec/v1\n": "is no list of numbers",
    b"0.5,,0.5": "is no list of numbers",
    b"0.5,1.5,\xff": "is no list of numbers",
    b"0.5,1.5,2.5\n0.5,1.5,2.5": "is no list of numbers",
    b"0.5,1.5": "has 2 numbers, not 3",
    b"0.5,1.5,2.5,3.5": "has 4 numbers, not 3",
    b"0.5,nan,1.5": "has numbers that are not finite",
    b"0.5,-inf,1.5": "has numbers that are not finite",
    b"0.5,1e99,1.5": "has numbers that are not finite",
    b"0.5," * MAX_BYTES: "is larger than 1 MB",
}


@pytest.mark.parametrize(("data", "reason"), DAMAGED.items(), ids=lambda x: x[:20])
def test_a_damaged_file_has_a_reason(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "a.jpg.txt"
    path.write_bytes(data)
    with pytest.raises(Unreadable, match=f"^{reason}$"):
        read(path, 3)


def test_what_is_no_regular_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg.txt"
    path.write_text("1.0")
    (tmp_path / "link").symlink_to(path)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    reasons = {
        "link": "is a link",
        "pipe": "is not a regular file",
        "folder": "is not a regular file",
        "missing": "no such file or directory",
    }
    for name, reason in reasons.items():
        with pytest.raises(Unreadable, match=reason):
            read(tmp_path / name, 1)


def test_thousands_of_files_are_read_in_seconds(tmp_path: Path) -> None:
    row = np.random.default_rng(0).normal(size=2048).astype(np.float32)
    path = tmp_path / "a.jpg.txt"
    path.write_text(",".join(str(x) for x in row))
    start = time.process_time()
    for _ in range(500):
        read(path, 2048)
    # Measured: 2500 a second.
    assert time.process_time() - start < 5


def test_a_real_run_of_the_hub_generation(shared: Path) -> None:
    (group,) = found(shared / "classic_run_2018/bottlenecks").groups
    assert (group.made_with, len(group), group.length()) == (HUB, 300, 2048)
