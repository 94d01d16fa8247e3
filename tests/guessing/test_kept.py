"""What was kept of a network comes back as it was, or not at all; all of it has a bound."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tensor_guess.guessing import kept

SAID = {"runtime": ["1", "a processor"], "batch": 1}
BLOB = os.urandom(10_000)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of networks, in a cache of the test's own."""
    monkeypatch.setenv("TENSOR_GUESS_CACHE", str(tmp_path))
    assert kept.can_keep()
    return tmp_path / "networks"


def keep(key: str, blob: bytes = BLOB) -> None:
    kept.keep(key, SAID, memoryview(blob))


def test_what_was_kept_comes_back(folder: Path) -> None:
    keep("a")
    found = kept.find("a")
    assert found is not None
    assert found.blob == BLOB
    assert found.said == {"key": "a", **SAID}
    assert kept.find("b") is None
    assert [(each.name, each.stat().st_mode & 0o777) for each in folder.iterdir()] == [("a", 0o600)]


def test_another_graph_use_version_code_or_processor_has_another_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = {kept.key("1", True, None), kept.key("2", True, None), kept.key("1", False, None)}
    assert kept.key("1", True, None) in seen
    monkeypatch.setattr(kept, "__version__", "0.0.9")
    seen.add(kept.key("1", True, None))
    monkeypatch.setattr(kept, "_code", lambda: "other")
    seen.add(kept.key("1", True, None))
    monkeypatch.setattr(kept, "_processor", lambda: ["other"])
    seen.add(kept.key("1", True, None))
    assert len(seen) == 6


@pytest.mark.parametrize("at", [0, 64, 70, 200, 5000, -1])
def test_a_byte_that_changed_is_seen(folder: Path, at: int) -> None:
    keep("a")
    data = bytearray((folder / "a").read_bytes())
    data[at] ^= 1
    (folder / "a").write_bytes(data)
    assert kept.find("a") is None
    keep("a")
    assert kept.find("a") is not None


@pytest.mark.parametrize("length", [0, 1, 64, 65, 100, 4096, 10_000])
def test_what_is_too_short_is_nothing(folder: Path, length: int) -> None:
    keep("a")
    os.truncate(folder / "a", length)
    assert kept.find("a") is None


def test_only_what_is_this_user_s_alone_is_taken(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep("a")
    (folder / "a").chmod(0o620)
    assert kept.find("a") is None
    (folder / "a").chmod(0o600)
    assert kept.find("a") is not None
    (folder / "a").rename(folder / "elsewhere")
    (folder / "a").symlink_to("elsewhere")
    assert kept.find("a") is None
    (folder / "a").unlink()
    os.mkfifo(folder / "a")
    assert kept.find("a") is None
    (folder / "a").unlink()
    (folder / "elsewhere").rename(folder / "b")  # under another's key
    assert kept.find("b") is None
    keep("a")
    another = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: another)
    assert kept.find("a") is None


def test_all_of_it_has_a_bound_and_what_was_used_last_stays(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "MAX_BYTES", 50_000)  # three of 14096
    for number, key in enumerate("abc"):
        keep(key)
        os.utime(folder / key, (number, number))
    assert kept.find("a") is not None  # used: now the youngest
    keep("d")
    assert {each.name for each in folder.iterdir()} == {"a", "c", "d"}
    keep("e", bytes(60_000))
    assert {each.name for each in folder.iterdir()} == {"a", "c", "d"}
    assert sum(each.stat().st_size for each in folder.iterdir()) <= 50_000


def test_a_cache_that_cannot_be_used_is_no_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    for where in (tmp_path / "not there", tmp_path / "file"):
        monkeypatch.setenv("TENSOR_GUESS_CACHE", str(where))
        assert not kept.can_keep()
        keep("a")
        assert kept.find("a") is None
    assert not (tmp_path / "not there").exists()
    monkeypatch.setenv("TENSOR_GUESS_CACHE", str(tmp_path))
    monkeypatch.setenv("TENSOR_GUESS_DISTRUST", "others can write to it")
    assert not kept.can_keep()
    keep("a")
    assert kept.find("a") is None
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    keep("a")
    assert not list(folder.iterdir())


def test_several_at_once_all_find_a_whole_one_or_none(folder: Path) -> None:
    def work(_: int) -> bool:
        keep("a")
        found = kept.find("a")
        return found is not None and found.blob == BLOB

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(40)))
    assert [each.name for each in folder.iterdir()] == ["a"]
