"""Photos of noise, and their rows on a tiny backbone."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from tensor_guess.bottlenecks import computing
from tensor_guess.bottlenecks.computing import Rows
from tensor_guess.bottlenecks.extractor import Extractor
from tensor_guess.graphs.network import Network


@dataclass(frozen=True)
class Made(Extractor):
    """An extractor whose network is made already; `asked` has an item for each time it was."""

    made: Network = field(kw_only=True)
    asked: list[None] = field(kw_only=True, default_factory=list)

    def network(self) -> Network:
        self.asked.append(None)
        return self.made


class Computer:
    """Each call is a run of its own; `started` counts how often the network was asked for."""

    def __init__(self, extractor: Made, folder: Path) -> None:
        self.extractor, self.folder = extractor, folder

    def __call__(self, files: Sequence[Path]) -> Rows:
        return computing.Computer(self.folder, self.extractor).rows(files)

    @property
    def network(self) -> Network:
        return self.extractor.made

    @property
    def started(self) -> int:
        return len(self.extractor.asked)

    @property
    def npy(self) -> list[Path]:
        return sorted((self.folder / self.extractor.fingerprint).glob("*.npy"))


def photo(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 20, 3), np.uint8)
    Image.fromarray(pixels).save(path, "BMP")
    return path


def photos(folder: Path, count: int, first: int = 0) -> list[Path]:
    return [photo(folder / f"{first + n}.bmp", first + n) for n in range(count)]
