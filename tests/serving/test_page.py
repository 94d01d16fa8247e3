"""The page in a real browser: pictures dropped and pasted, by keyboard, on a phone, in the dark."""

import io
import json
from base64 import b64decode
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from made.browser import CHROMIUM, Tab, opened_browser
from made.coloured import centre, classifier, picture
from made.place import ROOT
from made.server import Server, started, until
from tensor_guess.config import CROP, PAD, SQUEEZE
from tensor_guess.serving.page import Page

# A browser with a camera that shows moving colours, and that may be used.
CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
PHOTOS = [ROOT / "test_data" / name for name in ("photo01.jpg", "photo02.png", "photo03.webp")]


def test_its_policy_lets_it_load_nothing_and_ask_nobody_else(server: Server) -> None:
    page = Page.read()
    found = server.ask("/")
    policy = found.headers["content-security-policy"]
    assert (found.code, found.body) == (200, page.body)
    assert found.headers["content-type"] == "text/html; charset=utf-8"
    assert policy == page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert b"http://" not in page.body
    assert b"https://" not in page.body
    assert b" style=" not in page.body
    assert b" onclick=" not in page.body


def test_a_link_on_another_site_may_lead_to_it(server: Server) -> None:
    headers = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    assert server.ask("/", None, "GET", **headers).code == 200
    assert server.ask("/", b"x", "POST", **headers).code == 403


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    with opened_browser() as found:
        found.ask("DOM.enable")
        yield found


def visit(tab: Tab, server: Server) -> None:
    """Open the page, and wait until it is ready."""
    tab.events.clear()
    tab.ask("Page.navigate", url=f"http://127.0.0.1:{server.port}/")
    until(lambda: tab.run("document.documentElement?.dataset.state") in ("ready", "failed"))
    assert tab.run("document.documentElement.dataset.state") == "ready"


def results(tab: Tab) -> list[dict[str, Any]]:
    """What it says of each picture, in the order in which they came."""
    code = """JSON.stringify([...document.querySelectorAll("#results > li")].reverse().map(each=>({
      name: each.querySelector(".file").textContent,
      told: each.querySelector(".told").textContent,
      waits: each.classList.contains("waiting"),
      bars: [...each.querySelectorAll(".bars > li")].map((bar) => [
        bar.querySelector("bdi").textContent, bar.querySelector(".score").textContent,
        bar.querySelector(".part").getBoundingClientRect().width]),
      shown: !each.querySelector("img").hidden,
    })))"""
    found: list[dict[str, Any]] = json.loads(tab.run(code))
    return found


def wait_for(tab: Tab, count: int) -> list[dict[str, Any]]:
    """The results of so many pictures, once all are there."""
    until(lambda: len(results(tab)) == count and not any(each["waits"] for each in results(tab)))
    return results(tab)


def asked(tab: Tab) -> list[str]:
    """Every address that the page has asked."""
    tab.run("0")
    return [
        each["params"]["request"]["url"]
        for each in tab.events
        if each["method"] == "Network.requestWillBeSent"
    ]


