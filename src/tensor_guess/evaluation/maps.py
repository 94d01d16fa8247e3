"""Where in a picture a network saw evidence for a label: class activation maps, and their picture.

Zhou et al. 2016, "Learning Deep Features for Discriminative Localization".
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

CAM = "class activation map"
# What remains of the brightness in a place without evidence.
_DIM = 0.25


def evidence(features: Floats, weights: Floats) -> Floats:
    """Return how much each place speaks for each label: [H, W, K], 0 to 1.

    `features`: [H, W, D]. `weights`: those of the head, [D, K]. 1 is the most that any place says
    for any label; 0 is nothing, or something against it.
    """
    # The scores depend only on how the labels' weights differ.
    return _shares(features @ (weights - weights.mean(axis=1, keepdims=True)))


def evidence_of(products: Floats) -> Floats:
    """Return what `evidence` does. `products`: the features times the weights, [H, W, K]."""
    return _shares(products - products.mean(axis=2, keepdims=True))


def _shares(spoken: Floats) -> Floats:
    found: Floats = np.maximum(spoken, 0)
    most = found.max(initial=0)
    return found / most if most > 0 else found


def overlay(image: NDArray[np.uint8], share: Floats) -> NDArray[np.uint8]:
    """Return the image [H, W, 3] as it is if share [h, w] is 1, and grey and dark if it is 0.

    Light and dark differ in print too, and for eyes that see no colours.
    """
    share = _resized(share, image.shape[:2])[..., None]
    grey = image.mean(axis=2, keepdims=True, dtype=np.float32) * _DIM
    found: NDArray[np.uint8] = (image * share + grey * (1 - share)).round().astype(np.uint8)
    return found


def _resized(values: Floats, shape: tuple[int, ...]) -> Floats:
    """Return the values [h, w] at the pixels of an image of this shape, bilinear between places."""
    for axis, length in enumerate(shape):
        places = values.shape[axis]
        at = np.clip((np.arange(length) + 0.5) * places / length - 0.5, 0, places - 1)
        low = np.floor(at).astype(np.intp)
        high = np.minimum(low + 1, places - 1)
        part = (at - low).astype(np.float32).reshape((-1, 1) if axis == 0 else (1, -1))
        values = values.take(low, axis) * (1 - part) + values.take(high, axis) * part
    return values
