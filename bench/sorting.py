"""Measure how fast a folder is sorted, compared with a script that uses Keras and tf.data.

    python bench/sorting.py DISK MEMORY [--runs N] [--scale [N]]

DISK and MEMORY are folders on a disk and in memory. The pictures are the sample ones, each made
unique by a comment in the file. Rates are medians; the kinds run by turns. There is the rate of a
whole process, and that of its pictures alone: without the time that one picture takes. The script's
network is the same, with the same weights. With --scale, a stub takes the network's place: N tiny
files (100,000) are sorted, then sorted again, then 10 N names of one file.
"""

import argparse
import io
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image

import stub
from peak import ran

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = [sys.executable, "-I", "-u", "-X", "utf8", str(ROOT / "src")]
SMALL, LARGE, TINY = (300, 200), (4912, 3264), (16, 16)

KERAS = f"""
import os, shutil, sys
sys.path[:0] = [{str(ROOT / "src")!r}, {str(ROOT / "bench")!r}]
import keras, tensorflow as tf
from keras_lite0 import SIZE, Lite0
source, out = sys.argv[1:]
paths = sorted(os.path.join(source, name) for name in os.listdir(source))
lite0 = Lite0()
scores = keras.layers.Dense(2, activation="softmax")(lite0.bottleneck)
network = keras.Model(lite0.pictures, scores)
lite0.load()
def load(path):
    image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
    return tf.image.resize(image, (SIZE, SIZE))
pictures = tf.data.Dataset.from_tensor_slices(paths).map(load, tf.data.AUTOTUNE)
scores = network.predict(pictures.batch(32).prefetch(tf.data.AUTOTUNE), verbose=0)
os.makedirs(out)
for number, (path, row) in enumerate(zip(paths, scores)):
    shutil.copy(path, os.path.join(out, f"{{row.argmax()}}-{{row.max():.5f}}-{{number}}.jpg"))
"""


def main() -> None:
    """Train a classifier to sort with, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("disk", type=Path)
    parser.add_argument("memory", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--scale", type=int, nargs="?", const=100_000)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(dir=given.disk) as disk,
        tempfile.TemporaryDirectory(dir=given.memory) as memory,
    ):
        os.environ["TENSOR_GUESS_CACHE"] = f"{disk}/cache"
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        if given.scale:
            scale(Path(disk), Path(memory), given.scale)
        else:
            speed(Path(disk), Path(memory), given.runs)


def speed(disk: Path, memory: Path, runs: int) -> None:
    """Print the rates, and how they compare."""
    shutil.copytree(ROOT / "tf_files/data", disk / "tf_files/data")
    train = [*PROGRAM, "train", str(disk / "tf_files"), "--backbone", "efficientnet_lite0"]
    subprocess.run(train, check=True, capture_output=True)
    samples = sorted((disk / "tf_files/data").rglob("*.jpg"))
    make(memory / "small", samples, 2000, SMALL)
    make(memory / "large", samples, 100, LARGE)
    for kind in ("small", "large"):
        (memory / f"one_{kind}").mkdir()
        shutil.copy(memory / kind / "000000.jpg", memory / f"one_{kind}")

    def sorting(kind: str, to: Path) -> Callable[[], float]:
        command = [*PROGRAM, "classify-dir", str(disk / "tf_files"), str(memory / kind)]
        return lambda: seconds(command, to / "sorted")

    def keras(kind: str) -> Callable[[], float]:
        command = [sys.executable, "-c", KERAS, str(memory / kind)]
        return lambda: seconds(command, disk / "sorted")

    print(f"{'':34} pictures  seconds  whole a second  pictures a second   (median of {runs})")
    for kind, count in (("small", 2000), ("large", 100)):
        rows = {
            f"{kind}, to a disk": (sorting(kind, disk), sorting(f"one_{kind}", disk)),
            f"{kind}, to memory": (sorting(kind, memory), sorting(f"one_{kind}", memory)),
            f"  {kind}, Keras, to a disk": (keras(kind), keras(f"one_{kind}")),
        }
        taken: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in rows}
        networks = []
        for _ in range(runs):
            if kind == "small":
                networks.append(openvino(disk))
            for name, (all_, one) in rows.items():
                taken[name][0].append(all_())
                taken[name][1].append(one())
        rates = []
        for name, times in taken.items():
            whole, alone = map(statistics.median, times)
            rates.append((count / whole, (count - 1) / max(whole - alone, 1e-3)))
            print(
                f"{name:34} {count:8} {whole:8.2f} {rates[-1][0]:15.1f} {rates[-1][1]:18.1f}",
                flush=True,
            )
        ours, _, theirs = rates
        print(
            f"  ours / Keras: whole {ours[0] / theirs[0]:.2f}, pictures {ours[1] / theirs[1]:.2f}"
        )
        if kind == "small":
            network = statistics.median(networks)
            print(f"  OpenVINO's benchmark_app, random arrays: {network:.1f} a second")
            print(f"  ours / OpenVINO's: pictures {ours[1] / network:.2f}", flush=True)


def openvino(disk: Path) -> float:
    """Return how many arrays a second OpenVINO's own benchmark computes with the network."""
    model = disk / "model"
    export = [*PROGRAM, "export", str(disk / "tf_files"), str(model), "--format", "openvino"]
    if not model.exists():
        subprocess.run(export, check=True, capture_output=True)
    found = next(model.rglob("*.xml")) if model.is_dir() else model
    app = "from openvino.tools.benchmark.main import main; main()"
    command = [
        sys.executable, "-c", app, "-m", str(found), "-d", "CPU",
        "-hint", "throughput", "-infer_precision", "f32", "-t", "10", "-shape", "[4,224,224,3]",
    ]  # fmt: skip
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    (rate,) = re.findall(r"Throughput:\s*([\d.]+) FPS", said)
    return float(rate)


def scale(disk: Path, memory: Path, count: int) -> None:
    """Print what many files cost: CPU time for each of them, and memory."""
    graph = stub.classifier(disk / "stub.pb")
    samples = sorted((ROOT / "tf_files/data").rglob("*.jpg"))
    print(f"{'':28} files  seconds  files a second  CPU ms a file  peak MB", flush=True)

    def row(name: str, source: Path, files: int) -> None:
        done = ran([*PROGRAM, "classify-dir", str(graph), str(source), str(disk / "sorted")])
        if done.code:
            raise SystemExit(done.err[-3000:])
        print(
            f"{name:24} {files:9} {done.seconds:8.1f} {files / done.seconds:15.1f} "
            f"{1000 * done.processor_seconds / files:14.3f} {done.peak / 1e6:8.0f}",
            flush=True,
        )

    for files in (count // 100, count // 10, count):
        source = memory / f"tiny{files}"
        make(source, samples, files, TINY)
        row("sorted", source, files)
        if files == count:
            row("sorted again", source, files)
        shutil.rmtree(disk / "sorted")
        shutil.rmtree(source)
    make(memory / "one", samples, 1, TINY)
    (picture,) = (memory / "one").iterdir()
    for number in range(1, 10 * count):
        try:
            os.link(picture, memory / "one" / f"{number:08}.jpg")
        except OSError:  # a file has only so many names; the next is another with the same bytes
            picture = Path(shutil.copy(picture, memory / "one" / f"{number:08}.jpg"))
    row("names of one file", memory / "one", 10 * count)


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
    done = ran([*command, str(destination)])
    if done.code:
        raise SystemExit(done.err[-3000:])
    shutil.rmtree(destination)
    return done.seconds


if __name__ == "__main__":
    main()
