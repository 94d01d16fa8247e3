"""Whole jobs, killed, on a full disk or on a bad one, at every step: nothing is lost or spoilt.

Through the public door, with real networks, in forks of a process that has imported everything.
"""

import json
import os
import re
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from importlib import import_module
from itertools import count
from pathlib import Path
from signal import SIGKILL

import pytest
from PIL import Image

from made.graphs import LABELS as OLD
from made.graphs import head_for, record_for
from made.sorting import tree
from made.steps import (
    alone,
    bad_at,
    die_at,
    ended_of,
    full_from,
    reached,
    unreadable_at,
    watch_for_others,
)
from made.taught import handed_on
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.config import GRAPH, LABELS, MANIFEST, RECORD
from tensor_guess.evaluation import story
from tensor_guess.graphs.graph import serialise
from tensor_guess.graphs.own import with_head
from tensor_guess.reporting.report import template
from tensor_guess.training.outputs import Outputs, publish_classifier

CATEGORIES = ("dark_knight", "snow_queen")
NEW = ("dark knight", "snow queen")
OURS = (GRAPH, LABELS, RECORD)
OWN = "elsa-1.00000.png"  # somebody's own file, that has the name of a copy
HOWS: dict[str, Callable[[int], None]] = {
    "killed": die_at,
    "full": full_from,
    "unreadable": unreadable_at,
    "bad": bad_at,
}
# In temporary names, and in a run's header: another one each time.
RANDOM = re.compile(
    rb"(?<=\.tensor-guess-)[0-9a-f]+|(?<=\"run\": \")[0-9a-f]{16}"
    rb"|(?<=\"by\": \")[0-9a-f]{16}|(?<=\"ended\": \")[0-9a-f]{16}"
)
NUMBER = re.compile(r"(-\d\.\d{5})-\d+(?=\.)")

State = dict[str, bytes]


@dataclass(frozen=True)
class Job:
    """A command, what holds after any interruption, and what is there in the end.

    It runs in a folder with `tf`, an old classifier, and `made`, for what it makes. Beside that are
    `photos` in two categories and `unsorted` ones.
    """

    command: tuple[str, ...]
    check: Callable[[Path], None]
    result: Callable[[Path], object]
    once: bool = False  # what it has made is not made again


# --- what holds at any moment, and what is there in the end


def guesses(work: Path) -> None:
    """Guessing works, by the old classifier or by the new one."""
    code, said = program(work, "guess", "tf", "../unsorted/0.png")
    assert code == 0, said
    labels = {line.partition(" (score")[0] for line in said.splitlines() if "(score" in line}
    assert labels in (set(OLD), set(NEW)), said


def classifier(work: Path) -> object:
    return [(work / "tf" / name).read_bytes() for name in OURS]


def copies(work: Path) -> dict[str, str]:
    """The SHA-256 of each file in DEST."""
    return {
        path.name: sha256(path.read_bytes()).hexdigest()
        for path in (work / "made").iterdir()
        if path.name != MANIFEST and not path.name.startswith(".")
    }


def told(work: Path) -> dict[str, str]:
    """What the manifest says of it; its last line may be half a line."""
    path = work / "made" / MANIFEST
    *lines, _ = path.read_bytes().split(b"\n") if path.exists() else [b""]
    found = [json.loads(line) for line in lines if line]
    return {line["copied_to"]: line["sha256"] for line in found if "copied_to" in line}


def manifest_is_true(work: Path) -> None:
    there = copies(work)
    assert told(work).items() <= there.items(), "a line is told before its copy is there"
    assert there.pop(OWN) == sha256(b"somebody's own").hexdigest()
    photos = {sha256(path.read_bytes()).hexdigest() for path in (work / "../unsorted").iterdir()}
    assert set(there.values()) <= photos, "a copy is half a picture"


def sorted_copies(work: Path) -> object:
    there = copies(work)
    assert there.keys() - told(work).keys() == {OWN}, "a copy is not told of"
    assert len(set(there.values())) == len(there), "a picture is there twice"
    # A picture that was left out at first has a later number.
    return {(NUMBER.sub(r"\1", name), digest) for name, digest in there.items()}


def whole_or_not_there(work: Path) -> None:
    if (work / "made/out").exists():
        made(work)


