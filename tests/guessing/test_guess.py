"""Pictures get names, in the order they were given, whatever lies between them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from made.place import ROOT
from tensor_guess.errors import WrongUsage
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
