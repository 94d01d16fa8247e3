"""Measure what a container adds to a guess: run ./guess.sh with each launcher that works here.

    python bench/container.py [--runs N]

It guesses one photo with a classifier on efficientnet_lite0, and measures whole runs, from the
shell to the last line.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PHOTO = ROOT / "test_data" / "photo01.jpg"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        tf_files = Path(folder) / "tf_files"
        shutil.copytree(ROOT / "tf_files" / "data", tf_files / "data")
        run("local", "train.sh", tf_files, "--backbone", "efficientnet_lite0", "--steps", 100)
        usable = [each for each in ("local", "docker", "podman") if answers(each, tf_files)]
        seconds: dict[str, list[float]] = {launcher: [] for launcher in usable}
        for _ in range(runs):  # by turns, so that other load on the machine affects all of them
            for launcher in usable:
                started = time.perf_counter()
                run(launcher, "guess.sh", tf_files, PHOTO)
                seconds[launcher].append(time.perf_counter() - started)
    print(f"guess.sh, one photo   median of {runs}   fastest   more than local")
    local = statistics.median(seconds["local"])
    for launcher, taken in seconds.items():
        median = statistics.median(taken)
        print(f"{launcher:19} {median:12.2f} s {min(taken):9.2f} s {median - local:14.2f} s")


def answers(launcher: str, tf_files: Path) -> bool:
    """Return whether that launcher works here; if so, its container image exists afterwards."""
    return run(launcher, "guess.sh", tf_files, PHOTO, check=False).returncode == 0


def run(
    launcher: str, script: str, *arguments: object, check: bool = True
) -> subprocess.CompletedProcess[bytes]:
    """Run the script with that launcher, and return how it ended."""
    return subprocess.run(
        [ROOT / script, *map(str, arguments)],
        env={**os.environ, "TENSOR_GUESS_LAUNCHER": launcher},
        capture_output=True,
        check=check,
    )


if __name__ == "__main__":
    main()
