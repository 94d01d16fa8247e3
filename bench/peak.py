"""The most memory that a process has had, for benches and tests.

`ru_maxrss` of a process is no measure of it on Linux: it outlives `exec`, so that a program begins
with the peak of whoever started it. VmHWM in /proc/self/status begins anew.
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

# A small process in between, of which a program can inherit only its own few megabytes.
_BETWEEN = """
import resource, subprocess, sys, time
started = time.perf_counter()
code = subprocess.call(sys.argv[1:])
seconds = time.perf_counter() - started
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(end=f"\\0{code} {seconds} {used.ru_utime + used.ru_stime} {used.ru_maxrss}")
"""


class Ran(NamedTuple):
    """How a program ended, what it said, and what it took together with what it started."""

    code: int
    out: str
    err: str
    seconds: float
    processor_seconds: float
    peak: int  # bytes, of its largest process


def ran(command: list[str], env: Mapping[str, str] | None = None) -> Ran:
    """Run the command to its end, and measure it."""
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
    """The bytes of memory that this process has had at most since it began, or a child of it."""
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    if sys.platform != "linux":
        return max(largest, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    status = Path("/proc/self/status").read_text("ascii")
    return max(largest, int(re.findall(r"VmHWM:\s*(\d+) kB", status)[0])) * 1024


def growth(code: Callable[..., object], *arguments: object) -> int:
    """The bytes that `code(*arguments)` takes at most beyond what there was, in a new process.

    Whatever it raises is raised here.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(_growth, code, arguments).result()


def _growth(code: Callable[..., object], arguments: tuple[object, ...]) -> int:
    before = peak()
    code(*arguments)
    return peak() - before
