"""Requests: what is written overwrites nothing, and what fails is said without a secret."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from made import store as servers
from made.store import KEY, SECRET, Store
from tensor_guess.errors import UserError
from tensor_guess.stores import s3
from tensor_guess.stores.s3 import Object

LARGE = 40_000_000


def at(store: Store, key: str) -> Object:
    return Object(store.bucket, key)


def size_of(store: Store, key: str) -> int:
    found: int = store.client.head_object(Bucket=store.bucket, Key=key)["ContentLength"]
    return found


@pytest.mark.parametrize("size", [3, LARGE])
def test_two_writers_race_for_one_key_and_one_wins(store: Store, size: int) -> None:
    def write(number: int) -> bool:
        try:
            s3.create(at(store, "key"), [bytes([number]) * (size // 2)] * 2, size)
        except FileExistsError:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(write, range(4)))
    assert sum(won) == 1
    assert set(store.objects()["key"]) == {won.index(True)}
    assert not store.client.list_multipart_uploads(Bucket=store.bucket).get("Uploads")
    assert not write(9)
    assert set(store.objects()["key"]) == {won.index(True)}


def test_data_that_breaks_off_makes_no_object(store: Store) -> None:
    def broken() -> Iterator[bytes]:
        yield bytes(20_000_000)
        yield bytes(20_000_000)
        raise UserError("changed")

    with pytest.raises(UserError, match="changed"):
        s3.create(at(store, "key"), broken(), LARGE)
    assert store.objects() == {}
    assert not store.client.list_multipart_uploads(Bucket=store.bucket).get("Uploads")


def test_a_write_whose_answer_is_lost_is_there_once(store: Store) -> None:
    store.fail(f"PUT /{store.bucket}/key", "lost")
    with pytest.raises(FileExistsError):  # it was asked again
        s3.create(at(store, "key"), [b"abc"], 3)
    assert store.objects() == {"key": b"abc"}


def test_a_write_beside_another_is_tried_again(store: Store) -> None:
    store.fail(f"PUT /{store.bucket}/key", "409 ConditionalRequestConflict", 2)
    s3.create(at(store, "key"), [b"abc"], 3)
    assert store.objects() == {"key": b"abc"}
    store.fail(f"PUT /{store.bucket}/other", "409 ConditionalRequestConflict", 9)
    with pytest.raises(UserError, match="others write to"):
        s3.create(at(store, "other"), [b"abc"], 3)


def test_only_what_has_the_etag_is_removed(store: Store) -> None:
    etag = s3.create(at(store, "key"), [b"abc"], 3)
    s3.remove(at(store, "key"), '"another"')
    assert store.objects() == {"key": b"abc"}
    s3.remove(at(store, "key"), etag)
    s3.remove(at(store, "key"), etag)
    assert store.objects() == {}


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("403 InvalidAccessKeyId", "does not accept AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        ("403 SignatureDoesNotMatch", "does not accept AWS_ACCESS_KEY_ID and"),
        ("400 ExpiredToken", "what AWS_SESSION_TOKEN allows is over"),
        ("400 IllegalLocationConstraintException", "is in another region; name it by AWS_REGION"),
        ("403 RequestTimeTooSkewed", "has another time than this machine; set its clock"),
        ("404 NoSuchBucket", "there is no bucket s3://bucket-"),
        ("501 NotImplemented", "cannot write without overwriting"),
        ("418 Teapot", "refused a request (Teapot); run it again to go on"),
        ("418 A word of theirs", "refused a request (an error without a name)"),
    ],
)
def test_what_the_store_refuses_is_one_sentence(store: Store, how: str, said: str) -> None:
    store.fail(f"PUT /{store.bucket}/key", how, 5)  # one is asked again, in another region
    with pytest.raises(UserError) as refused:
        s3.create(at(store, "key"), [b"abc"], 3)
    assert said in str(refused.value)
    # What it says may be anything, and so may be what the library knows.
    assert refused.value.__cause__ is None
    for secret in (SECRET, KEY):
        assert secret not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("AWS_ENDPOINT_URL", f"http://me:{SECRET}@127.0.0.1:9", "does not answer"),
        ("AWS_ENDPOINT_URL", f"no address {SECRET}", "AWS_ENDPOINT_URL is no address"),
        ("AWS_ACCESS_KEY_ID", "", "AWS_ACCESS_KEY_ID is not set"),
        ("AWS_SECRET_ACCESS_KEY", "", "AWS_SECRET_ACCESS_KEY is not set"),
    ],
)
def test_what_the_environment_lacks_is_said(
    store: Store, monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    monkeypatch.setenv(name, value)
    s3._system.cache_clear()
    with pytest.raises(UserError) as refused:
        s3.head(at(store, "key"))
    assert said in str(refused.value)
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_key_that_the_store_does_not_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a server that asks who comes."""
    with servers.started(tmp_path / "log", INITIAL_NO_AUTH_ACTION_COUNT="1") as port:
        strict = servers.with_bucket(port, "strict")
        for name, value in strict.environ.items():
            monkeypatch.setenv(name, value)
        s3._system.cache_clear()
        with pytest.raises(UserError, match="does not accept AWS_ACCESS_KEY_ID"):
            next(s3.pages(at(strict, "")))
    s3._system.cache_clear()
