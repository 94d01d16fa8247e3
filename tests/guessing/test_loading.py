"""A classifier is a folder or a graph alone; what does not fit together is refused in words."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tensorboard.compat.proto.graph_pb2 import GraphDef

from made.place import ROOT, Run
from made.strangers import LABELS as THEIRS
from made.strangers import made
from tensor_guess.config import BOTTLENECK, GRAPH, GRAPH_RECORD, LABELS, NETWORK_INPUT
from tensor_guess.errors import UserError, WrongUsage
from tensor_guess.graphs.graph import parse, serialise
from tensor_guess.guessing.guess import Guess, guess
from tensor_guess.guessing.loading import Given, load

Spoil = Callable[[Path], object]
Change = Callable[[GraphDef], None]


def test_one_file_is_enough(trained: Path) -> None:
    alone, folder = load(trained / GRAPH), load(trained)
    assert alone.record == folder.record
    assert alone.record.labels == ("dark knight", "snow queen")
    assert alone.record.categories == ("dark_knight", "snow_queen")
    assert alone.digest() == folder.digest()


def test_a_folder_without_labels_file_is_whole(classifier: Path) -> None:
    (classifier / LABELS).unlink()
    assert load(classifier).record.labels == ("dark knight", "snow queen")


@pytest.mark.slow
def test_a_shared_zip_is_used_as_its_folder_is(trained: Path, tmp_path: Path, call: Run) -> None:
    zip_ = tmp_path / "films.zip"
    call("share", trained, zip_)
    assert load(zip_).record == load(trained).record
    photo = ROOT / "test_data/photo01.jpg"
    first, again = call("guess", zip_, photo), call("guess", zip_, photo, "--verbose")
    assert first.stdout == again.stdout == call("guess", trained, photo).stdout
    assert "its network was compiled by an earlier run" in again.stderr
    (tmp_path / "labels.txt").write_text("snow queen\ndark knight\n")
    for command in (("guess", zip_, photo), ("inspect", zip_)):
        wrong = call(*command, "--labels", tmp_path / "labels.txt")
        assert wrong.returncode == 1
        assert "does not have the labels that are inside" in wrong.stdout + wrong.stderr
    fed = call("guess", zip_, photo, "--input-mean", 3)
    assert fed.stdout == first.stdout
    assert "the --input and --output options are ignored" in fed.stderr


def test_another_programs_graph_in_a_zip_has_its_labels_there(tmp_path: Path, call: Run) -> None:
    (tmp_path / "their_graph.pb").write_bytes(serialise(made("hub")))
    (tmp_path / "labels.txt").write_text("\n".join(THEIRS))
    call("share", tmp_path, tmp_path / "x.zip")
    (tmp_path / "labels.txt").write_text("others\n")
    given = tmp_path / "x.zip", ROOT / "test_data/photo01.jpg"
    first, again = call("guess", *given), call("guess", *given)
    assert (first.returncode, first.stderr) == (0, "")
    assert again.stdout == first.stdout
    assert all(label in first.stdout for label in THEIRS)
    wrong = call(
        "guess", *given, "--labels", tmp_path / "labels.txt"
    )  # also where it was used before
    assert wrong.returncode == 1
    assert "does not have the labels that are inside" in wrong.stderr


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / GRAPH).unlink(), "run ./train.sh .* first"),
        (lambda folder: (folder / LABELS).write_text("snow queen\ndark knight\n"), "not have the"),
        (lambda folder: (folder / LABELS).write_text("dark knight\n"), "not have the labels"),
        (
            lambda folder: (folder / LABELS).write_bytes(b"\xff\xfe\n"),
            "not UTF-8 .byte 0 is",
        ),
        (lambda folder: (folder / GRAPH).write_bytes(b""), "is not a frozen graph"),
        (lambda folder: (folder / GRAPH).write_bytes(b"not a graph"), "is not a frozen graph"),
        (lambda folder: _truncate(folder / GRAPH, 1_000_000), "is not a frozen graph"),
        (
            lambda folder: (folder / GRAPH).write_text("version https://git-lfs.github.com/"),
            "git lfs pull",
        ),
    ],
)
def test_what_is_missing_or_damaged_is_said(classifier: Path, spoil: Spoil, said: str) -> None:
    spoil(classifier)
    with pytest.raises(UserError, match=said) as raised:
        load(classifier)
    assert raised.value.exit_code == 1


@pytest.mark.slow
@pytest.mark.parametrize("command", ["guess", "inspect", "share", "train"])
def test_a_graph_that_is_a_link_is_only_read_if_its_user_named_it(
    classifier: Path, tmp_path: Path, call: Run, command: str
) -> None:
    graph, photo = classifier / GRAPH, ROOT / "test_data/photo01.jpg"
    (classifier / GRAPH).rename(tmp_path / "elsewhere.pb")
    graph.symlink_to(tmp_path / "elsewhere.pb")
    arguments = {"guess": (photo,), "share": (tmp_path / "a.zip",)}.get(command, ())
    done = call(command, classifier, *arguments)
    assert done.returncode == (2 if command == "train" else 1)
    assert str(graph) in done.stderr
    if command != "train":
        assert done.stderr.endswith(
            " is a link that leaves the folder; give the path of the graph itself\n"
        )
    assert call("guess", graph, photo).returncode == 0


def test_a_path_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    for name in ("nothing", "x" * 300):
        with pytest.raises(WrongUsage, match="no such file or folder"):
            load(tmp_path / name)


@pytest.mark.parametrize("made_by", ["classic_run_2017", "graphs/glasses"])
def test_real_graphs_score_as_label_image_did(shared: Path, made_by: str) -> None:
    expected = json.loads((shared / made_by / "expected_scores.json").read_text())["scores"]
    base = shared if made_by == "graphs/glasses" else shared / made_by
    found = guess(shared / made_by, [base / name for name in expected])
    for scores, each in zip(expected.values(), found, strict=True):
        assert isinstance(each, Guess)
        assert each.scores == pytest.approx(scores, abs=1e-3)


def test_a_frozen_backbone_beside_its_labels_is_a_classifier(shared: Path) -> None:
    folder = shared / "graphs/mobilenet_v1_0.25_224"
    for graph in ("frozen_graph.pb", "quantized_graph.pb"):
        known = load(folder / graph)
        assert len(set(known.record.labels)) == 1001
    (found,) = guess(folder / graph, [shared / "sample_images/parrot.jpg"], top=1)
    assert isinstance(found, Guess)
    assert found.label.endswith("macaw")


@pytest.mark.parametrize(
    "path",
    [
        "broken/lfs_pointer_retrained_graph.pb",
        "broken/one_placeholder_output_graph.pb",
        "another_network/output_graph.pb",
    ],
)
def test_what_is_no_classifier_is_one_sentence(shared: Path, path: str, call: Run) -> None:
    done = call("guess", shared / "graphs" / path, ROOT / "test_data/photo01.jpg")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert re.search("git lfs pull|with --input_layer|is refused", done.stderr), done.stderr


def test_a_fifo_is_no_graph_and_does_not_hang(tmp_path: Path, run: Run) -> None:
    os.mkfifo(tmp_path / "g.pb")
    done = run("guess", tmp_path / "g.pb", ROOT / "test_data/photo01.jpg")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("g.pb as a frozen graph: is not a regular file\n")


@pytest.fixture
def stranger(tmp_path: Path) -> Path:
    """A folder as retrain.py left it: another program's graph and its labels."""
    folder = tmp_path / "stranger"
    folder.mkdir()
    (folder / "output_graph.pb").write_bytes(serialise(made("mobilenet")))
    (folder / "output_labels.txt").write_text("".join(f"{label}\n" for label in THEIRS))
    return folder


