"""Choosing how to train: each way is tried on the same pictures, and the time is kept."""

import json
import shutil
from pathlib import Path

import pytest

from made.place import ROOT, Run
from tensor_guess.config import GRAPH, RECORD, REPORT
from tensor_guess.training import auto
from tensor_guess.training.train import Made

LITE = "--backbone=efficientnet_lite0"


@pytest.fixture
def tf_files(tmp_path: Path) -> Path:
    """A folder with twelve pictures a category."""
    for category in ("dark_knight", "snow_queen"):
        (tmp_path / "tf_files/data" / category).mkdir(parents=True)
        for path in sorted((ROOT / "tf_files/data" / category).iterdir())[:12]:
            shutil.copy(path, tmp_path / "tf_files/data" / category)
    return tmp_path / "tf_files"


@pytest.mark.slow
def test_every_way_that_makes_sense_is_tried(tf_files: Path, run: Run) -> None:
    done = run("train", tf_files, LITE, "--auto", "--time-budget=3m")
    assert done.returncode == 0, done.stderr
    model = json.loads((tf_files / RECORD).read_text())
    said = [each for each in done.stderr.splitlines() if " unseen, " in each]
    ways = ["head only", "crop", "pad", "augmented"]
    assert [each["way"] for each in model["tried"]] == ways
    for line, each in zip(said, model["tried"], strict=True):
        percent = 100 * each["right"] / each["count"]
        assert line.startswith(f"{each['way']}: {percent:.1f}% (N={each['count']}, ")
    # All 24 were judged without having been trained on.
    assert {each["count"] for each in model["tried"]} == {24}
    assert "fine-tuned: not tried, the time would not be enough\n" in done.stderr
    kept = [line for line in done.stderr.splitlines() if line.startswith("kept: ")]
    assert kept[0].removeprefix("kept: ") in ways
    best = max(each["right"] for each in model["tried"])
    assert best == {each["way"]: each["right"] for each in model["tried"]}[kept[0][6:]]
    fits = {"crop": "crop", "pad": "pad"}
    assert model["scaling"].get("fit", "squeeze") == fits.get(kept[0][6:], "squeeze") or (
        kept[0] == "kept: augmented"
    )
    assert (tf_files / REPORT).exists()


@pytest.mark.long
@pytest.mark.tensorflow
def test_with_few_pictures_fine_tuning_is_judged_in_folds(
    tf_files: Path, call: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, fine_tuned = auto._badness, []

    def badness(one: Made, other: Made) -> tuple[float, float]:
        """What the last way gives counts as the better one."""
        fine_tuned.append(len(one.judged))
        return (0, (len(fine_tuned) + 1) % 2) if len(fine_tuned) > 6 else real(one, other)

    monkeypatch.setattr(auto, "_badness", badness)
    monkeypatch.setattr(auto, "_TUNED", 0.1)  # of 17 blocks
    done = call("train", tf_files, LITE, "--auto", "--time-budget=60m")
    assert done.returncode == 0, done.stderr
    assert [f"fold {n} of 5: " in done.stderr for n in (1, 5, 6)] == [True, True, False]
    model = json.loads((tf_files / RECORD).read_text())
    assert (model["tried"][-1]["way"], model["tried"][-1]["count"]) == ("fine-tuned", 24)
    assert "kept: fine-tuned\n" in done.stderr
    assert model["fine_tuned"] == 2
    assert model["metrics"]["test_count"] > 0, (
        "it keeps pictures for the test, since it has no folds itself"
    )


@pytest.mark.slow
def test_however_short_the_time_there_is_a_classifier(tf_files: Path, run: Run) -> None:
    done = run("train", tf_files, LITE, "--auto", "--time-budget=10ms")
    assert done.returncode == 0, done.stderr
    assert "there is time for 4 of 24 pictures\n" in done.stderr
    assert "crop: not tried, the time would not be enough\n" in done.stderr
    assert "there is no time for a report\n" in done.stderr
    assert (tf_files / GRAPH).exists()
    assert not (tf_files / REPORT).exists()
    photo = next((tf_files / "data/snow_queen").iterdir())
    assert run("guess", tf_files, photo).stdout.count("(score = ") == 2


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("--time-budget=5m", "--time-budget is for --auto; give --auto too"),
        ("--auto --steps=10", "--auto does not go with --steps; give one of them"),
        ("--auto --fit=crop", "--auto does not go with --fit; give one of them"),
        ("--auto --augment", "--auto does not go with --augment; give one of them"),
        ("--auto --fine_tune=all", "--auto does not go with --fine-tune; give one of them"),
        ("--auto --rotation=3", "--auto does not go with --rotation; give one of them"),
        ("--auto --time-budget=0s", "'0s' is no time"),
        ("--auto --time-budget=soon", "'soon' is no time"),
    ],
)
def test_what_auto_chooses_cannot_be_given(
    tf_files: Path, call: Run, given: str, said: str
) -> None:
    done = call("train", tf_files, LITE, *given.split())
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert [path.name for path in tf_files.iterdir()] == ["data"]
