"""A picture as a network takes it: pixels, resized as its classifier expects."""

import numpy as np
from numpy.typing import NDArray

from tensor_guess.images import decoding
from tensor_guess.images.encoded import Picture
from tensor_guess.images.scaling import Scaling

Pixels = NDArray[np.uint8] | NDArray[np.float32]


def pixels(picture: Picture, scaling: Scaling) -> Pixels:
    """[S, S, 3], RGB, 0 to 255: uint8; float32 if it is resized as `retrain.py` did.

    Raises Unreadable: damaged or too large.
    """
    if scaling.classic:
        return resize_bilinear(decoding.decode_whole(picture), scaling.size)
    return decoding.decode(picture, scaling.size)


def resize_bilinear(image: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """The image [H, W, 3] as float32 [size, size, 3], by TensorFlow 1's `resize_bilinear`.

    No antialias, no half-pixel centres: pixel i is taken at i * H / size, between its neighbours
    (tensorflow/core/kernels/image/resize_bilinear_op.cc, align_corners and half_pixel_centers off).
    """
    above, below, down = _neighbours(image.shape[0], size)
    left, right, across = _neighbours(image.shape[1], size)
    across, down = across[None, :, None], down[:, None, None]

    def row(y: NDArray[np.intp]) -> NDArray[np.float32]:
        # Only the pixels that count are made floats: the picture may have millions.
        start = image[y[:, None], left].astype(np.float32)
        return start + (image[y[:, None], right].astype(np.float32) - start) * across

    top = row(above)
    found: NDArray[np.float32] = top + (row(below) - top) * down
    return found


def _neighbours(
    length: int, size: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """For each of `size` places along `length` pixels: the one before, the one after, how far."""
    at = np.arange(size, dtype=np.float32) * (np.float32(length) / np.float32(size))
    before = np.floor(at).astype(np.intp)
    return before, np.minimum(before + 1, length - 1), (at - before).astype(np.float32)
