"""Draw docs/sorted.webp, README's picture: the sample categories and the sorted folder.

It runs the program to get the names of the sorted pictures.

Usage: tools/draw_readme.py
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image, ImageDraw, ImageFont, ImageOps

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "sorted.webp"
CATEGORIES, TO_SORT = ROOT / "tf_files" / "data", ROOT / "test_data"

Names = dict[str, str]

_DESCRIPTION = 0x010E  # the EXIF field for the names, so that a test can draw them again
_SCALE = 2  # for high-resolution screens; all lengths below are for low resolution
_WIDTH, _HEIGHT, _MARGIN, _GAP = 860, 476, 24, 8
_CARD, _LINE, _INK, _FAINT = "#ffffff", "#c9d1da", "#1c2430", "#647080"
_COLOURS = {"dark_knight": "#3f4663", "snow_queen": "#5fa8e6"}
_SMALL, _LARGE = (54, 47), (136, 98)  # thumbnails of a category, of the sorted folder
_RIGHT = 268  # where the sorted folder begins


def run() -> Names:
    """Train on the sample pictures and sort the others; return copy's name -> picture's name."""
    with TemporaryDirectory() as folder:
        tf_files, sorted_ = Path(folder, "tf_files"), Path(folder, "sorted")
        shutil.copytree(CATEGORIES, tf_files / "data")
        _start("train", tf_files, "--backbone", "efficientnet_lite0")
        _start("classify-dir", tf_files, TO_SORT, sorted_)
        return names_of(sorted_)


def names_of(sorted_folder: Path) -> Names:
    """Return, from a manifest, copy's name -> picture's name, sorted by the copy's name."""
    lines = (sorted_folder / "manifest.jsonl").read_text("utf-8").splitlines()
    found = [line for line in map(json.loads, lines) if "copied_to" in line]
    return {line["copied_to"]: line["image"] for line in sorted(found, key=_copied_to)}


def names_in(picture: Image.Image) -> Names:
    """Return the names that a drawn picture shows."""
    names: Names = json.loads(picture.getexif()[_DESCRIPTION])
    return names


def drawing(names: Names) -> Image.Image:
    """Draw the card [RGBA]: one category above the other, an arrow, and the sorted folder."""
    card = Image.new("RGBA", (_WIDTH * _SCALE, _HEIGHT * _SCALE))
    pen = ImageDraw.Draw(card)
    edges = (0, 0, _WIDTH * _SCALE - 1, _HEIGHT * _SCALE - 1)
    pen.rounded_rectangle(edges, 12 * _SCALE, _CARD, _LINE, _SCALE)
    _write(pen, _MARGIN, 20, "tf_files/data", 17, _INK)
    _write(pen, _MARGIN, 43, "a folder for each category", 12, _FAINT)
    _write(pen, _RIGHT, 20, "sorted", 17, _INK)
    _write(pen, _RIGHT, 43, "new pictures, copied under their category and its score", 12, _FAINT)
    y = 72
    for category in _COLOURS:
        y = _draw_category(card, category, y)
    _draw_arrow(pen, (_RIGHT + 3 * _SMALL[0] + 2 * _GAP + _MARGIN) // 2, 270)
    for at, (name, source) in enumerate(names.items()):
        x = _RIGHT + at % 4 * (_LARGE[0] + _GAP)
        y = 72 + at // 4 * (_LARGE[1] + 34)
        colour = _COLOURS[name.partition("-")[0]]
        _paste(card, TO_SORT / source, (x, y), _LARGE, colour)
        _write(pen, x, y + _LARGE[1] + 6, name, 11, _INK)
    return card


def save(names: Names) -> None:
    """Write the picture, with the names in it."""
    about = Image.Exif()
    about[_DESCRIPTION] = json.dumps(names)
    drawing(names).save(PICTURE, quality=80, method=6, exif=about)


def _start(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, ROOT / "src", *arguments], check=True, capture_output=True)


def _copied_to(line: dict[str, str]) -> str:
    return line["copied_to"]


def _draw_category(card: Image.Image, category: str, y: int) -> int:
    """Draw nine of its pictures; return where the next category begins."""
    pictures, at_y = sorted((CATEGORIES / category).iterdir()), y
    pen = ImageDraw.Draw(card)
    _write(pen, _MARGIN, y, category, 13, _INK)
    right = _MARGIN + 3 * _SMALL[0] + 2 * _GAP
    _write(pen, right, y, f"{len(pictures)} pictures", 12, _FAINT, anchor="ra")
    for at, path in enumerate(pictures[:9]):
        x = _MARGIN + at % 3 * (_SMALL[0] + _GAP)
        at_y = y + 22 + at // 3 * (_SMALL[1] + _GAP)
        _paste(card, path, (x, at_y), _SMALL, _COLOURS[category])
    return at_y + _SMALL[1] + 22


def _draw_arrow(pen: ImageDraw.ImageDraw, x: int, y: int) -> None:
    """Draw an arrow to the right, with its middle at (x, y)."""
    line = [(x - 12, y), (x + 10, y)]
    head = [(x + 4, y - 8), (x + 12, y), (x + 4, y + 8)]
    for points in (line, head):
        scaled = [(a * _SCALE, b * _SCALE) for a, b in points]
        pen.line(scaled, _FAINT, 3 * _SCALE, joint="curve")


def _write(
    pen: ImageDraw.ImageDraw, x: int, y: int, text: str, size: int, colour: str, anchor: str = "la"
) -> None:
    # Pillow's own font, so that every machine with Pillow has it.
    font = ImageFont.load_default(size * _SCALE)
    pen.text((x * _SCALE, y * _SCALE), text, colour, font, anchor)


def _paste(
    card: Image.Image, path: Path, at: tuple[int, int], size: tuple[int, int], colour: str
) -> None:
    """Paste a thumbnail with round corners and a frame in the colour of its category."""
    wide, high = (each * _SCALE for each in size)
    with Image.open(path) as image:
        upright = ImageOps.exif_transpose(image).convert("RGBA")
    paper = Image.new("RGBA", upright.size, _CARD)
    whole = Image.alpha_composite(paper, upright)
    # Use the upper part of a tall picture, because faces are there.
    thumbnail = ImageOps.fit(whole, (wide, high), Image.Resampling.LANCZOS, centering=(0.5, 0.3))
    frame = Image.new("RGBA", (4 * wide, 4 * high))
    mask = Image.new("L", frame.size)
    edges, radius = (0, 0, 4 * wide - 1, 4 * high - 1), 20 * _SCALE
    ImageDraw.Draw(mask).rounded_rectangle(edges, radius, 255)
    ImageDraw.Draw(frame).rounded_rectangle(edges, radius, None, colour, 8 * _SCALE)
    thumbnail.alpha_composite(frame.resize(thumbnail.size, Image.Resampling.LANCZOS))
    corner = (at[0] * _SCALE, at[1] * _SCALE)
    card.paste(thumbnail, corner, mask.resize(thumbnail.size, Image.Resampling.LANCZOS))


if __name__ == "__main__":
    save(run())
