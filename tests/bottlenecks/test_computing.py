"""Rows: nothing is read or computed twice, and what cannot be read is left out."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from made.rows import Computer, photo, photos
from tensor_guess.bottlenecks import computing
from tensor_guess.config import Augmentation
from tensor_guess.images import augment, decoding, encoded
from tensor_guess.images.dataset import label_of


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every file that is read from here on."""
    read, seen = encoded.read, list[Path]()

    def noted(path: Path) -> encoded.Picture:
        seen.append(path)
        return read(path)

    monkeypatch.setattr(encoded, "read", noted)
    return seen


def test_rows_are_the_networks_and_in_the_order_of_the_files(
    computer: Computer, tmp_path: Path
) -> None:
    files = photos(tmp_path / "data", 9)
    rows = computer(files)
    assert rows.paths == tuple(files)
    assert (rows.computed, rows.left_out) == (9, ())
    pictures = [encoded.read(path) for path in files]
    assert rows.keys == tuple(picture.key for picture in pictures)
    expected = computer.network.run((None, decoding.decode(each, 16)) for each in pictures)
    np.testing.assert_array_equal(rows.bottlenecks, [row for _, row in expected])


def test_what_is_known_needs_no_network(computer: Computer, tmp_path: Path) -> None:
    files = photos(tmp_path / "data", 9)
    first = computer(files)
    again = computer(files)
    assert (again.computed, computer.started) == (0, 1)
    assert again.keys == first.keys
    np.testing.assert_array_equal(again.bottlenecks, first.bottlenecks)


def test_renaming_moving_and_sorting_anew_compute_nothing(
    computer: Computer, tmp_path: Path
) -> None:
    files = photos(tmp_path / "data" / "a", 6)
    first = computer(files)
    moved = [tmp_path / "other" / label_of(f"{n} ü") / "x.bmp" for n in range(6)]
    for path, new in zip(files, moved, strict=True):
        new.parent.mkdir(parents=True)
        path.rename(new)
    again = computer(moved)
    assert again.computed == 0
    np.testing.assert_array_equal(again.bottlenecks, first.bottlenecks)


def test_only_what_is_added_is_computed(computer: Computer, tmp_path: Path) -> None:
    files = photos(tmp_path / "data", 6)
    first = computer(files)
    files = [photo(tmp_path / "data" / "new.bmp", 99), *files]
    again = computer(files)
    assert (again.computed, computer.started) == (1, 2)
    np.testing.assert_array_equal(again.bottlenecks[1:], first.bottlenecks)


def test_copies_are_computed_once(computer: Computer, tmp_path: Path) -> None:
    files = [photo(tmp_path / f"{n}.bmp", 7) for n in range(5)]
    rows = computer(files)
    assert rows.computed == 1
    assert len(set(rows.keys)) == 1
    assert len(rows.paths) == 5


def test_a_look_gives_the_same_rows_and_keeps_none(computer: Computer, tmp_path: Path) -> None:
    files = photos(tmp_path / "data", 3)
    peeking = computing.Computer(computer.folder, computer.extractor)
    (files[1]).write_bytes(b"no picture")
    seen = peeking.peek(files)
    assert list(seen) == [files[0], files[2]]
    assert not computer.npy
    rows = peeking.rows(files)
    assert (rows.computed, computer.started) == (2, 1)
    np.testing.assert_array_equal(rows.bottlenecks, list(seen.values()))
    again = computing.Computer(computer.folder, computer.extractor).peek(files)
    np.testing.assert_array_equal(rows.bottlenecks, list(again.values()))
    assert computer.started == 1


def test_what_was_stored_is_taken_and_the_rest_computed(computer: Computer, tmp_path: Path) -> None:
    files, row = photos(tmp_path / "data", 3), np.arange(12, dtype=np.float32)
    work = computing.Computer(computer.folder, computer.extractor)
    rows = work.rows(files, lambda path: row if path == files[1] else None)
    assert (rows.computed, rows.taken) == (2, 1)
    np.testing.assert_array_equal(rows.bottlenecks[1], row)


def test_no_files_give_no_rows(computer: Computer) -> None:
    rows = computer([])
    assert (rows.paths, rows.computed, len(rows.bottlenecks), computer.started) == ((), 0, 0, 0)


def test_unreadable_files_are_left_out_with_the_reason(computer: Computer, tmp_path: Path) -> None:
    files = photos(tmp_path / "data", 3)
    files[1].write_bytes(b"no picture")
    files.insert(2, tmp_path / "data" / "missing.bmp")
    rows = computer(files)
    assert rows.paths == (files[0], files[3])
    assert [each.path for each in rows.left_out] == [files[1], files[2]]
    assert "no picture" in rows.left_out[0].reason
    assert rows.left_out[1].reason == "no such file or directory"
    assert len(rows.bottlenecks) == 2


# --- reading again only what changed


