"""A study: every finding is what the network says of the changed picture."""

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.compat.proto.graph_pb2 import GraphDef

from made.place import ROOT
from tensor_guess.config import DATA
from tensor_guess.errors import UserError, WrongUsage
from tensor_guess.explaining import patches
from tensor_guess.explaining.explain import Subject
from tensor_guess.explaining.study import _Trial, check, study
from tensor_guess.graphs.graph import serialise
from tensor_guess.guessing.guess import Guess, guess
from tensor_guess.guessing.loading import Given

PHOTO = ROOT / "test_data/photo11.jpg"


@pytest.fixture
def small(ours: GraphDef, tmp_path: Path) -> Given:
    """A graph alone, with a network of 16 x 16 pixels and three labels."""
    (tmp_path / "small.pb").write_bytes(serialise(ours))
    return Given(tmp_path / "small.pb")


def test_each_patch_was_changed_alone(small: Given) -> None:
    subject = Subject(small, PHOTO, False)
    trial = _Trial(subject)
    cells = patches.grid(16, 8)
    for name, change in patches.CHANGES.items():
        images = [patches.changed(subject.image, mask, change(subject.image)) for mask in cells]
        scores = subject.score(images)
        ahead = patches.margins(subject.scores[None], trial.a, trial.b)
        np.testing.assert_allclose(
            trial.drops[name, 8], ahead - patches.margins(scores, trial.a, trial.b), atol=1e-4
        )
        np.testing.assert_allclose(trial.changed_scores[name, 8], scores, atol=1e-6)
    white = np.full_like(subject.image, 255)
    np.testing.assert_allclose(subject.score([white])[0], trial.white, atol=1e-6)


@pytest.mark.slow
def test_the_findings_are_true(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "study.html"
    findings = study(Given(trained), PHOTO, out)
    (found,) = guess(trained, [PHOTO])
    assert isinstance(found, Guess)
    label, score = re.match(r"guessed: (.*?) ([\d.]+),", findings[0]).groups()  # type: ignore
    assert label == found.label
    assert float(score) == pytest.approx(found.score, abs=1e-4)
    Image.new("RGB", (50, 50), "white").save(tmp_path / "white.png")
    (white,) = guess(trained, [tmp_path / "white.png"])
    assert isinstance(white, Guess)
    said = next(each for each in findings if "nothing but white" in each)
    assert said.startswith(f"a picture of nothing but white is guessed {white.label} (")
    assert sum("training picture of" in each or "no near picture" in each for each in findings) == 2
    text = out.read_text("utf-8")
    assert text.count("<img ") > 8
    assert all(f"<li>{each}</li>" in text for each in findings)
    assert len(text) < 2_000_000


def test_a_region_that_turns_the_answer_does(small: Given) -> None:
    subject = Subject(small, PHOTO, False)
    trial = _Trial(subject)
    to = trial.to["whitened"]
    found = patches.turning(
        subject.image, to, trial.cells[8], trial.drops["whitened", 8], subject.score
    )
    if found:
        own = subject.score([patches.changed(subject.image, found.mask, to)])[0]
        np.testing.assert_allclose(own, found.scores, atol=1e-6)
        assert own.argmax() != subject.best[0]


def test_a_graph_alone_is_studied_and_its_pictures_are_unknown(
    small: Given, tmp_path: Path
) -> None:
    findings = study(small, PHOTO, tmp_path / "x.html")
    assert findings[-1].startswith("nearest training pictures: unknown, no training pictures here")


def test_noise_of_any_name_fits_on_the_page(small: Given, tmp_path: Path) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (600, 800, 3), np.uint8)
    path = tmp_path / os.fsdecode(b"<script>\x1b[2J\n\xff.png")
    Image.fromarray(noise).save(path, "PNG")
    out = tmp_path / "x.html"
    findings = study(small, path, out)
    data = out.read_bytes()
    assert len(data) < 2_000_000
    assert b"<script>" not in data
    assert b"\x1b" not in data
    assert sum("ground" in each for each in findings) >= 1


@pytest.mark.slow
def test_another_programs_graph_is_studied(shared: Path, tmp_path: Path) -> None:
    findings = study(Given(shared / "classic_run_2017/retrained_graph.pb"), PHOTO, tmp_path / "x")
    assert any("another program trained it" in each for each in findings)


def test_only_the_page_of_a_study_is_replaced(small: Given, tmp_path: Path, trained: Path) -> None:
    out = tmp_path / "x.html"
    check(out, small)
    study(small, PHOTO, out)
    check(out, small)
    (tmp_path / "own.html").write_text("<!doctype html><title>mine</title>")
    (tmp_path / "link.html").symlink_to(out)
    shutil.copy(PHOTO, tmp_path / "photo.jpg")
    for name in ("own.html", "link.html", "photo.jpg"):
        with pytest.raises(WrongUsage, match="is not the page of a study"):
            check(tmp_path / name, small)
    with pytest.raises(WrongUsage, match="among the pictures"):
        check(trained / DATA / "snow_queen/x.html", Given(trained))


def test_a_picture_that_cannot_be_read_is_a_sentence(small: Given, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="could not read"):
        study(small, tmp_path / "nowhere.jpg", tmp_path / "x.html")
    assert not (tmp_path / "x.html").exists()


@pytest.mark.slow
def test_the_articles_hybrids_as_docs_study_md_says(
    shared: Path, vader_elsa: Path, tmp_path: Path
) -> None:
    text = (ROOT / "docs/study.md").read_text("utf-8")
    for name in ("images00", "imagesfg", "imagesff"):
        path = shared / f"vader_elsa/test/{name}.jpg"
        (found,) = guess(vader_elsa, [path])
        assert isinstance(found, Guess)
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}.jpg`"))
        label, score = re.search(r"([^|]+) ([\d.]+) \|$", row).groups()  # type: ignore
        assert label.strip() == found.label
        assert float(score) == pytest.approx(found.score, abs=0.05)