def test_any_of_its_names_is_the_same_classifier(stranger: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.txt").write_text("\ufeffa b\r\nb\r\na b\r\n\r\n")
    folder, graph = load(stranger), load(stranger / "output_graph.pb")
    assert folder.record == graph.record
    assert folder.record.labels == THEIRS
    named = load(Given(stranger, tmp_path / "elsewhere.txt"))
    assert named.record.labels == ("a b", "b", "a b (2)")
    assert named.record.categories == ("a_b", "b", "a_b_(2)")


def _labels(content: bytes) -> Spoil:
    return lambda folder: (folder / "output_labels.txt").write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "output_labels.txt").unlink(), "no labels beside it.*--labels"),
        (_labels(b"a\nb\nc\nd\n"), "4 labels, .* 3 scores"),
        (_labels(b"a\nb\n"), "2 labels, .* 3 scores"),
        (_labels(b""), "has no labels"),
        (_labels("é\nb\nc".encode("latin1")), "is not UTF-8 .byte 0 is 0xe9"),
        (_labels("a\nb\nc".encode("utf-16")), "is not UTF-8"),
        (_labels("a\nb\nc".encode("utf-16-le")), "NUL bytes"),
        (lambda folder: os.truncate(folder / "output_graph.pb", 3 * 10**9), "is larger than 2147"),
        (lambda folder: _hole(folder / "output_graph.pb"), "is not a frozen graph"),
        (lambda folder: _fifo(folder / "output_graph.pb"), "no classifier in"),
        (lambda folder: os.truncate(folder / "output_labels.txt", 3 * 10**9), "larger than 10 MB"),
        (lambda folder: _copies(folder, "output_graph.pb"), r"several \.pb files.*--graph"),
        (lambda folder: _copies(folder, "output_labels.txt"), r"several \.txt.*--labels"),
    ],
)
def test_what_does_not_belong_together_is_said(
    stranger: Path, call: Run, spoil: Spoil, said: str
) -> None:
    spoil(stranger)
    done = call("guess", stranger, ROOT / "test_data/photo01.jpg")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert re.search(said, done.stderr), done.stderr


