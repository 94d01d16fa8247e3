"""Pictures get names, in the order they were given, whatever lies between them."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.compat.proto.graph_pb2 import GraphDef

from made.place import ROOT, Run
from tensor_guess.errors import WrongUsage
from tensor_guess.graphs.graph import serialise
from tensor_guess.guessing.guess import Guess, guess
from tensor_guess.images.files import LeftOut

PHOTOS = sorted((ROOT / "test_data").iterdir())


def test_scores_are_best_first_and_sum_to_one(trained: Path) -> None:
    for found in guess(trained, PHOTOS):
        assert isinstance(found, Guess)
        scores = list(found.scores.values())
        assert scores == sorted(scores, reverse=True)
        assert sum(scores) == pytest.approx(1, abs=1e-5)
        assert found.score == max(scores)


def test_the_unreadable_ones_keep_their_place(trained: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_text("no picture")
    paths = [bad, PHOTOS[0], tmp_path / "missing.jpg", bad, PHOTOS[1], PHOTOS[2], bad]
    found = list(guess(trained, paths))
    assert [each.path for each in found] == paths
    assert [type(each) for each in found] == [
        LeftOut, Guess, LeftOut, LeftOut, Guess, Guess, LeftOut
    ]  # fmt: skip


@pytest.mark.slow
def test_many_at_once_score_as_one_by_one(trained: Path) -> None:
    together = [each for each in guess(trained, PHOTOS) if isinstance(each, Guess)]
    for path, many in zip(PHOTOS, together, strict=True):
        (one,) = guess(trained, [path])
        assert isinstance(one, Guess)
        for label, score in one.scores.items():
            assert many.scores[label] == pytest.approx(score, abs=1e-4)


def test_what_is_shown_upright_is_guessed_upright(trained: Path, tmp_path: Path) -> None:
    with Image.open(PHOTOS[0]) as image:
        upright = image.convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.save(tmp_path / "upright.png")
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    one, other = guess(trained, [tmp_path / "upright.png", tmp_path / "turned.png"])
    assert isinstance(one, Guess)
    assert isinstance(other, Guess)
    np.testing.assert_allclose(list(one.scores.values()), list(other.scores.values()), atol=0.01)


@pytest.mark.slow
def test_the_articles_own_picture(shared: Path, vader_elsa: Path) -> None:
    (found,) = guess(vader_elsa, [shared / "vader_elsa/test/images00.jpg"])
    assert isinstance(found, Guess)
    assert found.label == "elsa"
    assert found.score >= 0.9


@pytest.mark.slow
def test_a_score_below_what_is_asked_of_its_category_is_unsure(trained: Path) -> None:
    plain = [each for each in guess(trained, PHOTOS) if isinstance(each, Guess)]
    assert not any(each.unsure for each in plain)
    asked = ((None, 0.999), ("snow_queen", 0.9))
    found = [each for each in guess(trained, PHOTOS, min_scores=asked) if isinstance(each, Guess)]
    for each in found:
        assert each.unsure == (each.score < (0.9 if each.category == "snow_queen" else 0.999))
    assert 0 < sum(each.unsure for each in found) < len(found)
    (one,) = guess(trained, PHOTOS[:1], min_scores=(("dark knight", 1), (None, 0)))
    assert isinstance(one, Guess)
    assert one.unsure


def test_a_category_that_is_not_there_is_wrong_usage(trained: Path) -> None:
    with pytest.raises(WrongUsage, match="no category snow_quen; did you mean snow_queen"):
        list(guess(trained, PHOTOS[:1], min_scores=(("snow_quen", 0.5),)))
    with pytest.raises(WrongUsage, match=r"no category '\\x1b\[2J'; did you mean"):
        list(guess(trained, PHOTOS[:1], min_scores=(("\x1b[2J", 0.5),)))


def noise(path: Path) -> Path:
    random = np.random.default_rng(4)
    Image.fromarray(random.integers(0, 256, (200, 300, 3), np.uint8)).save(path)
    return path


def pair(path: Path) -> Path:
    """One figure of each category, side by side."""
    folder = ROOT / "tf_files" / "data"
    whole = Image.new("RGB", (600, 300))
    for i, name in enumerate(("dark_knight/dark_knight_40.jpg", "snow_queen/snow_queen_40.jpg")):
        with Image.open(folder / name) as image:
            whole.paste(image.convert("RGB").resize((300, 300)), (300 * i, 0))
    whole.save(path)
    return path


@pytest.mark.slow
def test_noise_is_unknown_and_nearly_all_that_was_trained_on_is_not(
    call: Run, trained: Path, tmp_path: Path
) -> None:
    known = sorted((ROOT / "tf_files/data/snow_queen").glob("*.jpg"))[:20]
    done = call("guess", trained, noise(tmp_path / "noise.png"), *known, "--unknown", "--json")
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert said[0]["unknown"] is True
    assert sum(each["unknown"] for each in said[1:]) <= 2
    assert not any("both" in each for each in said)
    for _ in range(2):  # the second time by the network that was kept
        printed = call("guess", trained, tmp_path / "noise.png", "--unknown").stdout.splitlines()
        assert printed[0] == "unknown: like nothing it was trained on"
        assert " (score = 0." in printed[1]
        assert len(printed) == 3
    plain = call("guess", trained, tmp_path / "noise.png").stdout.splitlines()
    assert plain == printed[1:]


@pytest.mark.slow
def test_two_figures_side_by_side_are_both(call: Run, trained: Path, tmp_path: Path) -> None:
    whole = pair(tmp_path / "pair.png")
    for _ in range(2):
        printed = call("guess", trained, whole, "--both").stdout.splitlines()
        assert printed[0] == "both: dark knight and snow queen"
    one = ROOT / "tf_files/data/snow_queen/snow_queen_40.jpg"
    done = call("guess", trained, whole, one, "--both", "--json")
    said = [json.loads(line)["both"] for line in done.stdout.splitlines()]
    assert said == [["dark knight", "snow queen"], None]


def test_what_a_classifier_cannot_tell_is_a_sentence(
    call: Run, ours: GraphDef, tmp_path: Path
) -> None:
    graph = tmp_path / "older.pb"
    graph.write_bytes(serialise(ours))
    done = call("guess", graph, PHOTOS[0], "--unknown")
    assert done.returncode == 1
    assert "has no threshold for unknown pictures" in done.stderr
    assert "train again" in done.stderr
    assert call("guess", graph, PHOTOS[0], "--both").returncode == 0


def test_another_program_s_graph_without_a_map_cannot_tell_both(call: Run, shared: Path) -> None:
    done = call("guess", shared / "classic_run_2017/retrained_graph.pb", PHOTOS[0], "--both")
    assert done.returncode == 1
    assert "no map of the picture's places" in done.stderr
