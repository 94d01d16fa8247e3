"""Measure the peak memory of a process, for benches and tests.

On Linux, a process's own `ru_maxrss` is not usable: it outlives `exec`, so a program begins with
the peak of the process that started it. VmHWM in /proc/self/status starts afresh.
"""

import re
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

# A small process in between, so that a program inherits a peak of only a few megabytes.
_BETWEEN = """
import resource, subprocess, sys, time
started = time.perf_counter()
code = subprocess.call(sys.argv[1:])
seconds = time.perf_counter() - started
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(end=f"\\0{code} {seconds} {used.ru_utime + used.ru_stime} {used.ru_maxrss}")
"""


class Ran(NamedTuple):
    """How a program ended, what it printed, and what it used, including its child processes."""

    code: int
    out: str
    err: str
    seconds: float
    processor_seconds: float
    peak: int  # bytes, of its largest process


def ran(command: list[str], env: Mapping[str, str] | None = None) -> Ran:
    """Run the command to its end and measure it."""
    between = [sys.executable, "-I", "-S", "-c", _BETWEEN]
    done = subprocess.run(
        [*between, *command],
        env=env,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=True,
    )
    out, _, measured = done.stdout.rpartition("\0")
    code, seconds, processor_seconds, largest = measured.split()
    unit = 1 if sys.platform == "darwin" else 1024
    return Ran(
        int(code), out, done.stderr, float(seconds), float(processor_seconds), int(largest) * unit
    )


def peak() -> int:
    """Return the peak memory in bytes of this process since it began, or of a child if larger."""
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    if sys.platform != "linux":
        return max(largest, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    for process in ("self", *_children()):
        status = Path(f"/proc/{process}/status").read_text("ascii")
        largest = max(largest, *map(int, re.findall(r"VmHWM:\s*(\d+) kB", status)))
    return largest * 1024


def _children() -> list[str]:
    """Return the ids of the processes that this one started and that live."""
    tasks = Path("/proc/self/task").iterdir()
    return [child for task in tasks for child in (task / "children").read_text().split()]


def growth(code: Callable[..., object], *arguments: object) -> int:
    """Return by how many bytes `code(*arguments)` raises the peak memory of a new process.

    Raise whatever it raises.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_growth, code, arguments).result()


def _growth(code: Callable[..., object], arguments: tuple[object, ...]) -> int:
    before = peak()
    code(*arguments)
    return peak() - before