def made(work: Path) -> object:
    path = work / "made/out"
    # OpenVINO's own files differ from run to run.
    return path.read_bytes() if path.is_file() else sorted(each.name for each in path.iterdir())


JOBS = {
    "train": Job(("train", "tf", "--image-dir", "../photos", "--steps", "20"), guesses, classifier),
    "classify-dir": Job(
        ("classify-dir", "tf", "../unsorted", "made"), manifest_is_true, sorted_copies
    ),
    "share": Job(("share", "tf", "made/out"), whole_or_not_there, made, once=True),
    "merge": Job(("merge", "../me.zip", "../you.zip", "tf"), guesses, classifier),
    "export": Job(
        ("export", "tf", "made/out", "--format", "openvino", "--pictures", "../photos"),
        whole_or_not_there,
        made,
        once=True,
    ),
}


# --- how they are run


def warm_up() -> None:
    """Import what the jobs do, so that each fork has it. No network is computed here."""
    sys.modules["openvino.tools.ovc"] = None  # type: ignore[assignment]  # as src/__main__.py
    for module in ("commands.main", "guessing.guess", "sorting.sort", "exporting.export",
                   "sharing.share", "sharing.merge", "exporting.to_openvino", "sorting.undo",
                   "training.train"):  # fmt: skip
        import_module(f"tensor_guess.{module}")
    template()
    real = time.time_ns
    time.time_ns = lambda: real() + 60 * 10**9  # pictures made just now count as old


