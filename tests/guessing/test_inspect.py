"""What is in a graph is told, and why it is refused; nothing of it is run."""

import json
import re
from pathlib import Path

import pytest

from made.place import Run
from made.strangers import INPUTS, LABELS, SIZE, made
from tensor_guess.config import GRAPH
from tensor_guess.errors import UserError
from tensor_guess.graphs.builder import Builder
from tensor_guess.graphs.files import Fed
from tensor_guess.graphs.graph import serialise
from tensor_guess.guessing.inspect import inspect
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
