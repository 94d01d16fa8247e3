"""URLs, and what is listed and read behind them."""

import os
import pickle
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from made.store import SECRET, Store
from tensor_guess.errors import Unreadable, UserError, WrongUsage, shown
from tensor_guess.images import encoded
from tensor_guess.images.files import Files
from tensor_guess.stores.paths import StorePath, location, parsed
from tensor_guess.system import reading

NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20
).filter(lambda name: name not in (".", ".."))


@given(st.lists(NAMES, max_size=4))
def test_a_url_is_a_path_and_back(names: list[str]) -> None:
    text = "/".join(["s3://bucket", *names])
    path = location(text)
    assert isinstance(path, StorePath)
    assert str(path) == text
    assert path.object.key == "/".join(names)
    assert path == pickle.loads(pickle.dumps(path))
    below = path / "deeper" / "a.jpg"
    assert str(below) == f"{text}/deeper/a.jpg"
    assert below.is_relative_to(path)
    assert not path.is_relative_to(below)
    assert type(below.relative_to(path)) is type(Path())
    assert below.relative_to(path) == PurePosixPath("deeper/a.jpg")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gs://bucket/x", "gs:// is not known here, only s3:// is; mount it, and name the folder"),
        (f"https://me:{SECRET}@host/x", "https:// is not known here"),
        (f"s3://me:{SECRET}@bucket/x", "user, a password or a query is not taken"),
        (f"s3://{SECRET[:6]}@bucket", "user, a password or a query is not taken"),
        (f"s3://bucket/x?X-Amz-Signature={SECRET}", "user, a password or a query is not taken"),
        (f"s3://bucket/x#{SECRET}", "user, a password or a query is not taken"),
        ("s3://", "has no bucket"),
        ("s3:///x", "has no bucket"),
        ("s3://-/x", "has no bucket"),
        ("s3://bucket//x", "has an empty name, . or .. in it"),
        ("s3://bucket/a/../b", "has an empty name, . or .. in it"),
        ("s3://bucket/./b", "has an empty name, . or .. in it"),
        ("://bucket", "such a URL is not known here"),
    ],
)
def test_what_is_not_taken_is_said_without_its_secrets(text: str, said: str) -> None:
    with pytest.raises(WrongUsage) as refused:
        parsed(text)
    assert said in str(refused.value)
    assert SECRET[:6] not in str(refused.value)


def test_a_trailing_slash_and_capitals_in_the_scheme_are_the_same_folder() -> None:
    assert parsed("S3://bucket/photos/") == parsed("s3://bucket/photos")
    assert type(parsed("photos/s3")) is type(Path())


def test_no_call_of_the_system_takes_it_for_a_path() -> None:
    path = parsed("s3://bucket/x")
    for call in (os.stat, os.remove, os.listdir, os.fspath, open):
        with pytest.raises(TypeError, match="is on no disk"):
            call(path)


def test_what_is_there(store: Store) -> None:
    store.put({"photos/a.jpg": b"12", "photos/deep/b.jpg": b"345", "both": b"", "both/x": b"1"})
    root = parsed(store.url)
    assert (root.is_dir(), root.is_file(), root.exists()) == (True, False, True)
    photos = root / "photos"
    assert (photos.is_dir(), photos.is_file()) == (True, False)
    assert not (root / "photo").exists()
    assert not (root / "phot").is_dir()
    assert ((root / "both").is_dir(), (root / "both").is_file()) == (True, True)
    assert [(each.name, each.is_dir()) for each in photos.iterdir()] == [
        ("a.jpg", False),
        ("deep", True),
    ]
    assert encoded.size_of(photos / "deep" / "b.jpg") == 3
    assert encoded.size_of(photos / "gone") == 0


