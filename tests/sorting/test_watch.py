"""An inbox: each file is sorted once, whole, whenever it comes, until the watch is stopped."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from made.place import ROOT
from made.sorting import tree
from tensor_guess.config import MANIFEST, SETTLED_SECONDS, WAYS
from tensor_guess.images import encoded
from tensor_guess.sorting.manifest import Entry
from tensor_guess.sorting.plan import Way
from tensor_guess.sorting.sort import Sorted, sort
from tensor_guess.sorting.undo import undo
from tensor_guess.sorting.watch import Inbox, Stop, Watch

PHOTOS = sorted((ROOT / "test_data").iterdir())
WHOLE = PHOTOS[0].read_bytes()

Action = Callable[[], object]


class Days(Stop):
    """A clock that moves only while the watch waits; at its times, something happens."""

    def __init__(self, events: Iterable[tuple[float, Action]], end: float) -> None:
        super().__init__()
        self.now, self._end = 0.0, end
        self._events = sorted(events, key=lambda event: event[0])

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds
        while self._events and self._events[0][0] <= self.now:
            self._events.pop(0)[1]()
        if self.now > self._end:
            self.ask()


class Place:
    """An inbox, what was sorted out of it, and what was told of that."""

    def __init__(self, classifier: Path, folder: Path) -> None:
        self.classifier, self.inbox, self.out = classifier, folder / "in", folder / "out"
        self.inbox.mkdir()
        self.told: list[tuple[str, str]] = []

    def watch(
        self,
        *events: tuple[float, Action],
        end: float = 30,
        settled: float = SETTLED_SECONDS,
        way: Way | None = None,
    ) -> Sorted:
        def tell(entry: Entry, scores: Mapping[str, float]) -> None:
            assert max(scores.values()) == next(iter(scores.values()))
            self.told.append((entry.image, entry.name))

        days = Days(events, end)
        watch = Watch(tell, settled, days, days.clock)
        return sort(self.classifier, self.inbox, self.out, way=way, watch=watch)

    def put(self, name: str, photo: Path = PHOTOS[0]) -> Action:
        return lambda: shutil.copy(photo, self.inbox / name)

    def append(self, name: str, data: bytes) -> Action:
        def write() -> None:
            with (self.inbox / name).open("ab") as file:
                file.write(data)

        return write

    def copies(self) -> list[bytes]:
        found = (path for path in self.out.rglob("*.*") if path.name != MANIFEST)
        return sorted(path.read_bytes() for path in found)


@pytest.fixture
def place(trained: Path, tmp_path: Path) -> Place:
    return Place(trained, tmp_path)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read."""
    found, real = list[str](), encoded.read

    def read(path: Path, **options: Path) -> encoded.Picture:
        found.append(path.name)
        return real(path, **options)

    monkeypatch.setattr(encoded, "read", read)
    return found


def pieces(data: bytes, count: int = 10) -> list[bytes]:
    size = len(data) // count + 1
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("way", WAYS)
def test_a_file_written_in_ten_pieces_is_sorted_once_and_whole(
    place: Place, reads: list[str], way: str
) -> None:
    events = [(n * 30 / 9, place.append("a.jpg", each)) for n, each in enumerate(pieces(WHOLE))]
    done = place.watch(*events, (10, place.put("b.png", PHOTOS[1])), end=60, way=Way(way))
    assert (done.sorted, done.known, done.left_out) == (2, 0, [])
    assert [image for image, _ in place.told] == ["b.png", "a.jpg"]
    assert place.copies() == sorted([WHOLE, PHOTOS[1].read_bytes()])
    assert sorted(reads) == ["a.jpg", "b.png"], "each was read once, when it was complete"
    assert (way == "move") == (not list(place.inbox.iterdir()))


@pytest.mark.parametrize("way", WAYS)
def test_a_picture_waits_for_what_goes_with_it(place: Place, way: str) -> None:
    video = b"\0\0\0\x14ftypqt  " + os.urandom(2000)
    events = [(n * 3, place.append("a.MOV", each)) for n, each in enumerate(pieces(video))]
    done = place.watch(
        *events, (1, place.put("a.jpg")), (2, place.put("b.jpg", PHOTOS[1])), end=60, way=Way(way)
    )
    assert (done.sorted, done.companions, done.left_out) == (2, 1, [])
    assert [image for image, _ in place.told] == ["b.jpg", "a.jpg", "a.MOV"]
    assert video in place.copies()
    assert undo(place.out, place.inbox).companions == 1
    assert {each.name for each in place.inbox.iterdir()} == {"a.jpg", "a.MOV", "b.jpg"}


