"""Measure how many bottlenecks per second each backbone computes, compared with Keras `predict`.

    python bench/backbones.py PICTURES [BACKBONE...] [--runs N]

PICTURES contains a folder per category. Both programs read the files, resize the pictures and
compute; starting and compiling is not counted. The table shows pictures per second (medians), the
ratios to Keras and their medians, and how many seconds a guess takes from a cold start. Keras'
networks have random weights, which take the same time as the real ones. Keras has no EfficientNet-
Lite; it is compared with MobileNetV2 with equally many pixels, the most similar one in Keras.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from train_and_guess import PROGRAM, ROOT, Command, python, timed

sys.path.insert(0, str(ROOT / "src"))
from tensor_guess.backbones import loading
from tensor_guess.backbones.catalogue import CATALOGUE, KerasWeights
from tensor_guess.config import FLOAT32, PRECISIONS
from tensor_guess.graphs.network import has_bf16

_START = f"""
import sys, time; sys.path.insert(0, {str(ROOT / "src")!r})
from pathlib import Path
from tensor_guess.backbones import loading as backbones
"""
# Puts the network with random weights into the cache.
FREEZE = f"""{_START}
from tensor_guess.backbones import keras_networks as keras_backbones
name, size, file = sys.argv[1:]
keras_backbones.build(name, int(size)).save_weights(file)
backbones.fetch(name, Path(file))
"""
OURS = f"""{_START}
import tempfile
from tensor_guess.bottlenecks.computing import Computer
from tensor_guess.bottlenecks.extractor import Extractor
pictures, name, precision = sys.argv[1:]
files = sorted(path for path in Path(pictures).glob("*/*") if path.is_file())
with tempfile.TemporaryDirectory() as folder:
    computer = Computer(Path(folder), Extractor(backbones.load(name), precision))
    computer.peek(files[:16])  # compiles
    started = time.perf_counter()
    rows = computer.rows(files)
    print(len(rows.paths) / (time.perf_counter() - started))
"""
KERAS = f"""{_START}
import keras
from tensor_guess.backbones import keras_networks as keras_backbones
from tensor_guess.backbones.catalogue import CATALOGUE
pictures, name, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
network = keras_backbones.build(name, size)
body = keras.Model(network.input, keras_backbones.bottleneck_of(name, network))
prepare, scaling = keras_backbones.preparation(name), CATALOGUE[name].scaling
load = keras.utils.image_dataset_from_directory
images = load(pictures, image_size=(size, size), batch_size=32, shuffle=False, labels=None)
images = images.map(lambda x: prepare((x - scaling.mean) / scaling.std))
body.predict(images.take(1), verbose=0)
started = time.perf_counter()
found = body.predict(images, verbose=0)
print(len(found) / (time.perf_counter() - started))
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("backbone", nargs="*", default=list(CATALOGUE)[:10])
    parser.add_argument("--runs", type=int, default=1)
    given = parser.parse_args()
    pictures = given.pictures.resolve()
    precisions = PRECISIONS if has_bf16() else (FLOAT32,)
    ratios: dict[str, list[float]] = {precision: [] for precision in precisions}
    columns = "".join(f"  {precision:>8}  ratio" for precision in precisions)
    print(f"{'pictures a second':20}  {'Keras':>8}{columns}  guess, s", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TENSOR_GUESS_CACHE"] = folder
        for name in given.backbone:
            freeze(name, Path(folder))
            keras = rate(in_keras(name, pictures), given.runs)
            line = f"{name:20}  {keras:8.1f}"
            for precision in precisions:
                ours = rate(python(OURS, str(pictures), name, precision), given.runs)
                ratios[precision].append(ours / keras)
                line += f"  {ours:8.1f}  {ours / keras:5.2f}"
            print(f"{line}  {cold_start(name, pictures, given.runs):8.2f}", flush=True)
    medians = "".join(f"  {'':8}  {statistics.median(ratios[each]):5.2f}" for each in precisions)
    print(f"{'median':20}  {'':8}{medians}")


def freeze(name: str, folder: Path) -> None:
    """Put the backbone into the cache, with random weights if it is from Keras."""
    source = CATALOGUE[name]
    if not isinstance(source.weights, KerasWeights):
        loading.load(name)
        return
    weights = folder / "random.weights.h5"
    command = python(FREEZE, name, str(source.scaling.size), str(weights))
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    weights.unlink()


def in_keras(name: str, pictures: Path) -> Command:
    """Return the command that measures the same in Keras."""
    source = CATALOGUE[name]
    beside = name if isinstance(source.weights, KerasWeights) else "mobilenet_v2"
    return python(KERAS, str(pictures), beside, str(source.scaling.size))


def rate(command: Command, runs: int) -> float:
    """Return the median of the number that the command prints last."""
    found = []
    for _ in range(runs):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr)
        found.append(float(done.stdout.splitlines()[-1]))
    return statistics.median(found)


def cold_start(name: str, pictures: Path, runs: int) -> float:
    """Return the seconds from a cold start to the five labels of one picture."""
    photo = next(path for path in sorted(pictures.glob("*/*")) if path.is_file())
    guess = [*PROGRAM, "guess", "imagenet", str(photo), "--backbone", name]
    seconds, _ = timed(guess, max(3, runs), None)
    return seconds


if __name__ == "__main__":
    main()
