"""A stranger's .tar.gz is unpacked or refused in one sentence, at once and in little memory."""

import gzip
import io
import os
import tarfile
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tensor_guess.backbones import unpacking
from tensor_guess.errors import UserError

FILES = {"saved_model.pb": b"model", "variables/variables.index": bytes(600), "assets/empty": b""}
LONG = "/".join(["a folder of a long name"] * 12) + "/" + "é" * 100
HUGE = 3_000_000_000  # what they say they have
MB = 1 << 20
GROWN = 64 * MB  # and have, so that the test does not take minutes to pack them


def header(name: str = "x", kind: bytes = tarfile.REGTYPE, size: int = 0) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def said(kind: bytes, data: bytes, size: int | None = None) -> bytes:
    """An extended header, which says it has `size` bytes."""
    return header("././@LongLink", kind, len(data) if size is None else size) + padded(data)


def record(key: str, value: str) -> bytes:
    body = f" {key}={value}\n".encode()
    length = len(body) + len(str(len(body) + 2))
    return str(length).encode() + body


def zipped(*parts: bytes) -> Iterator[bytes]:
    yield gzip.compress(b"".join(parts))


def grown(start: bytes, size: int, filling: bytes = bytes(MB)) -> Iterator[bytes]:
    """A few megabytes that unpack to the start and then to `size` bytes more."""
    file = io.BytesIO()
    with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=9) as packing:
        packing.write(start)
        for _ in range(size // MB):
            packing.write(filling)
            yield file.getvalue()
            file.seek(0)
            file.truncate()
    yield file.getvalue()


def packed(path: Path, files: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w:gz", format=form) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1.5
            tar.addfile(info, io.BytesIO(data))
    return path


def below(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_any_program_packed_is_unpacked(tmp_path: Path, form: int) -> None:
    files = FILES if form == tarfile.USTAR_FORMAT else {**FILES, LONG: b"a long name"}
    unpacking.unpack(packed(tmp_path / "a.tar.gz", files, form), tmp_path / "to", "a")
    assert below(tmp_path / "to") == files


def test_folders_may_be_named_or_not(tmp_path: Path) -> None:
    for name, data in FILES.items():
        (tmp_path / "from" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "from" / name).write_bytes(data)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "from", ".")
    unpacking.unpack(tmp_path / "a.tar.gz", tmp_path / "to", "a")
    assert below(tmp_path / "to") == FILES


def many(count: int, size: int = 0) -> bytes:
    return b"".join(header(f"{number}", size=size) + bytes(size) for number in range(count))


HOSTILE: dict[str, tuple[Callable[[], Iterable[bytes]], str]] = {
    "empty": (lambda: [b""], "is no .tar.gz of a module, or is damaged: it is cut short"),
    "a web page": (lambda: [b"<html>no module</html>"], "is no .tar.gz of a module"),
    "no tar": (lambda: zipped(b"a" * 5000), "is no .tar.gz of a module"),
    "cut short": (lambda: [gzip.compress(header())[:-1]], "is cut short"),
    "cut in a file": (lambda: zipped(header(size=1000), bytes(512)), "is cut short"),
    "another checksum": (lambda: [gzip.compress(header())[:-8] + bytes(8)], "is damaged"),
    "something behind": (lambda: [gzip.compress(header()) + b"x" * 9], "after its end"),
    "something after": (lambda: zipped(header(), bytes(1024), b"x"), "after its end"),
    "a file above": (lambda: zipped(header("../x")), r"refused: \.\./x leaves its folder"),
    "above, inside": (lambda: zipped(header("a/../../x")), "leaves its folder"),
    "above, by a long name": (
        lambda: zipped(said(tarfile.GNUTYPE_LONGNAME, b"../x\0"), header()),
        "leaves its folder",
    ),
    "above, by a record": (
        lambda: zipped(said(tarfile.XHDTYPE, record("path", "../x")), header()),
        "leaves its folder",
    ),
    "an escape": (lambda: zipped(header("\x1b[31m/..")), r"refused: '\\x1b\[31m/\.\.' leaves"),
    "a link": (lambda: zipped(header("x", tarfile.SYMTYPE)), "x is a link or device"),
    "a hard link": (lambda: zipped(header("x", tarfile.LNKTYPE)), "x is a link or device"),
    "a pipe": (lambda: zipped(header("x", tarfile.FIFOTYPE)), "x is a link or device"),
    "a device": (lambda: zipped(header("x", tarfile.CHRTYPE)), "x is a link or device"),
    "with holes": (lambda: zipped(header("x", tarfile.GNUTYPE_SPARSE)), "x is a link or device"),
    "holes by a record": (
        lambda: zipped(said(tarfile.XHDTYPE, record("GNU.sparse.major", "1")), header()),
        "stored in a way that is not read",
    ),
    "two sizes": (
        lambda: zipped(said(tarfile.XHDTYPE, record("size", "9")), header()),
        "stored in a way that is not read",
    ),
    "less than nothing": (lambda: zipped(header(size=-512)), "stored in a way that is not read"),
    "a header of less": (lambda: zipped(header("x", tarfile.XHDTYPE, -512)), "say more of its"),
    "a record of no length": (lambda: zipped(said(tarfile.XHDTYPE, b" a=b\n")), "is damaged"),
    "a record of length 0": (lambda: zipped(said(tarfile.XHDTYPE, b"0 a=b\n")), "is damaged"),
    "a record backwards": (lambda: zipped(said(tarfile.XHDTYPE, b"-1 a=b\n \n\n")), "is damaged"),
    "a record too long": (lambda: zipped(said(tarfile.XHDTYPE, b"99 a=b\n")), "is damaged"),
    "a length without end": (lambda: zipped(said(tarfile.XHDTYPE, b"9" * 9000)), "is damaged"),
    "one name twice": (lambda: zipped(header("x"), header("x")), "file exists"),
    "a file as a folder": (lambda: zipped(header("x"), header("x/y")), "could not be unpacked"),
    "a name with a zero": (
        lambda: zipped(said(tarfile.XHDTYPE, record("path", "a\0b")), header()),
        "could not be unpacked: .*null",
    ),
    "a long name": (
        lambda: zipped(said(tarfile.GNUTYPE_LONGNAME, b"n" * 5000), header()),
        "could not be unpacked: file name too long",
    ),
    "deep": (
        lambda: zipped(said(tarfile.GNUTYPE_LONGNAME, b"a/" * 2000 + b"a"), header()),
        "more files and folders than",
    ),
    "many files": (lambda: zipped(many(2_001)), "more files and folders than"),
    "many folders": (
        lambda: zipped(header("x", tarfile.DIRTYPE) * 2_001),
        "more files and folders than",
    ),
    "a bomb of GNU's": (
        lambda: grown(header("x", tarfile.GNUTYPE_LONGNAME, HUGE), GROWN),
        "its headers say more of its files than any need",
    ),
    "a bomb of GNU's links": (
        lambda: grown(header("x", tarfile.GNUTYPE_LONGLINK, HUGE), GROWN),
        "its headers say more of its files than any need",
    ),
    "a bomb of pax'": (
        lambda: grown(
            header("x", tarfile.XHDTYPE, HUGE) + f"{HUGE} comment=".encode(), GROWN, b"a" * MB
        ),
        "its headers say more of its files than any need",
    ),
    "a bomb of all files": (
        lambda: grown(header("x", tarfile.XGLTYPE, HUGE), GROWN),
        "its headers say more of its files than any need",
    ),
    "a bomb in pieces": (
        lambda: zipped(*[said(tarfile.XHDTYPE, b"6 a=b\n" * 10_000)] * 40, header()),
        "its headers say more of its files than any need",
    ),
    "a bomb of empty headers": (
        lambda: zipped(*[said(tarfile.XHDTYPE, b"")] * 4_000, header()),
        "its headers say more of its files than any need",
    ),
    "a bomb of holes": (
        lambda: grown(header("x", tarfile.GNUTYPE_SPARSE, HUGE), GROWN),
        "is a link or device",
    ),
    "a large file": (lambda: grown(header(size=HUGE), GROWN), "unpacks to more than a module"),
    "a file that grows": (
        lambda: grown(header(size=GROWN), GROWN),
        "unpacks to more than a module can be, or to 20 times and more",
    ),
    "many that grow": (lambda: zipped(many(300, 1 << 16)), "unpacks to more than a module"),
    "a bomb after the end": (lambda: grown(header() + bytes(1024), GROWN), "after its end"),
}


@pytest.fixture(scope="session", params=HOSTILE)
def hostile(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """An archive, and what is said of it."""
    make, sentence = HOSTILE[request.param]
    path = tmp_path_factory.mktemp("hostile") / "module.tar.gz"
    with path.open("wb") as file:
        file.writelines(make())
    return path, sentence


@pytest.mark.slow
def test_a_hostile_archive_is_one_sentence_at_once(
    hostile: tuple[Path, str], tmp_path: Path
) -> None:
    path, sentence = hostile
    for attempt in ("one", "two", "three"):  # others may work too
        start, folder = time.process_time(), tmp_path / attempt
        with pytest.raises(UserError, match=sentence) as raised:
            unpacking.unpack(path, folder / "in/to", "module.tar.gz")
        seconds = time.process_time() - start
        if seconds < 1:
            break
    assert seconds < 1
    assert str(raised.value).startswith("module.tar.gz ")
    assert str(raised.value).isprintable()
    assert [each.name for each in folder.glob("*")] in ([], ["in"])
    assert [each.name for each in (folder / "in").glob("*")] in ([], ["to"])


@pytest.mark.slow
def test_a_hostile_archive_takes_little_memory(hostile: tuple[Path, str], tmp_path: Path) -> None:
    tracemalloc.start()
    with pytest.raises(UserError):
        unpacking.unpack(hostile[0], tmp_path, "module.tar.gz")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3_000_000


def test_what_is_no_regular_file_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tar.gz")
    for name, sentence in {
        "pipe.tar.gz": "a could not be unpacked: is not a regular file",
        "missing.tar.gz": "a could not be unpacked: no such file or directory",
    }.items():
        with pytest.raises(UserError, match=sentence):
            unpacking.unpack(tmp_path / name, tmp_path / "to", "a")


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.tar.gz", FILES)
    (tmp_path / "to").symlink_to("/dev/full")
    with pytest.raises(UserError, match="a could not be unpacked: "):
        unpacking.unpack(path, tmp_path / "to", "a")


SOUND = b"".join(
    [
        *(said(tarfile.XHDTYPE, record("mtime", "1.5")) + header(f"{n}", size=9) for n in "ab"),
        padded(b"x" * 9),
        said(tarfile.GNUTYPE_LONGNAME, b"long\0") + header("y", tarfile.DIRTYPE),
        bytes(1024),
    ]
)


@pytest.mark.slow
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300
)
@given(st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.integers(0, 255)), max_size=4))
def test_any_changed_archive_is_unpacked_inside_or_refused(
    tmp_path: Path, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(SOUND)
    for place, value in changes:
        data[place] = value
    for start in range(0, len(data) - 511, 512):  # checksums are right again
        block = data[start : start + 512]
        if any(block[148:156]):
            total = sum(block[:148]) + 8 * 32 + sum(block[156:])
            data[start + 148 : start + 156] = b"%06o\0 " % total
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(data, 0))
    with suppress(UserError):
        unpacking.unpack(tmp_path / "a.tar.gz", tmp_path / "in/to", "a")
    assert {each.name for each in tmp_path.iterdir()} <= {"a.tar.gz", "in"}
    assert {each.name for each in (tmp_path / "in").glob("*")} <= {"to"}
