"""Find faces in upright RGB pixels, and tell sharp from blurred and new from seen."""

from dataclasses import dataclass, field
from pathlib import Path
from threading import local
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tensor_guess.config import HAAR, YUNET
from tensor_guess.errors import Unreadable
from tensor_guess.faces import optional, yunet

if TYPE_CHECKING:
    import cv2

Pixels = NDArray[np.uint8]

NOT_FOUND = "no face found"
# Viola and Jones, Rapid Object Detection using a Boosted Cascade of Simple Features (2001), as
# OpenCV has it: each size is 1.1 times the one before, and eight places near each other must look
# like a face. Of 63 faces, each pasted on a photo of flowers, none is missed, and 58 are the only
# one that is found; with OpenCV's usual five, 48 are.
_CASCADE = "haarcascade_frontalface_default.xml"
_STEP, _NEIGHBOURS = 1.1, 8
# The smallest face, as a part of the picture's shorter side; never smaller than this in pixels.
_SMALLEST, _SMALLEST_PIXELS = 10, 32
# How much is added at each side of what the cascade finds, which ends at brow and chin.
_MARGIN = 0.2
# The size at which sharpness is measured, and what it is at least. Of 63 photos of faces, the least
# sharp has 120; blurred by a hundredth of their width or more, half of them have less than 22.
_SHARP_SIZE, SHARP = 128, 80.0
# The size at which faces are compared, and how many levels (0..255) apart two are that look the
# same. Moved through a noisy video, a photo differs by up to 6.6 from frame to frame; two photos
# differ by 15 or more.
_ALIKE_SIZE, _ALIKE = 16, 6.0


@dataclass(frozen=True)
class Box:
    """Where a face is, in pixels: the left upper corner, and the side of the square."""

    x: int
    y: int
    side: int


# YuNet's faces are higher than wide, from brow to chin and more; a square with so great a part of
# their height is that of the cascade, in the median of 62 faces.
_OF_HEIGHT = 0.96

_own = local()  # a cascade is no good for two threads at once


def check(detector: str) -> None:
    """Raise UserError if the detector (of DETECTORS) cannot be used."""
    optional.require()
    if detector == YUNET:
        yunet.check_here()


def find(image: Pixels, detector: str = HAAR) -> list[Box]:
    """Return the faces in the image [H, W, 3], the largest first.

    The cascade (HAAR) finds those seen from the front. Raise UserError without what is needed.
    """
    boxes = _by_yunet(image) if detector == YUNET else _by_cascade(image)
    return sorted(boxes, key=lambda box: (-box.side, box.y, box.x))


def _by_yunet(image: Pixels) -> list[Box]:
    found = []
    for left, top, width, height in yunet.find(image):
        side = max(1, round(_OF_HEIGHT * max(width, height)))
        x, y = round(left + (width - side) / 2), round(top + (height - side) / 2)
        found.append(Box(max(0, x), max(0, y), side))
    return found


def _by_cascade(image: Pixels) -> list[Box]:
    cascade = _cascade()
    import cv2

    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    least = max(_SMALLEST_PIXELS, min(grey.shape) // _SMALLEST)
    found = cascade.detectMultiScale(grey, _STEP, _NEIGHBOURS, minSize=(least, least))
    return [Box(int(x), int(y), int(side)) for x, y, side, _ in found]


def crop(image: Pixels, box: Box) -> Pixels:
    """Return the face with a margin, as far as the image goes."""
    margin = round(_MARGIN * box.side)
    top, left = max(0, box.y - margin), max(0, box.x - margin)
    end = box.side + margin
    return image[top : box.y + end, left : box.x + end]


def largest(image: Pixels, detector: str = HAAR) -> Pixels:
    """Return the largest face, as `crop` does. Raise Unreadable if there is none."""
    boxes = find(image, detector)
    if not boxes:
        raise Unreadable(NOT_FOUND)
    return crop(image, boxes[0])


def sharpness(image: Pixels, box: Box) -> float:
    """Return the variance of the Laplacian of the face, in grey and at a fixed size.

    Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy (2000).
    """
    import cv2

    inside = image[max(0, box.y) : box.y + box.side, max(0, box.x) : box.x + box.side]
    grey = cv2.cvtColor(inside, cv2.COLOR_RGB2GRAY)
    grey = cv2.resize(grey, (_SHARP_SIZE, _SHARP_SIZE), interpolation=cv2.INTER_AREA)
    return float(cv2.Laplacian(grey, cv2.CV_64F).var())


@dataclass
class Seen:
    """The faces so far, to recognise one that looks the same."""

    _small: list[NDArray[np.float32]] = field(default_factory=list)

    def add(self, face: Pixels) -> bool:
        """Add the face [H, W, 3]; return False, adding nothing, if one looks the same."""
        import cv2

        grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)
        size = (_ALIKE_SIZE, _ALIKE_SIZE)
        small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        if self._small and np.abs(np.stack(self._small) - small).mean((1, 2)).min() < _ALIKE:
            return False
        self._small.append(small)
        return True


def _cascade() -> "cv2.CascadeClassifier":
    if not hasattr(_own, "cascade"):
        with optional.importing:
            optional.require()
            import cv2

        path = Path(cv2.__file__).parent / "data" / _CASCADE
        _own.cascade = cv2.CascadeClassifier(str(path))
    found: cv2.CascadeClassifier = _own.cascade
    return found
