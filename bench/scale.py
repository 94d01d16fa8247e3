"""Measure what many machines cost: the work that Dask adds, and what its scheduler needs.

    python bench/scale.py DISK MEMORY [--runs N]
    python bench/scale.py --scheduler [N]

DISK and MEMORY are folders on a disk and in memory. The pictures are the sample ones, each made
unique by a comment in the file; the network is a real one. They are sorted by one process alone,
and by a scheduler's workers on this machine, by turns; rates are medians, of a whole process and of
its pictures alone: without the time that one picture takes. The program's own CPU time is what
bounds how many workers it can keep busy. With --scheduler, workers that look at
nothing have N pictures (1,000,000) three times, and the scheduler's memory is printed.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count, islice
from pathlib import Path
from typing import NamedTuple

import sorting
import stub
from peak import Ran, ran

ROOT = Path(__file__).resolve().parent.parent
PICTURES = 2000
RUNS = 3
PATIENCE = 60  # seconds

# What a worker runs before its tasks: it says of each file what it would say of a picture.
LOOKS_AT_NOTHING = """
import hashlib, os
import numpy as np
from tensor_guess.images.encoded import Picture
from tensor_guess.spreading import looking

ROW = np.array([0.25, 0.75], np.float32)
STATUS = os.stat_result((0,) * 10)


def look(job, paths):
    keys = (hashlib.sha256(os.fsencode(path)).digest() for path in paths)
    return [looking.Found(Picture(b"", "JPEG", key, STATUS), ROW) for key in keys]


looking.look = look
"""


def main() -> None:
    """Print one of the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("disk", type=Path, nargs="?")
    parser.add_argument("memory", type=Path, nargs="?")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--scheduler", type=int, nargs="?", const=1_000_000)
    given = parser.parse_args()
    with ExitStack() as stack:
        disk, memory = (
            Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder)))
            for folder in (given.disk, given.memory)
        )
        os.environ["TENSOR_GUESS_CACHE"] = str(disk / "cache")
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        if given.scheduler:
            scheduler(disk, given.scheduler)
        else:
            speed(disk, memory, given.runs)


def speed(disk: Path, memory: Path, runs: int) -> None:
    """Print the rates, and what workers add."""
    shutil.copytree(ROOT / "tf_files/data", disk / "tf_files/data")
    train = [*sorting.PROGRAM, "train", str(disk / "tf_files"), "--backbone", "efficientnet_lite0"]
    subprocess.run(train, check=True, capture_output=True)
    samples = sorted((disk / "tf_files/data").rglob("*.jpg"))
    sorting.make(memory / "all", samples, PICTURES, sorting.SMALL)
    (memory / "one").mkdir()
    shutil.copy(memory / "all" / "000000.jpg", memory / "one")
    with cluster(disk / "1", 1) as one_worker, cluster(disk / "2", 2) as two_workers:
        kinds: dict[str, list[str]] = {
            "alone": [],
            "one worker": ["--scheduler", one_worker.address],
            "two workers": ["--scheduler", two_workers.address],
        }
        taken: dict[str, tuple[list[Ran], list[Ran]]] = {name: ([], []) for name in kinds}
        for _ in range(runs):
            for name, options in kinds.items():
                for several, folder in zip(taken[name], ("all", "one"), strict=True):
                    command = [*sorting.PROGRAM, "classify-dir", str(disk / "tf_files"), *options]
                    several.append(ran([*command, str(memory / folder), str(memory / "sorted")]))
                    assert not several[-1].code, several[-1].err
                    shutil.rmtree(memory / "sorted")
    print(
        f"{'':12} pictures  seconds  whole a second  pictures a second  its own CPU ms a picture   "
        f"(median of {runs})"
    )
    rates = []
    for name, (all_, single) in taken.items():
        whole, one = (statistics.median(each.seconds for each in some) for some in (all_, single))
        used = [
            statistics.median(each.processor_seconds for each in some) for some in (all_, single)
        ]
        rates.append((PICTURES / whole, (PICTURES - 1) / (whole - one)))
        own = 1000 * (used[0] - used[1]) / (PICTURES - 1)
        print(
            f"{name:12} {PICTURES:8} {whole:8.2f} {rates[-1][0]:15.1f} {rates[-1][1]:18.1f} "
            f"{own:25.2f}"
        )
    for name, rate in zip(list(kinds)[1:], rates[1:], strict=True):
        added = [100 * (alone / each - 1) for alone, each in zip(rates[0], rate, strict=True)]
        print(f"{name} adds: whole {added[0]:.1f} %, pictures {added[1]:.1f} %")