def test_keys_that_are_no_paths_or_hidden(store: Store) -> None:
    long = "n" * 900
    store.put(
        {
            "p/": b"",  # what consoles make for an empty folder
            "p/../up.jpg": b"1",
            "p/./here.jpg": b"1",
            "p//empty.jpg": b"1",
            "p/folder/": b"not empty",
            "p/.hidden/x.jpg": b"1",
            "p/.DS_Store": b"1",
            "p/.tensor-guess-x.tmp": b"1",
            "p/\x1b[31mred.jpg": b"1",
            "p/tab\t.jpg": b"1",
            "p/%2e%2e.jpg": b"1",
            "p/a+b &?#.jpg": b"1",
            "p/ключ.jpg": b"1",
            f"p/{long}.jpg": b"1",
        }
    )
    root = parsed(f"{store.url}/p")
    files = Files(root)
    found = list(files)
    sound = {path.name for path, reason in found if not reason}
    assert sound == {
        "\x1b[31mred.jpg", "tab\t.jpg", "%2e%2e.jpg", "a+b &?#.jpg", "ключ.jpg", f"{long}.jpg",
    }  # fmt: skip
    assert files.hidden == 4
    odd = {(str(path), reason) for path, reason in found if reason}
    assert odd == {
        (str(root), "has objects below a name that no folder can have"),
        (str(root / "folder"), "has an object whose name no file can have"),
    }
    for path, reason in found:
        if not reason:
            assert reading.read(path, 1) == b"1"
            assert reading.read(location(str(path)), 1) == b"1"


def test_a_name_with_a_newline_is_listed_and_shown_on_one_line(store: Store) -> None:
    store.fill(["p/a\nb.jpg", "p/\r\x07.jpg"])
    found = sorted(path for path, _ in Files(parsed(f"{store.url}/p")))
    assert [path.name for path in found] == ["\r\x07.jpg", "a\nb.jpg"]
    assert shown(found[1]) == f"'{store.url}/p/a\\nb.jpg'"


def test_many_objects_are_listed_in_pages_with_their_sizes(store: Store) -> None:
    keys = [f"many/{number:06}.jpg" for number in range(10_500)] + ["many/sub/x.jpg"]
    store.fill(keys)
    store.requests()
    found = list(Files(parsed(f"{store.url}/many")))
    assert [str(path) for path, _ in found] == [f"{store.url}/{key}" for key in keys]
    assert {path.stat().st_size for path, _ in found[:-1]} == {15}
    asked = store.requests()
    assert len(asked) == 12  # 11 pages, and one of the folder below; none for a file
    assert all(each.startswith(f"GET /{store.bucket}?list-type=2") for each in asked)


def test_small_objects_take_one_request_and_large_ones_are_read_in_pieces(store: Store) -> None:
    large = os.urandom(2_500_000)
    store.put({"small": b"12345", "large": large, "empty": b""})
    store.requests()
    root = parsed(store.url)
    assert reading.read(root / "small", 5) == b"12345"
    assert len(store.requests()) == 1
    assert reading.read(root / "large", len(large)) == large
    assert len(store.requests()) == 2
    assert reading.read(root / "empty", 5) == b""
    with pytest.raises(Unreadable, match="is larger than 1 MB"):
        reading.read(root / "large", 1_000_000)


def test_what_cannot_be_read_has_a_reason(store: Store) -> None:
    store.put({"there": b"1", "denied": b"1", "cold": b"1"})
    root = parsed(store.url)
    store.fail(f"GET /{store.bucket}/denied", "403 AccessDenied")
    store.fail(f"GET /{store.bucket}/cold", "403 InvalidObjectState")
    for name, reason in (
        ("gone", "is not there (any more)"),
        ("denied", "access denied by the store"),
        ("cold", "is archived; restore it first"),
    ):
        with pytest.raises(Unreadable) as refused:
            encoded.read(root / name)
        assert str(refused.value) == reason
    with pytest.raises(Unreadable, match=reading.LEAVES):
        encoded.read(root / "there", inside=root / "elsewhere")


def test_an_object_that_changes_between_two_pieces_is_no_picture(store: Store) -> None:
    one, other = bytes(2_000_000), b"1" * 2_000_000
    store.put({"x": one})
    with reading.opened_anywhere(parsed(f"{store.url}/x")) as file:
        assert file.read(10) == bytes(10)
        store.put({"x": other})
        with pytest.raises(Unreadable, match="was changed while it was looked at"):
            reading.rest(file, 3_000_000)


def test_a_folder_that_may_not_be_listed_ends_all(store: Store) -> None:
    store.fail(rf"GET /{store.bucket}\?list", "403 AccessDenied", 2)
    with pytest.raises(UserError, match="access denied by the store; allow AWS_ACCESS_KEY_ID to"):
        parsed(store.url).is_dir()
    assert [reason for _, reason in Files(parsed(store.url))] == ["access denied by the store"]
