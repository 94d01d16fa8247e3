"""What a container adds to a guess: ./guess.sh with each launcher that answers here.

    python bench/container.py [--runs N]

One photo, a classifier on efficientnet_lite0; whole runs, from the shell to the last line.
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
    """The table, on stdout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        tf_files = Path(folder) / "tf_files"
        shutil.copytree(ROOT / "tf_files" / "data", tf_files / "data")
        run("local", "train.sh", tf_files, "--backbone", "efficientnet_lite0", "--steps", 100)
        usable = [each for each in ("local", "docker", "podman") if answers(each, tf_files)]
        seconds: dict[str, list[float]] = {launcher: [] for launcher in usable}
        for _ in range(runs):  # in turns: what else the machine does hits all of them
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
    """Whether that launcher works here; its image is there afterwards."""
    return run(launcher, "guess.sh", tf_files, PHOTO, check=False).returncode == 0


def run(
    launcher: str, script: str, *arguments: object, check: bool = True
) -> subprocess.CompletedProcess[bytes]:
    """How the script ended."""
    return subprocess.run(
        [ROOT / script, *map(str, arguments)],
        env={**os.environ, "TENSOR_GUESS_LAUNCHER": launcher},
        capture_output=True,
        check=check,
    )


if __name__ == "__main__":
    main()
