"""README's picture shows what the program does with the sample pictures, and so does its text."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import draw_readme
from made.place import ROOT, Run


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    assert draw_readme.PICTURE.stat().st_size < 150_000
    with Image.open(draw_readme.PICTURE) as image:
        image.load()
    return image


def on_paper(picture: Image.Image) -> NDArray[np.int_]:
    """Its grey levels [H, W] on a white page."""
    page = Image.new("RGBA", picture.size, "white")
    return np.asarray(Image.alpha_composite(page, picture.convert("RGBA")).convert("L"), int)


def sorted_as(names: dict[str, str]) -> dict[str, tuple[str, float]]:
    """Of each picture that was sorted, the category and the score."""
    found = {}
    for copy, source in names.items():
        category, _, rest = copy.partition("-")
        found[source] = category, float(rest.rpartition(".")[0])
    return found


@pytest.mark.slow
def test_the_picture_is_what_the_script_draws(picture: Image.Image) -> None:
    drawn, here = on_paper(draw_readme.drawing(draw_readme.names_in(picture))), on_paper(picture)
    assert drawn.shape == here.shape
    # The file is not lossless: a square differs by 6 at most, and by 29 if a digit is another.
    high, wide = (length // 16 for length in here.shape)
    apart = np.abs(drawn - here)[: high * 16, : wide * 16]
    assert apart.reshape(high, 16, wide, 16).mean(axis=(1, 3)).max() < 15


@pytest.mark.slow
def test_the_program_sorts_as_the_picture_shows(
    picture: Image.Image, trained: Path, run: Run, tmp_path: Path
) -> None:
    done = run("classify-dir", trained, draw_readme.TO_SORT, tmp_path / "sorted")
    assert done.returncode == 0, done.stderr
    now = sorted_as(draw_readme.names_of(tmp_path / "sorted"))
    shown = sorted_as(draw_readme.names_in(picture))
    assert {source: category for source, (category, _) in now.items()} == {
        source: category for source, (category, _) in shown.items()
    }
    for source, (_, score) in shown.items():
        assert now[source][1] == pytest.approx(score, abs=0.02), source  # another CPU


def test_the_text_lists_what_the_picture_shows(picture: Image.Image) -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    listed = text.partition("$ ls sorted\n")[2].partition("\n\n")[0].split()
    assert sorted(listed) == sorted([*draw_readme.names_in(picture), "manifest.jsonl"])
    assert f"](docs/{draw_readme.PICTURE.name})" in text
