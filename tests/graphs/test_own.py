"""A classifier's frozen graph: one file is enough, for us and for old programs."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from tensorboard.compat.proto.graph_pb2 import GraphDef

from made.graphs import accepted, copy_of, head_for, record_for
from made.place import ROOT, Run
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.config import (
    BOTTLENECK,
    CROP,
    FINAL_TENSOR,
    FITS,
    GRAPH,
    GRAPH_LABELS,
    GRAPH_RECORD,
    IMAGE_BYTES,
    NETWORK_INPUT,
    PAD,
)
from tensor_guess.errors import UserError
from tensor_guess.graphs.builder import Builder
from tensor_guess.graphs.files import Record
from tensor_guess.graphs.graph import array, check, parse, read, serialise
from tensor_guess.graphs.network import Network
from tensor_guess.graphs.own import record_of, with_head
from tensor_guess.images import decoding, encoded


def test_one_file_is_enough(ours: GraphDef, tiny: Backbone) -> None:
    graph = parse(serialise(ours), "x.pb")
    check(graph, "x.pb")
    assert record_of(graph, "x.pb") == record_for(tiny)
    names = {node.name: node.op for node in graph.node}
    assert names[IMAGE_BYTES] == "Placeholder"
    assert {NETWORK_INPUT, BOTTLENECK, FINAL_TENSOR} < set(names)
    assert names[FINAL_TENSOR] == "Softmax"
    assert not {"Variable", "VariableV2", "VarHandleOp"} & set(names.values())
    assert not graph.library.function


def test_the_result_may_be_named_otherwise(tiny: Backbone) -> None:
    record = record_for(tiny, final_tensor="final/Softmax")
    graph = with_head(tiny.graph, head_for(12), record)
    check(graph, "x.pb")
    assert record_of(graph, "x.pb").final_tensor == "final/Softmax"


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=1)
)
def test_labels_come_back_as_they_went_in(labels: list[str]) -> None:
    builder = Builder()
    builder.const("x", labels)
    back = array(GraphDef.FromString(serialise(builder.graph)), "x")
    assert back is not None
    assert [each.decode() for each in back] == labels


DIGEST = """
import hashlib, sys
sys.path.insert(0, sys.argv[1])
from tensor_guess.graphs.graph import GraphDef, serialise
graph = GraphDef.FromString(sys.stdin.buffer.read())
print(hashlib.sha256(serialise(graph)).hexdigest())
"""


def test_the_same_graph_has_the_same_bytes_whatever_its_history(ours: GraphDef) -> None:
    backwards = GraphDef()
    backwards.versions.CopyFrom(ours.versions)
    for node in ours.node:
        turned = backwards.node.add(name=node.name, op=node.op, input=node.input)
        for key in sorted(node.attr, reverse=True):
            turned.attr[key].CopyFrom(node.attr[key])
    assert serialise(backwards) == serialise(ours)
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST, ROOT / "src"],
            env={"PYTHONHASHSEED": seed},
            input=serialise(ours),
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1


def test_training_again_on_a_classifier_s_own_graph_gives_the_same(
    ours: GraphDef, tiny: Backbone
) -> None:
    again = with_head(ours, head_for(12), record_for(tiny))
    assert serialise(again) == serialise(ours)


def test_a_record_is_what_it_was_unless_there_is_a_fit(ours: GraphDef, tiny: Backbone) -> None:
    old = (
        f'{{"backbone": "tiny", "backbone_sha256": "{tiny.sha256}", '
        '"categories": ["darth_vader", "elsa", "\\u6771\\u4eac"], '
        '"final_tensor": "final_result", "format": 1, "precision": "float32", '
        '"scaling": {"classic": false, "mean": 127.5, "size": 16, "std": 127.5}, '
        '"thresholds": {"elsa": 0.5}}'
    )
    assert _text(ours, GRAPH_RECORD) == old
    for fit in (CROP, PAD):
        graph = with_head(tiny.graph, head_for(12), record_for(tiny.fitted(fit)))
        assert _text(graph, GRAPH_RECORD) == old.replace('"mean"', f'"fit": "{fit}", "mean"')
        assert record_of(graph, "x.pb").scaling.fit == fit


def by_tensorflow(
    graph: GraphDef, feeds: list[tuple[str, Any]], fetch: str = FINAL_TENSOR
) -> list[NDArray[np.float32]]:
    """What TensorFlow 1's way of running gives for each of the feeds."""
    import tensorflow as tf

    v1 = tf.compat.v1
    given_graph = v1.GraphDef.FromString(serialise(graph))
    with tf.Graph().as_default(), v1.Session() as session:
        tf.import_graph_def(given_graph, name="")
        return [session.run(f"{fetch}:0", {key: value})[0] for key, value in feeds]


