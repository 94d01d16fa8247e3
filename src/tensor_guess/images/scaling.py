"""The size and the range of numbers that a network expects of a picture."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scaling:
    """A network's input: pixels as (x - mean) / std, resized to size x size.

    `classic`: decoded and resized as `retrain.py` did (see `pixels`).
    """

    size: int
    mean: float
    std: float
    classic: bool = False