def program(work: Path, *command: str, first: Callable[[], object] = bool) -> tuple[int, str]:
    """Exit code and both streams of the program, which a fork runs in `work` after `first`."""
    from tensor_guess.commands.main import main

    said = work.parent / "said"

    def run() -> None:
        os.chdir(work)
        handle = os.open(said, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        sys.argv = ["tensor-guess", *command]
        first()
        try:
            main()
        except Exception:
            traceback.print_exc()
            raise

    return ended_of(run), said.read_text()


def state(folder: Path) -> State:
    """What is on the disk, as far as a later run could tell: names, and digests of bytes."""
    found = {}
    for path in folder.rglob("*"):
        data = b"" if path.is_dir() else path.read_bytes()
        if path.name == "seen":  # has inodes in it
            data = b"%d" % len(data)
        name = os.fsdecode(RANDOM.sub(b"", bytes(path.relative_to(folder))))
        found[name] = sha256(RANDOM.sub(b"", data)).digest()
    return found


def interrupted(job: Job, folder: Path, how: str, stride: int) -> Iterator[tuple[Path, str]]:
    """The folder as it is after each `stride`th step, if not as after another, and what was said.

    Where no step was reached any more, the last.
    """
    work, seen = folder / "work", list[State]()
    for nth in count(1, stride):
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(folder / "start", work)
        code, said = program(work, *job.command, first=partial(HOWS[how], nth))
        came_through = not reached()
        assert code in ((0, -SIGKILL) if how == "killed" else (0, 1, 2, 3)), said
        assert code == 0 or not came_through, said
        assert "Traceback" not in said, said
        assert (code in (1, 2)) == ("tensor-guess: " in said), said
        now = state(work)
        if now not in seen:
            seen.append(now)
            yield work, f"step {nth}: {said}"
        if came_through:
            assert nth > 3
            return


def spoils_nothing(job: Job, folder: Path, how: str, stride: int) -> None:
    """Interrupt it at these steps; after each, all that was there is, and a rerun completes."""
    warm_up()
    sources = [state(folder / name) for name in ("photos", "unsorted", "start/tf")]
    shutil.copytree(folder / "start", folder / "work")
    first = partial(watch_for_others, folder / "work")
    code, said = program(folder / "work", *job.command, first=first)
    assert code == 0, said
    wanted = job.result(folder / "work")
    for work, said in interrupted(job, folder, how, stride):
        if how in ("full", "unreadable"):  # a bad disk may refuse to remove them
            assert not list(work.rglob(".*")), said
        tf = "start/tf" if job.result is classifier else "work/tf"
        assert [state(folder / name) for name in ("photos", "unsorted", tf)] == sources, said
        job.check(work)
        if not (job.once and (work / "made/out").exists()):
            code, again = program(work, *job.command)
            assert code == 0, said + again
        assert job.result(work) == wanted, said


MOVE = ("classify-dir", "tf", "in", "made", "--move", "--layout", "folders")
UNDO = ("undo", "made", "in")


def moves_lose_nothing(folder: Path, command: tuple[str, ...], stride: int) -> None:
    """Kill a move, or its undoing, at each `stride`th step: then go on, and take all back."""
    warm_up()
    start, work = folder / "start", folder / "work"
    shutil.copytree(folder / "unsorted", start / "in")
    first = tree(start / "in"), tree(start / "made")
    shutil.copytree(start, work)
    assert program(work, *MOVE)[0] == 0
    moved = tree(work / "in"), tree(work / "made")
    assert len(moved[1]) - len(first[1]) > len(first[0])
    assert not moved[0]
    if command == UNDO:
        shutil.rmtree(start)
        work.rename(start)
    for nth in count(1, stride):
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(start, work)
        code, said = program(work, *command, first=partial(die_at, nth))
        came_through = not reached()
        assert code == (0 if came_through else -SIGKILL), said
        if command == MOVE:
            code, said = program(work, *MOVE)
            assert (code, tree(work / "in"), tree(work / "made")) == (0, *moved), said
        while code != 1:
            code, said = program(work, *UNDO)
            assert code == 0 or "is undone already" in said, said
        assert (tree(work / "in"), tree(work / "made")) == first
        if came_through:
            assert nth > 15
            return


@pytest.mark.slow
@pytest.mark.parametrize("stride", [7, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize("command", [MOVE, UNDO], ids=["move", "undo"])
def test_moves_killed_at_any_step_go_on_and_are_undone(
    folder: Path, command: tuple[str, ...], stride: int
) -> None:
    alone(moves_lose_nothing, folder, command, stride)


@pytest.fixture
def folder(tiny: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photos, an old classifier with a small network, and a folder with somebody's own file."""
    start = tmp_path / "start"
    for each in (start / "tf", start / "made", tmp_path / "tmp"):
        each.mkdir(parents=True)
    add_photos(tmp_path, 4, 4)
    record = record_for(tiny)
    graph = serialise(with_head(tiny.graph, head_for(12), record))
    labels = "".join(f"{label}\n" for label in OLD).encode()
    model = story.written(record, sha256(graph).hexdigest(), {})
    publish_classifier(Outputs(start / "tf" / GRAPH, start / "tf" / LABELS), graph, labels, model)
    (start / "made" / OWN).write_bytes(b"somebody's own")
    for number, who in enumerate(("me", "you")):
        own = {category: [2 * k + number] for k, category in enumerate(CATEGORIES)}
        handed_on(tmp_path / who, tiny, own)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    return tmp_path


def add_photos(folder: Path, photos: int, unsorted: int) -> None:
    """Make so many pictures there, each of another colour."""
    paths = [f"photos/{CATEGORIES[number % 2]}/{number}.png" for number in range(photos)]
    paths += [f"unsorted/{number}.png" for number in range(unsorted)]
    for number, path in enumerate(paths):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        colour = (number * 53 % 256, number * 97 % 256, number * 151 % 256)
        Image.new("RGB", (20, 16), colour).save(folder / path)


@pytest.mark.slow
@pytest.mark.parametrize("stride", [5, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    ("job", "how"),
    [
        ("train", "killed"),
        pytest.param("train", "full", marks=pytest.mark.long),
        ("train", "unreadable"),
        ("classify-dir", "killed"),
        ("classify-dir", "full"),
        ("classify-dir", "unreadable"),
        ("share", "killed"),
        ("share", "full"),
        ("merge", "killed"),
        pytest.param("merge", "full", marks=pytest.mark.long),
    ],
)
def test_a_job_interrupted_at_any_step_spoils_nothing_and_completes_later(
    folder: Path, job: str, how: str, stride: int
) -> None:
    alone(spoils_nothing, JOBS[job], folder, how, stride)


@pytest.mark.long
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("job", JOBS)
def test_large_jobs_too(folder: Path, job: str, how: str) -> None:
    add_photos(folder, 24, 36)  # more copies than share one sync of the folder
    found = JOBS[job]
    if job == "train":
        more = ("--intermediate_store_frequency=10", "--intermediate_output_graphs_dir=tf/between")
        found = replace(found, command=(*found.command, *more))
    alone(spoils_nothing, found, folder, how, 1)
