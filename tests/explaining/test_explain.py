"""Why: the evidence where the network saw it, and training pictures only if they are known."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.compat.proto.graph_pb2 import GraphDef

from made.graphs import head_for, record_for
from made.place import ROOT
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.config import CROP, DATA, FITS, GRAPH, SQUEEZE
from tensor_guess.errors import UserError, WrongUsage
from tensor_guess.evaluation import maps
from tensor_guess.evaluation.calibration import softmax
from tensor_guess.evaluation.maps import CAM
from tensor_guess.explaining import explain as module
from tensor_guess.explaining.explain import OCCLUSION, Subject, check, explain
from tensor_guess.graphs.graph import serialise
from tensor_guess.graphs.own import with_head
from tensor_guess.guessing.guess import Guess, guess
from tensor_guess.guessing.loading import Given
from tensor_guess.images import decoding, encoded
from tensor_guess.images.scaling import BORDER

PHOTO = ROOT / "test_data/photo11.jpg"


@pytest.fixture
def small(ours: GraphDef, tmp_path: Path) -> Given:
    """A graph alone, with a network of 16 x 16 pixels."""
    (tmp_path / "small.pb").write_bytes(serialise(ours))
    return Given(tmp_path / "small.pb")


def test_the_map_is_the_evidence_for_the_scores(trained: Path) -> None:
    subject = Subject(Given(trained), PHOTO, True)
    (found,) = guess(trained, [PHOTO])
    assert isinstance(found, Guess)
    assert [subject.record.labels[k] for k in subject.best] == list(found.scores)
    np.testing.assert_allclose(subject.scores[subject.best], list(found.scores.values()), atol=1e-5)
    how, shares = subject.evidence()
    assert how == CAM
    assert subject.map is not None
    assert subject._inside
    head = subject._inside.head
    logits = (subject.map @ head.weights).mean(axis=(0, 1)) + head.biases
    np.testing.assert_allclose(softmax(logits[None])[0], subject.scores, atol=1e-5)
    assert len(shares) == 2
    for share in shares:
        assert share.shape == subject.map.shape[:2]
        assert 0 <= share.min() <= share.max() <= 1
    assert max(float(share.max()) for share in shares) == pytest.approx(1)


def test_a_training_picture_is_its_own_nearest(trained: Path) -> None:
    own = sorted((trained / DATA / "snow_queen").iterdir())
    subjects = (Subject(Given(trained), path, True) for path in own)
    nearest = ((each, each.like(1)) for each in subjects)
    subject, like = next((each, like) for each, like in nearest if like and like.near)
    assert subject.unknown == ""
    assert len(like.pictures) == 3
    distances = [away for _, away in like.pictures]
    assert distances == sorted(distances)
    assert {path.parent.name for path, _ in like.pictures} == {"snow_queen"}


@pytest.mark.slow
def test_a_graph_alone_has_no_training_pictures(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "why.png"
    remarks = explain(Given(trained / GRAPH), PHOTO, out)
    assert remarks[0] == f"{out} shows: {CAM}"
    assert "not known: it is a graph alone" in remarks[1]
    with Image.open(out) as image:
        assert image.format == "PNG"
        assert image.width == 3 * 490 + 10


@pytest.mark.slow
def test_where_no_map_is_averaged_patches_are_blurred(
    small: Given, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped = Subject(small, PHOTO, True)
    assert mapped.evidence()[0] == CAM

    def fail(*_: object) -> None:
        raise UserError("no such head")

    monkeypatch.setattr(module, "Inside", fail)
    subject = Subject(small, PHOTO, True)
    np.testing.assert_allclose(subject.scores, mapped.scores, atol=1e-5)
    how, shares = subject.evidence()
    assert how == OCCLUSION
    assert [share.shape for share in shares] == [(8, 8), (8, 8)]
    assert explain(small, PHOTO, tmp_path / "why.png")[0].endswith(f"shows: {OCCLUSION}")


@pytest.mark.parametrize("fit", FITS)
def test_what_is_shown_is_what_the_network_saw(tiny: Backbone, tmp_path: Path, fit: str) -> None:
    graph = with_head(tiny.graph, head_for(12), record_for(tiny.fitted(fit)))
    (tmp_path / "small.pb").write_bytes(serialise(graph))
    image = Image.new("RGB", (300, 100), "red")
    image.paste("blue", (100, 0, 200, 100))
    image.save(tmp_path / "wide.png")
    subject = Subject(Given(tmp_path / "small.pb"), tmp_path / "wide.png", True)
    _, shares = subject.evidence()
    view = subject.view(90)
    drawn = maps.overlay(view, shares[0])
    # The map lies on the square that was seen, and the view shows that square.
    assert drawn.shape == view.shape == ((30, 90, 3) if fit == SQUEEZE else (90, 90, 3))
    if fit == CROP:
        assert (view[:, 2:-2] == [0, 0, 255]).all()  # the filter reaches beyond the edge
    else:
        assert view[len(view) // 2, 5].tolist() == [255, 0, 0]
        assert view[0, 45].tolist() == ([0, 0, 255] if fit == SQUEEZE else [BORDER] * 3)
    explain(Given(tmp_path / "small.pb"), tmp_path / "wide.png", tmp_path / "why.png")


def test_another_programs_graph_is_shown_as_it_is_fed(shared: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(PHOTO) as image:
        image.convert("RGB").resize((300, 200)).save(tmp_path / "turned.jpg", exif=exif)
    subject = Subject(Given(shared / "graphs/glasses"), tmp_path / "turned.jpg", True)
    view = subject.view(90)
    assert view.shape == (60, 90, 3)
    whole = decoding.decode_whole(encoded.read(tmp_path / "turned.jpg"))
    assert np.abs(view.mean(axis=(0, 1)) - whole.mean(axis=(0, 1))).max() < 10
    assert "another program" in subject.unknown


@pytest.mark.slow
def test_only_a_picture_that_was_written_here_is_replaced(small: Given, tmp_path: Path) -> None:
    out = tmp_path / "why.png"
    check(out, small)
    explain(small, PHOTO, out)
    check(out, small)
    explain(small, PHOTO, out)
    photo = Path(shutil.copy(ROOT / "test_data/photo02.png", tmp_path / "photo.png"))
    (tmp_path / "link.png").symlink_to(out)
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "notes.txt").touch()
    for name in (photo.name, "link.png", "folder.png", "fifo.png", "notes.txt"):
        with pytest.raises(WrongUsage, match="--explain did not write it"):
            check(tmp_path / name, small)
    with pytest.raises(WrongUsage, match="there is no folder"):
        check(tmp_path / "no/x.png", small)


def test_it_is_not_written_among_the_pictures(trained: Path) -> None:
    for path in (trained / DATA / "x.png", trained / DATA / "snow_queen/x.png"):
        with pytest.raises(WrongUsage, match="among the pictures"):
            check(path, Given(trained))


def test_a_picture_that_cannot_be_read_is_a_sentence(small: Given, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_text("no picture")
    with pytest.raises(UserError, match=r"could not read .*bad\.jpg: is no picture"):
        explain(small, tmp_path / "bad.jpg", tmp_path / "why.png")
