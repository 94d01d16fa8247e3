"""Other programs' graphs: recognised, and scored as TensorFlow scores them."""

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tensorboard.compat.proto.types_pb2 import DT_FLOAT

from made.strangers import INPUTS, LABELS, SIZE, made
from tensor_guess.errors import UserError
from tensor_guess.graphs import foreign
from tensor_guess.graphs.builder import Builder
from tensor_guess.graphs.classifier import of_bytes
from tensor_guess.graphs.files import Fed
from tensor_guess.graphs.foreign import flavour_of
from tensor_guess.graphs.graph import serialise
from tensor_guess.guessing.loading import load
from tensor_guess.images import encoded
from tensor_guess.images.pixels import pixels
from tensor_guess.images.scaling import Scaling

SCALINGS = {
    "Mul": (128.0, 128.0),
    "input": (127.5, 127.5),
    "import/input": (127.5, 127.5),
    "Placeholder": (0.0, 255.0),
}
BOTTLENECKS = {
    "inception_2015": "pool_3/_reshape",
    "hub": "module_apply_default/Mean",
    "imported": "import/Predictions/Reshape",
}


@pytest.mark.parametrize("flavour", INPUTS)
def test_each_generation_is_recognised(flavour: str) -> None:
    found = flavour_of(made(flavour), "x.pb")
    assert found.input == INPUTS[flavour]
    assert found.scaling == Scaling(SIZE, *SCALINGS[found.input], classic=True)
    assert found.output == ("import/" if flavour == "imported" else "") + "final_result"
    assert found.bottleneck == BOTTLENECKS.get(flavour, "Predictions/Reshape")
    assert foreign.classes(made(flavour), found, "x.pb") == len(LABELS)


@pytest.fixture(scope="module")
def photos() -> dict[str, bytes]:
    """Encoded noise and gradients, larger and smaller than what the graphs take."""
    random, found = np.random.default_rng(4), {}
    for number, shape in enumerate([(20, 31), (32, 32), (97, 64), (300, 401)]):
        ramp = np.linspace(0, 255, shape[0])[:, None, None] * np.ones((*shape, 3))
        noisy = ramp + random.normal(0, 40, (*shape, 3))
        for kind in ("jpeg", "png"):
            file = io.BytesIO()
            Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(file, kind, quality=80)
            found[f"{number}.{kind}"] = file.getvalue()
    return found


@pytest.mark.tensorflow
@pytest.mark.parametrize("flavour", INPUTS)
def test_scores_are_those_of_tensorflow(
    flavour: str, photos: dict[str, bytes], tmp_path: Path
) -> None:
    graph = made(flavour)
    known = of_bytes(serialise(graph), "x.pb", lambda: LABELS)
    network = known.network(few=True)
    fed = []
    for name, data in photos.items():
        (tmp_path / name).write_bytes(data)
        fed.append((name, pixels(encoded.read(tmp_path / name), known.record.scaling)))
    found = dict(network.run(fed))
    expected = _by_label_image(flavour, photos)
    for name, scores in found.items():
        np.testing.assert_allclose(scores, expected[name], atol=1e-4, err_msg=name)
    assert np.ptp(list(found.values()), axis=0).max() > 0.01  # they tell pictures apart


@pytest.mark.tensorflow
@pytest.mark.parametrize("folder", ["classic_run_2017", "graphs/glasses"])
def test_a_real_graph_fed_the_same_array_gives_the_same_scores(shared: Path, folder: str) -> None:
    import tensorflow as tf

    known = load(shared / folder)
    size, random = known.record.scaling.size, np.random.default_rng(5)
    arrays = random.uniform(0, 255, (6, size, size, 3)).astype(np.float32)
    data = (shared / folder / "retrained_graph.pb").read_bytes()
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(tf.compat.v1.GraphDef.FromString(data), name="")
        fed = (arrays - np.float32(127.5)) / np.float32(127.5)
        expected = [session.run("final_result:0", {"input:0": each[None]})[0] for each in fed]
    for number, scores in known.network(few=False).run(enumerate(arrays)):
        np.testing.assert_allclose(scores, expected[number], atol=1e-4)


