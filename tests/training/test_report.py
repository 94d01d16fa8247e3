"""The report of a real training: it shows what was trained, in a real browser, and to everybody."""

import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from made.browser import CHROMIUM, Tab, opened_browser
from made.findings import example_of, findings_of, trained_on
from made.place import ROOT, Run
from tensor_guess.config import GRAPH, REPORT
from tensor_guess.images.thumbnails import thumbnails
from tensor_guess.reporting.report import report

LITE = ("--backbone", "efficientnet_lite0", "--steps", "100")
WIDTHS = (320, 768, 1280)
PICTURES = sorted((ROOT / "test_data").iterdir())
# Labels as long and as strange as folders may be called.
LABELS = ("<script>alert(1)</script>", "مرحبا بالعالم", "w" * 80, "dark knight")


@pytest.fixture
def tf_files(tmp_path: Path) -> Path:
    """Eight pictures a category, one of them in the wrong one."""
    for category in ("dark_knight", "snow_queen"):
        (tmp_path / "tf/data" / category).mkdir(parents=True)
        for path in sorted((ROOT / "tf_files/data" / category).iterdir())[:8]:
            shutil.copy(path, tmp_path / "tf/data" / category)
    wrong = tmp_path / "tf/data/dark_knight/dark_knight_01.jpg"
    wrong.rename(tmp_path / "tf/data/snow_queen/wrong.jpg")
    return tmp_path / "tf"


