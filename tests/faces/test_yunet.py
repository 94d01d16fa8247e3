"""YuNet: fetched by its digest, refused if it is another file, asked for in words if missing."""

from pathlib import Path

import numpy as np
import pytest

from made.faces import scene
from made.place import Run
from tensor_guess.config import YUNET
from tensor_guess.errors import UserError
from tensor_guess.faces import face, yunet
from tensor_guess.faces.face import Box


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the network is kept, in a cache of the test's own."""
    monkeypatch.setenv("TENSOR_GUESS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "faces" / "yunet.onnx"


def test_without_it_is_said_how_to_get_it(tmp_path: Path, trained: Path, call: Run) -> None:
    (tmp_path / "photos").mkdir()
    for command in (
        ("collect-faces", tmp_path / "tf", "me", tmp_path / "photos", "--detector=yunet"),
        ("guess", trained, tmp_path / "a.jpg", "--face", "--detector=yunet"),
        (
            "classify-dir",
            trained,
            tmp_path / "photos",
            tmp_path / "d",
            "--face",
            "--detector=yunet",
        ),
    ):
        done = call(*command)
        assert (done.returncode, done.stdout) == (1, "")
        assert "`tensor-guess fetch yunet` brings it" in done.stderr
    assert not (tmp_path / "tf").exists()


def test_a_detector_is_for_faces(trained: Path, call: Run) -> None:
    done = call("guess", trained, "a.jpg", "--detector=yunet")
    assert done.returncode == 2
    assert "--detector says how faces are found; give --face too" in done.stderr
    assert call("guess", trained, "a.jpg", "--face", "--detector=eyes").returncode == 2


def test_another_file_is_not_kept(
    kept: Path, site: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, call: Run
) -> None:
    folder, address = site
    (folder / "yunet.onnx").write_bytes(b"a login page")
    monkeypatch.setattr(yunet, "URL", f"{address}/yunet.onnx")
    done = call("fetch", YUNET)
    assert (done.returncode, done.stdout) == (1, "")
    assert "is not the file that was expected" in done.stderr
    assert not kept.exists()


def test_a_damaged_one_is_not_run(kept: Path) -> None:
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"\0" * 232589)
    with pytest.raises(UserError, match="yunet is damaged on this machine"):
        face.find(scene(), YUNET)


def test_its_faces_are_squares_like_the_cascades(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(10.0, 20.0, 80.0, 100.0), (200.0, 50.0, 160.0, 200.0), (-5.0, 0.0, 40.0, 50.0)]
    monkeypatch.setattr(yunet, "find", lambda image: found)
    boxes = face.find(np.zeros((300, 400, 3), np.uint8), YUNET)
    assert boxes == [Box(184, 54, 192), Box(2, 22, 96), Box(0, 1, 48)]
