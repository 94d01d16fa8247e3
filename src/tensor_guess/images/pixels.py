"""Turn a picture into the pixels that a network expects, fitted as its classifier needs them."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tensor_guess.images import decoding
from tensor_guess.images.encoded import Picture
from tensor_guess.images.scaling import Scaling

Pixels = NDArray[np.uint8] | NDArray[np.float32]
# Returns a part of upright RGB pixels [H, W, 3]; raises Unreadable if what it wants is not there.
Crop = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]

# The longer side of what is cropped, and of a video's frames.
LONGEST = 1280


def pixels(picture: Picture, scaling: Scaling, crop: Crop | None = None) -> Pixels:
    """Return RGB pixels [S, S, 3], 0 to 255: uint8, or float32 if resized as `retrain.py` did.

    `crop`: the part of the upright picture that is looked at. Raise Unreadable as it does, and if
    the picture is damaged or too large.
    """
    if crop:
        return fitted(crop(decoding.decode_upright(picture, LONGEST)), scaling)
    if scaling.classic:
        return resize_bilinear(decoding.decode_whole(picture), scaling.size)
    return decoding.decode(picture, scaling.size, scaling.fit)


def view(picture: Picture, scaling: Scaling, side: int) -> NDArray[np.uint8]:
    """Return what a network sees of the picture, not squeezed: [H, W, 3]; the longer is `side`.

    That is upright, except for a graph that was never fed upright pictures. Raise Unreadable as
    `pixels` does.
    """
    if not scaling.classic:
        return decoding.decode_within(picture, side, scaling.fit)
    whole = decoding.decode_whole(picture)
    small = resize_bilinear(whole, side).round().astype(np.uint8)
    height, width = (max(1, round(n * side / max(whole.shape[:2]))) for n in whole.shape[:2])
    rows, columns = np.arange(height) * side // height, np.arange(width) * side // width
    found: NDArray[np.uint8] = small[rows[:, None], columns]
    return found


def fitted(image: NDArray[np.uint8], scaling: Scaling) -> Pixels:
    """Return upright RGB pixels [H, W, 3] as `pixels` returns a picture's."""
    if scaling.classic:
        return resize_bilinear(image, scaling.size)
    return decoding.squared(image, scaling.size, scaling.fit)


def resize_bilinear(image: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """Resize the image [H, W, 3] to float32 [size, size, 3], as TensorFlow 1's `resize_bilinear`.

    It neither antialiases nor uses half-pixel centres: pixel i is interpolated at i * H / size
    (tensorflow/core/kernels/image/resize_bilinear_op.cc, align_corners and half_pixel_centers off).
    """
    above, below, down = _neighbours(image.shape[0], size)
    left, right, across = _neighbours(image.shape[1], size)
    across, down = across[None, :, None], down[:, None, None]

    def row(y: NDArray[np.intp]) -> NDArray[np.float32]:
        # Only the pixels that are used become floats: the picture may have millions.
        start = image[y[:, None], left].astype(np.float32)
        return start + (image[y[:, None], right].astype(np.float32) - start) * across

    top = row(above)
    found: NDArray[np.float32] = top + (row(below) - top) * down
    return found


def _neighbours(
    length: int, size: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Return, for `size` places along `length` pixels, the pixels before and after, and how far."""
    at = np.arange(size, dtype=np.float32) * (np.float32(length) / np.float32(size))
    before = np.floor(at).astype(np.intp)
    return before, np.minimum(before + 1, length - 1), (at - before).astype(np.float32)
