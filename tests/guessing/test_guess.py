"""Pictures get names, in the order they were given, whatever lies between them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from made.place import ROOT
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
