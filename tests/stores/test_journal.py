"""The manifest in a store: in pieces, and written by one run at a time."""

from pathlib import Path

import pytest

from made.store import Store
from tensor_guess.config import MANIFEST
from tensor_guess.errors import UserError
from tensor_guess.sorting.manifest import Entry, Manifest
from tensor_guess.stores.journal import StoreJournal, journal
from tensor_guess.stores.paths import parsed
from tensor_guess.system.durable import Journal


def test_it_is_a_file_in_a_folder_and_pieces_in_a_store(store: Store, tmp_path: Path) -> None:
    assert type(journal(tmp_path / "x")) is Journal
    path = parsed(f"{store.url}/{MANIFEST}")
    assert type(journal(path)) is StoreJournal
    with journal(path) as lines:
        assert list(lines.lines()) == []
        lines.add(a=1)
        lines.add(b="é\n")
        assert store.objects() == {}
        lines.add(sync=True, c=[3])
        lines.sync()
        assert list(store.objects()) == [f"{MANIFEST}/00000001.jsonl"]
        lines.add(d=4)
    with journal(path, read_only=True) as lines:
        assert list(lines.lines()) == [{"a": 1}, {"b": "é\n"}, {"c": [3]}, {"d": 4}]
    assert sorted(store.objects()) == [f"{MANIFEST}/0000000{n}.jsonl" for n in (1, 2)]


def test_many_pieces_are_read_in_their_order(store: Store) -> None:
    path = parsed(f"{store.url}/{MANIFEST}")
    for number in (12, 2, 1, 11, *range(20, 60)):
        store.put({f"{MANIFEST}/{number:08}.jsonl": f'{{"n": {number}}}\n'.encode()})
    store.put({f"{MANIFEST}/notes.txt": b"x", f"{MANIFEST}/00000013.jsonl": b"{damaged\n[]\n"})
    with journal(path) as lines:
        found = [each["n"] for each in lines.lines()]
        assert found == [1, 2, 11, 12, *range(20, 60)]
        assert lines.damaged == 2
        lines.add(n=0)
    assert f"{MANIFEST}/00000060.jsonl" in store.objects()


def test_large_lines_do_not_wait(store: Store) -> None:
    with journal(parsed(f"{store.url}/{MANIFEST}")) as lines:
        assert list(lines.lines()) == []
        lines.add(long="x" * 600_000)
        assert store.objects() == {}
        lines.add(long="x" * 600_000)
        assert len(store.objects()) == 1


def test_of_two_runs_at_once_the_later_one_goes_on(store: Store, tmp_path: Path) -> None:
    destination, entry = parsed(f"{store.url}/sorted"), Entry("a", "b", "copy", "0" * 64)
    said = "another run is at work in s3://.*/sorted, and this one ends; when the other is done"
    first = Manifest(destination, tmp_path, "x").__enter__()
    with Manifest(destination, tmp_path, "x") as second:
        assert second.run == first.run  # it may have been killed
        with pytest.raises(UserError, match=said):
            first.beginning([entry])
        second.beginning([entry])
    with pytest.raises(UserError, match=said):
        first.__exit__(None, None, None)
    with Manifest(destination, tmp_path, "x") as third:
        assert third.begun == {entry.sha256: "b"}


def test_two_that_begin_at_the_same_moment_do_not_both(store: Store, tmp_path: Path) -> None:
    path = parsed(f"{store.url}/{MANIFEST}")
    with journal(path) as one, journal(path) as other:
        assert list(one.lines()) == list(other.lines()) == []
        one.add(sync=True, one=1)
        other.add(other=1)
        with pytest.raises(UserError, match="another run is at work"):
            other.sync()
        one.add(sync=True, one=2)
        other._waiting.clear()  # type: ignore[attr-defined]
