"""A stranger's zip is read in memory or refused in one sentence; ours is always the same bytes."""

import io
import os
import stat
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tensor_guess.errors import UserError
from tensor_guess.system import archive

LIMITS = {"a.txt": 1000, "b/c.bin": 100_000_000}
MEMBERS = {"a.txt": b"text\n" * 50, "b/c.bin": bytes(range(256)) * 8}
Members = list[tuple[str | zipfile.ZipInfo, bytes]]

# Each example writes its own file over the one before; a busy disk is no failure.
in_one_folder = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300
)


def zipped(members: Members, method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> bytearray:
    """A zip as another program would write it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as made:
        made.comment = comment
        for name, data in members:
            made.writestr(name, data, method)
    return bytearray(file.getvalue())


def plain(*more: tuple[str | zipfile.ZipInfo, bytes]) -> bytearray:
    return zipped([*MEMBERS.items(), *more])


def renamed(old: str, new: str) -> bytearray:
    """The name changed to one of the same length, in both places."""
    assert len(old) == len(new)
    return bytearray(bytes(plain()).replace(old.encode(), new.encode()))


def listed(offset: int, form: str, value: int, member: int = 0) -> bytearray:
    """A field of a member's entry in the list of files (APPNOTE 4.3.12), changed."""
    data = plain()
    place = -1
    for _ in range(member + 1):
        place = data.index(b"PK\x01\x02", place + 1)
    struct.pack_into(form, data, place + offset, value)
    return data


def own(offset: int, form: str, value: int) -> bytearray:
    """A field of the first member's own header (APPNOTE 4.3.7), changed."""
    data = plain()
    struct.pack_into(form, data, offset, value)
    return data


def both(listed_at: int, own_at: int, form: str, value: int) -> bytearray:
    data = listed(listed_at, form, value)
    struct.pack_into(form, data, own_at, value)
    return data


def at_end(offset: int, form: str, value: int) -> bytearray:
    """A field of the zip's end (APPNOTE 4.3.16), changed."""
    data = plain()
    struct.pack_into(form, data, len(data) - 22 + offset, value)
    return data


def link() -> bytearray:
    info = zipfile.ZipInfo("b/c.bin")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return zipped([("a.txt", b""), (info, b"/etc/passwd")])


def twice() -> bytearray:
    with pytest.warns(UserWarning, match="Duplicate name"):
        return plain(("a.txt", b"another"))


def one_in_the_other() -> bytearray:
    """Both entries show the same bytes: many files of them are a bomb without compression."""
    data = plain()
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 1)
    struct.pack_into("<L", data, second + 42, 0)
    return data


