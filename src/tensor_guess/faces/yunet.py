"""Find faces by YuNet, a small network: also those that look aside, which the cascade misses.

Wu et al. 2023, YuNet: A Tiny Millisecond-level Face Detector; OpenCV runs it.
"""

import hashlib
from pathlib import Path
from threading import local
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tensor_guess.config import YUNET, cache_folder
from tensor_guess.errors import Unreadable, UserError
from tensor_guess.faces import optional
from tensor_guess.system import download, reading
from tensor_guess.system.durable import check_writable, make_folder

if TYPE_CHECKING:
    import cv2

# The same file as OpenCV's face_detection_yunet_2023mar.onnx (opencv_zoo, MIT), from where its
# authors publish it; the digest is that of OpenCV's.
URL = (
    "https://raw.githubusercontent.com/ShiqiYu/libfacedetection.train/"
    "0047ac24afb1a50a0c6105001c89d1b5b805dbf1/onnx/yunet_s_640_640.onnx"
)
_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
_MOST_BYTES = 1_000_000
# The longer side of what the network is shown; OpenCV's own limits for scores and overlaps.
_LONGEST = 640
_SCORE, _OVERLAP, _MOST = 0.8, 0.3, 5000

_own = local()  # a detector is no good for two threads at once


def fetch() -> str:
    """Download the network to where it is kept, if it is not there; return its SHA-256.

    Raise UserError as `download.fetch` does.
    """
    make_folder(_path().parent)
    check_writable(_path().parent)
    download.fetch(URL, _path(), limit=_MOST_BYTES, digest=f"sha256:{_SHA256}")
    return _SHA256


def check_here() -> None:
    """Raise UserError if the network is not on this machine."""
    if not _path().exists():
        raise UserError(f"{YUNET} is not on this machine; `tensor-guess fetch {YUNET}` brings it")


def find(image: NDArray[np.uint8]) -> list[tuple[float, float, float, float]]:
    """Return the faces in the image [H, W, 3]: left, top, width and height in pixels.

    Raise UserError if the network is not on this machine, or damaged.
    """
    detector = _detector()
    import cv2

    scale = min(1, _LONGEST / max(image.shape[:2]))
    size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    small = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    if scale < 1:
        small = cv2.resize(small, size, interpolation=cv2.INTER_AREA)
    detector.setInputSize(size)
    _, found = detector.detect(small)
    rows = np.empty((0, 4)) if found is None else found[:, :4] / scale
    return [(x, y, width, height) for x, y, width, height in rows.tolist()]


def _detector() -> "cv2.FaceDetectorYN":
    if not hasattr(_own, "detector"):
        with optional.importing:
            optional.require()
            import cv2
        _own.detector = cv2.FaceDetectorYN.create(
            "onnx", _bytes(), np.empty(0, np.uint8), (_LONGEST, _LONGEST), _SCORE, _OVERLAP, _MOST
        )
    found: cv2.FaceDetectorYN = _own.detector
    return found


def _bytes() -> NDArray[np.uint8]:
    check_here()
    try:
        data = reading.read(_path(), _MOST_BYTES)
    except Unreadable as error:
        raise UserError(f"{YUNET} could not be read: {error}") from error
    if hashlib.sha256(data).hexdigest() != _SHA256:
        raise UserError(
            f"{YUNET} is damaged on this machine; `tensor-guess fetch {YUNET}` brings it again"
        )
    return np.frombuffer(data, np.uint8)


def _path() -> Path:
    return cache_folder() / "faces" / f"{YUNET}.onnx"