def complaints(tab: Tab) -> list[Any]:
    """What the browser complains of: scripts' errors, and what the policy forbids."""
    return [
        each
        for each in tab.events
        if each["method"] == "Runtime.exceptionThrown"
        or (each["method"] == "Log.entryAdded" and each["params"]["entry"]["source"] == "security")
    ]


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
def test_dropped_pictures_get_the_scores_of_guess(tab: Tab, server: Server) -> None:
    visit(tab, server)
    assert tab.run("document.title") == "darth vader or elsa or 東京: which is it?"
    tab.drop(*PHOTOS, ROOT / "README.md")
    found = wait_for(tab, 4)
    for each, path in zip(found, PHOTOS, strict=False):
        own = server.ask("/v1/guess", path.read_bytes()).json
        assert each["name"] == path.name
        assert each["told"] == f"{own['label']} (score = {own['score']:.5f})"
        assert [bar[:2] for bar in each["bars"]] == [
            [label, f"{score:.5f}"] for label, score in own["scores"].items()
        ]
        assert each["bars"][0][2] > each["bars"][-1][2]
    until(lambda: [each["shown"] for each in results(tab)] == [True] * 3 + [False])
    assert found[3]["told"].startswith("Left out: is no picture of a known kind")
    addresses = [each for each in asked(tab) if not each.startswith(("blob:", "data:"))]
    origin = f"http://127.0.0.1:{server.port}/"
    assert {each.removeprefix(origin) for each in addresses} == {"", "v1/model", "v1/guess"}
    assert complaints(tab) == []


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
def test_a_pasted_picture_is_taken(tab: Tab, server: Server) -> None:
    visit(tab, server)
    data = list(PHOTOS[0].read_bytes())
    tab.run(
        "{const data = new DataTransfer();"
        f"data.items.add(new File([new Uint8Array({data})], 'pasted.jpg'));"
        "document.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true}))}"
    )
    (found,) = wait_for(tab, 1)
    assert found["name"] == "pasted.jpg"
    assert "(score = " in found["told"]


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
def test_the_camera_gives_a_picture(server: Server) -> None:
    with opened_browser(*CAMERA) as tab:
        visit(tab, server)
        tab.run("document.getElementById('look').click()")
        until(lambda: tab.run("document.getElementById('video').videoWidth"))
        tab.run("document.getElementById('shoot').click()")
        (found,) = wait_for(tab, 1)
        assert found["name"] == "camera 1"
        assert "(score = " in found["told"]
        tab.press("Escape", 27)
        until(lambda: tab.run("document.getElementById('video').srcObject === null"))
        assert complaints(tab) == []


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
def test_it_works_by_keyboard_and_says_what_it_does(tab: Tab, server: Server) -> None:
    visit(tab, server)
    focused = []
    for _ in range(2):
        tab.press("Tab", 9)
        focused.append(tab.run("document.activeElement.id"))
    assert focused == ["choose", "look"]
    tab.press("Enter", 13, "\r")  # there is no camera here
    until(lambda: "amera" in tab.run("document.getElementById('state').textContent"))
    assert tab.run("document.getElementById('state').getAttribute('role')") == "status"
    tab.drop(PHOTOS[0])
    wait_for(tab, 1)
    until(
        lambda: tab.run("document.getElementById('state').textContent").endswith("Ready for more.")
    )


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [320, 1200])
def test_it_fits_a_phone_and_a_dark_room(tab: Tab, server: Server, width: int, dark: bool) -> None:
    tab.sized(width, dark=dark)
    visit(tab, server)
    tab.drop(PHOTOS[0])
    wait_for(tab, 1)
    assert tab.run("document.documentElement.scrollWidth") <= width
    colour = tab.run("getComputedStyle(document.body).backgroundColor")
    assert colour == ("rgb(21, 23, 27)" if dark else "rgb(255, 255, 255)")
    assert tab.run(
        "[...document.querySelectorAll('button')].filter((each) => each.offsetParent)"
        ".every((each) => each.getBoundingClientRect().height >= 44)"
    )


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
def test_it_asks_for_the_token_once(tab: Tab, cache: Path, small: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("correct-horse-battery-staple")
    with started(cache, tmp_path / "log", small, "--token-file", tmp_path / "token") as server:
        tab.ask("Page.navigate", url=f"http://127.0.0.1:{server.port}/")
        for word in ("wrong-horse", "correct-horse-battery-staple"):
            until(lambda: tab.run("document.getElementById('ask')?.open"))
            tab.run(
                f"document.getElementById('token').value = '{word}';"
                "document.querySelector('#form button').click()"
            )
        until(lambda: tab.run("document.documentElement.dataset.state") == "ready")
        tab.drop(PHOTOS[0])
        (found,) = wait_for(tab, 1)
        assert "(score = " in found["told"]
        visit(tab, server)  # it is kept as long as the tab is open
        assert "correct-horse" not in server.said


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
def test_another_sites_page_in_the_same_browser_gets_nothing(
    tab: Tab, server: Server, site: tuple[Path, str]
) -> None:
    """Simple requests need no leave of the server; what it would answer is not read, nor done."""
    folder, address = site
    (folder / "evil.html").write_text("<!doctype html><title>evil</title>")
    before = server.count('tensor_guess_pictures_total{result="guessed"}')
    tab.ask("Page.navigate", url=f"{address}/evil.html")
    until(lambda: tab.run("document.title") == "evil")
    for mode in ("no-cors", "cors"):
        tab.run(
            f"window.said = null; fetch('http://127.0.0.1:{server.port}/v1/guess', "
            f"{{method: 'POST', mode: '{mode}', body: 'x'}}).then("
            "(found) => window.said = found.type + found.status,"
            " () => window.said = 'refused')"
        )
        until(lambda: tab.run("window.said"))
        assert tab.run("window.said") in ("refused", "opaque0")
    tab.run(
        f"document.body.innerHTML = '<iframe src=\"http://127.0.0.1:{server.port}/\"></iframe>'"
    )
    assert server.count('tensor_guess_requests_total{code="403",path="other"}') >= 2
    assert server.count('tensor_guess_pictures_total{result="guessed"}') == before


# --- where it looked


@pytest.fixture(scope="module", params=[SQUEEZE, CROP, PAD])
def coloured(
    request: pytest.FixtureRequest, cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, str]]:
    """A server of the classifier that sees red and blue, and how it makes pictures square."""
    folder = tmp_path_factory.mktemp("coloured")
    (folder / "x.pb").write_bytes(classifier(request.param))
    with started(cache, folder / "log", folder / "x.pb") as found:
        yield found, request.param


