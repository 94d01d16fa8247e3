"""The SavedModel as its users have it: files' bytes in, labels and scores out."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from made.place import ROOT
from tensor_guess.guessing.guess import Guess, guess

pytestmark = pytest.mark.tensorflow
PHOTOS = [ROOT / "test_data" / name for name in ("photo01.jpg", "photo02.png", "photo07.gif")]


def test_bytes_of_files_in_and_a_guess_out(exported: Callable[[str], Path], trained: Path) -> None:
    import tensorflow as tf

    serve = tf.saved_model.load(str(exported("saved_model"))).signatures["serving_default"]
    said = serve(images=tf.constant([path.read_bytes() for path in PHOTOS]))
    assert said["labels"].numpy().tolist() == [[b"dark knight", b"snow queen"]] * len(PHOTOS)
    for found, expected in zip(said["scores"].numpy(), guess(trained, PHOTOS), strict=True):
        assert isinstance(expected, Guess)
        by_label = [expected.scores[label] for label in ("dark knight", "snow queen")]
        assert np.abs(found - by_label).max() < 1e-4


def test_labels_and_record_lie_beside_it(exported: Callable[[str], Path]) -> None:
    folder = exported("saved_model")
    assert (folder / "labels.txt").read_text("utf-8") == "dark knight\nsnow queen\n"
    assert json.loads((folder / "record.json").read_text("utf-8"))["scaling"]["size"] == 224
