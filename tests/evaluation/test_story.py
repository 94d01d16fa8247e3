"""model.json tells how a classifier came to be, and only of the graph it was written with."""

import json
from dataclasses import asdict, fields, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from made.graphs import record_for
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.config import GRAPH, RECORD, Training
from tensor_guess.errors import UserError
from tensor_guess.evaluation import story
from tensor_guess.evaluation.story import Story
from tensor_guess.graphs.files import Record
from tensor_guess.guessing.loading import load

DIGEST = "d" * 64
FACTS: dict[str, Any] = {
    "counts": {"darth_vader": {"training": 7, "testing": 2}, "elsa": {"training": 9}, "東京": {}},
    "data_sha256": "a" * 64,
    "metrics": {"test_confusion": [[1, 1, 0], [0, 2, 0], [0, 0, 0]], "test_near_copies": 1},
    "training": {**asdict(Training()), "hidden": [8], "seed": 3, "later": 1},
    "versions": {"tensor-guess": "1.0"},
}


@pytest.fixture
def record(tiny: Backbone) -> Record:
    return record_for(tiny)


def test_what_training_knows_is_read_again(record: Record) -> None:
    found = story.read(story.written(record, DIGEST, FACTS), record, DIGEST, RECORD)
    assert found.counts is not None
    assert found.counts["elsa"] == {"training": 9, "validation": 0, "testing": 0}
    assert (found.data_sha256, found.near_copies, found.version) == ("a" * 64, 1, "1.0")
    assert str(found.accuracy).startswith("75.0% (N=4, ")
    assert (found.held_out, found.options) == ((10, 10), ("hidden", "seed"))


def test_that_nothing_was_held_out_of_few_pictures_is_no_option(record: Record) -> None:
    training = {**asdict(Training()), "testing_percentage": 0}
    for metrics, options in (({}, ("testing_percentage",)), ({"cross_validated": True}, ())):
        data = story.written(record, DIGEST, {"training": training, "metrics": metrics})
        assert story.read(data, record, DIGEST, RECORD).options == options


def test_a_folder_whose_name_is_not_utf_8_has_a_story(record: Record) -> None:
    odd = replace(record, categories=("darth\udcff", *record.categories[1:]))
    data = story.written(odd, DIGEST, {})
    assert json.loads(data.decode())["categories"][0] == "darth\udcff"
    story.read(data, odd, DIGEST, RECORD)


@pytest.mark.parametrize("key", FACTS)
def test_what_is_not_there_is_not_known(record: Record, key: str) -> None:
    alone = story.read(story.written(record, DIGEST, {key: FACTS[key]}), record, DIGEST, RECORD)
    known = {each.name for each in fields(Story) if getattr(alone, each.name) is not None}
    assert (
        known
        == {
            "counts": {"counts"},
            "data_sha256": {"data_sha256"},
            "metrics": {"confusion", "near_copies"},
            "training": {"held_out", "options"},
            "versions": {"version"},
        }[key]
    )
    assert (alone.accuracy is None) == (key != "metrics")


def test_training_writes_the_story_of_its_own_graph(trained: Path) -> None:
    model = json.loads((trained / RECORD).read_text())
    assert model["graph_sha256"] == sha256((trained / GRAPH).read_bytes()).hexdigest()
    known = load(trained)
    data = (trained / RECORD).read_bytes()
    found = story.read(data, known.record, known.digest(), RECORD)
    assert found.accuracy is not None
    assert found.accuracy.count == model["metrics"]["test_count"] > 0
    assert found.accuracy.value == model["metrics"]["test_accuracy"]
    assert list(found.accuracy.interval()) == model["metrics"]["test_interval_95"]


def model_with(record: Record, **changes: object) -> bytes:
    return json.dumps(json.loads(story.written(record, DIGEST, FACTS)) | changes).encode()


@pytest.mark.parametrize(
    "changes",
    [
        {"graph_sha256": "e" * 64},
        {"graph_sha256": 5},
        {"labels": ["darth vader", "elsa"]},
        {"backbone": "inception_v3"},
        {"thresholds": {"elsa": 0.6}},
        {"thresholds": []},
        {"scaling": {"size": 17}},
    ],
)
def test_another_graphs_story_is_refused(record: Record, changes: dict[str, object]) -> None:
    with pytest.raises(UserError, match="was not written with the graph beside it"):
        story.read(model_with(record, **changes), record, DIGEST, RECORD)


@pytest.mark.parametrize("key", ["thresholds", "labels", "scaling", "graph_sha256"])
def test_what_does_not_say_all_of_the_record_is_refused(record: Record, key: str) -> None:
    model = json.loads(story.written(record, DIGEST, FACTS))
    del model[key]
    with pytest.raises(UserError, match="is damaged"):
        story.read(json.dumps(model).encode(), record, DIGEST, RECORD)


@pytest.mark.parametrize(
    "changes",
    [
        {"counts": []},
        {"counts": {"elsa": {}}},
        {"counts": FACTS["counts"] | {"elsa": {"training": -1}}},
        {"counts": FACTS["counts"] | {"elsa": {"training": True}}},
        {"counts": FACTS["counts"] | {"elsa": {"training": "<b>"}}},
        {"metrics": 7},
        {"metrics": {"test_confusion": [[1, 2], [3, 4]]}},
        {"metrics": {"test_confusion": [[0.5] * 3] * 3}},
        {"metrics": {"test_near_copies": "many"}},
        {"metrics": {"test_near_copies": 10**30}},
        {"data_sha256": ["a"]},
        {"versions": "1.0"},
        {"versions": {"tensor-guess": 1.0}},
    ],
)
def test_what_training_never_writes_is_refused(record: Record, changes: dict[str, object]) -> None:
    with pytest.raises(UserError, match="is damaged"):
        story.read(model_with(record, **changes), record, DIGEST, RECORD)


@pytest.mark.parametrize("data", [b"", b"[]", b"7", b"{", b"\xff{}", b"[" * 100_000, b'"x"', b"{}"])
def test_what_is_no_object_is_refused(record: Record, data: bytes) -> None:
    with pytest.raises(UserError, match="is damaged"):
        story.read(data, record, DIGEST, RECORD)
