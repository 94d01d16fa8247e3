"""Measure how long training and guessing take, compared with scripts that use Keras.

    python bench/train_and_guess.py PICTURES TEST_PICTURE [--runs N]

PICTURES contains a folder per category. The table shows medians (seconds, of whole processes) and
peak memory. Inception v3 has random weights, which take the same time as the real ones.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from peak import ran

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = [sys.executable, "-I", "-u", "-X", "utf8", str(ROOT / "src")]

Command = list[str]
Row = tuple[str, float, float]

# What a current tutorial would tell its readers to write: extract, then fit a softmax layer.
KERAS_TRAIN = """
import sys, numpy as np, keras
data, out, name = sys.argv[1:]
size = 299 if name == "InceptionV3" else 224
load = keras.utils.image_dataset_from_directory
pictures = load(data, image_size=(size, size), batch_size=32, shuffle=False, label_mode="int")
body = getattr(keras.applications, name)(weights=None, include_top=False, pooling="avg",
                                         input_shape=(size, size, 3))
scaled = pictures.map(lambda x, y: x / 127.5 - 1)
features = body.predict(scaled, verbose=0)
truth = np.concatenate([y for _, y in pictures])
head = keras.Sequential([keras.layers.Dense(2, activation="softmax")])
head.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
steps = 4000 // -(-len(truth) // 100)
head.fit(features, truth, batch_size=100, epochs=steps, verbose=0)
keras.Sequential([keras.Input((size, size, 3)), body, head]).save(out)
"""
KERAS_GUESS = """
import sys, numpy as np, keras
model, photo = sys.argv[1:]
network = keras.models.load_model(model)
size = network.input_shape[1]
image = keras.utils.img_to_array(keras.utils.load_img(photo, target_size=(size, size)))
print(network.predict(image[None] / 127.5 - 1, verbose=0))
"""
# What `label_image.py` does with the graph: feed the file's bytes to a session.
LABEL_IMAGE = """
import sys, tensorflow as tf
graph, photo = sys.argv[1:]
definition = tf.compat.v1.GraphDef.FromString(open(graph, "rb").read())
with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    tf.import_graph_def(definition, name="")
    print(session.run("final_result:0", {"DecodeJpeg/contents:0": open(photo, "rb").read()}))
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TENSOR_GUESS_CACHE"] = folder
        rows = measure(Path(folder), given.pictures.resolve(), given.photo.resolve(), given.runs)
    print_table(rows, given.runs)


def print_table(rows: list[Row], runs: int) -> None:
    """Print the table."""
    print(f"{'':58}  seconds  peak MB   (median of {runs})")
    for what, seconds, peak in rows:
        print(f"{what:58}  {seconds:7.2f}  {peak:7.0f}")


def measure(folder: Path, pictures: Path, photo: Path, runs: int) -> list[Row]:
    """Return a row for each thing measured: what, seconds, peak megabytes."""
    make_random_inception(folder)
    rows: list[Row] = []

    def row(what: str, command: Command, times: int = runs, forgetting: Path | None = None) -> None:
        rows.append((what, *timed(command, times, forgetting)))

    for backbone, keras in (
        ("efficientnet_lite0", "MobileNetV2"),
        ("inception_v3", "InceptionV3"),
    ):
        tf_files, model = folder / backbone, str(folder / f"{backbone}.keras")
        tf_files.mkdir()
        (tf_files / "data").symlink_to(pictures)
        train = [*PROGRAM, "train", str(tf_files), "--backbone", backbone]
        guess = [*PROGRAM, "guess", str(tf_files), str(photo)]
        subprocess.run([*PROGRAM, "fetch", backbone], check=True, stdout=subprocess.DEVNULL)
        row(f"train, {backbone}, no bottlenecks yet", train, forgetting=tf_files / "bottlenecks")
        row(f"train, {backbone}, all bottlenecks cached", train)
        row(
            f"  Keras: predict and fit, {keras}",
            python(KERAS_TRAIN, str(pictures), model, keras),
            1,
        )
        row(f"guess, {backbone}", guess)
        row(f"  Keras: load_model and predict, {keras}", python(KERAS_GUESS, model, str(photo)))
        graph = str(tf_files / "retrained_graph.pb")
        row("  label_image (TensorFlow) on the same graph", python(LABEL_IMAGE, graph, str(photo)))
    return rows


def make_random_inception(folder: Path) -> None:
    """Put an inception_v3 with random weights into the cache."""
    weights = folder / "random.weights.h5"
    code = f"""
import keras
keras.utils.set_random_seed(0)
keras.applications.InceptionV3(weights=None).save_weights({str(weights)!r})
import sys; sys.path.insert(0, {str(ROOT / "src")!r})
from pathlib import Path
from tensor_guess.backbones import loading as backbones
backbones.fetch("inception_v3", Path({str(weights)!r}))
"""
    subprocess.run(python(code), check=True, stderr=subprocess.DEVNULL)


def python(code: str, *arguments: str) -> Command:
    """Return a command that runs `code`."""
    return [sys.executable, "-c", code, *arguments]


def timed(command: Command, runs: int, forgetting: Path | None = None) -> tuple[float, float]:
    """Return the median seconds and peak megabytes of the command, run in a new process each time.

    `forgetting`: a file or folder to remove before each run.
    """
    seconds, peaks = [], []
    for _ in range(runs):
        if forgetting:
            shutil.rmtree(forgetting, ignore_errors=True)
            if forgetting.exists():
                forgetting.unlink()
        done = ran(command)
        if done.code:
            raise SystemExit(f"failed: {command}\n{done.err}")
        seconds.append(done.seconds)
        peaks.append(done.peak / 2**20)
    return statistics.median(seconds), statistics.median(peaks)


if __name__ == "__main__":
    main()
