"""What is in a graph is told, and why it is refused; nothing of it is run."""

import json
import re
from pathlib import Path

import pytest
from tensorboard.compat.proto.types_pb2 import DT_FLOAT

from made.place import Run
from made.strangers import INPUTS, LABELS, SIZE, made
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.config import BOTTLENECK, GRAPH, NETWORK_INPUT
from tensor_guess.errors import UserError
from tensor_guess.graphs.builder import Builder
from tensor_guess.graphs.files import Fed
from tensor_guess.graphs.graph import serialise
from tensor_guess.guessing.inspect import inspect, list_layers
from tensor_guess.guessing.loading import Given


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "labels.txt").write_text("".join(f"{label}\n" for label in LABELS))
    return tmp_path


@pytest.mark.parametrize("flavour", INPUTS)
def test_each_generation_is_described(folder: Path, flavour: str) -> None:
    (folder / "g.pb").write_bytes(serialise(made(flavour)))
    found = inspect(Given(folder))
    assert found.refused == []
    assert found.made_by.startswith("retrain.py of TensorFlow")
    assert found.fed is not None
    assert (found.fed_to, found.fed.size) == (INPUTS[flavour], SIZE)
    assert found.head is not None
    assert found.head[1] == len(found.labels) == len(LABELS)
    assert found.ops["MatMul"] == 1
    assert found.outputs == [f"{'import/' if flavour == 'imported' else ''}final_result:0"]


def test_all_that_is_refused_is_told(folder: Path, call: Run) -> None:
    graph = made("mobilenet")
    extra = Builder()
    extra.const("name", "/etc/passwd")
    extra.op("ReadFile", "steal", ("name",))
    extra.op("ReadFile", "again", ("name",))
    extra.op("WriteFile", "spoil", ("name", "steal"))
    graph.node.extend(extra.graph.node)
    (folder / "g.pb").write_bytes(serialise(graph))
    done = call("inspect", folder / "g.pb", "--json")
    assert (done.returncode, done.stderr) == (1, "")
    found = json.loads(done.stdout)
    assert found["ops"]["ReadFile"] == 2
    assert len(found["refused"]) == 2
    assert "ReadFile" in found["refused"][0]
    assert "WriteFile" in found["refused"][1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (Given(Path("g.pb"), Path("other.txt")), "2 labels, and .* 3 scores"),
        (Given(Path("g.pb"), fed=Fed(output="Nowhere")), "no tensor Nowhere"),
        (Given(Path("g.pb"), fed=Fed(size=7)), "is refused"),
    ],
)
def test_what_guessing_would_refuse_is_told(folder: Path, given: Given, said: str) -> None:
    (folder / "g.pb").write_bytes(serialise(made("inception_2015")))
    (folder / "other.txt").write_text("a\nb\n")
    labels = given.labels and folder / given.labels
    (refusal,) = inspect(Given(folder / given.path, labels, given.fed)).refused
    assert re.search(said, refusal)


def test_what_is_no_graph_is_one_sentence(folder: Path, call: Run, shared: Path) -> None:
    (folder / GRAPH).write_bytes(b"not a graph")
    with pytest.raises(UserError, match="is not a frozen graph"):
        inspect(Given(folder))
    done = call("inspect", shared / "graphs/broken/lfs_pointer_retrained_graph.pb")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)


def test_the_layers_of_a_backbone_a_classifier_and_a_graph(
    lite0: Backbone, trained: Path, folder: Path, call: Run
) -> None:
    named = list_layers(Given(Path("efficientnet_lite0")))
    assert named.name == lite0.name
    assert (named.layers[0].name, named.layers[-1].name) == (NETWORK_INPUT, BOTTLENECK)
    head = list_layers(Given(trained))
    assert head.count == named.count + 2
    assert head.parameters == named.parameters + 1281 * 2
    (folder / "g.pb").write_bytes(serialise(made("mobilenet")))
    done = call("inspect", folder / "g.pb", "--layers", "--json")
    found = json.loads(done.stdout)
    assert found["name"] == f"{folder}/g.pb"
    assert [each["name"] for each in found["layers"][:2]] == [
        "input",
        "MobilenetV1/Conv2d_0/Conv2D",
    ]
    assert found["parameters"] == sum(each["parameters"] for each in found["layers"])
    done = call("inspect", folder / "g.pb", "--layers")
    head_, first, *_, last = done.stdout.splitlines()
    assert head_.split() == ["name", "type", "shape", "parameters", "block"]
    assert first.split() == ["input", "input", "32", "x", "32", "x", "3"]
    assert last == f"{found['count']} layers, {found['parameters']} parameters"


def test_of_very_many_layers_the_first_are_listed(folder: Path, call: Run) -> None:
    builder = Builder()
    builder.placeholder("input", DT_FLOAT, (1, 2, 2, 3))
    for number in range(5000):
        builder.floats("Relu", f"relu_{number}", (f"relu_{number - 1}" if number else "input",))
    builder.floats("Softmax", "final_result", ("relu_4999",))
    (folder / "g.pb").write_bytes(serialise(builder.graph))
    done = call("inspect", folder / "g.pb", "--layers")
    assert done.stdout.splitlines()[-2:] == ["... and 3002 more", "5002 layers, 0 parameters"]


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("mobilenet_v9", 2, "did you mean mobilenet_v2?"),
        ("vgg16", 1, "vgg16 is not on this machine; `tensor-guess fetch vgg16` brings it"),
        ("no/such", 2, "there is no classifier no/such"),
    ],
)
def test_layers_of_what_is_not_there(call: Run, name: str, code: int, said: str) -> None:
    done = call("inspect", name, "--layers")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (code, "", 1)
    assert said in done.stderr


def test_layers_of_a_refused_graph_are_not_listed(folder: Path, call: Run) -> None:
    graph = made("mobilenet")
    graph.node.add(op="ReadFile", name="steal")
    (folder / "g.pb").write_bytes(serialise(graph))
    done = call("inspect", folder / "g.pb", "--layers")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    graph = made("mobilenet")
    del graph.node[-1]
    (folder / "g.pb").write_bytes(serialise(graph))
    done = call("inspect", folder / "g.pb", "--layers")
    assert "name it with --output_layer" in done.stderr
    assert call("inspect", folder, "--layers", "--output_layer=Wx_plus_b/add").returncode == 1
    done = call("inspect", folder, "--layers", "--output_layer=final_training_ops/Wx_plus_b/add")
    assert done.returncode == 0
