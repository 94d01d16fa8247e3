"""A classifier that takes no time, and many small pictures."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import stub
from made.rows import photos


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A frozen graph of two categories."""
    return stub.classifier(tmp_path_factory.mktemp("stub") / "stub.pb")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 700 pictures, more than five tasks; not to be written to."""
    folder = tmp_path_factory.mktemp("pictures") / "in"
    photos(folder, 700)
    return folder


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier's folder with 300 pictures in two categories; not to be written to."""
    data = tmp_path_factory.mktemp("examples") / "data"
    for name, level in (("dark", 60), ("bright", 190)):
        (data / name).mkdir(parents=True)
        for n in range(150):
            seed = np.random.default_rng([level, n])
            image = np.clip(seed.normal(level, 40, (20, 20, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(image).save(data / name / f"{n}.bmp")
    return data
