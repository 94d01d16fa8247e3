"""Where things are, and the program as a process."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

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
