"""An export is there whole and with the scores of a guess, or not at all."""

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.compat.proto.graph_pb2 import GraphDef

from made.graphs import copy_of, head_for, record_for
from made.place import ROOT, Run
from made.strangers import LABELS as THEIRS
from made.strangers import made
from made.tflite import children, described, text
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.config import CROP, EXPORTS, GRAPH, PAD, RECORD
from tensor_guess.errors import UserError, WrongUsage
from tensor_guess.evaluation import story
from tensor_guess.exporting import export as exporting
from tensor_guess.exporting import portable
from tensor_guess.exporting.export import Job, export
from tensor_guess.graphs.classifier import Classifier
from tensor_guess.graphs.graph import serialise
from tensor_guess.graphs.own import with_head
from tensor_guess.guessing.loading import Given, load

PHOTOS = ROOT / "test_data"
TENSORFLOW = pytest.mark.tensorflow
# OpenVINO's is the only one that is made without TensorFlow. A page has tests of its own.
FORMS = [
    pytest.param(form, marks=[TENSORFLOW] * (form != "openvino"))
    for form in EXPORTS
    if form != "html"
]


@pytest.fixture
def small(ours: GraphDef, tmp_path: Path) -> Path:
    """A classifier's folder on the tiny backbone; its labels are darth vader, elsa and 東京."""
    folder = tmp_path / "small"
    random = np.random.default_rng(0)
    for category in ("Darth_Vader", "elsa", "東京"):
        (folder / "data" / category).mkdir(parents=True)
        for i in range(12):
            image = Image.fromarray(random.integers(0, 256, (20, 30, 3), np.uint8))
            image.save(folder / "data" / category / f"{i}.png")
    (folder / GRAPH).write_bytes(serialise(ours))
    return folder


@pytest.mark.parametrize("form", FORMS)
def test_every_format_takes_labels_of_any_script(small: Path, tmp_path: Path, form: str) -> None:
    found = export(Job(Given(small), tmp_path / "out", form))
    assert found.count == 20
    assert found.worst <= 1e-4
    assert sorted(each.name for each in tmp_path.iterdir()) == ["out", "small"]
    everything = [tmp_path / "out", *(tmp_path / "out").rglob("*")]
    inside = b"".join(path.read_bytes() for path in everything if path.is_file())
    assert "東京".encode() in inside or b"\\u6771\\u4eac" in inside


@TENSORFLOW
@pytest.mark.parametrize("fit", [CROP, PAD])
def test_a_fit_goes_along(small: Path, tiny: Backbone, tmp_path: Path, fit: str) -> None:
    fitting = tiny.fitted(fit)
    graph = with_head(tiny.graph, head_for(12), record_for(fitting))
    (small / GRAPH).write_bytes(serialise(graph))
    # It is compared with guesses, so it fits the pictures as they do.
    assert export(Job(Given(small), tmp_path / "saved", "saved_model")).worst <= 1e-4
    assert json.loads((tmp_path / "saved/record.json").read_text())["scaling"]["fit"] == fit
    export(Job(Given(small), tmp_path / "m.tflite", "tflite"))
    (pixels,) = children(described(tmp_path / "m.tflite"), 2)
    assert text(pixels, 1) == f"The picture, {fitting.scaling.how}.".encode()


