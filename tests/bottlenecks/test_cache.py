"""The cache: nothing is computed twice, nothing damaged is believed, any number may write."""

import hashlib
import io
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made.place import ROOT
from made.rows import Computer, photos
from tensor_guess.bottlenecks.cache import ROWS, Cache
from tensor_guess.config import GRAPH
from tensor_guess.system import reading


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("data", [b"", b"x" * 10, b"x" * 1000])
def test_a_damaged_list_of_what_was_seen_is_not_believed(
    computer: Computer, tmp_path: Path, data: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    files = photos(tmp_path / "data", 3)
    first = computer(files)
    (computer.folder / "seen").write_bytes(data)
    again = computer(files)
    assert (again.computed, again.keys) == (0, first.keys)
    assert "seen is damaged; the pictures are read again" in capsys.readouterr().err


# --- damage


def flip(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def damage_is_noticed(computer: Computer, files: list[Path], cases: int) -> None:
    """In each case one bit of one file of the cache is flipped."""
    first = computer(files)
    chance = random.Random(11)
    for _ in range(cases):
        cached = [*computer.npy, computer.folder / "seen"]
        hurt = chance.choice(cached)
        flip(hurt, chance)
        again = computer(files)
        assert again.keys == first.keys
        np.testing.assert_array_equal(again.bottlenecks, first.bottlenecks)
        assert (again.computed > 0) == (hurt.name != "seen")
        assert hurt.name == "seen" or not hurt.exists() or hurt in computer.npy


@pytest.mark.slow
@pytest.mark.usefixtures("later")
def test_a_flipped_bit_anywhere_is_noticed_and_computed_again(
    computer: Computer, several: list[Path]
) -> None:
    damage_is_noticed(computer, several, 200)


@pytest.mark.long
@pytest.mark.usefixtures("later")
def test_a_thousand_flipped_bits_are_noticed(computer: Computer, several: list[Path]) -> None:
    damage_is_noticed(computer, several, 1000)


@pytest.mark.parametrize("how", ["cut", "emptied", "longer", "another's bytes", "a text"])
def test_a_file_that_is_not_what_its_name_says_is_dropped_and_said(
    computer: Computer, several: list[Path], how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first = computer(several)
    one, other, _ = computer.npy
    data = one.read_bytes()
    new = {
        "cut": data[:-1],
        "emptied": b"",
        "longer": data + b"\0",
        "another's bytes": other.read_bytes(),
        "a text": b"import os",
    }[how]
    one.write_bytes(new)
    again = computer(several)
    assert again.computed == 4
    np.testing.assert_array_equal(again.bottlenecks, first.bottlenecks)
    assert f"{one} is damaged; its bottlenecks are computed again" in capsys.readouterr().err
    assert computer(several).computed == 0


def test_a_damaged_file_that_cannot_be_removed_does_not_stop_the_run(
    computer: Computer, several: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = computer(several)
    computer.npy[0].write_bytes(b"")
    real = os.unlink

    def fail(path: Path, **options: int) -> None:
        if str(path).endswith(".npy"):
            raise PermissionError(13, "Permission denied")
        real(path, **options)

    monkeypatch.setattr(os, "unlink", fail)
    np.testing.assert_array_equal(computer(several).bottlenecks, first.bottlenecks)


def rows_of(length: int, keys: int = 5, *, kind: str = "<f4", key: str = "V32") -> Any:
    return np.zeros(keys, [("key", key), ("bottleneck", kind, (length,))])


def saved(table: Any, *, pickled: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, table, allow_pickle=pickled)
    return file.getvalue()


def headed(text: str) -> bytes:
    """What begins as NumPy's files do, with that header."""
    header = text.encode() + b"\n"
    return b"\x93NUMPY\x01\0" + len(header).to_bytes(2, "little") + header


SEALED = {
    "nothing": b"",
    "a text": b"import os",
    "a zip": b"PK\x03\x04" + bytes(100),
    "rows of another length": saved(rows_of(11)),
    "rows of doubles": saved(rows_of(12, kind="<f8")),
    "short keys": saved(rows_of(12, key="V31")),
    "no rows but numbers": saved(np.zeros((3, 12), np.float32)),
    "a pickle": saved(np.array([print], object), pickled=True),
    "cut": saved(rows_of(12))[:-1],
    "longer": saved(rows_of(12)) + b"0",
    "more rows than it has": saved(rows_of(12)).replace(b"(5,)", b"(9,)"),
    "endless rows": headed(
        "{'descr': [('key', '|V32'), ('bottleneck', '<f4', (12,))], 'fortran_order': False, "
        "'shape': (999999999999,), }"
    ),
    "a header of brackets": headed("(" * 9000),
    "a header of minuses": headed("-" * 9000 + "1"),
    "a header of no keys": headed("{[1]: 1}"),
}


@pytest.mark.parametrize("data", SEALED.values(), ids=SEALED)
def test_a_sealed_file_that_has_not_such_rows_is_computed_again_and_said(
    computer: Computer, several: list[Path], data: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    first = computer(several)
    computer.npy[0].unlink()
    path = computer.npy[0].with_name(f"{hashlib.sha256(data).hexdigest()}.npy")
    path.write_bytes(data)
    again = computer(several)
    assert again.computed == 4
    np.testing.assert_array_equal(again.bottlenecks, first.bottlenecks)
    said = capsys.readouterr().err
    assert f"{path} is damaged; its bottlenecks are computed again" in said.splitlines()
    assert not path.exists()


def in_place_of(path: Path, kind: str) -> None:
    """Instead of the file there is something that no reader should wait for or believe."""
    data = path.read_bytes()
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "link":
        elsewhere = path.with_name("elsewhere")
        elsewhere.write_bytes(data)
        path.symlink_to(elsewhere)
    elif kind == "loop":
        path.symlink_to(path.name)
    else:
        with path.open("wb") as file:
            file.truncate(10**10)


REASONS = {
    "fifo": "is not a regular file",
    "folder": "is not a regular file",
    "device": "is a link",
    "link": "is a link",
    "loop": "is a link",
    "ten gigabytes": "is larger than 500 MB",
}


@pytest.mark.parametrize("kind", sorted(REASONS.keys() - {"folder"}))
def test_what_is_no_file_of_rows_is_computed_again_and_said(
    computer: Computer, several: list[Path], kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first = computer(several)
    path = computer.npy[0]
    in_place_of(path, kind)
    again = computer(several)
    assert again.computed == 4
    np.testing.assert_array_equal(again.bottlenecks, first.bottlenecks)
    said = capsys.readouterr().err.splitlines()
    assert f"could not read {path}: {REASONS[kind]}; its bottlenecks are computed again" in said


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("kind", REASONS)
def test_what_is_no_list_of_what_was_seen_is_not_believed(
    computer: Computer, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = photos(tmp_path / "data", 3)
    first = computer(files)
    in_place_of(computer.folder / "seen", kind)
    again = computer(files)
    assert (again.computed, again.keys) == (0, first.keys)
    said = capsys.readouterr().err
    assert f"could not read {computer.folder / 'seen'}: {REASONS[kind]}; the pictures" in said
    assert kind == "folder" or (computer.folder / "seen").is_file()


@pytest.mark.slow
def test_a_cache_that_may_not_be_read_is_computed_again(trained: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(trained, tmp_path / "tf"))
    (rows,) = folder.glob("bottlenecks/*/*.npy")
    seen = folder / "bottlenecks/seen"
    seen.touch()
    for path in (rows, seen):
        path.chmod(0)
    # Permissions hold for root too, once it has given up the right to pass over them.
    without = "-dac_override,-dac_read_search"
    bound = ["setpriv", "--bounding-set", without] if os.getuid() == 0 else []
    done = subprocess.run(
        [*bound, sys.executable, "-I", ROOT / "src", "train", folder],
        env={"TENSOR_GUESS_CACHE": str(tmp_path / "cache"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for path in (rows, seen):
        assert f"could not read {path}: permission denied; " in done.stderr
    assert (folder / GRAPH).read_bytes() == (trained / GRAPH).read_bytes()


# --- many files, many writers


def test_small_files_are_merged_and_nothing_is_lost(computer: Computer, tmp_path: Path) -> None:
    files = photos(tmp_path / "data", 30)
    for end in range(1, 31):
        computer(files[:end])
        assert len(computer.npy) <= 8
    started = computer.started
    rows = computer(files)
    assert (rows.computed, computer.started) == (0, started)


def test_a_large_batch_is_on_disk_before_it_is_done(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 4)
    row = np.zeros(4, np.float32)
    for n in range(ROWS + 5):
        cache.add(n.to_bytes(32, "little"), row)
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 1
    # A kill now would cost five rows.
    again = Cache(tmp_path / "cache", 4)
    assert sum(n.to_bytes(32, "little") in again for n in range(ROWS + 5)) == ROWS


def filled(folder: Path, files: int) -> list[bytes]:
    """A cache of so many files of one row each; their keys."""
    keys = [n.to_bytes(32, "little") for n in range(files)]
    for n, key in enumerate(keys):
        alone = Cache(folder / f"{n}", 3)
        alone.add(key, np.full(3, n, np.float32))
        alone.flush()
        for path in (folder / f"{n}").glob("*.npy"):
            path.rename(folder / path.name)
        shutil.rmtree(folder / f"{n}")
    return keys


def test_a_merge_that_was_killed_before_it_tidied_up_costs_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    keys = filled(folder, 10)
    before = {path.name: path.read_bytes() for path in folder.glob("*.npy")}
    Cache(folder, 3)
    (merged,) = folder.glob("*.npy")
    for name, data in before.items():  # as if the kill had come before they were removed
        (folder / name).write_bytes(data)
    Cache(folder, 3)
    assert list(folder.glob("*.npy")) == [merged]
    again = Cache(folder, 3)
    assert all(key in again for key in keys)
    np.testing.assert_array_equal(again.rows(keys)[:, 0], range(10))


def test_files_that_another_run_merges_meanwhile_are_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cache"
    keys = filled(folder, 10)
    read, merged = reading.read, False

    def slow(path: Path, limit: int, *, follow: bool) -> bytes:
        nonlocal merged
        if not merged:  # the other run gets its turn just before the first file is read
            merged = True
            Cache(folder, 3)
        return read(path, limit, follow=follow)

    monkeypatch.setattr(reading, "read", slow)
    ours = Cache(folder, 3)
    assert merged
    assert all(key in ours for key in keys)


def test_two_runs_that_merge_at_once_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cache"
    keys = filled(folder, 10)
    real, merged = Cache._merge, False

    def late(cache: Cache, *arguments: object) -> None:
        nonlocal merged
        if not merged:  # the other run merges while this one is about to
            merged = True
            Cache(folder, 3)
        real(cache, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Cache, "_merge", late)
    Cache(folder, 3)
    assert merged
    again = Cache(folder, 3)
    assert all(key in again for key in keys)


WRITER = """
import sys
from pathlib import Path
import numpy as np
from tensor_guess.bottlenecks.cache import Cache
folder, start, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
sys.stdin.readline()
for n in range(start, start + count):
    cache = Cache(folder, 50)
    cache.add(n.to_bytes(32, "little"), np.full(50, n, np.float32))
    cache.flush()
"""


def writers(folder: Path, starts: Sequence[int], count: int) -> Iterator[subprocess.Popen[str]]:
    for start in starts:
        yield subprocess.Popen(
            [sys.executable, "-c", WRITER, folder, str(start), str(count)],
            env={"PYTHONPATH": str(ROOT / "src")},
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@pytest.mark.slow
def test_two_processes_write_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    # Every flush adds a file and every eighth open merges: both meet all the time.
    folder = tmp_path / "cache"
    started = list(writers(folder, (0, 50), 60))
    for process in started:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in started:
        _, said = process.communicate(timeout=120)
        assert (process.returncode, said) == (0, "")
    cache = Cache(folder, 50)
    keys = [n.to_bytes(32, "little") for n in range(110)]
    assert all(key in cache for key in keys)
    np.testing.assert_array_equal(cache.rows(keys)[:, 0], range(110))


CRASHES = """
import shutil, sys
from pathlib import Path
import numpy as np
from made.steps import die_at, ended_of
from tensor_guess.bottlenecks.cache import Cache

start, work = Path(sys.argv[1]), Path(sys.argv[2])
new = (99).to_bytes(32, "little")
for nth in range(1, 500):
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(start, work)
    def add():
        die_at(nth)
        cache = Cache(work, 3)
        cache.add(new, np.zeros(3, np.float32))
        cache.flush()
    ended = ended_of(add)
    after = Cache(work, 3)
    keys = [n.to_bytes(32, "little") for n in range(10)]
    assert all(key in after for key in keys), nth
    assert (after.rows(keys)[:, 0] == range(10)).all(), nth
    if ended == 0:
        assert new in after
        break
print(nth)
"""


@pytest.mark.slow
def test_a_crash_at_any_step_of_adding_and_merging_loses_nothing(tmp_path: Path) -> None:
    filled(tmp_path / "start", 10)
    done = subprocess.run(
        [sys.executable, "-c", CRASHES, tmp_path / "start", tmp_path / "work"],
        env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert int(done.stdout) > 20  # steps: ten files removed, two published