def seen(tab: Tab, selector: str) -> NDArray[np.uint8]:
    """The pixels of an element, as they are on the screen."""
    tab.run(f"document.querySelector('{selector}').scrollIntoView()")
    box = tab.run(
        f"(({{ x, y, width, height }}) => ({{ x: x + scrollX, y: y + scrollY, width, height }}))"
        f"(document.querySelector('{selector}').getBoundingClientRect())"
    )
    found = tab.ask("Page.captureScreenshot", captureBeyondViewport=True, clip={**box, "scale": 1})
    return np.asarray(Image.open(io.BytesIO(b64decode(found["data"]))).convert("RGB"))


def looked(tab: Tab) -> str:
    """What the newest card says of where it looked, once it does."""
    said = "document.querySelector('.where [role=status]').textContent"
    until(lambda: tab.run(said) not in ("", "Looking ..."))
    found: str = tab.run(said)
    return found


def said_of(tab: Tab, label: str) -> bool:
    return looked(tab) == f"Bright: speaks for {label}. Dark: does not."


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
@pytest.mark.parametrize("orientation", [1, 3, 5, 6])
def test_the_map_lies_where_the_picture_shows_the_thing(
    tab: Tab, coloured: tuple[Server, str], tmp_path: Path, orientation: int
) -> None:
    server, fit = coloured
    tab.sized(800)
    visit(tab, server)
    (tmp_path / "x.jpg").write_bytes(picture(300, 200, orientation))
    tab.drop(tmp_path / "x.jpg")
    wait_for(tab, 1)
    until(lambda: results(tab)[0]["shown"])
    shown = seen(tab, ".thumbnail img")  # the browser turns it, and letterboxes it to a square
    assert (
        tab.run("document.querySelector('.where button').getAttribute('aria-pressed')") == "false"
    )
    tab.run("document.querySelector('.where button').click()")
    best = results(tab)[0]["bars"][0][0]
    assert looked(tab) == f"Bright: speaks for {best}. Dark: does not."
    for label, channel in (("red", 0), ("blue", 2)):
        tab.run(
            f"{{const select = document.querySelector('.where select'); select.value = '{label}';"
            "select.dispatchEvent(new Event('change'))}"
        )
        until(partial(said_of, tab, label))
        drawn = seen(tab, ".thumbnail .map")
        there = centre(shown, channel)
        assert there
        if fit == SQUEEZE:  # of a letterboxed square to the picture itself
            height, width = drawn.shape[:2]
            side = max(height, width)
            there = (
                (there[0] - 0.5) * side / width + 0.5,
                (there[1] - 0.5) * side / height + 0.5,
            )
        elif fit == CROP:  # its shorter side is all there is
            there = ((there[0] - 0.5) * 1.5 + 0.5, (there[1] - 0.5) * 1.5 + 0.5)
        assert centre(drawn, channel) == pytest.approx(there, abs=0.03)
        for other in {0, 1, 2} - {channel}:
            assert centre(drawn, other) is None
    tab.run("document.querySelector('.where button').click()")
    until(lambda: tab.run("!document.querySelector('#results > li.looking')"))
    assert centre(seen(tab, ".thumbnail img"), 1)  # as it was
    origin = f"http://127.0.0.1:{server.port}/"
    addresses = {each for each in asked(tab) if not each.startswith(("blob:", "data:"))}
    assert {each.removeprefix(origin).partition("?")[0] for each in addresses} == {
        "", "v1/model", "v1/guess", "v1/explain",
    }  # fmt: skip
    assert complaints(tab) == []


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
@pytest.mark.parametrize("dark", [False, True])
def test_where_it_looked_is_had_by_keyboard_on_a_phone(
    tab: Tab, server: Server, dark: bool
) -> None:
    tab.sized(320, dark=dark)
    visit(tab, server)
    tab.drop(PHOTOS[0])
    wait_for(tab, 1)
    until(lambda: tab.run("!document.querySelector('.where').hidden"))
    focused = "document.activeElement.textContent.trim()"
    for _ in range(4):
        tab.press("Tab", 9)
        if tab.run(focused) == "Show where it looked":
            break
    assert tab.run("document.activeElement.matches(':focus-visible')")
    tab.press(" ", 32, " ")
    first = looked(tab)
    assert tab.run("document.activeElement.getAttribute('aria-pressed')") == "true"
    assert tab.run("document.documentElement.scrollWidth") <= 320
    assert tab.run("document.querySelector('.map').getBoundingClientRect().width") > 250
    tab.press("Tab", 9)
    assert tab.run("document.activeElement.tagName") == "SELECT"
    labels = tab.run("[...document.activeElement.options].map((each) => each.value)")
    assert labels == [bar[0] for bar in results(tab)[0]["bars"]]
    tab.press("ArrowDown", 40)
    until(lambda: looked(tab) not in (first, ""))
    assert looked(tab) == f"Bright: speaks for {labels[1]}. Dark: does not."
    assert tab.run("document.querySelector('.map').alt").endswith(f"speaks for {labels[1]}")
    assert tab.run(
        "[...document.querySelectorAll('button, select')].filter((each) => each.offsetParent)"
        ".every((each) => each.getBoundingClientRect().height >= 44)"
    )
    colours = tab.run(
        "(({ color, backgroundColor }) => [color, backgroundColor])"
        "(getComputedStyle(document.querySelector('.where button')))"
    )
    ground = "rgb(21, 23, 27)" if dark else "rgb(255, 255, 255)"
    assert colours == [ground, "rgb(140, 192, 255)" if dark else "rgb(10, 92, 168)"]
    assert complaints(tab) == []


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
def test_where_it_looked_is_not_offered_if_it_cannot_be_known(
    tab: Tab, cache: Path, tmp_path: Path
) -> None:
    (tmp_path / "x.pb").write_bytes(classifier(adds_up=False))
    with started(cache, tmp_path / "log", tmp_path / "x.pb") as server:
        visit(tab, server)
        tab.drop(PHOTOS[0])
        wait_for(tab, 1)
        until(lambda: results(tab)[0]["shown"])
        assert tab.run("document.querySelector('.where').hidden")


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium")
def test_another_graphs_map_is_not_shown(tab: Tab, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "x.pb").write_bytes(classifier())
    with started(cache, tmp_path / "log", tmp_path / "x.pb") as server:
        visit(tab, server)
        tab.drop(PHOTOS[0])
        wait_for(tab, 1)
        (tmp_path / "new").write_bytes(classifier(CROP))
        (tmp_path / "new").replace(tmp_path / "x.pb")
        until(lambda: server.ask("/v1/model").json["version"] == 2)
        tab.run("document.querySelector('.where button').click()")
        assert "another classifier answers now" in looked(tab)
        assert tab.run("!document.querySelector('#results > li.looking')")
