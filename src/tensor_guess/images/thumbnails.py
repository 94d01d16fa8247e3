"""Small copies of pictures, to be shown on a page."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tensor_guess.errors import Unreadable
from tensor_guess.images import decoding, encoded

_QUALITY = 70  # libjpeg's, of 100


def thumbnails(paths: Sequence[Path], size: int) -> dict[Path, bytes]:
    """Return a JPEG file of each picture: upright, the longer side `size`, no metadata.

    Pictures that cannot be read are left out.
    """

    def small(path: Path) -> bytes:
        return jpeg(decoding.decode_within(encoded.read(path), size))

    found = encoded.ahead(small, paths, weigh=encoded.size_of)
    return {path: data for path, data in found if not isinstance(data, Unreadable)}


def jpeg(image: NDArray[np.uint8], quality: int = _QUALITY) -> bytes:
    """Return the image [H, W, 3] as a JPEG file without metadata."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality, optimize=True)
    return file.getvalue()
