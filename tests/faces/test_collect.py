"""Faces from a folder, a video or a camera: numbered, each once, nobody's mixed, nothing lost."""

import os
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from made.faces import Pixels, blurred, face, scene, write_video
from tensor_guess.errors import UserError, WrongUsage
from tensor_guess.faces import collect as collecting
from tensor_guess.faces import video
from tensor_guess.faces.collect import REASONS, Collected, Which, collect
from tensor_guess.faces.face import find
from tensor_guess.faces.video import Frame
from tensor_guess.system.durable import make_folder

SKINS = [(214, 170, 140), (150, 110, 80), (240, 205, 180), (255, 240, 230), (190, 140, 90)]


def one(i: int) -> Pixels:
    """A person's face that looks different for each number up to 5."""
    return scene((face(160 + 20 * (i % 3), skin=SKINS[i]), 60 + 30 * i, 60))


NOBODY = scene()
TWO = scene((face(120), 40, 40), (face(220, skin=SKINS[1]), 300, 100))
BLURRED = scene((blurred(face(200)), 100, 100))


def folder_of(folder: Path, images: list[Pixels]) -> Path:
    folder.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:02}.png")
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_faces_are_cropped_numbered_and_counted(tmp_path: Path) -> None:
    source = folder_of(
        tmp_path / "photos", [one(0), NOBODY, one(1), TWO, one(1), BLURRED, one(2), NOBODY]
    )
    done = collect(tmp_path / "tf", "Me", source, count=200)
    assert done == Collected(
        looked=8,
        training=3,
        passed_over=Counter(dict.fromkeys(REASONS, 1) | {"face not found": 2}),
    )
    assert names(tmp_path / "tf") == ["data"]
    assert names(tmp_path / "tf" / "data" / "Me") == ["001.jpg", "002.jpg", "003.jpg"]
    with Image.open(tmp_path / "tf" / "data" / "Me" / "001.jpg") as image:
        assert 180 < image.width < 230
        assert len(find(np.asarray(image))) == 1


def test_a_second_run_goes_on_and_takes_only_what_is_new(tmp_path: Path) -> None:
    first = folder_of(tmp_path / "first", [one(0), one(1)])
    collect(tmp_path / "tf", "me", first, count=200)
    own = tmp_path / "tf" / "data" / "me"
    (own / "0017.png").write_bytes((first / "00.png").read_bytes())
    before = {path: path.read_bytes() for path in own.iterdir()}
    assert collect(tmp_path / "tf", "me", first, count=200).training == 0
    second = folder_of(tmp_path / "second", [one(1), one(2), one(3)])
    assert collect(tmp_path / "tf", "me", second, count=200).training == 2
    assert names(own) == ["001.jpg", "0017.png", "002.jpg", "018.jpg", "019.jpg"]
    assert all(path.read_bytes() == data for path, data in before.items())


@pytest.mark.slow
def test_after_count_come_those_for_testing_and_then_it_stops(tmp_path: Path) -> None:
    source = write_video(tmp_path / "me.mp4", [one(i) for i in range(5)] * 3)
    done = collect(tmp_path / "tf", "me", source, count=2, test_count=2)
    assert (done.training, done.testing, done.looked) == (2, 2, 4)
    assert names(tmp_path / "tf" / "data" / "me") == ["001.jpg", "002.jpg"]
    assert names(tmp_path / "tf" / "test" / "me") == ["001.jpg", "002.jpg"]
    # What is tested on is never trained on.
    assert collect(tmp_path / "tf", "me", source, count=9).training == 1
    other = collect(tmp_path / "tf2", "me", source, count=1, test_count=1, test_dir=tmp_path / "t")
    assert other.testing == 1
    assert names(tmp_path / "t" / "me") == ["001.jpg"]


@pytest.mark.parametrize(("which", "wide"), [(Which.LARGEST, [220]), (Which.ALL, [120, 220])])
def test_of_several_the_largest_or_all_are_taken_if_asked(
    tmp_path: Path, which: Which, wide: list[int]
) -> None:
    source = folder_of(tmp_path / "photos", [TWO])
    done = collect(tmp_path / "tf", "us", source, count=9, which=which)
    assert done.training == len(wide)
    found = [Image.open(path).width for path in (tmp_path / "tf" / "data" / "us").iterdir()]
    assert [round(each, -1) for each in sorted(found)] == pytest.approx(
        [1.2 * each for each in wide], rel=0.15
    )