@pytest.mark.parametrize("form", FORMS)
def test_a_network_that_scores_otherwise_is_not_published(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    def spoiled(known: Classifier) -> GraphDef:
        graph = copy_of(portable.graph_of(known))
        (factor,) = (node for node in graph.node if node.name == "scaling/factor")
        value = np.frombuffer(factor.attr["value"].tensor.tensor_content, np.float32)
        factor.attr["value"].tensor.tensor_content = (value * 1.01).astype(np.float32).tobytes()
        return graph

    monkeypatch.setattr(f"tensor_guess.exporting.to_{form}.graph_of", spoiled)
    with pytest.raises(UserError, match=r"out is not written: .* differs by 0\.\d+ \(at most"):
        export(Job(Given(small), tmp_path / "out", form))
    assert [each.name for each in tmp_path.iterdir()] == ["small"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("flavour", ["inception_2015", "hub"])
def test_another_programs_classifier(tmp_path: Path, flavour: str, form: str) -> None:
    as_scored_here(tmp_path, flavour, form)


@TENSORFLOW
@pytest.mark.parametrize("form", ["onnx", "saved_model"])
def test_another_programs_quantized_classifier(tmp_path: Path, form: str) -> None:
    as_scored_here(tmp_path, "mobilenet_quantized", form)


def as_scored_here(tmp_path: Path, flavour: str, form: str) -> None:
    (tmp_path / "theirs.pb").write_bytes(serialise(made(flavour)))
    (tmp_path / "labels.txt").write_text("\n".join(THEIRS))
    which = Given(tmp_path / "theirs.pb", tmp_path / "labels.txt")
    found = export(Job(which, tmp_path / "out", form, pictures=PHOTOS))
    assert found.count >= 8
    assert found.worst <= 1e-4


@TENSORFLOW
def test_a_score_that_is_no_number_is_not_published(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "tensor_guess.exporting.to_onnx.scores", lambda path, each: np.full((len(each), 3), np.nan)
    )
    with pytest.raises(UserError, match="is not written"):
        export(Job(Given(small), tmp_path / "out.onnx", "onnx"))
    assert [each.name for each in tmp_path.iterdir()] == ["small"]


@TENSORFLOW
def test_what_a_converter_cannot_do_is_one_sentence(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(known: Classifier, path: Path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("in user code:\nno rule for LRN\n")

    monkeypatch.setattr("tensor_guess.exporting.to_onnx.write", fails)
    with pytest.raises(UserError, match=r"small cannot be exported as onnx: no rule for LRN$"):
        export(Job(Given(small), tmp_path / "out.onnx", "onnx"))
    assert [each.name for each in tmp_path.iterdir()] == ["small"]


@TENSORFLOW
def test_in_8_bits_the_accuracy_on_held_out_pictures_is_told(small: Path, tmp_path: Path) -> None:
    found = export(Job(Given(small), tmp_path / "out.tflite", "tflite", quantize=True))
    assert found.accuracy
    before, after = found.accuracy
    assert before.count == after.count == found.count < 36
    assert (tmp_path / "out.tflite").is_file()


def _retold(folder: Path, validation: int, testing: int) -> None:
    """As `folder` would be, had it been trained with those percentages held out."""
    known = load(folder)
    facts = {
        "training": {"validation_percentage": validation, "testing_percentage": testing},
        "counts": None,
    }
    (folder / RECORD).write_bytes(story.written(known.record, known.digest(), facts))


@TENSORFLOW
def test_in_8_bits_the_pictures_held_out_are_those_of_the_training(
    small: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    counts = []
    for validation, testing in ((10, 40), (40, 0)):
        _retold(small, validation, testing)
        out = tmp_path / f"{testing}.tflite"
        counts.append(export(Job(Given(small), out, "tflite", quantize=True)).count)
        assert "it is not known" not in capfd.readouterr().err
    assert all(count > 8 for count in counts)
    _retold(small, 0, 0)
    with pytest.raises(UserError, match="was trained on all of its pictures"):
        export(Job(Given(small), tmp_path / "all.tflite", "tflite", quantize=True))
    assert not (tmp_path / "all.tflite").exists()
    (small / RECORD).unlink()
    export(Job(Given(small), tmp_path / "unknown.tflite", "tflite", quantize=True))
    assert "it is not known whether the classifier was trained on" in capfd.readouterr().err


def test_other_pictures_and_few_of_them(small: Path, tmp_path: Path) -> None:
    shutil.rmtree(small / "data")
    job = Job(Given(small / GRAPH), tmp_path / "out", "openvino", pictures=PHOTOS)
    assert export(job).count == len(list(PHOTOS.glob("*.*")))


@TENSORFLOW
def test_what_a_format_does_not_decode_is_passed_over_and_counted(
    small: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    export(Job(Given(small), tmp_path / "out", "saved_model", pictures=PHOTOS))
    others = ("photo03.webp", "photo04.avif", "photo05.jpg")  # the last one is in CMYK
    assert all((PHOTOS / name).exists() for name in others)
    assert capfd.readouterr().err == (
        f"passed over {len(others)} files that saved_model cannot be compared on\n"
    )
    exporting._say_passed_over(Job(Given(small), tmp_path, "tflite"), 1)
    assert capfd.readouterr().err == "passed over 1 file that tflite cannot be compared on\n"


def test_without_pictures_it_says_which_option_gives_some(small: Path, tmp_path: Path) -> None:
    for job in (
        Job(Given(small / GRAPH), tmp_path / "out", "onnx"),
        Job(Given(small / GRAPH), tmp_path / "out", "tflite", quantize=True),
    ):
        with pytest.raises(UserError, match="give a folder of some with --pictures"):
            export(job)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"there are none in .*empty"):
        export(Job(Given(small), tmp_path / "out", "onnx", pictures=tmp_path / "empty"))
    with pytest.raises(WrongUsage, match="there is no folder"):
        export(Job(Given(small), tmp_path / "out", "onnx", pictures=tmp_path / "none"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("taken", ["a file", "a folder", "a link to nothing"])
def test_what_is_there_is_left_alone(small: Path, tmp_path: Path, taken: str) -> None:
    out = tmp_path / "out"
    if taken == "a file":
        out.write_text("mine")
    elif taken == "a folder":
        out.mkdir()
    else:
        out.symlink_to(tmp_path / "nothing")
    before = out.lstat()
    with pytest.raises(WrongUsage, match="is there already"):
        export(Job(Given(small), out, "onnx"))
    assert out.lstat() == before


def test_pictures_are_from_all_over() -> None:
    chosen = exporting._spread(range(1000))[:20]
    assert len({number // 100 for number in chosen}) == 10
    assert sorted(exporting._spread(range(7))) == list(range(7))


def test_the_command(trained: Path, tmp_path: Path, call: Run) -> None:
    for arguments, said in (
        (("export", trained, tmp_path / "x", "--format", "onnx", "--quantize"), "is for --format"),
        (("export", trained, tmp_path / "x", "--format", "coreml"), "'coreml' is not one of"),
        (("export", trained, tmp_path / "x"), "Missing option '--format'"),
        (("export", "imagenet", tmp_path / "x", "--format", "onnx"), "is built in"),
        (("export", trained, trained / "data/x.onnx", "--format", "onnx"), "among the pictures"),
    ):
        done = call(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "x").exists()


@pytest.mark.long
@TENSORFLOW
def test_a_runtime_that_is_not_there_is_named_with_its_extra(
    small: Path, tmp_path: Path, call: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A package remembers a module that was imported from it.
    from tensor_guess import exporting as package

    monkeypatch.delattr(package, "to_onnx", raising=False)
    monkeypatch.delitem(sys.modules, "tensor_guess.exporting.to_onnx", raising=False)
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    done = call("export", small, "--format", "onnx", tmp_path / "out")
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        "needs tf2onnx, which is not here; run `pip install 'tensor-guess[export]'`" in done.stderr
    )
    assert not (tmp_path / "out").exists()


def test_few_pictures_in_8_bits_are_judged_by_those_not_trained_on(
    tmp_path: Path, run: Run
) -> None:
    folder = tmp_path / "few"
    for category in ("dark_knight", "snow_queen"):
        (folder / "data" / category).mkdir(parents=True)
        for path in sorted((ROOT / "tf_files/data" / category).iterdir())[:10]:
            shutil.copy(path, folder / "data" / category)
    run("train", folder, "--backbone", "efficientnet_lite0", "--steps", "50")
    known = load(folder)
    data = (folder / RECORD).read_bytes()
    told = story.read(data, known.record, known.digest(), RECORD)
    assert told.held_out == (10, 0)
    assert told.counts
    count = sum(each["validation"] for each in told.counts.values())
    done = run("export", folder, tmp_path / "x.tflite", "--format", "tflite", "--quantize")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"x.tflite: {count} pictures" in done.stdout
    assert done.stdout.count(f"(N={count}, ") == 2


@pytest.mark.long
def test_quantized_by_the_program(trained: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "out.tflite"
    done = run("export", trained, out, "--format", "tflite", "--quantize")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(
        rf"{re.escape(str(out))}: \d+ pictures, worst difference 0\.\d+\n"
        r"accuracy in 32 bits: [\d.]+% \(N=\d+, .*\)\naccuracy in 8 bits: [\d.]+% \(N=\d+, .*\)\n",
        done.stdout,
    )
