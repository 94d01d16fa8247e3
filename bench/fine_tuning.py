"""Measure how good and how quick fine-tuning is, compared with a script that uses Keras.

    python bench/fine_tuning.py TRAIN TEST [--blocks N|all] [--seeds N] [--recipe-seeds N] [--head]
                                [--option OPTION]...

TRAIN and TEST contain a folder per category each. Both programs start from the same ImageNet
weights of EfficientNet-Lite0. The script trains all layers, batch normalisation frozen, by AdamW
0.001 with a cosine after an epoch of warming up (without that it learns nothing), light
augmentation, dropout 0.2, 20 epochs of batches of 32, on all pictures in TRAIN; ours keeps a tenth
of them for validation. The programs take turns. Seconds are of whole
processes.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from train_and_guess import PROGRAM, ROOT

RECIPE = f"""
import sys; sys.path[:0] = [{str(ROOT / "src")!r}, {str(ROOT / "bench")!r}]
import keras
from keras import layers
from keras_lite0 import Lite0

train, test, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
keras.utils.set_random_seed(seed)
lite0 = Lite0()
load = lambda folder, **how: keras.utils.image_dataset_from_directory(
    folder, image_size=(224, 224), batch_size=32, **how)
images, asked = load(train, seed=seed), load(test, shuffle=False)
names = images.class_names
light = keras.Sequential([
    layers.RandomRotation(0.03), layers.RandomZoom(0.15), layers.RandomTranslation(0.1, 0.1),
    layers.RandomBrightness(0.2, (0, 255))])
scores = layers.Dense(len(names), activation="softmax")(layers.Dropout(0.2)(lite0.bottleneck))
network = keras.Model(lite0.pictures, scores)
lite0.load()
steps, epochs = len(images), 20
rate = keras.optimizers.schedules.CosineDecay(
    0.0, steps * (epochs - 1), warmup_target=1e-3, warmup_steps=steps)
network.compile(keras.optimizers.AdamW(rate), "sparse_categorical_crossentropy",
                metrics=["accuracy"])
kept = images.cache().shuffle(13, seed=seed).map(lambda x, y: (light(x, training=True), y))
network.fit(kept.prefetch(2), epochs=epochs, shuffle=False, verbose=0)
print(network.evaluate(asked, verbose=0)[1])
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--blocks", default="12")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--recipe-seeds", type=int, default=1)
    parser.add_argument("--head", action="store_true", help="train the head only")
    parser.add_argument("--option", action="append", default=[], help="another option for train")
    given = parser.parse_args()
    train, test = given.train.resolve(), given.test.resolve()
    tuned = () if given.head else (f"--fine_tune={given.blocks}",)
    print(f"{'':<10}{'seed':>5} {'right':>8} {'accuracy':>9} {'seconds':>8}", flush=True)
    found: dict[str, list[tuple[float, float]]] = {"ours": [], "Keras": []}
    count = sum(1 for _ in test.glob("*/*"))
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TENSOR_GUESS_CACHE"] = cache
        for seed in range(max(given.seeds, given.recipe_seeds)):
            if seed < given.seeds:
                found["ours"].append(ours(train, test, seed, (*tuned, *given.option)))
                say("ours", seed, *found["ours"][-1], count)
            if seed < given.recipe_seeds:
                found["Keras"].append(recipe(train, test, seed))
                say("Keras", seed, *found["Keras"][-1], count)
    for name, rows in found.items():
        if rows:
            accuracy = statistics.mean(each for each, _ in rows)
            seconds = statistics.median(each for _, each in rows)
            print(f"{name:<10} mean {'':>8} {accuracy:9.3f} {seconds:8.1f} (median)")


def ours(train: Path, test: Path, seed: int, options: Sequence[str]) -> tuple[float, float]:
    """Train and guess; return the accuracy on TEST, and how many seconds training took."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(train, Path(folder, "data"))
        how = ("--backbone=efficientnet_lite0", "--testing_percentage=0", f"--seed={seed}")
        started = time.monotonic()
        ran([*PROGRAM, "train", folder, *how, *options])
        seconds = time.monotonic() - started
        pictures = sorted(map(str, test.glob("*/*")))
        lines = ran([*PROGRAM, "guess", folder, *pictures, "--json"]).splitlines()
    guesses = [json.loads(line) for line in lines]
    right = sum(each["category"] == Path(each["image"]).parent.name for each in guesses)
    return right / len(pictures), seconds


def recipe(train: Path, test: Path, seed: int) -> tuple[float, float]:
    """Run the script; return the accuracy on TEST, and how many seconds it took."""
    started = time.monotonic()
    said = ran([sys.executable, "-X", "utf8", "-c", RECIPE, str(train), str(test), str(seed)])
    return float(said.splitlines()[-1]), time.monotonic() - started


def ran(command: Sequence[str]) -> str:
    """Run the command, and return what it printed."""
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, env=quiet, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return done.stdout


def say(name: str, seed: int, accuracy: float, seconds: float, count: int) -> None:
    """Print a row."""
    right = f"{round(accuracy * count)}/{count}"
    print(f"{name:<10}{seed:>5} {right:>8} {accuracy:9.3f} {seconds:8.1f}", flush=True)


if __name__ == "__main__":
    main()
