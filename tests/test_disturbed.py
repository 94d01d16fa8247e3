"""Sorting in processes of its own: stopped, killed, on small disks, several at once.

No picture is lost, half there or there twice, and the next run completes what was begun.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from made.graphs import LABELS as NAMES
from made.graphs import head_for, record_for
from made.place import ROOT
from made.sorting import Tree, tree
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.config import GRAPH, LABELS, MANIFEST
from tensor_guess.evaluation import story
from tensor_guess.graphs.graph import serialise
from tensor_guess.graphs.own import with_head
from tensor_guess.training.outputs import Outputs, publish_classifier

_PATIENCE = 120  # seconds


@dataclass(frozen=True)
class Place:
    """A classifier with a small network, SRC and DEST; the program at work on them."""

    folder: Path
    cache: Path

    @property
    def source(self) -> Path:
        return self.folder / "in"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def start(self, *command: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-I", "-u", ROOT / "src", *map(str, command)],
            env={"TENSOR_GUESS_CACHE": str(self.cache)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def sort(self, *options: str) -> subprocess.Popen[str]:
        return self.start("classify-dir", self.folder / "tf", self.source, self.out, *options)

    def undo(self) -> subprocess.Popen[str]:
        return self.start("undo", self.out, self.source)

    def now(self) -> tuple[Tree, Tree]:
        return tree(self.source), tree(self.out)


@pytest.fixture
def place(tiny: Backbone, tmp_path: Path, cache: Path) -> Place:
    tf = tmp_path / "tf"
    tf.mkdir()
    record = record_for(tiny)
    graph = serialise(with_head(tiny.graph, head_for(12), record))
    labels = "".join(f"{label}\n" for label in NAMES).encode()
    model = story.written(record, sha256(graph).hexdigest(), {})
    publish_classifier(Outputs(tf / GRAPH, tf / LABELS), graph, labels, model)
    (tmp_path / "in").mkdir()
    return Place(tmp_path, cache)


def bmp(path: Path, number: int, bytes_: int) -> None:
    """Write a picture of about that size: black but for its number, and mostly a hole."""
    side = max(int((bytes_ / 3) ** 0.5) // 4 * 4, 4)
    size = 54 + side * side * 3
    header = b"BM" + size.to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    header += (40).to_bytes(4, "little") + side.to_bytes(4, "little") * 2
    header += (1).to_bytes(2, "little") + (24).to_bytes(2, "little") + bytes(24)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(header + number.to_bytes(4, "little"))
        file.truncate(size)


def noise(folder: Path, many: int) -> None:
    """Pictures of 16 x 16 pixels, whose labels differ."""
    folder.mkdir(exist_ok=True)
    drawn = np.random.default_rng(3)
    for number in range(many):
        pixels = drawn.integers(0, 256, (16, 16, 3), np.uint8) // (1 + number % 5)
        Image.fromarray(pixels).save(folder / f"{number:03}.png")


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Its exit code, and what it said."""
    _, said = process.communicate(timeout=_PATIENCE)
    assert "Traceback" not in said
    return process.returncode, said


def until(process: subprocess.Popen[str], reached: Callable[[], bool]) -> None:
    """Return when that is so, or the process has ended."""
    end = time.monotonic() + _PATIENCE
    while process.poll() is None and not reached():
        assert time.monotonic() < end


def files(folder: Path) -> list[Path]:
    """Finished pictures: neither the manifest nor what is half-written."""
    # os.walk passes over a folder that the program has just removed.
    found = [Path(each, name) for each, _, names in os.walk(folder) for name in names]
    return [path for path in found if path.name != MANIFEST and path.name[0] != "."]


def digests(*folders: Path) -> list[str]:
    found = (sha256(path.read_bytes()).hexdigest() for f in folders for path in files(f))
    return sorted(found)


# --- Ctrl-C


def network_is_loading(process: subprocess.Popen[str]) -> bool:
    try:
        return "openvino" in Path(f"/proc/{process.pid}/maps").read_text()
    except OSError:
        return False


