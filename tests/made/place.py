"""Where things are, and the program: as a process, and in this one."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from tensor_guess.commands.main import main

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"

_PATIENCE = 300  # seconds

Run = Callable[..., subprocess.CompletedProcess[str]]


def program(cache: Path) -> Run:
    """The program with that cache, in a process of its own."""

    def start(
        *arguments: object, flags: tuple[str, ...] = (), environ: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-I", "-u", "-X", "utf8", *flags, ROOT / "src", *map(str, arguments)],
            env={"TENSOR_GUESS_CACHE": str(cache), "PATH": "/usr/bin:/bin"} | (environ or {}),
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )

    return start


def called(capture: pytest.CaptureFixture[str]) -> Run:
    """The program in this process, which costs no start.

    Not for `fetch-images` and `freeze-module` at work: they take from their process, for good,
    what it may do.
    """

    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        capture.readouterr()
        words = ["tensor-guess", *map(str, arguments)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", words)
            with pytest.raises(SystemExit) as ended, _patient():
                main()
        return subprocess.CompletedProcess(words, int(ended.value.code or 0), *capture.readouterr())

    return call


@contextmanager
def _patient() -> Iterator[None]:
    """Raise TimeoutError in what takes too long, or waits for ever."""

    def give_up(number: int, frame: FrameType | None) -> None:
        raise TimeoutError(f"took more than {_PATIENCE} seconds")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(_PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
