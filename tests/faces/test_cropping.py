"""What is looked at: all of a picture, or the largest face that is found."""

import numpy as np
import pytest

from made.faces import face, scene
from tensor_guess.config import HAAR
from tensor_guess.errors import Unreadable
from tensor_guess.faces.cropping import cropping


def test_without_a_detector_nothing_is_cropped() -> None:
    assert cropping(None) is None


def test_with_one_the_largest_face_is_cut_out() -> None:
    crop = cropping(HAAR)
    assert crop is not None
    found = crop(scene((face(), 200, 100)))
    assert found.shape[0] < 480
    with pytest.raises(Unreadable, match="no face"):
        crop(np.zeros((480, 640, 3), np.uint8))
