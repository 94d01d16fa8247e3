"""The folder has what PhotoPrism's code relies on, as it reads a model of a person's own.

What that is was read from its source: see docs/design.md.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from made.graphs import head_for, record_for
from made.tensorflow_c import loaded
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.config import CROP, DATA, GRAPH, PAD, SQUEEZE
from tensor_guess.exporting.export import Job, export
from tensor_guess.graphs.graph import serialise
from tensor_guess.graphs.own import with_head
from tensor_guess.guessing.loading import Given, load
from tensor_guess.images import encoded
from tensor_guess.images.pixels import pixels

pytestmark = pytest.mark.tensorflow


def entry_in(folder: Path) -> Any:
    (entry,) = yaml.safe_load((folder / "vision.yml").read_text("utf-8"))["Models"]
    return entry


def as_fed(image: NDArray[Any], entry: Any) -> NDArray[np.float32]:
    """The tensor that it makes of an image of the model's own size: 8 bits, scaled (image.go)."""
    given = entry["TensorFlow"]["Input"]
    (interval,) = given["Intervals"]
    scale = np.float32(interval["End"] - interval["Start"]) / np.float32(255)
    order = ["RGB".index(c) for c in given["ColorChannelOrder"]]
    assert given["Shape"] == ["Batch", "Height", "Width", "Color"]
    fed: NDArray[np.float32] = image[None, ..., order].astype(np.float32) * scale
    return fed + np.float32(interval["Start"])


@pytest.mark.slow
def test_what_is_loaded_by_the_c_library_scores_as_a_guess_does(
    exported: Callable[[str], Path], trained: Path
) -> None:
    folder, known = exported("photoprism"), load(trained)
    entry = entry_in(folder)
    tensorflow = entry["TensorFlow"]
    fed, wanted = tensorflow["Input"]["Name"], tensorflow["Output"]["Name"]
    paths = sorted((trained / DATA).glob("*/*"))[::4]
    images = [pixels(encoded.read(path), known.record.scaling) for path in paths]
    expected = np.stack([row for _, row in known.network(few=False).run(enumerate(images))])
    with loaded(folder, tensorflow["Tags"]) as model:
        assert model.kind_of(fed) == "Placeholder"
        rows = [model.run(fed, as_fed(np.asarray(each), entry), wanted) for each in images]
        with pytest.raises(LookupError):
            model.kind_of("serving_default_images")
    found = np.concatenate(rows)
    assert found.shape == (20, tensorflow["Output"]["Outputs"])
    assert np.abs(found - expected).max() < 1e-4
    # They are no logits: no softmax is added if it is not said that they are.
    assert "Logits" not in tensorflow["Output"]
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    with pytest.raises(LookupError, match="photoprism"), loaded(folder, ["photoprism"]):
        pass


@pytest.mark.slow
def test_labels_are_in_the_order_of_the_scores_and_as_many(
    exported: Callable[[str], Path], trained: Path
) -> None:
    folder = exported("photoprism")
    # Any file called labels*.txt would be looked at.
    (path,) = folder.glob("labels*.txt")
    lines = path.read_text("utf-8").splitlines()
    assert tuple(lines) == load(trained).record.labels
    assert entry_in(folder)["TensorFlow"]["Output"]["Outputs"] == len(lines)
    assert json.loads((folder / "record.json").read_text("utf-8"))["labels"] == lines


@pytest.mark.slow
def test_nothing_is_left_for_it_to_find_out(exported: Callable[[str], Path]) -> None:
    folder = exported("photoprism")
    entry = entry_in(folder)
    assert entry == {
        "Type": "labels",
        "Name": "model_photoprism",
        "Resolution": 224,
        "TensorFlow": {
            "Tags": ["serve"],
            "Input": {
                "Name": "pixels",
                "Height": 224,
                "Width": 224,
                "Shape": ["Batch", "Height", "Width", "Color"],
                "ColorChannelOrder": "RGB",
                "ResizeOperation": "ResizeBreakAspectRatio",
                "Intervals": [{"Start": 0, "End": 255}],
            },
            "Output": {"Name": "scores", "Outputs": 2},
        },
    }
    # It would find the same in the only graph, by its signature.
    import tensorflow as tf

    (signature,) = tf.saved_model.load(str(folder), ["serve"]).signatures.values()
    assert signature.inputs[0].shape.as_list() == [None, 224, 224, 3]
    assert signature.inputs[0].name == "pixels:0"
    assert signature.outputs[0].shape.as_list() == [None, 2]


@pytest.mark.parametrize(
    ("fit", "said"),
    [(SQUEEZE, "ResizeBreakAspectRatio"), (CROP, "CenterCrop"), (PAD, "Padding")],
)
@pytest.mark.parametrize(
    ("dest", "name"),
    [
        ("cars", "cars"),
        ("My Cars-2", "my_cars_2"),
        ("nasnet", "my_nasnet"),
        ("東京", "classifier"),
        ("yes", "yes"),
        ("12", "12"),
        ("x" * 100, "x" * 32),
        ("a\n- b: [", "a_b"),
    ],
)
def test_the_name_is_one_that_it_keeps_and_the_fit_one_that_it_knows(
    tiny: Backbone, tmp_path: Path, fit: str, said: str, dest: str, name: str
) -> None:
    from tensor_guess.exporting import to_photoprism

    record = record_for(tiny.fitted(fit))
    (tmp_path / GRAPH).write_bytes(serialise(with_head(tiny.graph, head_for(12), record)))
    to_photoprism.write(load(tmp_path), tmp_path / dest)
    entry = entry_in(tmp_path / dest)
    assert entry["Name"] == name
    assert entry["TensorFlow"]["Input"]["ResizeOperation"] == said
    assert entry["Resolution"] == tiny.scaling.size


@pytest.mark.slow
def test_the_same_classifier_gives_the_same_bytes(trained: Path, tmp_path: Path) -> None:
    for number in ("1", "2"):
        (tmp_path / number).mkdir()
        export(Job(Given(trained), tmp_path / number / "cars", "photoprism"))
    one, other = (
        {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        for folder in (tmp_path / "1/cars", tmp_path / "2/cars")
    )
    assert one == other
    assert sorted(one) == ["labels.txt", "record.json", "saved_model.pb", "vision.yml"]
