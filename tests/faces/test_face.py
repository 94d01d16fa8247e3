"""Faces are found, whatever is around them; blurred and repeated ones are told apart."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from made.faces import blurred, face, scene
from tensor_guess.errors import Unreadable
from tensor_guess.faces import face as faces
from tensor_guess.faces.face import Box, Seen


@pytest.mark.parametrize("size", [80, 200, 400])
def test_a_face_is_found_where_it_is(size: int) -> None:
    (box,) = faces.find(scene((face(size), 60, 40)))
    middle = np.array([box.x + box.side / 2, box.y + box.side / 2])
    assert np.abs(middle - [60 + size / 2, 40 + size / 2]).max() < size / 10
    assert 0.7 * size < box.side < size


def test_of_several_the_largest_is_first_and_its_crop_is_what_is_guessed() -> None:
    image = scene((face(100), 40, 40), (face(240), 320, 120), (face(140), 100, 300))
    found = faces.find(image)
    assert [box.side for box in found] == sorted((box.side for box in found), reverse=True)
    assert len(found) == 3
    assert found[0].x > 320
    assert np.array_equal(faces.largest(image), faces.crop(image, found[0]))


def test_a_crop_has_a_margin_as_far_as_the_picture_goes() -> None:
    image = np.arange(100 * 80 * 3).reshape(100, 80, 3).astype(np.uint8)
    assert faces.crop(image, Box(20, 30, 40)).shape == (56, 56, 3)
    assert np.array_equal(faces.crop(image, Box(2, 70, 40)), image[62:100, 0:50])


def test_where_there_is_none_that_is_the_reason() -> None:
    with pytest.raises(Unreadable, match="no face found"):
        faces.largest(scene())


def test_a_picture_smaller_than_any_face_has_none() -> None:
    assert faces.find(np.zeros((3, 5, 3), np.uint8)) == []


def test_blurred_faces_are_told_from_sharp_ones_whatever_their_size() -> None:
    for size in (100, 200, 400):
        for drawn, sharp in ((face(size), True), (blurred(face(size)), False)):
            image = scene((drawn, 40, 40))
            (box,) = faces.find(image)
            assert (faces.sharpness(image, box) >= faces.SHARP) == sharp


def test_a_face_seen_before_is_known_by_its_looks() -> None:
    seen, first = Seen(), np.asarray(face())
    noise = np.random.default_rng(1).normal(0, 8, first.shape)
    assert seen.add(first)
    assert not seen.add(np.asarray(face(320)))
    assert not seen.add(np.clip(first + noise, 0, 255).astype(np.uint8))
    assert seen.add(np.asarray(face(skin=(120, 84, 60))))
    assert seen.add(first[:, ::-1] // 2)


@pytest.mark.slow
def test_real_faces_are_found_on_a_background(shared: Path) -> None:
    paths = sorted((shared / "two_faces_cropped" / "test").rglob("*.png"))
    found = []
    for path in paths:
        photo = Image.open(path).convert("RGB")
        photo.thumbnail((300, 300))
        image = scene((photo, 200, 100))
        boxes = faces.find(image)
        found.append(len(boxes) == 1 and faces.sharpness(image, boxes[0]) >= faces.SHARP)
    assert len(found) > 10
    assert np.mean(found) > 0.9


@pytest.mark.slow
def test_threads_that_are_first_to_look_find_faces_too() -> None:
    """OpenCV is imported by one of them while the others wait."""
    code = """
from concurrent.futures import ThreadPoolExecutor
from made.faces import face, scene
from tensor_guess.faces import face as faces, optional
def look(number):
    optional.require()
    return len(faces.find(image))
image = scene((face(), 40, 40))
with ThreadPoolExecutor(8) as pool:
    print(set(pool.map(look, range(8))))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "{1}\n", done.stderr