def _by_label_image(flavour: str, photos: dict[str, bytes]) -> dict[str, NDArray[np.float32]]:
    """TensorFlow's scores, fed as the generation's own `label_image.py` did it."""
    import tensorflow as tf

    v1 = tf.compat.v1
    scores = {}
    with tf.Graph().as_default(), v1.Session() as session:
        tf.import_graph_def(v1.GraphDef.FromString(serialise(made(flavour))), name="")
        prefix = "import/" if flavour == "imported" else ""
        for name, data in photos.items():
            if flavour == "inception_2015" and name.endswith("jpeg"):
                fed = {"DecodeJpeg/contents:0": data}
            else:
                decoded = tf.io.decode_image(data, channels=3)
                if name.endswith("jpeg"):
                    decoded = tf.io.decode_jpeg(data, channels=3)
                batch = tf.expand_dims(tf.cast(decoded, tf.float32), 0)
                small = session.run(v1.image.resize_bilinear(batch, [SIZE, SIZE]))
                mean, std = SCALINGS[INPUTS[flavour]]
                fed = {f"{INPUTS[flavour]}:0": (small - mean) / std}
            (scores[name],) = session.run(f"{prefix}final_result:0", fed)
    return scores


def test_what_the_user_says_counts_more() -> None:
    graph = made("mobilenet")
    found = flavour_of(graph, "x.pb", Fed(mean=0, std=255.0, output="Predictions/Reshape:0"))
    assert (found.scaling.mean, found.scaling.std) == (0, 255)
    assert found.output == "Predictions/Reshape"
    named = flavour_of(graph, "x.pb", Fed(input="input:0", size=64))
    assert (named.input, named.scaling.size) == ("input", 64)


def _of_any_input(*, mean_is_known: bool = False) -> Builder:
    builder = Builder()
    builder.placeholder("input" if mean_is_known else "image_tensor", DT_FLOAT, (-1, -1, -1, 3))
    return builder


@pytest.mark.parametrize(
    ("builder", "fed", "said"),
    [
        (_of_any_input(), Fed(), "--input_mean and --input_std"),
        (_of_any_input(mean_is_known=True), Fed(), "--input_height"),
        (_of_any_input(mean_is_known=True), Fed(size=5000), "5000 x 5000 pixels are not supported"),
        (_of_any_input(mean_is_known=True), Fed(size=8, std=0), "cannot be scaled as"),
        (_of_any_input(), Fed(input="nothing"), "no tensor nothing .--input_layer"),
        (_of_any_input(), Fed(size=8, mean=0, std=1, output="x"), "no tensor x .--output_layer"),
        (Builder(), Fed(), "no known input for images .*--input_layer"),
    ],
)
def test_what_is_not_known_is_asked_for(builder: Builder, fed: Fed, said: str) -> None:
    with pytest.raises(UserError, match=said):
        flavour_of(builder.graph, "x.pb", fed)


def test_a_graph_without_scores_is_no_classifier() -> None:
    builder = _of_any_input(mean_is_known=True)
    found = flavour_of(builder.graph, "x.pb", Fed(size=8))
    with pytest.raises(UserError, match="name its scores with --output_layer"):
        foreign.classes(builder.graph, found, "x.pb")
    named = flavour_of(builder.graph, "x.pb", Fed(size=8, output="input"))
    with pytest.raises(UserError, match="is not a classifier"):
        foreign.classes(builder.graph, named, "x.pb")
    graph = made("mobilenet")
    inner = flavour_of(graph, "x.pb", Fed(output="MobilenetV1/Conv2d_0/Relu6"))
    with pytest.raises(UserError, match="not one row of scores for each image"):
        foreign.classes(graph, inner, "x.pb")


def test_names_of_ours_in_a_strangers_graph_do_no_harm(tmp_path: Path) -> None:
    graph = made("mobilenet")
    extra = Builder()
    extra.const("Mul/y", np.float32(3))
    extra.floats("Mul", "Mul", ("input", "Mul/y"))
    extra.const("bottleneck", np.float32(3))
    graph.node.extend(extra.graph.node)
    found = flavour_of(graph, "x.pb")
    assert found.input == "input"
    ((_, scores),) = (
        of_bytes(serialise(graph), "x.pb", lambda: LABELS)
        .network(few=True)
        .run([(None, np.zeros((SIZE, SIZE, 3), np.float32))])
    )
    assert scores.sum() == pytest.approx(1, abs=1e-5)
