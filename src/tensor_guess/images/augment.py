"""Versions of a picture to train on: mirrored, cropped, turned, sheared, brighter or darker."""

import hashlib
import json
from dataclasses import asdict, replace

import numpy as np
from PIL import Image

from tensor_guess.config import Augmentation
from tensor_guess.images.encoded import Picture
from tensor_guess.images.pixels import Pixels, pixels
from tensor_guess.images.scaling import Scaling

# Increase this whenever the same version gets different pixels.
_METHOD = 1
# A picture is decoded this many times larger than the network's input at most: what is enlarged
# even more is blurred.
_LARGEST = 2


def key_of(picture: bytes, how: Augmentation, number: int) -> bytes:
    """Return the key (SHA-256) of a version; `picture` is the key of the picture itself.

    It does not depend on how many versions there are.
    """
    what = {**asdict(replace(how, versions=0)), "number": number, "method": _METHOD}
    return hashlib.sha256(picture + json.dumps(what, sort_keys=True).encode()).digest()


def versions(
    picture: Picture, scaling: Scaling, how: Augmentation, keys: list[bytes]
) -> list[Pixels]:
    """Return the versions with these keys, as `pixels` returns a picture; decode it once.

    A key is the seed of its version, so that the same picture and options give the same pixels.
    Raise Unreadable if the picture is damaged or too large.
    """
    closest = (1 + how.crop / 100) * (1 + how.scale / 100) / (1 - how.zoom)
    size = min(_LARGEST * scaling.size, round(closest * scaling.size))
    wide = _widened(pixels(picture, replace(scaling, size=size)), size, how)
    return [
        _distorted(wide, size, scaling.size, how, np.random.default_rng(list(key))) for key in keys
    ]


def _widened(image: Pixels, length: int, how: Augmentation) -> list[Image.Image]:
    """Return the image with its edges' pixels repeated around it, as far as a version may reach.

    It is one picture of bytes, or three of floats.
    """
    turned = np.sqrt(2) if how.rotation else 1
    reach = (1 + how.zoom) * turned * (1 + np.tan(np.deg2rad(how.shear))) / 2 + how.shift - 0.5
    margin = min(length, int(np.ceil(reach * length)) + 1)
    wide = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    if wide.dtype == np.uint8:
        return [Image.fromarray(wide)]
    return [Image.fromarray(np.ascontiguousarray(wide[..., channel])) for channel in range(3)]


def _distorted(
    wide: list[Image.Image], length: int, size: int, how: Augmentation, random: np.random.Generator
) -> Pixels:
    """Return a random version [S, S, 3] of an image [L, L, 3], which `_widened` returned.

    The part that is cut out is drawn as in `retrain.py` (add_input_distortions): the image is
    enlarged by crop and up to scale, and a window of the first size is moved over it. Then it is
    turned, sheared, zoomed and shifted around its middle, as by Keras' ImageDataGenerator.
    """
    window = 1 / ((1 + how.crop / 100) * random.uniform(1, 1 + how.scale / 100))
    middle = 0.5 + (random.random(2) - 0.5) * (1 - window)
    middle = middle + random.uniform(-how.shift, how.shift, 2)
    turned = np.deg2rad(random.uniform(-how.rotation, how.rotation))
    sheared = np.tan(np.deg2rad(random.uniform(-how.shear, how.shear)))
    zoomed = random.uniform(1 - how.zoom, 1 + how.zoom)
    mirrored = how.flip and random.random() < 0.5
    bright = np.float32(random.uniform(1 - how.brightness / 100, 1 + how.brightness / 100))
    sin, cos = np.sin(turned), np.cos(turned)
    to = np.array([[cos, -sin], [sin, cos]]) @ np.array([[1, sheared], [0, 1]]) * window * zoomed
    if mirrored:
        to = to @ np.diag([-1, 1])
    to *= length / size
    # (x, y) in the version -> in the wide image; their middles first.
    start = middle * length + (wide[0].width - length) / 2 - to @ np.full(2, size / 2)
    how_to = (*to[0], start[0], *to[1], start[1])
    parts = [
        each.transform((size, size), Image.Transform.AFFINE, how_to, Image.Resampling.BILINEAR)
        for each in wide
    ]
    found = np.asarray(parts[0]) if len(parts) == 1 else np.stack(list(map(np.asarray, parts)), -1)
    if not how.brightness:
        return found
    lit = np.clip(found * bright, 0, 255)
    return np.rint(lit).astype(np.uint8) if found.dtype == np.uint8 else lit
