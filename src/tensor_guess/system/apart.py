"""The program's own commands as processes apart: bounded, and gone when this one is."""

import os
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tensor_guess.config import SOURCE
from tensor_guess.errors import reason_of
from tensor_guess.system.confinement import STARTED_BY

# What a command has to say on stderr.
_MOST_SAID = 1_000_000
_CHUNK = 1 << 20


class Failed(Exception):
    """Why a command came to no end of its own, as the end of a sentence."""


@dataclass(frozen=True)
class Done:
    """How a command ended: its exit code, and what it wrote to stdout and stderr, if captured."""

    code: int
    output: bytes = b""
    said: bytes = b""


def run(
    command: Sequence[str],
    home: Path,
    *,
    seconds: float,
    most: int | None = None,
    environ: Mapping[str, str] | None = None,
) -> Done:
    """How the command ended, which saw nothing of this process but `environ`.

    `home`: where it may keep what it needs. `most`: how many bytes it may write to stdout; None:
    that is dropped, and its stderr is this process's. Raises Failed where it takes longer than
    `seconds`, writes more, or cannot be started. Whatever happens, it is not there afterwards.
    """
    own = {"HOME": str(home), "TMPDIR": str(home), STARTED_BY: str(os.getpid())}
    end = time.monotonic() + seconds
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-u", "-X", "utf8", str(SOURCE), *command],
            env={**own, **(environ or {})},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if most is None else subprocess.PIPE,
            stderr=None if most is None else subprocess.PIPE,
        )
    except OSError as error:
        raise Failed(f"no process could be started: {reason_of(error)}") from error
    with process:
        try:
            written = () if most is None else _written(process, most, end)
            return Done(process.wait(max(0, end - time.monotonic())), *written)
        except subprocess.TimeoutExpired as error:
            raise Failed(f"it took more than {seconds:g} seconds") from error
        finally:
            process.kill()


def _written(process: subprocess.Popen[bytes], most: int, end: float) -> tuple[bytes, bytes]:
    """What it wrote to stdout and stderr until it closed them. Raises as `run`."""
    assert process.stdout
    assert process.stderr
    parts: tuple[list[bytes], list[bytes]] = ([], [])
    left = [most, _MOST_SAID]
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ, 0)
        selector.register(process.stderr, selectors.EVENT_READ, 1)
        while selector.get_map():
            ready = selector.select(max(0, end - time.monotonic()))
            if not ready:
                raise subprocess.TimeoutExpired(process.args, 0)
            for key, _ in ready:
                part = os.read(key.fd, _CHUNK)
                parts[key.data].append(part)
                left[key.data] -= len(part)
                if left[key.data] < 0:
                    raise Failed("it wrote more than it can have to say")
                if not part:
                    selector.unregister(key.fileobj)
    return b"".join(parts[0]), b"".join(parts[1])
