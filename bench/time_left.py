"""Measure how true the time is that is left according to the bar, while a folder is sorted.

    python bench/time_left.py DISK [--count N]

DISK is a folder to work in. The pictures are the sample ones, small, each made unique by a comment
in the file. For each share that is done, the table shows the time left by the bar, the time that it
really took from there to the end of the process, and their ratio.
"""

import argparse
import os
import pty
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from sorting import PROGRAM, ROOT, SMALL, make

_SHOWN = re.compile(r"(\d+)/\d+ [^/]*/s +(\d+):(\d\d):(\d\d)")
_SHARES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9)


def main() -> None:
    """Train a classifier to sort with, sort on a terminal, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("disk", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.disk) as folder:
        disk = Path(folder)
        os.environ["TENSOR_GUESS_CACHE"] = f"{disk}/cache"
        shutil.copytree(ROOT / "tf_files/data", disk / "tf_files/data")
        train = [*PROGRAM, "train", f"{disk}/tf_files", "--backbone", "efficientnet_lite0"]
        subprocess.run(train, check=True, capture_output=True)
        make(disk / "in", sorted((disk / "tf_files/data").rglob("*.jpg")), given.count, SMALL)
        command = [
            *PROGRAM,
            "classify-dir",
            *(f"{disk}/{each}" for each in ("tf_files", "in", "out")),
        ]
        drawn, end = watched(command)
    print("  done  left by the bar  in truth  ratio")
    for share in _SHARES:
        at, left = next((at, left) for at, done, left in drawn if done >= share * given.count)
        print(f"{share:6.0%}  {left:15}  {end - at:8.1f}  {left / (end - at):5.2f}")


def watched(command: list[str]) -> tuple[list[tuple[float, int, int]], float]:
    """Return when the bar showed how much was done and how many seconds were left; and the end."""
    ours, theirs = pty.openpty()
    environ = os.environ | {"TERM": "xterm", "COLUMNS": "100", "NO_COLOR": "1"}
    start, drawn, text = time.monotonic(), [], ""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, env=environ)
    os.close(theirs)
    try:
        while read := os.read(ours, 65536):
            text = (text + read.decode(errors="replace"))[-4000:]
            for done, hours, minutes, seconds in _SHOWN.findall(text)[-1:]:
                left = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
                drawn.append((time.monotonic() - start, int(done), left))
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(ours)
    process.wait()
    return drawn, time.monotonic() - start


if __name__ == "__main__":
    main()
