"""The program as a process: how it is started, and its own commands apart from this one.

Those are bounded, and ended when this process ends.
"""

import os
import selectors
import site
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tensor_guess.config import INSTALLED, SOURCE
from tensor_guess.errors import reason_of
from tensor_guess.system import progress
from tensor_guess.system.confinement import STARTED_BY

# Bytes that a command may write to stderr.
_MOST_SAID = 1_000_000
_CHUNK = 1 << 20


class Failed(Exception):
    """Why a command did not end by itself, as the end of a sentence."""


@dataclass(frozen=True)
class Done:
    """How a command ended: its exit code, and what it wrote to stdout and stderr if captured."""

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
    """Run the command, which sees nothing of this process but `environ`; return how it ended.

    `home`: the folder for its own files. `most`: how many bytes it may write to stdout; if None,
    its stdout is discarded and its stderr is this process's. Raise Failed if it takes longer than
    `seconds`, writes more than `most`, or cannot be started. It never outlives this call.
    """
    own = {"HOME": str(home), "TMPDIR": str(home), STARTED_BY: str(os.getpid())}
    end = time.monotonic() + seconds
    progress.detail(f"starting a process of its own: {command[0]}")
    try:
        process = subprocess.Popen(
            [*_program(), command[0], *_voice(), *command[1:]],
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


def become_the_program() -> NoReturn:
    """Do what the clone's `tensor-guess` does: what pip installs as `tensor-guess` calls this."""
    if str(SOURCE) == site.getusersitepackages():
        sys.exit(
            "tensor-guess: it needs an environment of its own, which `pip install --user` does not "
            "make; use `pipx install tensor-guess`, or a venv"
        )
    os.execv(sys.executable, [*_program(), *sys.argv[1:]])


def _program() -> list[str]:
    """Return the command for the program, in a clone or as pip installed it: isolated and UTF-8."""
    where = ["-m", "tensor_guess"] if INSTALLED else [str(SOURCE)]
    return [sys.executable, "-I", "-u", "-X", "utf8", *where]


def _voice() -> list[str]:
    """Return the option by which a command says as little or as much as this process."""
    return [option] if (option := progress.voice().value) else []


def _written(process: subprocess.Popen[bytes], most: int, end: float) -> tuple[bytes, bytes]:
    """Return what it wrote to stdout and stderr until it closed them. Raise as `run` does."""
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
                    raise Failed("it wrote more than expected")
                if not part:
                    selector.unregister(key.fileobj)
    return b"".join(parts[0]), b"".join(parts[1])