def test_two_people_are_never_mixed_silently(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "photos", [TWO, TWO])
    done = collect(tmp_path / "tf", "us", source, count=9)
    assert (done.training, done.passed_over) == (0, {"more than one face": 2})


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = folder_of(tmp_path / "photos", [one(0)])
    (source / "notes.txt").write_text("no picture")
    (source / "out.jpg").symlink_to("/etc/passwd")
    done = collect(tmp_path / "tf", "me", source, count=9)
    assert done.training == 1
    assert [each.path.name for each in done.left_out] == ["notes.txt", "out.jpg"]
    assert f"left out {source}/notes.txt: is no picture" in capfd.readouterr().err


@pytest.mark.slow
def test_a_video_that_ends_early_gives_its_faces_and_says_so(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "me.mp4", [one(i // 8) for i in range(40)], options={"movflags": "faststart"}
    )
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    done = collect(tmp_path / "tf", "me", path, count=9)
    assert done.training >= 2
    (left_out,) = done.left_out
    assert left_out.reason.startswith("ends early: at ")


@pytest.mark.parametrize(
    ("images", "said"),
    [([NOBODY, NOBODY], "no face was found in .*photos, in 2 pictures; faces are found if"),
     ([], "nothing in .*photos could be looked at")],
)  # fmt: skip
def test_no_face_anywhere_is_an_error_that_leaves_nothing(
    tmp_path: Path, images: list[Pixels], said: str
) -> None:
    source = folder_of(tmp_path / "photos", images)
    with pytest.raises(UserError, match=said):
        collect(tmp_path / "tf", "me", source, count=9)
    assert not (tmp_path / "tf").exists()


def wrong(tmp_path: Path) -> dict[str, tuple[str, Path, str]]:
    """Return what makes no sense: category, source, and what is said."""
    return {
        "slash": ("a/b", tmp_path, "cannot be a category"),
        "dot": (".me", tmp_path, "cannot be a category"),
        "no letter": ("!", tmp_path, "cannot be a category"),
        "missing": ("me", tmp_path / "x", "there is no folder, video or camera"),
        "no camera": ("me", Path("/dev/video9"), "there is no camera /dev/video9"),
        "itself": ("me", tmp_path / "tf" / "data", "is or contains the folder for the faces"),
        "link": ("leaves", tmp_path / "photos", "is a link that leaves"),
    }


@pytest.mark.parametrize("case", wrong(Path()))
def test_what_makes_no_sense_is_said_before_any_work(tmp_path: Path, case: str) -> None:
    folder_of(tmp_path / "photos", [one(0)])
    (tmp_path / "tf" / "data" / "me").mkdir(parents=True)
    (tmp_path / "tf" / "data" / "leaves").symlink_to(tmp_path)
    category, source, said = wrong(tmp_path)[case]
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(WrongUsage, match=said):
        collect(tmp_path / "tf", category, source, count=9)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_camera_is_read_until_there_are_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def frames(device: Path) -> object:
        assert device == Path("/dev/null")
        i = 0
        while True:
            yield Frame(Fraction(i, 30), one(i % 5))
            i += 1

    monkeypatch.setattr(video, "camera", frames)
    done = collect(tmp_path / "tf", "me", Path("/dev/null"), count=3)
    assert (done.looked, done.training) == (3, 3)


def test_a_name_that_another_run_takes_meanwhile_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, own = folder_of(tmp_path / "photos", [one(0)]), tmp_path / "tf" / "data" / "me"

    def make(folder: Path) -> None:
        make_folder(folder)
        (folder / "001.jpg").write_text("another's")

    monkeypatch.setattr(collecting, "make_folder", make)
    collect(tmp_path / "tf", "me", source, count=9)
    assert names(own) == ["001.jpg", "002.jpg"]
    assert (own / "001.jpg").read_text() == "another's"


@pytest.mark.skipif(not os.getuid(), reason="root can write anywhere")
def test_a_folder_that_cannot_be_written_to_is_said(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "photos", [one(0)])
    (tmp_path / "tf").mkdir(0o555)
    with pytest.raises(UserError, match="could not make the folder"):
        collect(tmp_path / "tf", "me", source, count=9)