def agrees(ours: NDArray[np.float32], theirs: NDArray[np.float32], within: float) -> bool:
    best = np.sort(ours)[::-1]
    same = bool(ours.argmax() == theirs.argmax()) or best[0] - best[1] <= 0.1
    return same and bool(np.abs(ours - theirs).max() <= within)


SHAPES = [
    *[(300, 100), (100, 300), (161, 90), (90, 161), (64, 64), (500, 499), (1200, 200)],
    *[(1, 1000), (1000, 1), (2, 1000), (3, 2), (1, 1), (63, 2)],
]


@pytest.mark.tensorflow
@pytest.mark.parametrize("size", [64, 75])
@pytest.mark.parametrize("fit", FITS)
def test_the_decode_stage_fits_pictures_as_we_do(
    tiny: Backbone, tmp_path: Path, fit: str, size: int
) -> None:
    backbone = replace(tiny, scaling=replace(tiny.scaling, size=size, fit=fit))
    graph = with_head(tiny.graph, head_for(12), record_for(backbone))
    check(graph, "x.pb")
    random, pictures = np.random.default_rng(0), []
    for width, height in SHAPES:
        blots = Image.fromarray(random.integers(0, 256, (5, 5, 3), np.uint8))
        path = tmp_path / f"{width}x{height}.jpg"
        blots.resize((width, height), Image.Resampling.BICUBIC).save(path, quality=95)
        pictures.append(encoded.read(path))
    feeds = [(f"{IMAGE_BYTES}:0", picture.data) for picture in pictures]
    for shape, picture, fed in zip(
        SHAPES, pictures, by_tensorflow(graph, feeds, NETWORK_INPUT), strict=True
    ):
        theirs = fed * backbone.scaling.std + backbone.scaling.mean
        ours = decoding.decode(picture, size, fit).astype(np.float32)
        # A JPEG of four times the size is decoded here at a smaller scale.
        smaller = min(shape) >= 4 * size or (fit == PAD and max(shape) >= 4 * size)
        assert np.abs(ours - theirs).max() <= (8 if smaller else 1.5), shape


@pytest.mark.tensorflow
@pytest.mark.slow
@pytest.mark.parametrize("fit", [CROP, PAD])
def test_old_programs_see_what_we_see_in_every_fit(
    shared: Path, tmp_path: Path, call: Run, fit: str
) -> None:
    (tmp_path / "data").symlink_to(shared / "vader_elsa/train")
    done = call("train", tmp_path, "--backbone", "efficientnet_lite0", "--fit", fit)
    assert done.returncode == 0
    graph = parse(read(tmp_path / GRAPH), "x.pb")
    scaling = record_of(graph, "x.pb").scaling
    photos = sorted((shared / "vader_elsa" / "test").iterdir())
    pictures = {path: encoded.read(path) for path in photos}
    jpegs = [path for path in photos if pictures[path].kind == "JPEG"]
    pixels = {path: decoding.decode(pictures[path], scaling.size, fit) for path in jpegs}
    scores = dict(Network(graph, scaling, FINAL_TENSOR, "float32").run(pixels.items()))
    old = by_tensorflow(graph, [(f"{IMAGE_BYTES}:0", pictures[path].data) for path in jpegs])
    for path, theirs in zip(jpegs, old, strict=True):
        # One photo was 0.0204 off, though no pixel by more than a level of rounding.
        assert agrees(scores[path], theirs, 0.025), path


