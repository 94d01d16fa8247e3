"""The sample pictures are what the script draws."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from made.place import ROOT

FOLDERS = ("tf_files/data", "test_data")


@pytest.mark.long
def test_the_script_draws_the_pictures_that_are_here(tmp_path: Path) -> None:
    script = ROOT / "tools/draw_pictures.py"
    subprocess.run([sys.executable, script, "--out", tmp_path], check=True, capture_output=True)
    drawn, here = ({p.relative_to(r) for f in FOLDERS for p in (r / f).rglob("*.*")}
                   for r in (tmp_path, ROOT))  # fmt: skip
    assert drawn == here
    for path in sorted(here):
        ours, again = (np.asarray(_rgba(root / path), int) for root in (ROOT, tmp_path))
        # Another build of an encoder may round otherwise.
        assert np.abs(ours - again).mean() < 1, path


def test_there_is_one_of_each_kind_and_they_are_small() -> None:
    paths = [p for f in FOLDERS for p in (ROOT / f).rglob("*.*")]
    assert sum(p.stat().st_size for p in paths) < 2_000_000
    for category in (ROOT / "tf_files/data").iterdir():
        assert len(list(category.iterdir())) == 40
    kinds, modes, turned = set(), set(), 0
    for path in (ROOT / "test_data").iterdir():
        with Image.open(path) as image:
            kinds.add(image.format)
            modes.add(image.mode)
            turned += image.getexif().get(0x0112, 1) != 1
    assert {"JPEG", "PNG", "WEBP", "GIF", "AVIF"} <= kinds
    assert {"CMYK", "L", "RGBA"} <= modes
    assert turned


def _rgba(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGBA")