def has_begun(place: Place) -> bool:
    path = place.out / MANIFEST
    return path.exists() and path.stat().st_size > 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows what a process has loaded")
@pytest.mark.parametrize("moment", ["loading", "decoding", "hashing", "committing"])
def test_ctrl_c_ends_within_two_seconds_and_the_next_run_completes(
    place: Place, moment: str
) -> None:
    if moment == "hashing":
        for number in range(2):
            bmp(place.source / f"{number}", number, 260_000_000)
    elif moment == "decoding":
        Image.effect_noise((4912, 3264), 60).convert("RGB").save(place.folder / "one.jpg")
        data = (place.folder / "one.jpg").read_bytes()
        for number in range(12):
            (place.source / f"{number}.jpg").write_bytes(data + bytes([number]))
    else:
        noise(place.source, 300)
    process = place.sort()
    reached = {
        "loading": lambda: network_is_loading(process),
        "committing": lambda: bool(files(place.out)),
    }
    until(process, reached.get(moment, lambda: has_begun(place)))
    assert process.poll() is None, "it ended too early for this test"
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    code, said = ended(process)
    assert (code in (130, -signal.SIGINT), time.monotonic() - start < 2) == (True, True), said
    assert moment != "committing" or "run it again to go on" in said
    assert set(digests(place.out)) <= set(digests(place.source))
    code, said = ended(place.sort())
    assert (code, said) == (0, "")
    assert digests(place.out) == digests(place.source)


# --- SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("kills", [3, pytest.param(100, marks=pytest.mark.long)])
@pytest.mark.parametrize("work", ["sort", "undo"])
@pytest.mark.parametrize("way", ["copy", "move"])
def test_killed_at_random_it_is_completed_as_if_it_had_not_been(
    place: Place, way: str, work: str, kills: int
) -> None:
    chance, many = random.Random(f"{way} {work} {kills}"), 100
    options = ["--layout", "folders", *(["--move"] if way == "move" else [])]
    noise(place.source, many)
    place.out.mkdir()
    (place.out / "mine.png").write_bytes(b"somebody's own")
    states = [place.now()]
    if work == "undo":
        assert ended(place.sort(*options))[0] == 0
        states.insert(0, place.now())
    keep(place.folder, "start")

    def do() -> subprocess.Popen[str]:
        return place.sort(*options) if work == "sort" else place.undo()

    assert ended(do())[0] == 0
    states.insert(1, place.now())  # before and after
    wanted = set(digests(place.source, place.out))
    at_first = len(files(place.folder / "start/out"))
    for _ in range(kills):
        bring_back(place.folder, "start")
        assert place.now() == states[0]
        process, moment = do(), chance.randrange(many)
        for _ in range(chance.randrange(1, 3)):  # some are killed a little later
            until(process, lambda: abs(len(files(place.out)) - at_first) >= moment)  # noqa: B023
        process.kill()
        process.communicate()
        assert set(digests(place.source, place.out)) == wanted, "one is lost or half there"
        code, said = ended(do())
        # What was killed may have been done already.
        assert code == 0 or (work == "undo" and "is undone already" in said), said
        assert place.now() == states[1]
    if work == "sort":
        while ended(place.undo())[0] == 0:  # a run that had ended was run again
            continue
        assert place.now() == states[0]


def keep(folder: Path, name: str) -> None:
    for each in ("in", "out"):
        shutil.copytree(folder / each, folder / name / each)


def bring_back(folder: Path, name: str) -> None:
    for each in ("in", "out"):
        shutil.rmtree(folder / each)
        shutil.copytree(folder / name / each, folder / each)