@pytest.mark.tensorflow
def test_old_programs_see_what_we_see(vader_elsa: Path, shared: Path) -> None:
    graph = parse(read(vader_elsa / GRAPH), "x.pb")
    scaling = record_of(graph, "x.pb").scaling
    photos = sorted((shared / "vader_elsa" / "test").iterdir())
    pictures = {path: encoded.read(path) for path in photos}
    jpegs = [path for path, picture in pictures.items() if picture.kind == "JPEG"]
    assert len(jpegs) > 20
    pixels = {path: decoding.decode(pictures[path], scaling.size) for path in jpegs}
    scores = dict(Network(graph, scaling, FINAL_TENSOR, "float32").run(pixels.items()))

    fed = [(pixels[path] - np.float32(scaling.mean)) / scaling.std for path in jpegs]
    arrays_ = by_tensorflow(graph, [(f"{NETWORK_INPUT}:0", image[None]) for image in fed])
    for path, theirs in zip(jpegs, arrays_, strict=True):
        np.testing.assert_allclose(theirs, scores[path], atol=1e-4)

    old = by_tensorflow(graph, [(f"{IMAGE_BYTES}:0", pictures[path].data) for path in jpegs])
    for path, theirs in zip(jpegs, old, strict=True):
        assert agrees(scores[path], theirs, 0.02), path


@pytest.mark.tensorflow
def test_old_programs_see_large_photos_nearly_as_we_do(vader_elsa: Path, shared: Path) -> None:
    graph = parse(read(vader_elsa / GRAPH), "x.pb")
    scaling = record_of(graph, "x.pb").scaling
    picture = encoded.read(shared / "sample_images" / "photo_16mp.jpg")
    pixels = decoding.decode(picture, scaling.size)
    ((_, scores),) = Network(graph, scaling, FINAL_TENSOR, "float32", few=True).run([("", pixels)])
    (theirs,) = by_tensorflow(graph, [(f"{IMAGE_BYTES}:0", picture.data)])
    assert agrees(scores, theirs, 0.06)


CONTRADICTIONS: list[dict[str, Any]] = [
    {"labels": ("a", "b")},
    {"labels": ("a", "b", "c", "d")},
    {"labels": ()},
    {"categories": ("a",)},
    {"format": 2},
    {"format": "1"},
    {"final_tensor": []},
    {"backbone": 5},
    {"precision": "int4"},
    {"precision": None},
    {"precision": ["float32"]},
    {"backbone_sha256": None},
    {"thresholds": [1]},
    {"thresholds": {"a": "b"}},
    {"categories": ("../../etc", "b\0", 5)},
    *(
        {"scaling": each}
        for each in [
            {"size": 0, "mean": 127.5, "std": 127.5},
            {"size": -5, "mean": 127.5, "std": 127.5},
            {"size": 10**9, "mean": 127.5, "std": 127.5},
            {"size": 224.5, "mean": 127.5, "std": 127.5},
            {"size": "224", "mean": 127.5, "std": 127.5},
            {"size": True, "mean": 127.5, "std": 127.5},
            {"size": 16, "mean": 127.5, "std": 0},
            {"size": 16, "mean": 127.5, "std": -1},
            {"size": 16, "mean": 127.5, "std": float("nan")},
            {"size": 16, "mean": 127.5, "std": float("inf")},
            {"size": 16, "mean": float("nan"), "std": 1},
            {"size": 16, "mean": 10**400, "std": 1},
            {"size": 16, "mean": "127.5", "std": 1},
            {"size": 16, "mean": None, "std": 1},
            {"size": 16, "mean": 127.5, "std": [1]},
            {"size": 16, "mean": 127.5},
            {"size": 16, "mean": 127.5, "std": 1, "more": 1},
            {"size": 16, "mean": 127.5, "std": 1, "fit": "stretch"},
            {"size": 16, "mean": 127.5, "std": 1, "fit": "Crop"},
            {"size": 16, "mean": 127.5, "std": 1, "fit": ""},
            {"size": 16, "mean": 127.5, "std": 1, "fit": None},
            {"size": 16, "mean": 127.5, "std": 1, "fit": ["crop"]},
            {"size": 16, "mean": 127.5, "std": 1, "fit": {}},
            {"size": 16, "mean": 127.5, "std": 1, "fit": 1},
            {"size": 16, "mean": 127.5, "std": 1, "classic": True, "fit": "crop"},
            {"size": 16, "mean": 127.5, "std": 1, "classic": True, "fit": "pad"},
            [16, 127.5, 1],
        ]
    ),
]