def _hole(path: Path) -> None:
    """The file is 2 GB of zeros, and takes no room."""
    path.write_bytes(b"")
    os.truncate(path, 2**31 - 1)


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _copies(folder: Path, name: str) -> None:
    """The file is there twice, under names that say nothing."""
    path = folder / name
    for stem in "xy":
        (folder / f"{stem}{path.suffix}").write_bytes(path.read_bytes())
    path.unlink()


def _truncate(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])


def _tampered(final_tensor: str) -> Change:
    def change(graph: GraphDef) -> None:
        text = next(node for node in graph.node if node.name == GRAPH_RECORD).attr["value"].tensor
        record = json.loads(text.string_val[0]) | {"final_tensor": final_tensor}
        text.string_val[0] = json.dumps(record).encode()

    return change


def _no_number(graph: GraphDef) -> None:
    biases = next(node for node in graph.node if node.name == "final_training_ops/biases")
    biases.attr["value"].tensor.tensor_content = np.array([np.nan, 0], "<f4").tobytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_tampered(BOTTLENECK), r"bottleneck is \[1, 1280\], not one row an image of 2 numbers"),
        (_tampered("final_training_ops/weights"), r"is \[1280, 2\], not one row"),
        (_tampered(NETWORK_INPUT), r"Mul is \[1, 224, 224, 3\], not one row"),
        (_tampered("nothing"), "contradicts the record inside it"),
        (_no_number, "no numbers|not all numbers"),
    ],
)
def test_a_graph_that_its_record_does_not_fit_is_refused_by_every_command(
    trained: Path, tmp_path: Path, call: Run, change: Change, said: str
) -> None:
    graph = parse((trained / GRAPH).read_bytes(), "x.pb")
    change(graph)
    path = tmp_path / "x.pb"
    path.write_bytes(serialise(graph))
    for arguments in (
        ("guess", path, ROOT / "test_data/photo01.jpg"),
        ("classify-dir", path, ROOT / "test_data", tmp_path / "sorted"),
        ("share", path, tmp_path / "x.zip"),
        ("export", path, tmp_path / "x.onnx", "--format", "onnx", "--pictures", ROOT / "test_data"),
    ):
        done = call(*arguments)
        assert (done.returncode, done.stdout) == (1, ""), arguments
        assert re.search(said, done.stderr), done.stderr
        assert "Traceback" not in done.stderr
    assert [each.name for each in tmp_path.iterdir() if each.suffix != ".pb"] in ([], ["sorted"])
    assert [each.name for each in tmp_path.glob("sorted/*")] in ([], ["manifest.jsonl"])
    told = call("inspect", path)
    assert (told.returncode, told.stderr) == (1, "")
    assert re.search(said, told.stdout)
