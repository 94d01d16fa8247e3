"""What is staged for a store is nowhere before it is committed."""

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256

import pytest

from made.store import Store
from tensor_guess.errors import Unreadable, UserError
from tensor_guess.stores import uploads
from tensor_guess.stores.paths import parsed
from tensor_guess.stores.uploads import Upload


def staged(store: Store, name: str, data: bytes) -> Upload:
    path = parsed(f"{store.url}/{name}")
    return uploads.stage(path, lambda: [data], sha256(data).digest(), len(data), 0)  # type: ignore[arg-type]


def test_it_is_there_when_it_is_committed_and_can_be_taken_back(store: Store) -> None:
    upload = staged(store, "a", b"1")
    with upload:
        assert store.objects() == {}
        upload.commit()
    assert store.objects() == {"a": b"1"}
    upload.commit()  # it is there already
    upload.take_back()
    assert store.objects() == {}


def test_under_another_name_it_is_the_same(store: Store) -> None:
    store.put({"a": b"other"})
    upload = staged(store, "a", b"1")
    with pytest.raises(FileExistsError):
        upload.commit()
    named = replace(upload, path=parsed(f"{store.url}/b"))
    named.commit()
    assert store.objects() == {"a": b"other", "b": b"1"}
    replace(upload, path=named.path).take_back()
    assert store.objects() == {"a": b"other"}


def test_what_this_has_not_made_is_not_taken_back(store: Store) -> None:
    store.put({"a": b"1"})
    upload = staged(store, "a", b"1")
    upload.commit()
    upload.take_back()
    assert store.objects() == {"a": b"1"}
    upload = staged(store, "b", b"1")
    upload.commit()
    store.put({"b": b"somebody's"})
    upload.take_back()
    assert store.objects() == {"a": b"1", "b": b"somebody's"}


def test_data_that_turns_out_to_be_other_data_makes_nothing(store: Store) -> None:
    def changed() -> Iterator[bytes]:
        yield b"1"
        raise Unreadable("was changed")

    upload = replace(staged(store, "a", b"1"), data=changed)
    with pytest.raises(Unreadable, match="was changed"):
        upload.commit()
    assert store.objects() == {}


def test_put_replaces_nothing(store: Store) -> None:
    path = parsed(f"{store.url}/a")
    uploads.put(path, b"1")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="is there already"):
        uploads.put(path, b"2")  # type: ignore[arg-type]
    assert store.objects() == {"a": b"1"}
