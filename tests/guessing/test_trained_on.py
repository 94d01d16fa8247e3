"""What a classifier was trained on: known only where its folder says so, and nothing is written."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from made.place import ROOT, Run
from tensor_guess.bottlenecks.inside import Inside
from tensor_guess.config import BOTTLENECKS, DATA, GRAPH, RECORD
from tensor_guess.guessing import trained_on
from tensor_guess.guessing.loading import Given, Imagenet, load
from tensor_guess.guessing.trained_on import NotKnown, TrainedOn
from tensor_guess.images import encoded
from tensor_guess.images.pixels import pixels


def found(folder: Path) -> TrainedOn:
    return trained_on.find(Given(folder), load(folder))


def state(folder: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.lstat().st_mtime_ns, path.lstat().st_size) for path in folder.rglob("*")}


def test_training_and_validation_pictures_are_known_and_nothing_is_written(trained: Path) -> None:
    before = state(trained)
    seen = found(trained)
    counts = json.loads((trained / RECORD).read_text())["counts"]
    expected = sum(each.get("training", 0) + each.get("validation", 0) for each in counts.values())
    assert len(seen.paths) == len(seen.keys) == len(seen.pictures.truth) == expected
    assert seen.note == ""
    for path, key in zip(seen.paths, seen.keys, strict=True):
        assert encoded.read(path).key == key
    assert state(trained) == before


def test_bottlenecks_are_those_of_the_network(trained: Path) -> None:
    seen, known = found(trained), load(trained)
    inside = Inside(known, few=True)
    image = pixels(encoded.read(seen.paths[3]), known.record.scaling)
    ((_, own),) = inside.run([(0, image)])
    np.testing.assert_allclose(seen.pictures.bottlenecks[3], own.bottleneck, atol=1e-4)
    assert known.record.categories[seen.pictures.truth[3]] == seen.paths[3].parent.name


@pytest.mark.slow
def test_without_the_cache_they_are_computed(trained: Path, classifier: Path) -> None:
    shutil.rmtree(classifier / BOTTLENECKS)
    seen = found(classifier)
    np.testing.assert_allclose(
        seen.pictures.bottlenecks, found(trained).pictures.bottlenecks, atol=1e-4
    )
    assert not (classifier / BOTTLENECKS).exists()


@pytest.mark.slow
def test_a_cache_that_leads_elsewhere_is_not_read(classifier: Path, tmp_path: Path) -> None:
    (classifier / BOTTLENECKS).rename(tmp_path / "elsewhere")
    (classifier / BOTTLENECKS).symlink_to(tmp_path / "elsewhere")
    for path in (tmp_path / "elsewhere").rglob("*.npy"):
        path.write_bytes(b"damaged")
    assert len(found(classifier).paths) > 0
    assert all(path.read_bytes() == b"damaged" for path in tmp_path.rglob("*.npy"))


@pytest.mark.slow
def test_what_is_not_certain_is_said(classifier: Path) -> None:
    (classifier / DATA / "third").mkdir()
    shutil.copy(ROOT / "test_data/photo01.jpg", classifier / DATA / "third")
    shutil.copy(ROOT / "test_data/photo01.jpg", classifier / DATA / "dark_knight")
    seen = found(classifier)
    assert "has changed since training" in seen.note
    assert not [path for path in seen.paths if path.parent.name == "third"]
    (classifier / RECORD).unlink()
    everything = found(classifier)
    assert "does not say which pictures were held out" in everything.note
    assert len(everything.paths) == 81


@pytest.mark.slow
def test_of_few_pictures_none_is_held_out_for_testing(tmp_path: Path, run: Run) -> None:
    """They are cross-validated, and the classifier is trained on all of them."""
    for category in ("dark_knight", "snow_queen"):
        (tmp_path / "few" / DATA / category).mkdir(parents=True)
        for path in sorted((ROOT / "tf_files/data" / category).iterdir())[:10]:
            shutil.copy(path, tmp_path / "few" / DATA / category)
    done = run("train", tmp_path / "few", "--backbone", "efficientnet_lite0", "--steps", "10")
    assert done.returncode == 0, done.stderr
    seen = found(tmp_path / "few")
    assert (len(seen.paths), seen.note) == (20, "")


def test_what_cannot_be_known_is_a_reason(classifier: Path, trained: Path) -> None:
    known = load(trained)
    for which, reason in (
        (Imagenet(), "ImageNet"),
        (Given(trained / GRAPH), "a graph alone"),
    ):
        with pytest.raises(NotKnown, match=reason):
            trained_on.find(which, known)
    for category in (classifier / DATA).iterdir():
        category.rename(category.with_name(f"other {category.name}"))
    with pytest.raises(NotKnown, match="is one of its categories"):
        found(classifier)
    shutil.rmtree(classifier / DATA)
    with pytest.raises(NotKnown, match="there is no"):
        found(classifier)


def test_another_programs_pictures_are_not_known(shared: Path) -> None:
    with pytest.raises(NotKnown, match="another program"):
        found(shared / "graphs/glasses")
