"""Old runs of `retrain.py` go on: their bottlenecks are taken where they are the backbone's."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from made.place import Run
from made.strangers import INPUTS, LABELS, SIZE, made
from tensor_guess.config import BOTTLENECKS, DATA, GRAPH, RECORD, REPORT, Training
from tensor_guess.config import LABELS as LABELS_FILE
from tensor_guess.errors import UserError
from tensor_guess.graphs.graph import serialise
from tensor_guess.training.train import Job, Trained, train

HUB = "https~tfhub.dev~google~imagenet~small~feature_vector~1"
# What each generation wrote after a photo's name, and the tensor that it stored.
GENERATIONS = {
    "inception_2015": (".txt", "pool_3/_reshape:0"),
    # Its first layer has 6 channels, of 32.
    "mobilenet": (f"_mobilenet_0.1875_{SIZE}.txt", "Predictions/Reshape:0"),
    "hub": (f"_{HUB}.txt", "module_apply_default/Mean:0"),
}
PHOTOS = 10
FEW = Training(steps=20)


@pytest.fixture(scope="module")
def old_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Of each generation a folder as its `retrain.py` left it; not to be written to."""
    data = tmp_path_factory.mktemp("photos")
    for k, category in enumerate(LABELS):
        (data / category).mkdir()
        for n in range(PHOTOS):
            random = np.random.default_rng([k, n])
            pixels = random.normal(60 + 70 * k, 40, (50, 41, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(data / category / f"{n}.jpg", quality=90)
    folders = {}
    for flavour, (ending, _) in GENERATIONS.items():
        folder = folders[flavour] = tmp_path_factory.mktemp(flavour)
        shutil.copytree(data, folder / DATA)
        (folder / GRAPH).write_bytes(serialise(made(flavour)))
        (folder / LABELS_FILE).write_text("".join(f"{label}\n" for label in LABELS))
        for photo, row in by_tensorflow(flavour, sorted(data.glob("*/*"))).items():
            path = folder / BOTTLENECKS / photo.parent.name / f"{photo.name}{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(",".join(str(x) for x in row))
    return folders


def by_tensorflow(flavour: str, photos: list[Path]) -> dict[Path, NDArray[np.float32]]:
    """What TensorFlow gives as the bottleneck, fed as the generation's `retrain.py` did it."""
    import tensorflow as tf

    v1, (mean, std) = tf.compat.v1, {"hub": (0, 255)}.get(flavour, (127.5, 127.5))
    rows = {}
    with tf.Graph().as_default(), v1.Session() as session:
        tf.import_graph_def(v1.GraphDef.FromString(serialise(made(flavour))), name="")
        jpeg = v1.placeholder(tf.string)
        batch = tf.expand_dims(tf.cast(tf.io.decode_jpeg(jpeg, channels=3), tf.float32), 0)
        resized = (v1.image.resize_bilinear(batch, [SIZE, SIZE]) - mean) / std
        for photo in photos:
            if flavour == "inception_2015":
                fed = {"DecodeJpeg/contents:0": photo.read_bytes()}
            else:
                small = session.run(resized, {jpeg: photo.read_bytes()})
                fed = {f"{INPUTS[flavour]}:0": small}
            rows[photo] = session.run(GENERATIONS[flavour][1], fed).ravel()
    return rows


@pytest.fixture
def old_run(old_runs: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """A copy of an old run's folder, for a test to go on with."""
    return lambda flavour: Path(shutil.copytree(old_runs[flavour], tmp_path / "old"))


def again(folder: Path, **given: object) -> Trained:
    return train(replace(Job(folder, FEW, offline=True), **given))  # type: ignore[arg-type]


def snapshot(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.tensorflow
@pytest.mark.parametrize("flavour", GENERATIONS)
def test_an_old_folder_just_goes_on(
    flavour: str, old_run: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = old_run(flavour)
    assert again(folder).left_out == ()
    said = capsys.readouterr().err
    assert f"30 bottlenecks taken from {folder / BOTTLENECKS}" in said
    assert "8 photos compared and alike" in said
    assert "bottlenecks: 0 computed, 30 taken, 0 from the cache" in said
    again(folder)
    said = capsys.readouterr().err
    assert "bottlenecks: 0 computed, 30 from the cache" in said
    assert "replaced" not in said


@pytest.mark.tensorflow
@pytest.mark.parametrize("flavour", GENERATIONS)
def test_without_photos_what_was_stored_is_enough(
    flavour: str, old_run: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, new = old_run(flavour), tmp_path / "new"
    before = snapshot(folder)
    new.mkdir()
    done = again(new, backbone=str(folder / GRAPH), bottleneck_dir=folder / BOTTLENECKS)
    assert done.left_out == ()
    said = capsys.readouterr().err
    assert f"30 bottlenecks taken from {folder / BOTTLENECKS}" in said
    assert "there are no photos to compare them with" in said
    assert sorted(path.name for path in new.iterdir()) == sorted(
        [GRAPH, LABELS_FILE, RECORD, REPORT]
    )
    assert snapshot(folder) == before


@pytest.mark.tensorflow
def test_a_new_graph_scores_as_an_old_client_would(
    old_run: Callable[[str], Path], call: Run
) -> None:
    import tensorflow as tf

    v1 = tf.compat.v1
    folder = old_run("inception_2015")
    again(folder)
    photo = folder / DATA / "roses/3.jpg"
    done = call("guess", folder, photo, "--json")
    with tf.Graph().as_default(), v1.Session() as session:
        tf.import_graph_def(v1.GraphDef.FromString((folder / GRAPH).read_bytes()), name="")
        (scores,) = session.run("final_result:0", {"DecodeJpeg/contents:0": photo.read_bytes()})
    ours = [json.loads(done.stdout)["scores"][label] for label in sorted(LABELS)]
    np.testing.assert_allclose(ours, scores, atol=1e-4)


@pytest.mark.tensorflow
def test_what_is_damaged_or_missing_is_computed_and_named(
    old_run: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = old_run("mobilenet")
    ending = GENERATIONS["mobilenet"][0]
    stored = folder / BOTTLENECKS / "daisy"
    whole = again(folder).accuracy
    shutil.rmtree(next(path for path in (folder / BOTTLENECKS).iterdir() if len(path.name) == 32))
    (folder / BOTTLENECKS / "seen").unlink(missing_ok=True)
    capsys.readouterr()
    (stored / f"0.jpg{ending}").write_text("")
    (stored / f"9.jpg{ending}").write_text("0.5,0.5")
    (stored / f"5.jpg{ending}").unlink()
    (stored / f"gone.jpg{ending}").write_text("1,2,3,4,5,6")
    done = again(folder)
    said = capsys.readouterr().err
    assert (done.left_out, done.accuracy) == ((), whole)
    assert f"damaged: {stored}/0.jpg{ending} is empty; its photo is computed" in said
    assert f"damaged: {stored}/9.jpg{ending} has 2 numbers, not 6; its photo is computed" in said
    assert "27 bottlenecks taken" in said
    assert ", 2 damaged, 1 of photos that are not there" in said
    assert "bottlenecks: 3 computed, 27 taken, 0 from the cache" in said


@pytest.mark.tensorflow
def test_without_photos_damaged_ones_are_left_out(
    old_run: Callable[[str], Path], call: Run
) -> None:
    folder = old_run("hub")
    shutil.rmtree(folder / DATA)
    (hurt,) = (folder / BOTTLENECKS / "roses").glob("7.jpg*")
    hurt.write_text("nan")
    (folder / BOTTLENECKS / "roses/notes.txt").write_text("buy roses")
    done = call("train", folder, "--steps", 20)
    assert done.returncode == 3, done.stderr
    assert f"left out {hurt}: has 1 numbers, not 8" in done.stderr
    assert "roses/notes.txt: is not named as `retrain.py` names them" in done.stderr
    assert "29 bottlenecks taken" in done.stderr
    assert ", 1 damaged; there are no photos" in done.stderr


@pytest.mark.tensorflow
def test_the_same_photo_under_another_name_or_changed_since(
    old_run: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = old_run("mobilenet")
    photos = folder / DATA / "daisy"
    (photos / "0.jpg").unlink()
    shutil.copy(folder / DATA / "roses/0.jpg", photos / "0.jpg")
    (folder / DATA / "roses/0.jpg").unlink()
    (photos / "1.jpg").rename(photos / "renamed.jpg")
    again(folder)
    said = capsys.readouterr().err
    assert f"{photos / '0.jpg'} is not what {folder / BOTTLENECKS}" in said
    # Of daisy/1.jpg and roses/0.jpg there are only the bottlenecks.
    assert "2 of photos that are not there" in said
    assert "bottlenecks: 2 computed, 27 taken, 0 from the cache" in said


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("weights", "of 8 photos compared, 8 give other numbers"),
        ("length", "they have 5 numbers each, those of retrained_graph.pb 6"),
        ("size", f"they are of 64 x 64 pixels, not {SIZE} x {SIZE}"),
        ("photos", "none is of a photo in"),
        ("damaged", "all that were opened are damaged"),
    ],
)
def test_anothers_bottlenecks_are_not_used_and_that_is_said(
    change: str, said: str, old_run: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = old_run("mobilenet")
    for path in sorted((folder / BOTTLENECKS).glob("*/*.txt")):
        row = np.array(path.read_text().split(","), np.float32)
        if change in ("weights", "length", "damaged"):
            new = {"weights": row * 1.2, "length": row[1:], "damaged": row[:0]}[change]
            path.write_text(",".join(str(x) for x in new))
        else:
            name = path.name.replace(f"_{SIZE}.txt", "_64.txt")
            path.rename(path.with_name(name if change == "size" else f"other {path.name}"))
    before = snapshot(folder / BOTTLENECKS)
    again(folder)
    log = capsys.readouterr().err
    assert log.count("not used: the bottlenecks in") == 1
    assert said in log
    assert "bottlenecks: 30 computed, 0 from the cache" in log
    assert before.items() <= snapshot(folder / BOTTLENECKS).items()


@pytest.mark.tensorflow
@pytest.mark.parametrize("before", [False, True])
def test_bottlenecks_of_squeezed_pictures_are_for_no_other_fit(
    before: bool, old_run: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = old_run("mobilenet")
    if before:
        again(folder)  # now it is a classic classifier of ours
    again(folder, fit="crop")
    log = capsys.readouterr().err
    assert log.count("not used: the bottlenecks in") == 1
    assert "they are of squeezed pictures, not of --fit crop" in log
    assert "bottlenecks: 30 computed, 0 from the cache" in log
    assert json.loads((folder / RECORD).read_text())["scaling"] == {
        "classic": False, "fit": "crop", "mean": 127.5, "size": SIZE, "std": 127.5
    }  # fmt: skip


@pytest.mark.tensorflow
def test_of_two_generations_the_one_that_fits_is_taken(
    old_run: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = old_run("mobilenet")
    for path in sorted((folder / BOTTLENECKS).glob("*/*.txt")):
        for name in ("x", path.name.partition("_")[0]):
            (path.parent / f"{name}.txt").write_text("1.5,2.5,3.5")
    again(folder)
    log = capsys.readouterr().err
    assert f"30 bottlenecks taken from {folder / BOTTLENECKS} (mobilenet_0.1875_{SIZE})" in log


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"backbone": "efficientnet_lite0"}, "those of efficientnet_lite0 1280"),
        ({"backbone": "{old}", "precision": "bf16"}, "in float32, not bf16"),
        ({"backbone": "{old}", "fit": "pad"}, "of squeezed pictures, not of --fit pad"),
    ],
)
def test_without_photos_anothers_bottlenecks_are_an_error(
    given: dict[str, str],
    said: str,
    old_run: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tensor_guess.training.train.has_bf16", lambda: True)
    folder, new = old_run("mobilenet"), tmp_path / "new"
    new.mkdir()
    told = {key: value.format(old=folder / GRAPH) for key, value in given.items()}
    with pytest.raises(UserError, match=said) as caught:
        again(new, bottleneck_dir=folder / BOTTLENECKS, **told)
    assert "give the graph that they were made with by --from" in str(caught.value)
    assert list(new.iterdir()) == []


@pytest.mark.slow
def test_a_real_run_goes_on(shared: Path, tmp_path: Path, call: Run) -> None:
    old, folder = shared / "classic_run_2017", tmp_path / "tf_files"
    shutil.copytree(old / "photos", folder / DATA)
    shutil.copytree(old / BOTTLENECKS, folder / BOTTLENECKS)
    shutil.copy(old / GRAPH, folder)
    done = call("train", folder)
    assert done.returncode == 0, done.stderr
    assert "60 bottlenecks taken" in done.stderr
    assert right(folder, old, call) >= 9


@pytest.mark.slow
def test_a_real_run_goes_on_from_its_bottlenecks_alone(
    shared: Path, tmp_path: Path, call: Run
) -> None:
    old = shared / "classic_run_2017"
    graph, stored = old / GRAPH, old / BOTTLENECKS
    done = call("train", tmp_path, "--backbone", graph, "--bottleneck_dir", stored)
    assert done.returncode == 0, done.stderr
    assert f"60 bottlenecks taken from {stored} (mobilenet_0.25_128)" in done.stderr
    assert right(tmp_path, old, call) >= 8


def right(folder: Path, old: Path, call: Run) -> int:
    """How many of the run's twelve test photos get the label that is in their name."""
    photos = sorted((old / "test_photos").iterdir())
    done = call("guess", folder, "--json", *photos)
    labels = [json.loads(line)["label"] for line in done.stdout.splitlines()]
    return sum(label in photo.name for label, photo in zip(labels, photos, strict=True))
