"""How good a classifier is on labelled pictures: each counted once, and none that it has seen."""

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from made.place import ROOT
from tensor_guess.config import DATA, GRAPH
from tensor_guess.errors import UserError, WrongUsage
from tensor_guess.guessing.evaluate import (
    NEAR_COPY,
    TRAINED_ON,
    Evaluation,
    Judged,
    check_csv,
    evaluate,
)
from tensor_guess.guessing.guess import Guess, guess
from tensor_guess.guessing.loading import Given, Imagenet

TRUTH = {
    "photo01.jpg": "dark_knight",
    "photo06.jpg": "dark_knight",
    "photo02.png": "snow_queen",
    "photo05.jpg": "snow_queen",
}


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Four pictures in a folder for each category, whose names are written differently."""
    folder = tmp_path / "labelled"
    for name, category in TRUTH.items():
        own = folder / category.replace("_", "-").upper()
        own.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "test_data" / name, own)
    return folder


def counted(found: Evaluation) -> list[Judged]:
    return [each for each in found.judged if not each.not_counted]


def test_the_guesses_are_those_of_guess(trained: Path, labelled: Path) -> None:
    found = evaluate(Given(trained), labelled)
    assert (found.left_out, found.unknown, found.note, found.copies) == ((), "", "", 0)
    guesses = guess(trained, [each.path for each in found.judged])
    for each, own in zip(found.judged, guesses, strict=True):
        assert isinstance(own, Guess)
        assert found.record.labels[each.found] == own.label
        assert each.score == pytest.approx(own.score, abs=1e-4)
        assert found.record.categories[each.truth] == TRUTH[each.path.name]
    right = sum(each.truth == each.found for each in found.judged)
    assert (found.accuracy.right, found.accuracy.count) == (right, 4)
    assert found.confusion.sum() == 4
    assert found.top_five is None


@pytest.mark.slow
def test_of_its_own_pictures_only_the_test_pictures_count(trained: Path) -> None:
    """This gives the accuracy that training printed."""
    found = evaluate(Given(trained), trained / DATA)
    reasons = [each.not_counted for each in found.judged]
    assert len(reasons) == 80
    assert reasons.count(TRAINED_ON) == 72
    assert found.accuracy.count + reasons.count(NEAR_COPY) == 8


@pytest.mark.slow
def test_a_near_copy_of_a_training_picture_does_not_count(trained: Path, labelled: Path) -> None:
    seen = evaluate(Given(trained), trained / DATA).judged
    path = next(each.path for each in seen if each.not_counted == TRAINED_ON)
    with Image.open(path) as image:
        image.convert("RGB").save(labelled / "DARK-KNIGHT" / "again.jpg", quality=80)
    found = evaluate(Given(trained), labelled)
    assert [each.path.name for each in found.judged if each.not_counted] == ["again.jpg"]
    assert {each.not_counted for each in found.judged} == {"", NEAR_COPY}
    assert len(counted(found)) == len(found.truth) == 4


def test_a_graph_alone_does_not_say_what_it_was_trained_on(trained: Path, labelled: Path) -> None:
    found = evaluate(Given(trained / GRAPH), labelled)
    assert "a graph alone" in found.unknown
    assert len(counted(found)) == 4


def test_what_is_no_category_is_left_out_with_the_unreadable(trained: Path, labelled: Path) -> None:
    (labelled / "cars").mkdir()
    (labelled / ".hidden").mkdir()
    (labelled / "beside.jpg").touch()
    (labelled / "SNOW-QUEEN" / "empty.jpg").touch()
    found = evaluate(Given(trained), labelled)
    reasons = {each.path.name: each.reason for each in found.left_out}
    assert reasons == {
        "cars": "is no category of the classifier",
        "beside.jpg": "lies beside the category folders, in none of them",
        "empty.jpg": "is empty",
    }
    assert len(counted(found)) == 4


def test_the_same_picture_counts_once_and_with_two_truths_not_at_all(
    trained: Path, labelled: Path
) -> None:
    shutil.copy(labelled / "DARK-KNIGHT/photo01.jpg", labelled / "DARK-KNIGHT/copy.jpg")
    shutil.copy(labelled / "DARK-KNIGHT/photo06.jpg", labelled / "SNOW-QUEEN/copy.png")
    found = evaluate(Given(trained), labelled)
    assert found.copies == 1
    assert {each.path.name for each in found.left_out} == {"photo06.jpg", "copy.png"}
    assert {each.reason for each in found.left_out} == {
        "the same picture is in dark_knight and snow_queen"
    }
    assert len(counted(found)) == 3


def test_without_a_picture_it_is_one_sentence(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "cars").mkdir()
    with pytest.raises(UserError, match=r"name its folders like .*\(dark_knight, snow_queen\)"):
        evaluate(Given(trained), tmp_path)
    (tmp_path / "snow queen").mkdir()
    with pytest.raises(UserError, match=r"no picture .* can be judged"):
        evaluate(Given(trained), tmp_path)
    with pytest.raises(WrongUsage, match="there is no folder"):
        evaluate(Given(trained), tmp_path / "nowhere")


def test_a_csv_is_a_new_file_and_not_among_pictures(
    trained: Path, labelled: Path, tmp_path: Path
) -> None:
    which = Given(trained)
    check_csv(tmp_path / "x.csv", which, labelled)
    (tmp_path / "there.csv").touch()
    for path in (
        tmp_path / "there.csv",
        labelled / "x.csv",
        labelled / "SNOW-QUEEN/x.csv",
        trained / DATA / "snow_queen/x.csv",
    ):
        with pytest.raises(WrongUsage):
            check_csv(path, which, labelled)


@pytest.mark.slow
def test_imagenet_is_judged_by_its_labels(tmp_path: Path, lite0: object, shared: Path) -> None:
    (tmp_path / "Macaw").mkdir()
    shutil.copy(shared / "sample_images/parrot.jpg", tmp_path / "Macaw")
    found = evaluate(Imagenet("efficientnet_lite0"), tmp_path)
    assert found.accuracy.value == 1
    assert found.top_five
    assert (found.top_five.right, found.top_five.count) == (1, 1)
    assert "ImageNet" in found.unknown


def test_names_of_any_bytes_are_read(trained: Path, labelled: Path) -> None:
    name = os.fsdecode(b"new\nline \xff\x1b[31m.jpg")
    (labelled / "DARK-KNIGHT/photo01.jpg").rename(labelled / "DARK-KNIGHT" / name)
    found = evaluate(Given(trained), labelled)
    assert name in {each.path.name for each in found.judged}