def scheduler(disk: Path, pictures: int) -> None:
    """Print what the scheduler needs for so many pictures, three times."""
    from tensor_guess.guessing.loading import load
    from tensor_guess.spreading import cluster as spreading
    from tensor_guess.spreading import looking
    from tensor_guess.spreading.machines import Machines
    from tensor_guess.spreading.shared import shared
    from tensor_guess.spreading.tasks import Task

    recipe = load(stub.classifier(disk / "stub.pb")).recipe()
    preload = disk / "preload.py"
    preload.write_text(LOOKS_AT_NOTHING)
    os.environ["DASK_DISTRIBUTED__WORKER__PRELOAD"] = str(preload)
    print("run  pictures  seconds  scheduler: MB before  MB after  MB at most", flush=True)
    with cluster(disk / "two", 2) as (address, process):
        for run in range(1, RUNS + 1):
            before, started = memory_of(process, "VmRSS"), time.perf_counter()
            with (
                spreading.connected(Machines(address)) as workers,
                shared(disk / "job", recipe, ()) as job,
            ):
                workers.check(job)
                names = (
                    Path(f"/pictures/{number // 1000:04}/{number:07}.jpg") for number in count()
                )
                task = Task("guesses", looking.look, job)
                done = 0
                for _, found in workers.run(task, islice(names, pictures)):
                    assert found
                    done += len(found)
            assert done == pictures
            print(
                f"{run:3} {done:9} {time.perf_counter() - started:8.1f} {before:21.0f} "
                f"{memory_of(process, 'VmRSS'):9.0f} {memory_of(process, 'VmHWM'):11.0f}",
                flush=True,
            )


class Scheduler(NamedTuple):
    """Where one answers, and its process."""

    address: str
    process: int


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[Scheduler]:
    """Yield a scheduler with so many workers, each a process as users start it."""
    folder.mkdir()
    said = folder / "scheduler.json"
    start = [
        sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1",
        "--port", "0", "--no-dashboard", "--dashboard-address", "127.0.0.1:0",
        "--scheduler-file", str(said),
    ]  # fmt: skip
    processes = [subprocess.Popen(start, stderr=subprocess.DEVNULL)]
    try:
        address = _address(said)
        for _ in range(workers):
            worker = [*sorting.PROGRAM, "worker", address]
            processes.append(subprocess.Popen(worker, stderr=subprocess.PIPE))
            assert processes[-1].stderr
            assert processes[-1].stderr.readline().startswith(b"ready for ")
        yield Scheduler(address, processes[0].pid)
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait()


def _address(said: Path) -> str:
    end = time.monotonic() + PATIENCE
    while not said.exists() or not said.stat().st_size:
        if time.monotonic() > end:
            raise TimeoutError("the scheduler did not start")
        time.sleep(0.1)
    address: str = json.loads(said.read_text())["address"]
    return address


def memory_of(process: int, line: str) -> float:
    """Return what the system says of a process's memory, in MB."""
    status = Path(f"/proc/{process}/status").read_text()
    (found,) = (each for each in status.splitlines() if each.startswith(f"{line}:"))
    return int(found.split()[1]) / 1000


if __name__ == "__main__":
    main()
