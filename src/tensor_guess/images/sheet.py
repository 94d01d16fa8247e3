"""Lay pictures and captions side by side on one picture, a PNG."""

import io
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

Pixels = NDArray[np.uint8]
# A caption, a picture, or small pictures in a row, each with its caption.
Block = str | Pixels | Sequence[tuple[Pixels, str]]

_GROUND, _INK = "white", "#222222"
_SIZE, _GAP = 15, 10
_MISSING = "\uffff"  # no font has it
# What Pillow writes first after the header.
_MARK = b"tEXtSoftware\0tensor-guess"
_HEAD = 256


def sheet(columns: Sequence[Sequence[Block]], width: int) -> bytes:
    """Return a PNG with the columns side by side, each of `width` pixels and its blocks in order.

    Pictures that are wider are cut. `is_sheet` knows the file again.
    """
    drawn = [_stacked([_block(block, width) for block in column], width) for column in columns]
    height = max(image.height for image in drawn)
    whole = Image.new("RGB", ((width + _GAP) * len(drawn) + _GAP, height + 2 * _GAP), _GROUND)
    for i, image in enumerate(drawn):
        whole.paste(image, (_GAP + i * (width + _GAP), _GAP))
    info, file = PngInfo(), io.BytesIO()
    info.add_text("Software", "tensor-guess")
    whole.save(file, "PNG", pnginfo=info, optimize=True)
    return file.getvalue()


def is_sheet(start: bytes) -> bool:
    """Return whether a file that starts like this was made by `sheet`."""
    return start.startswith(b"\x89PNG") and _MARK in start[:_HEAD]


def _block(block: Block, width: int) -> Image.Image:
    if isinstance(block, str):
        return _text(block, width)
    if isinstance(block, np.ndarray):
        return Image.fromarray(block)
    own = (width - _GAP * (len(block) - 1)) // max(1, len(block))
    cells = [_stacked([Image.fromarray(image), _text(text, own)], own) for image, text in block]
    row = Image.new("RGB", (width, max((cell.height for cell in cells), default=0)), _GROUND)
    for i, cell in enumerate(cells):
        row.paste(cell, (i * (own + _GAP), 0))
    return row


def _stacked(images: Sequence[Image.Image], width: int) -> Image.Image:
    height = sum(image.height + _GAP for image in images)
    column, y = Image.new("RGB", (width, height), _GROUND), 0
    for image in images:
        column.paste(image, (0, y))
        y += image.height + _GAP
    return column


def _text(text: str, width: int) -> Image.Image:
    lines = _wrapped("".join(map(_drawable, text)), width)
    step = _SIZE + 5
    image = Image.new("RGB", (width, step * len(lines)), _GROUND)
    draw = ImageDraw.Draw(image)
    for i, line in enumerate(lines):
        draw.text((0, i * step), line, _INK, font=_font())
    return image


def _wrapped(text: str, width: int) -> list[str]:
    """Return the lines of a text; a word that is wider is broken."""
    lines = [""]
    for word in text.split():
        together = f"{lines[-1]} {word}".strip()
        if _font().getlength(together) <= width:
            lines[-1] = together
            continue
        lines += [""] if lines[-1] else []
        for character in word:
            if _font().getlength(lines[-1] + character) > width:
                lines.append("")
            lines[-1] += character
    return lines


@cache
def _drawable(character: str) -> str:
    """Return the character, or its code if Pillow's font, which is always there, lacks it."""
    if character.isspace():
        return character
    missing = bytes(_font().getmask(_MISSING)) == bytes(_font().getmask(character))
    return f"\\u{ord(character):04x}" if missing or not character.isprintable() else character


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(_SIZE)
