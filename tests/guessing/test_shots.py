"""Pictures and frames come in order, each cropped the same way, or with the reason why not."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from made.faces import Pixels, face, scene, write_video
from tensor_guess.guessing.shots import Shot, shots
from tensor_guess.images.files import LeftOut
from tensor_guess.images.pixels import fitted
from tensor_guess.images.scaling import Scaling

SCALING = Scaling(64, 127.5, 127.5)


def save(image: Pixels, path: Path) -> Path:
    Image.fromarray(image).save(path)
    return path


def test_pictures_and_frames_come_in_the_order_given(tmp_path: Path) -> None:
    picture = save(scene((face(), 40, 40)), tmp_path / "a.png")
    clip = write_video(tmp_path / "b.mp4", [scene((face(), 40 + 9 * i, 40)) for i in range(12)])
    missing = tmp_path / "c.jpg"
    found = list(shots([picture, clip, missing, picture], SCALING, every=Fraction(1, 2)))
    assert [(each.path, getattr(each, "seconds", "left out")) for each in found] == [
        (picture, None), (clip, 0), (clip, Fraction(1, 2)), (clip, 1), (missing, "left out"),
        (picture, None),
    ]  # fmt: skip
    assert all(each.image.shape == (64, 64, 3) for each in found if isinstance(each, Shot))


def test_without_every_a_video_is_no_picture_and_that_is_said(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "b.mp4", [scene()])
    (left_out,) = shots([clip], SCALING)
    assert isinstance(left_out, LeftOut)
    assert left_out.reason == "is a video; `guess --every 1s` names its frames"


@pytest.mark.parametrize("classic", [False, True])
def test_a_face_is_the_same_wherever_it_is_and_however_it_comes(
    tmp_path: Path, classic: bool
) -> None:
    """In a picture, in a frame, and cropped before: the network sees the same."""
    scaling = Scaling(64, 127.5, 127.5, classic=classic)
    drawn = face(240)
    seen = []
    for x, y in ((40, 40), (300, 200)):
        image = scene((drawn, x, y))
        picture = save(image, tmp_path / f"{x}.png")
        clip = write_video(tmp_path / f"{x}.mp4", [image])
        for each in shots([picture, clip], scaling, faces="haar", every=Fraction(1)):
            assert isinstance(each, Shot)
            seen.append(each.image.astype(float))
    assert max(np.abs(each - seen[0]).mean() for each in seen) < 6
    (whole,) = shots([picture], scaling)
    assert isinstance(whole, Shot)
    assert np.abs(whole.image - seen[0]).mean() > 20


def test_a_picture_turned_by_its_exif_is_cropped_upright(tmp_path: Path) -> None:
    upright = scene((face(240), 40, 40))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = tmp_path / "turned.png"
    Image.fromarray(np.rot90(upright)).save(turned, exif=exif)
    found = list(shots([save(upright, tmp_path / "a.png"), turned], SCALING, faces="haar"))
    assert isinstance(found[0], Shot)
    assert isinstance(found[1], Shot)
    assert np.array_equal(found[0].image, found[1].image)


def test_what_has_no_face_is_left_out_with_the_time_if_it_is_a_frame(tmp_path: Path) -> None:
    picture = save(scene(), tmp_path / "a.png")
    clip = write_video(tmp_path / "b.mp4", [scene((face(), 40, 40)), scene()])
    found = list(shots([picture, clip], SCALING, faces="haar", every=Fraction(1, 10)))
    assert [getattr(each, "reason", "") for each in found] == [
        "no face found", "", "at 0:00.100: no face found",
    ]  # fmt: skip


def test_a_video_that_ends_early_is_left_out_after_its_frames(tmp_path: Path) -> None:
    images = [scene((face(), 40 + 2 * i, 40)) for i in range(40)]
    clip = write_video(tmp_path / "a.mp4", images, options={"movflags": "faststart"})
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    *frames, last = shots([clip], SCALING, every=Fraction(1, 2))
    assert frames
    assert all(isinstance(each, Shot) for each in frames)
    assert isinstance(last, LeftOut)
    assert last.reason.startswith("ends early: at ")


def test_what_is_fitted_is_resized_as_its_classifier_needs_it() -> None:
    image = scene((face(), 40, 40))
    assert fitted(image, SCALING).dtype == np.uint8
    assert fitted(image, Scaling(64, 127.5, 127.5, classic=True)).dtype == np.float32