def test_what_was_there_before_is_sorted_and_what_comes_later_too(place: Place) -> None:
    for number, photo in enumerate(PHOTOS[:3]):
        place.put(f"{number}", photo)()
    done = place.watch((20, place.put("new", PHOTOS[3])))
    names = [image for image, _ in place.told]
    assert (done.sorted, sorted(names), names[3]) == (4, ["0", "1", "2", "new"], "new")


def test_a_picture_that_cannot_be_decoded_yet_is_named_once_and_sorted_when_it_can(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = pieces(WHOLE, 3)
    done = place.watch(
        (1, place.append("a.jpg", first)),
        (20, place.append("a.jpg", second)),
        (40, place.append("a.jpg", third)),
        (1, place.append("b.jpg", first)),
        end=60,
    )
    assert (done.sorted, place.copies()) == (1, [WHOLE])
    assert [each.path.name for each in done.left_out] == ["b.jpg"]
    said = capsys.readouterr().err
    assert (said.count("left out"), said.count("a.jpg")) == (2, 1)


def test_nothing_is_read_again_unless_it_changes(place: Place, reads: list[str]) -> None:
    for number, photo in enumerate(PHOTOS):
        place.put(f"{number}", photo)()
    done = place.watch((30, lambda: os.utime(place.inbox / "3")), end=100)
    assert (done.sorted, done.known) == (len(PHOTOS), 1)
    assert sorted(reads) == sorted([*(f"{n}" for n in range(len(PHOTOS))), "3"])


@pytest.mark.parametrize("way", ["copy", "move"])
def test_a_watch_that_was_stopped_goes_on_where_it_was(place: Place, way: str) -> None:
    place.put("a", PHOTOS[0])()
    assert place.watch(end=10, way=Way(way)).sorted == 1
    place.put("b", PHOTOS[1])()
    done = place.watch((5, place.put("c", PHOTOS[2])), way=Way(way))
    assert (done.sorted, done.known) == (2, 1 if way == "copy" else 0)
    assert place.copies() == sorted(photo.read_bytes() for photo in PHOTOS[:3])
    assert undo(place.out, place.inbox).count == 2  # the last watch
    assert undo(place.out, place.inbox).count == 1
    assert {path.name for path in place.inbox.iterdir()} == {"a", "b", "c"}


def test_an_inbox_that_goes_away_and_comes_back_is_waited_for(
    place: Place, reads: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    away = place.inbox.with_name("away")
    place.put("a", PHOTOS[0])()
    done = place.watch(
        (10, lambda: place.inbox.rename(away)),
        (20, lambda: shutil.copy(PHOTOS[1], away / "b")),
        (30, lambda: away.rename(place.inbox)),
        end=50,
    )
    assert (done.sorted, done.left_out, reads) == (2, [], ["a", "b"])
    said = capsys.readouterr().err.splitlines()
    assert said[1:] == [f"{place.inbox} cannot be read (no such file or directory); waiting for it"]


def test_a_picture_that_is_in_dest_already_stays_and_that_is_said(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    events = ((1, place.put("a")), (20, place.put("b")))
    done = place.watch(*events, end=40, way=Way("move"))
    assert (done.sorted, done.known) == (1, 1)
    assert [path.name for path in place.inbox.iterdir()] == ["b"]
    assert "1 known already: DEST has their bytes\n" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who writes to a file")
@pytest.mark.parametrize("way", ["copy", "move"])
def test_a_file_that_is_still_open_to_be_written_is_waited_for(
    place: Place, reads: list[str], way: str
) -> None:
    place.put("a.jpg")()
    with (place.inbox / "a.jpg").open("ab") as file:
        done = place.watch((60, file.close), end=58, way=Way(way))
        assert (done.sorted, reads) == (0, [])
    assert place.watch(way=Way(way)).sorted == 1


def test_a_file_that_changes_while_it_is_looked_at_comes_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, more = encoded.read, [b"1", b"2"]

    def read(path: Path, **options: Path) -> encoded.Picture:
        picture = real(path, **options)
        if more:
            place.append(path.name, more.pop(0))()
        return picture

    monkeypatch.setattr(encoded, "read", read)
    place.put("a.jpg")()
    done = place.watch(end=60)
    assert (done.sorted, done.left_out, place.copies()) == (1, [], [WHOLE + b"12"])


def test_a_file_that_goes_before_it_is_complete_is_not_missed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = encoded.read

    def read(path: Path, **options: Path) -> encoded.Picture:
        path.unlink()
        return real(path, **options)

    place.put("a.jpg")()
    place.put("b.jpg")()
    monkeypatch.setattr(encoded, "read", read)
    done = place.watch((3, (place.inbox / "b.jpg").unlink))
    assert (done.sorted, done.left_out) == (0, [])


def test_a_folder_that_somebody_removes_from_dest_is_made_again(place: Place) -> None:
    def remove() -> None:
        for path in place.out.iterdir():
            if path.is_dir():
                shutil.rmtree(path)

    done = place.watch(
        (0, place.put("a", PHOTOS[0])),
        (10, remove),
        (20, lambda: [place.put(photo.name, photo)() for photo in PHOTOS[1:]]),
        way=Way(layout="folders"),
    )
    assert done.sorted == len(PHOTOS)
    assert len(place.copies()) == len(PHOTOS) - 1


def test_files_that_cannot_be_read_hidden_ones_and_links_are_as_ever(
    place: Place, tmp_path: Path
) -> None:
    (place.inbox / "later").mkdir()
    os.mkfifo(place.inbox / "pipe.jpg")
    (place.inbox / ".part").touch()
    (place.inbox / "leaves.jpg").symlink_to(PHOTOS[0])
    done = place.watch((10, place.put("later/a.jpg")))
    assert (done.sorted, done.hidden) == (1, 1)
    reasons = {each.path.name: each.reason for each in done.left_out}
    assert reasons == {
        "pipe.jpg": "is not a regular file",
        "leaves.jpg": "is a link that leaves the folder",
    }


@pytest.mark.slow
def test_a_file_that_was_sorted_takes_eight_bytes(tmp_path: Path) -> None:
    count = 3000
    for number in range(count):
        os.close(os.open(tmp_path / f"{number}.jpg", os.O_CREAT))
    days = Days([], 100)
    tracemalloc.start()
    inbox = Inbox(tmp_path, Watch(lambda *_: None, 5, days, days.clock))
    for listed in (0, count, 0, 0):
        assert sum(1 for _ in inbox.ahead(lambda item: item)) == listed
        inbox.pause()
        days.now += 6
    arrays = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)
    found = tracemalloc.take_snapshot().filter_traces([arrays]).statistics("filename")
    tracemalloc.stop()
    assert 8 <= sum(each.size for each in found) / count < 10


# --- as a process


@contextmanager
def started(*arguments: object, cache: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-I", "-u", ROOT / "src", "classify-dir", *map(str, arguments)],
        env={"TENSOR_GUESS_CACHE": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        assert process.stderr
        assert process.stderr.readline().startswith("watching ")
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
@pytest.mark.parametrize("as_json", [False, True])
def test_the_program_tells_each_arrival_and_stops_with_a_sentence(
    trained: Path, tmp_path: Path, cache: Path, number: int, code: int, as_json: bool
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    more = ["--json"] if as_json else []
    options = ("--watch", "--move", "--settle", "300ms", *more)
    with started(trained, source, out, *options, cache=cache) as process:
        assert process.stdout
        for each in pieces(WHOLE):
            with (source / "new\nline.jpg").open("ab") as file:
                file.write(each)
        line = process.stdout.readline()
        (copy,) = out.glob("*.jpg")
        if as_json:
            said = json.loads(line)
            assert (said["image"], said["moved_to"]) == ("new\nline.jpg", copy.name)
            assert max(said["scores"], key=said["scores"].get) == said["label"]
        else:
            assert line == f"'new\\nline.jpg' -> {copy.name}\n"
        assert copy.read_bytes() == WHOLE
        process.send_signal(number)
        printed, said = process.communicate(timeout=2)
        assert (process.returncode, said) == (code, "")
        if as_json:
            assert json.loads(printed)["sorted"] == 1
        else:
            assert printed.startswith(f"1 moved to {out}\n")
    assert tree(source) == {}


@pytest.mark.slow
def test_a_watch_that_is_killed_goes_on(trained: Path, tmp_path: Path, cache: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for photo in PHOTOS[:4]:
        shutil.copy(photo, source)
        with started(trained, source, out, "--watch", "--settle", "200ms", cache=cache) as process:
            assert process.stdout
            assert process.stdout.readline().startswith(f"{photo.name} -> ")
            process.send_signal(signal.SIGKILL)
    copies = sorted(path.read_bytes() for path in out.iterdir() if path.name != MANIFEST)
    assert copies == sorted(photo.read_bytes() for photo in PHOTOS[:4])
