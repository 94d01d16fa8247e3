"""Measure how long it takes to use another program's graph, to share it and to export it.

    python bench/other_graphs.py CLASSIFIER PICTURES [--runs N]

CLASSIFIER is a folder with a graph whose input is `input:0`, and a labels file, as `retrain.py
--architecture mobilenet_...` wrote them. PICTURES is a folder of JPEGs. The table shows medians
(seconds, of whole processes) and peak memory, compared with `label_image.py`.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

from train_and_guess import PROGRAM, Command, Row, print_table, python, timed

# `label_image.py` from TensorFlow for Poets, changed to take any number of pictures.
LABEL_IMAGE = """
import sys, tensorflow as tf
graph, size, *photos = sys.argv[1:]
v1 = tf.compat.v1
definition = v1.GraphDef.FromString(open(graph, "rb").read())
with tf.Graph().as_default(), v1.Session() as session:
    tf.import_graph_def(definition, name="")
    name = tf.compat.v1.placeholder(tf.string)
    pixels = tf.cast(tf.io.decode_jpeg(tf.io.read_file(name), channels=3), tf.float32)
    small = v1.image.resize_bilinear(pixels[None], [int(size)] * 2)
    fed = (small - 127.5) / 127.5
    for photo in photos:
        print(session.run("final_result:0", {"input:0": session.run(fed, {name: photo})}))
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("classifier", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    photos = sorted(path for path in given.pictures.rglob("*") if path.suffix.lower() == ".jpg")
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), given.classifier, given.pictures, photos, given.runs)
    print_table(rows, given.runs)


def measure(
    folder: Path, classifier: Path, pictures: Path, photos: list[Path], runs: int
) -> list[Row]:
    """Return a row for each thing measured: what, seconds, peak megabytes."""
    rows: list[Row] = []
    asked = [*PROGRAM, "inspect", str(classifier), "--json"]
    known = json.loads(subprocess.run(asked, capture_output=True, check=True).stdout)
    graph, size = known["path"], str(known["fed"]["size"])

    def row(what: str, command: Command, made: Path | None = None) -> None:
        rows.append((what, *timed(command, runs, forgetting=made)))

    for count in (1, len(photos)):
        some = [str(path) for path in photos[:count]]
        row(f"guess, {count} pictures", [*PROGRAM, "guess", str(classifier), *some])
        row(f"  label_image, {count} pictures", python(LABEL_IMAGE, graph, size, *some))
    row("inspect", [*PROGRAM, "inspect", str(classifier)])
    shared = folder / "shared.zip"
    row("share", [*PROGRAM, "share", str(classifier), str(shared)], shared)
    row("verify", [*PROGRAM, "verify", str(shared)])
    for form in ("openvino", "onnx", "tflite", "saved_model"):
        made = folder / form
        command = [*PROGRAM, "export", str(classifier), str(made), "--format", form]
        row(f"export --format {form}", [*command, "--pictures", str(pictures)], made)
    return rows


if __name__ == "__main__":
    main()