@pytest.mark.usefixtures("later")
def test_a_file_that_did_not_change_is_not_read_again(
    computer: Computer, tmp_path: Path, reads: list[Path]
) -> None:
    files = photos(tmp_path / "data", 5)
    first = computer(files)
    assert sorted(reads) == files
    reads.clear()
    again = computer(files)
    assert reads == []
    assert again.keys == first.keys


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("how", ["write over", "replace", "restore the time"])
def test_other_content_of_the_same_size_and_time_is_noticed(
    computer: Computer, tmp_path: Path, how: str
) -> None:
    (path,) = photos(tmp_path / "data", 1)
    first = computer([path])
    before = path.stat()
    new = photo(tmp_path / "new.bmp", 55)
    if how == "replace":
        os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
        new.rename(path)
    else:
        path.write_bytes(new.read_bytes())
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    again = computer([path])
    assert again.computed == 1
    assert again.keys != first.keys


def test_a_file_that_was_written_just_now_is_read_again(
    computer: Computer, tmp_path: Path, reads: list[Path]
) -> None:
    # It may change once more within one tick of the clock, and look the same.
    files = photos(tmp_path / "data", 3)
    computer(files)
    reads.clear()
    computer(files)
    assert sorted(reads) == files


@pytest.mark.usefixtures("later")
def test_a_file_that_is_gone_is_left_out_though_it_was_known(
    computer: Computer, tmp_path: Path
) -> None:
    files = photos(tmp_path / "data", 3)
    computer(files)
    files[0].unlink()
    rows = computer(files)
    assert rows.paths == tuple(files[1:])
    assert [each.path for each in rows.left_out] == [files[0]]


@pytest.mark.usefixtures("later")
def test_what_was_seen_by_another_run_does_not_matter_to_the_rows(
    computer: Computer, tmp_path: Path
) -> None:
    # The list of what was seen may be of older rows: then pictures are read, not guessed.
    files = photos(tmp_path / "data", 4)
    computer(files)
    for path in computer.npy:
        path.unlink()
    assert computer(files).computed == 4


def test_readonly_rows_are_the_same_and_nothing_is_written(
    computer: Computer, tmp_path: Path
) -> None:
    files = photos(tmp_path / "data", 9)
    folder = tmp_path / "not there"
    rows = computing.Computer(folder, computer.extractor, readonly=True).rows(files)
    assert rows.computed == 9
    assert not folder.exists()
    first = computer(files[:4])
    (computer.folder / "seen").unlink(missing_ok=True)
    before = sorted(computer.folder.rglob("*"))
    again = computing.Computer(computer.folder, computer.extractor, readonly=True).rows(files)
    assert again.computed == 5
    np.testing.assert_array_equal(again.bottlenecks[:4], first.bottlenecks)
    np.testing.assert_array_equal(again.bottlenecks, rows.bottlenecks)
    assert sorted(computer.folder.rglob("*")) == before
    computer.npy[0].write_bytes(b"damaged")
    computing.Computer(computer.folder, computer.extractor, readonly=True).rows(files)
    assert computer.npy[0].read_bytes() == b"damaged"


# --- versions to train on


def test_versions_are_computed_once_and_kept_beside_the_pictures(
    computer: Computer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = photos(tmp_path / "data", 9)
    rows, how = computer(files), Augmentation(flip=True, rotation=20, versions=3)
    found = versions(computer, files, rows.keys, how)
    assert found.shape == (9, 3, rows.bottlenecks.shape[1])
    assert "augmenting: 3 versions of 9 pictures, 27 of them new: about 0 seconds" in (
        capsys.readouterr().err
    )
    pictures = [encoded.read(path) for path in files]
    scaling = computer.extractor.backbone.scaling
    made = [
        augment.versions(each, scaling, how, [augment.key_of(each.key, how, n) for n in range(3)])
        for each in pictures
    ]
    expected = computer.network.run((None, image) for each in made for image in each)
    np.testing.assert_array_equal(found.reshape(27, -1), [row for _, row in expected])
    started = computer.started
    np.testing.assert_array_equal(versions(computer, files, rows.keys, how), found)
    assert computer.started == started
    more = versions(computer, files, rows.keys, replace(how, versions=4))
    np.testing.assert_array_equal(more[:, :3], found)
    assert "augmenting: 4 versions of 9 pictures, 9 of them new" in capsys.readouterr().err


def test_a_picture_that_is_gone_stands_for_its_versions(computer: Computer, tmp_path: Path) -> None:
    files = photos(tmp_path / "data", 3)
    rows, how = computer(files), Augmentation(flip=True, versions=2)
    files[0].unlink()
    photo(files[1], 77)
    found = versions(computer, files, rows.keys, how)
    for number in (0, 1):
        np.testing.assert_array_equal(found[number], rows.bottlenecks[[number, number]])
    assert versions(computer, files[:2], rows.keys[:2], how).shape[0] == 2


def versions(
    computer: Computer, files: list[Path], keys: tuple[bytes, ...], how: Augmentation
) -> NDArray[np.float32]:
    return computing.Computer(computer.folder, computer.extractor).versions(files, keys, how)