@pytest.mark.parametrize("changes", CONTRADICTIONS, ids=str)
def test_a_record_that_cannot_be_true_is_refused(tiny: Backbone, changes: dict[str, Any]) -> None:
    graph = with_head(tiny.graph, head_for(12), record_for(tiny))
    said = json.loads(_text(graph, GRAPH_RECORD)) | changes
    if "labels" in changes:
        _replace(graph, GRAPH_LABELS, said.pop("labels"))
    _replace(graph, GRAPH_RECORD, json.dumps(said))
    with pytest.raises(UserError, match=r"record inside"):
        record_of(graph, "x.pb")


def _text(graph: GraphDef, name: str) -> str:
    value = array(graph, name)
    assert value is not None
    text: str = value.item().decode()
    return text


def _replace(graph: GraphDef, name: str, value: Any) -> None:
    builder = Builder()
    builder.const(name, value if len(value) else np.empty(0, "U1"))
    next(node for node in graph.node if node.name == name).CopyFrom(builder.graph.node[0])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


FIELDS = st.sampled_from(
    "categories scaling backbone backbone_sha256 precision final_tensor thresholds format".split()
)


@pytest.mark.slow
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(FIELDS, JSON, max_size=3), scaling=st.lists(JSON, max_size=4))
def test_any_record_is_understood_or_refused(
    ours: GraphDef, changes: dict[str, Any], scaling: list[Any]
) -> None:
    graph = copy_of(ours)
    said = json.loads(_text(graph, GRAPH_RECORD)) | changes
    if scaling:
        said["scaling"] = dict(zip(("size", "mean", "std", "fit"), scaling, strict=False))
    _replace(graph, GRAPH_RECORD, json.dumps(said))
    found = accepted(serialise(graph))
    if isinstance(found, Record):
        assert isinstance(found.scaling.size, int)
        assert np.isfinite([found.scaling.mean, found.scaling.std]).all()
        assert found.scaling.fit in FITS
        assert isinstance(found.backbone, str)


DAMAGED_TEXTS = [
    "",
    "{",
    "[]",
    "null",
    "5",
    '"x"',
    "{}",
    "[" * 100_000,
    '{"format": 1}',
    "9" * 9999,
]


@pytest.mark.parametrize("text", DAMAGED_TEXTS, ids=lambda text: text[:12])
def test_a_record_that_is_no_record_is_refused(ours: GraphDef, text: str) -> None:
    graph = copy_of(ours)
    _replace(graph, GRAPH_RECORD, text)
    assert isinstance(accepted(serialise(graph)), UserError)


def test_labels_of_other_types_and_shapes_are_refused(ours: GraphDef) -> None:
    graph = copy_of(ours)
    _replace(graph, GRAPH_LABELS, np.ones(3, np.float32))
    assert isinstance(accepted(serialise(graph)), UserError)
    for size in (0, 2, 4, 2**40):
        graph = copy_of(ours)
        labels = next(node for node in graph.node if node.name == GRAPH_LABELS)
        labels.attr["value"].tensor.tensor_shape.dim[0].size = size
        assert isinstance(accepted(serialise(graph)), UserError), size
