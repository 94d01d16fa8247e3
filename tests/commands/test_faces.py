"""What collect-faces prints, and how it ends."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from made.faces import face, scene, write_video
from made.place import Run


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of two pictures of a face, and one of none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, image in enumerate(
        [scene((face(200), 100, 60)), scene((face(240, skin=(120, 84, 60)), 200, 60)), scene()]
    ):
        Image.fromarray(image).save(folder / f"{number}.png")
    return folder


def test_it_ends_with_a_short_table(call: Run, tmp_path: Path, photos: Path) -> None:
    done = call("collect-faces", tmp_path / "tf", "Me", photos, "--test_count=1", "--count", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        f"1 face written to {tmp_path}/tf/data/Me\n"
        f"1 face written to {tmp_path}/tf/test/Me, for testing\n"
        "  pictures looked at      2\n"
    )
    done = call("collect-faces", tmp_path / "tf", "Me", photos)
    assert done.stdout == (
        f"0 faces written to {tmp_path}/tf/data/Me\n"
        "  pictures looked at      3\n"
        "  face not found          1\n"
        "  same as before          2\n"
    )


def test_what_is_left_out_makes_3_and_no_face_1(call: Run, tmp_path: Path, photos: Path) -> None:
    (photos / "x.txt").write_text("x")
    done = call("collect-faces", tmp_path / "tf", "me", photos)
    assert done.returncode == 3
    assert done.stdout.endswith("  left out                1\n")
    for path in photos.glob("[01x]*"):
        path.unlink()
    done = call("collect-faces", tmp_path / "tf", "you", photos)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1


def test_largest_and_all_exclude_each_other(call: Run, tmp_path: Path, photos: Path) -> None:
    done = call("collect-faces", tmp_path / "tf", "me", photos, "--largest", "--all")
    assert done.returncode == 2
    assert "exclude each other" in done.stderr


@pytest.mark.slow
def test_what_is_collected_is_trained_evaluated_and_guessed(run: Run, tmp_path: Path) -> None:
    """What is for testing is not trained on; a video's frames are named."""
    tf = tmp_path / "tf"
    for name, skin in (("ann", (230, 190, 160)), ("bob", (190, 130, 90))):
        images = []
        for i in range(32):
            drawn = scene((face(160 + 20 * (i % 4), skin=skin), 20 + 8 * i, 60 + 3 * i))
            images.append((drawn * (1.05 - 0.02 * i)).clip(0, 255).astype(np.uint8))
        clip = write_video(tmp_path / f"{name}.mp4", images)
        done = run("collect-faces", tf, name, clip, "--count", "6", "--test-count", "2")
        assert f"6 faces written to {tf}/data/{name}\n2 faces" in done.stdout, done.stderr
    done = run("train", tf, "--backbone", "efficientnet_lite0", "--steps", "200", "--no-report")
    assert "\n12 pictures (" in done.stderr
    done = run("evaluate", tf, tf / "test")
    # Frames of one video are near copies.
    assert done.stdout.startswith("accuracy = ")
    assert "not counted: 4 pictures of 4" in done.stderr
    done = run("guess", tf, tmp_path / "ann.mp4", "--every", "1s", "--face", "--top", "1")
    lines = done.stdout.splitlines()
    assert lines[::3] == [f"{tmp_path}/ann.mp4 0:0{second}.000:" for second in range(4)]
    assert all(re.fullmatch(r"(ann|bob) \(score = 0\.\d{5}\)", line) for line in lines[1::3])
