"""A tiny backbone that computes rows at once, and what it left."""

import time
from pathlib import Path

import pytest

from made.rows import Computer, Made, photos
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.bottlenecks.extractor import Extractor
from tensor_guess.graphs.network import Network


@pytest.fixture(scope="module")
def tiny_network(tiny: Backbone) -> Network:
    return Extractor(tiny).network()


@pytest.fixture
def computer(tiny: Backbone, tiny_network: Network, tmp_path: Path) -> Computer:
    return Computer(Made(tiny, made=tiny_network), tmp_path / "bottlenecks")


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is a minute ahead: files written just now count as old."""
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + 60 * 10**9)


@pytest.fixture
def several(computer: Computer, tmp_path: Path) -> list[Path]:
    """Twelve photos whose rows are in three files."""
    files = photos(tmp_path / "data", 12)
    for end in (4, 8, 12):
        computer(files[:end])
    assert len(computer.npy) == 3
    return files
