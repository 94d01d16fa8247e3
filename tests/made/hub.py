"""The library tensorflow_hub, in the test's own process, and what it makes of a module."""

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


def tensorflow_hub() -> Any:
    from tensor_guess.backbones import saved_models  # noqa: F401  # lets it start

    return importlib.import_module("tensorflow_hub")


def of_hub(handle: str, image: NDArray[Any]) -> NDArray[np.float32]:
    """The vector of one image [S, S, 3], 0 to 255, fed as the common signatures say."""
    # A SavedModel of TF 1 that is no hub's does not say that it has no tags.
    module = tensorflow_hub().load(handle, tags=[] if handle.endswith("/tf1") else None)
    images = image[None] / np.float32(255)
    if callable(module):
        return np.asarray(module(images)[0])
    (signature,) = module.signatures.values()
    (key,) = signature.structured_input_signature[1]
    (vectors,) = signature(**{key: importlib.import_module("tensorflow").constant(images)}).values()
    return np.asarray(vectors[0])