# --- small disks


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """A function that mounts a disk of so many MB, or makes it that large."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def sized(megabytes: int) -> Path:
        options = f"size={megabytes}m" + (",remount" if os.path.ismount(disk) else "")
        mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
        if os.getuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
            pytest.skip("only root may mount a small disk, and not everywhere")
        return disk

    yield sized
    if os.path.ismount(disk):
        subprocess.run(["umount", disk], check=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "megabytes", [1, 8, *(pytest.param(n, marks=pytest.mark.long) for n in (2, 64))]
)
@pytest.mark.parametrize("way", ["copy", "move"])
def test_a_disk_that_gets_full_is_said_and_the_next_run_completes(
    place: Place, small_disk: Callable[[int], Path], way: str, megabytes: int
) -> None:
    disk = small_disk(megabytes)
    place.out.symlink_to(disk / "out")
    options = ["--move"] if way == "move" else []
    for number in range(30):
        bmp(place.source / f"{number}", number, megabytes * 1_000_000 // 20)
    wanted = digests(place.source)
    code, said = ended(place.sort(*options))
    assert code == 1
    assert said.endswith(": no space left on device\n"), said
    assert len(said.splitlines()) == 1
    there = digests(disk / "out")
    assert 0 < len(there) < 30
    assert set(there) < set(wanted), "a copy is half there"
    assert not list(disk.rglob(".tensor-guess-*")), "what is half-written takes room"
    assert way == "copy" or sorted({*there, *digests(place.source)}) == wanted
    small_disk(megabytes * 3)
    code, said = ended(place.sort(*options))
    assert (code, said) == (0, "")
    assert digests(disk / "out") == wanted
    assert digests(place.source) == (wanted if way == "copy" else [])
    code, said = ended(place.undo())
    assert (code, digests(place.source), digests(disk / "out")) == (0, wanted, []), said


@pytest.mark.slow
def test_moves_whose_old_disk_is_full_by_now_stay_until_there_is_room(
    place: Place, small_disk: Callable[[int], Path]
) -> None:
    disk = small_disk(8)
    place.source.rmdir()
    (disk / "in").mkdir()
    place.source.symlink_to(disk / "in")
    for number in range(12):
        bmp(place.source / f"{number}", number, 500_000)
    wanted = digests(disk / "in")
    assert ended(place.sort("--move"))[0] == 0
    (disk / "mine").write_bytes(bytes(4_000_000))
    code, said = ended(place.undo())
    assert (code, "no space left on device" in said) == (1, True)
    assert sorted({*digests(place.out), *digests(disk / "in")}) == wanted
    (disk / "mine").unlink()
    code, said = ended(place.undo())
    assert (code, digests(disk / "in"), digests(place.out)) == (0, wanted, []), said
    assert not list(disk.rglob(".tensor-guess-*"))


# --- several at once


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [1, pytest.param(5, marks=pytest.mark.long)])
@pytest.mark.parametrize("way", ["copy", "move"])
def test_eight_runs_at_once_sort_each_picture_once(place: Place, way: str, rounds: int) -> None:
    noise(place.source, 100)
    before, wanted = place.now()[0], digests(place.source)
    options = ["--move"] if way == "move" else []
    for _ in range(rounds):
        for process in [place.sort(*options) for _ in range(8)]:
            code, said = ended(process)
            waited = f"another run is at work in {place.out}; waiting for it\n"
            assert (code, said) in ((0, ""), (0, waited))
        assert digests(place.out) == wanted
        assert tree(place.source) == ({} if way == "move" else before)
        lines = map(json.loads, (place.out / MANIFEST).read_text().splitlines())
        told = [line["sha256"] for line in lines if "sha256" in line]
        assert sorted(told)[-100:] == wanted or rounds > 1
        for process in [place.undo() for _ in range(8)]:
            code, said = ended(process)
            assert code == 0 or "is undone already" in said
        assert (tree(place.source), digests(place.out)) == (before, [])


@pytest.mark.slow
def test_sorting_and_undoing_at_once_lose_nothing(place: Place) -> None:
    noise(place.source, 100)
    wanted = digests(place.source)
    for number in count():
        both = [place.sort("--move"), place.undo(), place.sort("--move"), place.undo()]
        assert {ended(process)[0] for process in both} <= {0, 1, 2}
        assert digests(place.source, place.out) == wanted
        if number == 3:
            return
