"""Where things are, and the program: as a process, and in this one."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tensor_guess.commands.main import main

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"

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
            timeout=300,
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
            with pytest.raises(SystemExit) as ended:
                main()
        return subprocess.CompletedProcess(words, int(ended.value.code or 0), *capture.readouterr())

    return call
