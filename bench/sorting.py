"""Measure how fast a folder is sorted, compared with a script that uses Keras and tf.data.

    python bench/sorting.py DISK MEMORY [--runs N] [--many N]

DISK and MEMORY are folders on a disk and in memory. The pictures are the sample ones, each made
unique by a comment in the file. The table shows the seconds of whole processes (medians; the kinds
run by turns), milliseconds per picture, and the ratios that matter.
"""

import argparse
import io
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = [sys.executable, "-I", "-u", "-X", "utf8", str(ROOT / "src")]
SMALL, LARGE = (320, 240), (4912, 3264)

KERAS = """
import os, shutil, sys, keras, tensorflow as tf
source, out = sys.argv[1:]
paths = sorted(os.path.join(source, name) for name in os.listdir(source))
network = keras.applications.MobileNetV2(weights=None, classes=2)
def load(path):
    image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
    return tf.image.resize(image, (224, 224)) / 127.5 - 1
pictures = tf.data.Dataset.from_tensor_slices(paths).map(load, tf.data.AUTOTUNE)
scores = network.predict(pictures.batch(32).prefetch(tf.data.AUTOTUNE), verbose=0)
os.makedirs(out)
for number, (path, row) in enumerate(zip(paths, scores)):
    shutil.copy(path, os.path.join(out, f"{row.argmax()}-{row.max():.5f}-{number}.jpg"))
"""


def main() -> None:
    """Train a classifier to sort with, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("disk", type=Path)
    parser.add_argument("memory", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--many", type=int, default=20_000)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(dir=given.disk) as disk,
        tempfile.TemporaryDirectory(dir=given.memory) as memory,
    ):
        os.environ["TENSOR_GUESS_CACHE"] = f"{disk}/cache"
        shutil.copytree(ROOT / "tf_files/data", f"{disk}/tf_files/data")
        train = [*PROGRAM, "train", f"{disk}/tf_files", "--backbone", "efficientnet_lite0"]
        subprocess.run(train, check=True, capture_output=True)
        measure(Path(disk), Path(memory), given.runs, given.many)


def measure(disk: Path, memory: Path, runs: int, many: int) -> None:
    """Print a table for each question."""
    one = sorted((disk / "tf_files/data").rglob("*.jpg"))[:1]
    several = sorted((disk / "tf_files/data").rglob("*.jpg"))
    make(memory / "few", one, 200, SMALL)
    make(memory / "many", one, many, SMALL)
    make(memory / "small", several, 2000, SMALL)
    make(memory / "large", several, 40, LARGE)

    def sorting(source: str, to: Path) -> Callable[[], float]:
        command = [*PROGRAM, "classify-dir", str(disk / "tf_files"), str(memory / source)]
        return lambda: seconds(command, to / "sorted")

    def keras(source: str) -> Callable[[], float]:
        command = [sys.executable, "-c", KERAS, str(memory / source)]
        return lambda: seconds(command, disk / "sorted")

    print(f"{'':44}  pictures  seconds  ms a picture   (median of {runs})")
    few, lots = table(
        [
            ("one score for all, to a disk", 200, sorting("few", disk)),
            ("one score for all, to a disk", many, sorting("many", disk)),
        ],
        1 if many > 5000 else runs,
    )
    print(f"  {many} cost, per picture, {lots / many / (few / 200):.2f} of what 200 do")
    to_disk, to_memory, _ = table(
        [
            ("small pictures, to a disk", 2000, sorting("small", disk)),
            ("small pictures, to memory", 2000, sorting("small", memory)),
            ("  Keras, tf.data, shutil.copy, to a disk", 2000, keras("small")),
        ],
        runs,
    )
    print(f"  to a disk at {to_memory / to_disk:.2f} of the rate to memory")
    table(
        [
            ("photos of 16 Mpx, to a disk", 40, sorting("large", disk)),
            ("  Keras, tf.data, shutil.copy, to a disk", 40, keras("large")),
        ],
        runs,
    )


def table(rows: list[tuple[str, int, Callable[[], float]]], runs: int) -> list[float]:
    """Run the rows by turns, print the median seconds of each, and return them."""
    taken: list[list[float]] = [[] for _ in rows]
    for _ in range(runs):
        for (_, _, run), times in zip(rows, taken, strict=True):
            times.append(run())
    medians = [statistics.median(times) for times in taken]
    for (what, count, _), median in zip(rows, medians, strict=True):
        print(f"{what:44}  {count:8}  {median:7.2f}  {1000 * median / count:12.2f}", flush=True)
    return medians


def make(folder: Path, samples: list[Path], count: int, size: tuple[int, int]) -> None:
    """Fill the folder with `count` different JPEGs of that size."""
    folder.mkdir()
    drawn = []
    for path in samples[: min(count, 20)]:
        file = io.BytesIO()
        with Image.open(path) as image:
            image.convert("RGB").resize(size).save(file, "JPEG", quality=90)
        drawn.append(file.getvalue())
    for number in range(count):
        data = drawn[number % len(drawn)]
        comment = b"\xff\xfe\0\x08" + b"%06d" % number
        (folder / f"{number:06}.jpg").write_bytes(data[:2] + comment + data[2:])


def seconds(command: list[str], destination: Path) -> float:
    """Return how long the command takes to fill `destination`, and remove that again."""
    start = time.perf_counter()
    subprocess.run([*command, str(destination)], check=True, capture_output=True)
    taken = time.perf_counter() - start
    shutil.rmtree(destination)
    return taken


if __name__ == "__main__":
    main()
