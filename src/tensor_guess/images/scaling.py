"""How a network takes a picture: its size, and the range of its numbers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scaling:
    """What a network is fed: pixels as (x - mean) / std, resized to size x size.

    `classic`: decoded and resized as `retrain.py` did (see `preprocessing`).
    """

    size: int
    mean: float
    std: float
    classic: bool = False
