"""The size, the shape and the range of numbers that a network expects of a picture."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from tensor_guess.config import CROP, PAD, SQUEEZE

# The borders' colour, of each channel: nearly 0 once it is scaled, as what networks themselves put
# around a picture.
BORDER = 127

_HOW = {
    SQUEEZE: "",
    CROP: "cropped to the central square",
    PAD: f"padded to a square with grey ({BORDER})",
}


@dataclass(frozen=True)
class Scaling:
    """A network's input: pixels as (x - mean) / std, made size x size as `fit` says (FITS).

    `classic`: decoded and resized as `retrain.py` did (see `pixels`), which only squeezed.
    """

    size: int
    mean: float
    std: float
    classic: bool = False
    fit: str = SQUEEZE

    @property
    def how(self) -> str:
        """Return what is done to a picture that is not square, in words; "" if it is squeezed."""
        return _HOW[self.fit]

    def fitted(self, fit: str) -> "Scaling":
        """Return the scaling with that fit; it stays classic only if pictures are squeezed."""
        return replace(self, fit=fit, classic=self.classic and fit == SQUEEZE)

    def plain(self) -> dict[str, Any]:
        """Return what JSON has of it: no fit if it is the default, as older versions had none."""
        found = asdict(self)
        if self.fit == SQUEEZE:
            del found["fit"]
        return found


def shown_part(width: int, height: int, fit: str) -> tuple[float, float, float, float]:
    """Return the part of a picture that is shown to a network: left, top, right, bottom."""
    if fit != CROP:
        return 0, 0, width, height
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def shown_as(width: int, height: int, size: int, fit: str) -> tuple[int, int]:
    """Return the width and height of that part on the square; equal borders on both sides fill it.

    It has its own shape to within a pixel of the square.
    """
    if fit != PAD:
        return size, size
    longest = max(width, height)

    def of(side: int) -> int:
        border = (size * (longest - side) + longest) // (2 * longest)
        return size - 2 * min(border, (size - 1) // 2)

    return of(width), of(height)
