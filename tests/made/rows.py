"""Photos of noise, and their rows on a tiny backbone."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tensor_guess.backbones.loading import Backbone
from tensor_guess.bottlenecks.computing import Rows, compute, fingerprint
from tensor_guess.graphs.network import Network


class Computer:
    """compute() on the tiny backbone; `started` counts how often the network was asked for."""

    def __init__(self, backbone: Backbone, network: Network, folder: Path) -> None:
        self.backbone, self.network, self.folder, self.started = backbone, network, folder, 0

    def __call__(self, files: Sequence[Path]) -> Rows:
        return compute(files, self.folder, self.backbone, self._start, "float32")

    def _start(self) -> Network:
        self.started += 1
        return self.network

    @property
    def npy(self) -> list[Path]:
        return sorted((self.folder / fingerprint(self.backbone, "float32")).glob("*.npy"))


def photo(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 20, 3), np.uint8)
    Image.fromarray(pixels).save(path, "BMP")
    return path


def photos(folder: Path, count: int, first: int = 0) -> list[Path]:
    return [photo(folder / f"{first + n}.bmp", first + n) for n in range(count)]
