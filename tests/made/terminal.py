"""A terminal whose screen a test can read."""

import os
import pty
import subprocess
from collections.abc import Sequence


def on_terminal(
    command: Sequence[object],
    environ: dict[str, str],
    *,
    stdout: bool = False,
    codes: Sequence[int] = (0,),
) -> tuple[str, str]:
    """Return what a command prints, and what it draws on a terminal of 80 columns: its stderr.

    `stdout`: that is drawn too. `codes`: those with which it may end.
    """
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [str(each) for each in command],
            env={"TERM": "xterm", "COLUMNS": "80", **environ},
            stdout=theirs if stdout else subprocess.PIPE,
            stderr=theirs,
            text=True,
        )
        os.close(theirs)
        drawn = b""
        try:
            while read := os.read(ours, 65536):
                drawn += read
        except OSError:  # the terminal's other end is closed
            pass
        printed, _ = process.communicate(timeout=60)
    finally:
        os.close(ours)
    assert process.returncode in codes, drawn.decode()
    return printed or "", drawn.decode()
