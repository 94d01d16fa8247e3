"""The contact sheet: one file that loads nothing, in which no name is markup."""

import os
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from made.browser import CHROMIUM, Tab, opened_browser
from tensor_guess.grouping.contact_sheet import HEAD, Shown, is_ours, page

HOSTILE = '"><script>alert(1)</script><img src=//example.com/x>&\x1b[2J\n'
VOID = {"meta", "link", "img"}


class Parsed(HTMLParser):
    """What a page consists of; every tag must be closed."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(data.decode())
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data if self.open[-1:] != ["style"] else ""


def pictures(folder: Path, count: int) -> list[Shown]:
    random, found = np.random.default_rng(0), []
    for number in range(count):
        path = folder / f"{number}.png"
        Image.fromarray(random.integers(0, 256, (30, 40, 3), np.uint8)).save(path)
        found.append(Shown(path, f"{number:03}-x.png"))
    return found


def test_names_are_text_and_nothing_is_loaded(tmp_path: Path) -> None:
    (one,) = pictures(tmp_path, 1)
    hostile = Shown(one.source, HOSTILE, HOSTILE, chosen=True)
    data = page(HOSTILE, {HOSTILE: [hostile]}, [hostile], ["left out: \\x1b[2J <script>"])
    assert b"\x1b" not in data
    found = Parsed(data)
    assert not {tag for tag, _ in found.tags} & {"script", "iframe", "object", "base", "form"}
    ids = {f"#{values['id']}" for _, values in found.tags if "id" in values}
    for _, values in found.tags:
        for target in filter(None, (values.get("src"), values.get("href"))):
            assert target.startswith("data:") or target in ids
    assert "url(" not in data.decode()
    assert found.text.count("<script>alert(1)</script>") >= 6
    assert any("default-src 'none'" in str(values.get("content")) for _, values in found.tags)
    assert all(values["alt"] for tag, values in found.tags if tag == "img")


def test_a_name_that_is_no_utf_8_is_shown() -> None:
    name = os.fsdecode(b"latin1_\xe9.jpg")
    assert "latin1_" in Parsed(page(name, {"g": [Shown(Path("/nowhere"), name)]}, [], [])).text


def test_groups_come_in_order_with_what_is_said_of_their_pictures(tmp_path: Path) -> None:
    a, b, c = pictures(tmp_path, 3)
    groups = {
        "group-01": [Shown(a.source, "01-a", chosen=True), Shown(b.source, "02-b", "01-a")],
        "group-02": [Shown(Path("/gone.jpg"), "01-gone")],
    }
    data = page("heap", groups, [Shown(c.source, "01-c")], ["left out x: is empty"])
    text = " ".join(Parsed(data).text.split())
    order = ["★ label first", "01-a", "02-b", "near copy of", "picture not shown", "01-gone",
             "Near nothing", "01-c", "Left out", "is empty"]  # fmt: skip
    places, start = [], text.index("01-a") - 20
    for each in order:
        start = text.index(each, max(start, 0))
        places.append(start)
    assert places == sorted(places)
    assert data == page("heap", groups, [Shown(c.source, "01-c")], ["left out x: is empty"])


def test_of_many_each_group_has_its_share_and_those_to_label_are_all_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tensor_guess.grouping.contact_sheet._MOST", 12)
    made = pictures(tmp_path, 40)
    last = Shown(made[29].source, made[29].name, chosen=True)
    data = page("heap", {"one": [*made[:29], last], "two": made[30:]}, [], [])
    assert data.count(b"data:image/jpeg") == 12
    found = Parsed(data)
    assert last.name in found.text
    assert [int(n) for n in re.findall(r"And (\d+) more in the folder", found.text)] == [23, 5]


def test_it_is_known_again() -> None:
    assert is_ours(page(HOSTILE, {}, [], [])[:HEAD])
    assert not is_ours(b"<!doctype html><title>x</title>")


# --- in a browser


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: nothing opens the sheet")
    with opened_browser() as tab:
        yield tab


@pytest.mark.slow
@pytest.mark.parametrize("width", [320, 390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_asks_nobody_and_reports_no_error(
    tab: Tab, tmp_path: Path, width: int, dark: bool
) -> None:
    made = [Shown(each.source, f"{HOSTILE}{'w' * 200}") for each in pictures(tmp_path, 5)]
    path = tmp_path / "sheet.html"
    path.write_bytes(page(HOSTILE, {"group-01": made}, made[:1], [HOSTILE]))
    tab.sized(width, dark=dark)
    tab.open(path)
    assert tab.run("document.documentElement.scrollWidth") <= width
    said = {"Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"}
    assert not [each for each in tab.events if each["method"] in said]
    assert tab.run("document.images.length") == 6
