"""The page of a study: one file that loads nothing, and in which no name is markup."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
from PIL import Image

from tensor_guess.explaining.study_page import HEAD, Figure, Section, is_ours, page

HOSTILE = '"><script>alert(1)</script><img src=//example.com/x>&\x1b[2J\n'
IMAGE = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
SECTION = Section(HOSTILE, [HOSTILE], [Figure(IMAGE, HOSTILE, HOSTILE)])
VOID = {"meta", "link", "img"}


class Parsed(HTMLParser):
    """What a page consists of; every tag must be closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_names_are_text_and_nothing_is_loaded() -> None:
    data = page(HOSTILE, [HOSTILE], [SECTION])
    assert b"\x1b" not in data
    found = Parsed(data.decode())
    assert not {tag for tag, _ in found.tags} & {"script", "iframe", "object", "base", "form"}
    links = [values for _, values in found.tags if values.keys() & {"src", "href"}]
    for values in links:
        assert str(values.get("src") or values.get("href")).startswith("data:")
    assert "url(" not in data.decode()
    assert "@import" not in data.decode()
    assert (
        found.text.count("<script>alert(1)</script>") == 6
    )  # title, h1, finding, h2, paragraph, caption
    assert any("default-src 'none'" in str(values.get("content")) for _, values in found.tags)


def test_pictures_are_inside_and_have_a_text() -> None:
    found = Parsed(
        page("x", [], [Section("y", [], [Figure(IMAGE, "a", "b", small=True)])]).decode()
    )
    ((_, image),) = [each for each in found.tags if each[0] == "img"]
    assert (image["alt"], image["width"], image["height"]) == ("b", "40", "30")
    encoded = str(image["src"]).removeprefix("data:image/jpeg;base64,")
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as shown:
        assert (shown.format, shown.size) == ("JPEG", (40, 30))


def test_it_is_known_again() -> None:
    assert is_ours(page(HOSTILE, [], [])[:HEAD])
    assert not is_ours(b"<!doctype html><title>x</title>")


def test_both_colour_schemes_are_there() -> None:
    text = page("x", [], []).decode()
    assert "prefers-color-scheme: dark" in text
    assert re.search(r"<html lang=.en.>", text)
