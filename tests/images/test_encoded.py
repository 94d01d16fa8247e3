"""Files are known by content, read once and only if they are pictures; work is done ahead."""

import io
import os
import resource
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from made.place import ROOT
from tensor_guess.errors import Unreadable
from tensor_guess.images import encoded as images
from tensor_guess.images.files import Files


def encoded(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def quarters() -> Image.Image:
    return Image.new("RGB", (96, 64), "red")


def fifo(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def named_socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # such a name may have 107 bytes only
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def link_to_nothing(path: Path) -> None:
    path.symlink_to("nothing")


def link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


NO_FILES: list[tuple[Callable[[Path], None], str]] = [
    (fifo, "is not a regular file"),
    (folder, "is not a regular file"),
    (named_socket, "is not a regular file"),
    (link_to_nothing, "no such file or directory"),
    (link_to_itself, "too many levels of symbolic links"),
    (device, "is not a regular file"),
]


@pytest.mark.parametrize(
    ("make", "reason"), NO_FILES, ids=lambda each: getattr(each, "__name__", "")
)
def test_what_is_no_regular_file_neither_hangs_nor_is_read(
    tmp_path: Path, make: Callable[[Path], None], reason: str
) -> None:
    path = tmp_path / "x.jpg"
    make(path)
    with pytest.raises(Unreadable, match=reason):
        images.read(path)


def test_a_name_that_cannot_be_is_unreadable() -> None:
    for name in ("a\0b", "n" * 300, "missing.jpg"):
        with pytest.raises(Unreadable):
            images.read(Path(name))


def test_a_picture_may_come_as_bytes() -> None:
    picture = images.of_bytes(encoded(quarters()))
    assert (picture.kind, picture.extension) == ("PNG", "png")
    for data, said in ((b"", "is empty"), (b"x", "no picture of a known kind")):
        with pytest.raises(Unreadable, match=said):
            images.of_bytes(data)


def test_a_link_to_a_picture_is_that_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(quarters()))
    (tmp_path / "b.png").symlink_to("a.png")
    assert images.read(tmp_path / "b.png").key == images.read(tmp_path / "a.png").key


def test_files_that_are_left_out_leave_nothing_open(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "text").write_text("hello")
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = len(os.listdir("/dev/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (opened + 50, limit[1]))
    try:
        for _ in range(100):
            for name in ("folder", "fifo", "text"):
                with pytest.raises(Unreadable, match=r"^is "):
                    images.read(tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)


def test_a_file_larger_than_any_picture_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(encoded(quarters()))
    os.truncate(path, 400_000_000)  # sparse: takes no space
    with pytest.raises(Unreadable, match="is larger than 300 MB"):
        images.read(path)


def test_work_ahead_comes_back_in_order_with_its_failures() -> None:
    def work(n: int) -> int:
        if n % 3 == 0:
            raise Unreadable(str(n))
        return n * n

    pairs = list(images.ahead(work, range(100), window=7))
    assert [item for item, _ in pairs] == list(range(100))
    for item, result in pairs:
        if item % 3:
            assert result == item * item
        else:
            assert isinstance(result, Unreadable)
            assert str(result) == str(item)


def test_work_is_taken_only_a_window_ahead_and_by_other_threads() -> None:
    taken: list[int] = []
    threads: set[int] = set()

    def source() -> Iterator[int]:
        for n in range(1000):
            taken.append(n)
            yield n

    def work(n: int) -> int:
        threads.add(threading.get_ident())
        return n

    stream = images.ahead(work, source(), window=5)
    for n in range(10):
        assert next(stream) == (n, n)
        assert len(taken) <= n + 5
    del stream  # what was waiting is cancelled
    assert len(taken) <= 15
    assert threading.get_ident() not in threads


def test_an_error_that_is_no_picture_s_fault_is_raised() -> None:
    def work(n: int) -> float:
        return 1 / n

    with pytest.raises(ZeroDivisionError):
        list(images.ahead(work, [3, 2, 1, 0, 1]))


def test_large_files_are_not_read_ahead_together() -> None:
    running, most, lock = set[int](), [0], threading.Lock()

    def work(n: int) -> int:
        with lock:
            running.add(n)
            most[0] = max(most[0], len(running))
        return n

    for n, _ in images.ahead(work, range(40), weigh=lambda _: 30_000_000):
        running.discard(n)
    assert most[0] <= 3
    assert [n for n, _ in images.ahead(work, range(5), weigh=lambda _: 10**9)] == list(range(5))


def test_a_picture_that_was_let_go_is_read_again_and_compared(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(quarters()))
    picture = images.read(path)
    light = images.let_go(picture)
    assert (light.data, light.size) == (b"", len(picture.data))
    assert b"".join(images.again(path, light)) == picture.data
    path.write_bytes(picture.data + b"more")
    with pytest.raises(Unreadable, match="was changed"):
        list(images.again(path, light))


@pytest.mark.parametrize("swap", ["file", "folder"])
def test_a_link_put_in_a_listed_files_place_leads_nowhere_outside(
    tmp_path: Path, swap: str
) -> None:
    photo = (ROOT / "test_data/photo01.jpg").read_bytes()
    for folder in ("source/deep", "private"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "a.jpg").write_bytes(photo)
    source = tmp_path / "source"
    (source / "within.jpg").symlink_to("deep/a.jpg")
    listed = [path for path, reason in Files(source) if reason is None]
    assert [images.read(path, inside=source).data for path in listed] == [photo] * 2
    if swap == "file":
        (source / "deep/a.jpg").unlink()
        (source / "deep/a.jpg").symlink_to(tmp_path / "private/a.jpg")
    else:
        shutil.rmtree(source / "deep")
        (source / "deep").symlink_to(tmp_path / "private")
    for path in listed:
        with pytest.raises(Unreadable, match="is a link that leaves the folder"):
            images.read(path, inside=source)
