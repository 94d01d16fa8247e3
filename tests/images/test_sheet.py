"""A sheet of pictures and captions: a PNG that is known again, whatever the captions are."""

import io

import numpy as np
import pytest
from PIL import Image

from tensor_guess.images.sheet import is_sheet, sheet

RED = np.full((40, 60, 3), (255, 0, 0), np.uint8)


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def test_pictures_and_captions_are_side_by_side() -> None:
    data = sheet([["one", RED], ["two", [(RED, "a"), (RED, "b")]]], 130)
    image = opened(data)
    assert (image.format, image.mode) == ("PNG", "RGB")
    assert image.width == 2 * 130 + 3 * 10
    red = (np.asarray(image) == (255, 0, 0)).all(axis=2)
    assert red.sum() == 3 * RED.shape[0] * RED.shape[1]
    assert red[:, :130].sum() == RED.shape[0] * RED.shape[1]


def test_it_is_known_again_and_no_other_png_is() -> None:
    assert is_sheet(sheet([["x"]], 100)[:256])
    file = io.BytesIO()
    opened(sheet([["x"]], 100)).save(file, "PNG")
    assert not is_sheet(file.getvalue()[:256])
    assert not is_sheet(b"")


@pytest.mark.parametrize(
    "caption",
    ["", " ", "x" * 500, "many words " * 40, "東京 Café हिन्दी", "\x1b[2J\n\0\ud800", "\U0001f600"],
)
def test_any_caption_fits(caption: str) -> None:
    image = opened(sheet([[caption]], 120))
    assert image.width == 140
    dark = np.asarray(image.convert("L")) < 128
    assert not dark[:, 132:].any()
    assert dark.any() == bool(caption.strip())


def test_what_the_font_lacks_is_its_code() -> None:
    np.testing.assert_array_equal(
        np.asarray(opened(sheet([["東"]], 200))), np.asarray(opened(sheet([["\\u6771"]], 200)))
    )