HOSTILE: dict[str, tuple[Callable[[], bytes | bytearray], str]] = {
    "empty": (lambda: b"", "not a zip"),
    "text": (lambda: b"not a zip at all, whatever it is called", "not a zip"),
    "a web page": (lambda: b"<!doctype html><p>404" * 100, "not a zip"),
    "cut short": (lambda: plain()[:-1], "cut short"),
    "half of it": (lambda: plain()[:200], "cut short"),
    "an empty zip": (lambda: zipped([]), "has no "),
    "one file missing": (lambda: zipped([("a.txt", b"")]), "has no b/c.bin"),
    "a file too many": (lambda: plain(("x.py", b"")), "the file x.py, which does not"),
    "a folder": (lambda: plain(("b/", b"")), "the file b/, which does not"),
    "a file above": (lambda: plain(("../evil", b"")), r"the file \.\./evil, which"),
    "in place of ours": (lambda: renamed("a.txt", "../ab"), r"the file \.\./ab, which"),
    "absolute": (lambda: plain(("/etc/cron.d/x", b"")), "the file /etc/cron.d/x, which"),
    "backslashes": (lambda: plain(("..\\evil", b"")), "which does not belong"),
    "in capitals": (lambda: renamed("a.txt", "A.TXT"), "the file A.TXT, which"),
    "behind a NUL": (lambda: renamed("b/c.bin", "a.txt\0x"), "which does not belong"),
    "an escape": (lambda: plain(("\x1b[31m", b"")), r"the file '\\x1b\[31m', which"),
    "no text": (lambda: both(46, 30, "<B", 0xFF), "which does not belong"),
    "twice": (twice, "two files of the same name"),
    "a link": (link, "is a link, or not a regular file"),
    "a pipe": (lambda: listed(38, "<L", (stat.S_IFIFO | 0o644) << 16), "is a link, or not a regul"),
    "encrypted": (lambda: both(8, 6, "<H", 1), "a.txt in it is encrypted"),
    "sizes behind": (lambda: both(8, 6, "<H", 8), "compressed by an unsupported method"),
    "BZIP2": (lambda: zipped([*MEMBERS.items()], zipfile.ZIP_BZIP2), "compressed by an unsupp"),
    "LZMA": (lambda: zipped([*MEMBERS.items()], zipfile.ZIP_LZMA), "compressed by an unsupp"),
    "an unknown packing": (lambda: both(10, 8, "<H", 77), "compressed by an unsupp"),
    "a later version": (lambda: listed(6, "<H", 99), "list of files is damaged"),
    "too long": (lambda: zipped([("a.txt", b"x" * 1001), ("b/c.bin", b"")]), "1001 bytes; at"),
    "says 4 GB": (lambda: both(24, 22, "<L", 2**32 - 1), "bytes; at most 1000"),
    "a bomb": (lambda: zipped([("a.txt", b""), ("b/c.bin", bytes(90_000_000))]), "would grow more"),
    "longer than it says": (lambda: both(24, 22, "<L", 40), "not have the length it states"),
    "shorter than it says": (lambda: both(24, 22, "<L", 900), "a.txt in it is damaged"),
    "two sizes": (lambda: own(22, "<L", 40), "not match the list of files"),
    "two packed sizes": (lambda: own(18, "<L", 4), "not match the list of files"),
    "two checksums": (lambda: own(14, "<L", 4), "not match the list of files"),
    "two packings": (lambda: own(8, "<H", 0), "not match the list of files"),
    "two names": (lambda: own(30, "<B", ord("z")), "not match the list of files"),
    "not one checksum": (lambda: both(16, 14, "<L", 4), "a.txt in it is damaged"),
    "one in the other": (one_in_the_other, "not stored one after another"),
    "something before": (lambda: b"#!/bin/sh\n" + plain(), "list of files is damaged"),
    "something between": (lambda: listed(42, "<L", 1), "not stored one after another"),
    "something behind": (lambda: plain() + b"MZ", "not a zip, is cut short, or"),
    "a comment": (lambda: zipped([*MEMBERS.items()], comment=b"hi"), "not a zip, is cut short, or"),
    "a hidden comment": (lambda: at_end(20, "<H", 5), "has a comment"),
    "several parts": (lambda: at_end(4, "<H", 1), "in several parts"),
    "two counts": (lambda: at_end(10, "<H", 1), "in several parts"),
    "not as many": (lambda: at_end(8, "<L", 0x30003), "a wrong number of files"),
    "a long list": (lambda: at_end(12, "<L", 10_000_000), "damaged or too long"),
    "a list elsewhere": (lambda: at_end(16, "<L", 0), "damaged or too long"),
    "64 bits": (lambda: bytes(plain()[:-22]) + b"PK\6\7" + bytes(16) + plain()[-22:], "64-bit"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_zip_is_one_sentence(tmp_path: Path, kind: str) -> None:
    make, said = HOSTILE[kind]
    path = tmp_path / "x.zip"
    path.write_bytes(make())
    with pytest.raises(UserError, match=said) as raised:
        archive.read(path, LIMITS)
    assert str(raised.value).startswith(f"{path} is refused: ")
    assert str(raised.value).isprintable()
    assert raised.value.exit_code == 1
    assert [each.name for each in tmp_path.iterdir()] == ["x.zip"]


@pytest.mark.parametrize("size", [2**31, 3_000_000_000, 2**40])
def test_a_file_of_gigabytes_is_refused_unread(tmp_path: Path, size: int) -> None:
    path = tmp_path / "x.zip"
    with path.open("wb") as file:
        file.truncate(size)
    with pytest.raises(UserError, match="larger than 2 GB"):
        archive.read(path, LIMITS)


def test_what_is_optional_may_be_missing_and_is_bounded_too(tmp_path: Path) -> None:
    limits, path = LIMITS | {"c": 3, "d": 3}, tmp_path / "x.zip"
    for more in ({}, {"d": b"123"}, {"c": b"", "d": b"1"}):
        path.write_bytes(archive.written(MEMBERS | more))
        assert archive.read(path, limits, {"c", "d"}) == MEMBERS | more
    path.write_bytes(archive.written(MEMBERS | {"d": b""}))
    with pytest.raises(UserError, match="it has no c"):
        archive.read(path, limits, {"d"})
    path.write_bytes(archive.written(MEMBERS | {"c": b"1234"}))
    with pytest.raises(UserError, match="c in it has 4 bytes; at most 3 are allowed"):
        archive.read(path, limits, {"c", "d"})


def test_what_is_no_file_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.zip")
    for path in (tmp_path / "x.zip", tmp_path):
        with pytest.raises(UserError, match="is not a regular file"):
            archive.read(path, LIMITS)
    with pytest.raises(UserError, match=r"could not read .*: no such file or directory"):
        archive.read(tmp_path / "nothing.zip", LIMITS)


@pytest.mark.slow
@pytest.mark.parametrize(("says", "at_most"), [(90_000_000, 1_000_000), (1_000_000, 3_000_000)])
def test_a_bomb_is_refused_before_it_grows(tmp_path: Path, says: int, at_most: int) -> None:
    data = zipped([("a.txt", b""), ("b/c.bin", bytes(90_000_000))])
    for mark, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        struct.pack_into("<L", data, data.rindex(mark) + offset, says)
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    tracemalloc.start()
    with pytest.raises(UserError, match=r"would grow|not have the length it states"):
        archive.read(path, LIMITS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < at_most


CONTENT = st.fixed_dictionaries({"a.txt": st.binary(max_size=1000), "b/c.bin": st.binary()})


@pytest.mark.slow
@in_one_folder
@given(CONTENT, st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
def test_what_any_program_packed_is_read(
    tmp_path: Path, members: dict[str, bytes], method: int
) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(zipped([*members.items()], method))
    assert archive.read(path, LIMITS) == members
    path.write_bytes(archive.written(members))
    assert archive.read(path, LIMITS) == members


def test_the_same_members_are_the_same_bytes_with_no_date(tmp_path: Path) -> None:
    data = archive.written(MEMBERS)
    assert data == archive.written(dict(MEMBERS))
    with zipfile.ZipFile(io.BytesIO(data)) as made:
        assert made.testzip() is None
        assert [info.filename for info in made.infolist()] == list(MEMBERS)
        assert {info.date_time for info in made.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {info.external_attr >> 16 for info in made.infolist()} == {stat.S_IFREG | 0o644}


@pytest.mark.slow
@in_one_folder
@given(st.integers(0, len(plain()) - 1), st.integers(1, 255), st.booleans())
@example(0, 1, True)
def test_a_changed_byte_is_noticed_or_changes_nothing(
    tmp_path: Path, place: int, change: int, stored: bool
) -> None:
    data = bytearray(archive.written(MEMBERS)) if stored else plain()
    data[place % len(data)] ^= change
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    with suppress(UserError):
        assert archive.read(path, LIMITS) == MEMBERS


@pytest.mark.slow
@in_one_folder
@given(st.lists(st.sampled_from([b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\7", b"a.txt", bytes(18)])
                | st.binary(max_size=30)))  # fmt: skip
def test_any_bytes_are_refused_in_words(tmp_path: Path, parts: list[bytes]) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(b"".join(parts))
    with pytest.raises(UserError, match="is refused: "):
        archive.read(path, LIMITS)


def test_what_does_not_fit_into_a_zip_is_not_written() -> None:
    class Large(bytes):
        def __len__(self) -> int:
            return 2**31

    with pytest.raises(UserError, match="too large for a zip"):
        archive.written({"a.txt": Large()})