class Table(HTMLParser):
    """The cells of the table with that id."""

    def __init__(self, page: str, name: str) -> None:
        super().__init__()
        self.name, self.inside = name, False
        self.rows: list[list[str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.inside = dict(attrs).get("id") == self.name
        if self.inside and tag == "tr":
            self.rows.append([])
        if self.inside and tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "table"

    def handle_data(self, data: str) -> None:
        if self.inside and self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()


def scalars(folder: Path, tag: str) -> dict[int, float]:
    events = EventAccumulator(str(folder), size_guidance={"tensors": 0})  # all of them
    events.Reload()
    return {each.step: float(each.tensor_proto.float_val[0]) for each in events.Tensors(tag)}


@pytest.mark.slow
@pytest.mark.tensorflow
def test_training_writes_a_report_that_agrees_with_tensorboard(tf_files: Path, call: Run) -> None:
    done = call("train", tf_files, *LITE, "--summaries-dir", tf_files / "logs")
    assert done.returncode == 0, done.stderr
    page = (tf_files / REPORT).read_text()
    assert re.search(r"wrong\.jpg", page)
    accuracy = scalars(tf_files / "logs/train", "accuracy")
    loss = scalars(tf_files / "logs/train", "cross_entropy")
    validation = scalars(tf_files / "logs/validation", "accuracy")
    _, *rows = Table(page, "looks").rows
    assert [int(row[0]) for row in rows] == sorted(accuracy)  # every look, as there are eleven
    for row in rows:
        step = int(row[0])
        assert row[1] == f"{100 * accuracy[step]:.1f}%"
        assert row[2] == f"{loss[step]:.4f}"
        assert row[3] == f"{100 * validation[step]:.1f}%"
    # The lines have the same points: 300 wide, 150 high, 0 to the most.
    lines = re.findall(r'<polyline class="\w+" points="([^"]*)"', page)
    for line, values, most in (
        (lines[0], accuracy, 1), (lines[1], validation, 1), (lines[2], loss, max(loss.values())),
    ):  # fmt: skip
        points = np.array([each.split(",") for each in line.split()], float)
        steps = np.array(sorted(values))
        np.testing.assert_allclose(points[:, 0], 300 * steps / 99, atol=0.051)
        drawn = most * (1 - points[:, 1] / 150)
        np.testing.assert_allclose(drawn, [values[step] for step in steps], atol=0.051 / 150 * most)


@pytest.mark.slow
def test_the_same_training_gives_the_same_report(tf_files: Path, call: Run) -> None:
    assert call("train", tf_files, *LITE).returncode == 0
    first = (tf_files / REPORT).read_bytes()
    assert b"What spoke for" in first  # a map of what was wrong
    assert call("train", tf_files, *LITE).returncode == 0
    assert (tf_files / REPORT).read_bytes() == first
    assert call("train", tf_files, *LITE, "--no-report").returncode == 0
    assert not (tf_files / REPORT).exists()


@pytest.mark.slow
def test_another_program_s_report_is_no_reason_not_to_train(tf_files: Path, call: Run) -> None:
    (tf_files / REPORT).write_text("<title>Sales</title>")
    done = call("train", tf_files, *LITE)
    assert done.returncode == 0
    assert f"{REPORT} is not a report that training wrote: it stays" in done.stderr
    assert (tf_files / REPORT).read_text() == "<title>Sales</title>"
    assert (tf_files / GRAPH).exists()


# --- in a browser


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: nothing opens the report")
    with opened_browser() as tab:
        yield tab


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with everything in it, whose labels and file names are hostile."""
    examples = [
        example_of(i % 4, (i // 2) % 4, 0.5, classes=4, name=str(path))
        for i, path in enumerate(PICTURES)
    ]
    examples += [trained_on(k) for k in range(4)]
    examples += [example_of(1, 2, classes=4, name="<img src=x onerror=alert(1)>.jpg")]
    findings = findings_of(
        *examples, labels=LABELS, suspects=(0, 1), near_copies=((0, 1), (2, 6)), not_counted=3
    )
    small = thumbnails(PICTURES, 80)
    maps = {path: (data, data) for path, data in small.items()}
    path = tmp_path_factory.mktemp("page") / REPORT
    path.write_bytes(report(findings, small.get, maps))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_asks_nobody_and_reports_no_error(
    tab: Tab, page: Path, width: int, dark: bool
) -> None:
    tab.sized(width, dark=dark)
    tab.open(page)
    assert tab.run("document.documentElement.scrollWidth") <= width
    assert tab.run("document.documentElement.clientWidth") <= width
    wide = (
        "[...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll, [popover], "
        f"svg *, .skip') && e.getBoundingClientRect().right > {width} + 1).length"
    )
    assert tab.run(wide) == 0
    assert tab.run("document.querySelectorAll('script, img').length") == 0
    said = {"Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"}
    assert not [each for each in tab.events if each["method"] in said]
    asked = {
        each["params"]["request"]["url"]
        for each in tab.events
        if each["method"] == "Network.requestWillBeSent"
    }
    assert {url for url in asked if not url.startswith("data:")} == {page.as_uri()}
    assert tab.run(CONTRAST) == []


@pytest.mark.slow
def test_a_cell_opens_its_pictures_by_keyboard_and_gives_the_focus_back(
    tab: Tab, page: Path
) -> None:
    tab.sized(1280)
    tab.open(page)
    shown = "document.querySelectorAll(':popover-open').length"
    focused = "document.activeElement.getAttribute('popovertarget')"
    for _ in range(60):
        tab.press("Tab", 9)
        if tab.run(focused):
            break
    cell = tab.run(focused)
    assert cell.startswith("cell-")
    assert tab.run(shown) == 0
    tab.press("Enter", 13, "\r")
    assert tab.run("document.querySelector(':popover-open').id") == cell
    pictures = "document.querySelectorAll(':popover-open figure').length"
    assert tab.run(pictures) >= 1
    assert tab.run("document.activeElement.textContent") == "Close"
    tab.press("Escape", 27)
    assert tab.run(shown) == 0
    assert tab.run(focused) == cell
    tab.press("Enter", 13, "\r")
    tab.press("Enter", 13, "\r")  # Close
    assert tab.run(shown) == 0


@pytest.mark.slow
def test_a_screen_reader_finds_names_and_an_order_of_headings(tab: Tab, page: Path) -> None:
    tab.sized(1280)
    tab.open(page)
    tree = tab.ask("Accessibility.getFullAXTree")["nodes"]
    roles: dict[str, list[str]] = {}
    for node in tree:
        if not node.get("ignored"):
            name = node.get("name", {}).get("value", "")
            roles.setdefault(node["role"]["value"], []).append(name)
    assert {"main", "navigation", "banner", "contentinfo"} < roles.keys()
    assert len(roles["heading"]) > 12
    for role in ("image", "button", "link", "region", "columnheader", "rowheader", "heading"):
        assert all(roles[role]), role
    levels = tab.run(
        "[...document.querySelectorAll('h1,h2,h3')].filter(e => !e.closest('[popover]'))"
        ".map(e => +e.tagName[1])"
    )
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


@pytest.mark.slow
def test_it_can_be_printed(tab: Tab, page: Path, tmp_path: Path) -> None:
    tab.sized(1280, dark=True)
    tab.open(page)
    tab.printed(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


# Texts whose contrast with what is behind them is below 4.5 (WCAG 2.2, 1.4.3).
CONTRAST = """(() => {
  const parts = c => {
    const n = c.match(/[\\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
  const light = c => { const [r, g, b] = parts(c).slice(0, 3).map(
    v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b; };
  const behind = e => { for (; e; e = e.parentElement) {
    const c = getComputedStyle(e).backgroundColor; if (parts(c)[3] === 1) return c; }
    return 'rgb(255, 255, 255)'; };
  const found = [];
  for (const e of document.querySelectorAll('body *')) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
    const style = getComputedStyle(e);
    const own = e.closest('svg') ? style.fill : style.color;
    const [a, b] = [light(own), light(behind(e))];
    const contrast = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (contrast < 4.5) found.push([e.tagName, e.className, own, behind(e), contrast]);
  }
  return found;
})()"""
