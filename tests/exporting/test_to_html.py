"""A page that classifies in a real browser: with the scores of a guess, and without any request."""

import io
import json
from base64 import b64decode
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
from numpy.typing import NDArray
from PIL import Image
from tensorboard.compat.proto.graph_pb2 import GraphDef

from made.browser import CHROMIUM, Tab, opened_browser
from made.exif import oriented
from made.graphs import copy_of, head_for, record_for
from made.place import ROOT, Run
from made.strangers import LABELS as THEIRS
from made.strangers import made
from made.web import fetched
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.config import CROP, FITS, GRAPH, PAD, SQUEEZE
from tensor_guess.errors import UserError
from tensor_guess.exporting import portable, to_html
from tensor_guess.exporting.export import Job, export
from tensor_guess.exporting.onnxruntime_web import Runtime
from tensor_guess.graphs.classifier import Classifier
from tensor_guess.graphs.graph import serialise
from tensor_guess.graphs.own import with_head
from tensor_guess.guessing.guess import Guess, guess
from tensor_guess.guessing.loading import Given, load
from tensor_guess.images import decoding, encoded
from tensor_guess.images.scaling import BORDER

PHOTOS = sorted((ROOT / "test_data").iterdir())
TENSORFLOW = pytest.mark.tensorflow
HOSTILE = ("</script><script>alert(1)</script>", '<img src=x onerror="alert(1)">', "مرحبا")
# A browser with a camera that shows moving colours, and that may be used.
CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
DONE = """(async () => {
  while (document.documentElement.dataset.state === "loading" || document.querySelector(".waiting"))
    await new Promise(resume => setTimeout(resume, 20));
})()"""
RESULTS = """[...document.querySelectorAll("#results > li")].map(each => ({
  name: each.querySelector(".file").textContent, told: each.querySelector(".told").textContent,
  scores: each.scores && [...each.scores], image: each.querySelector("img").hidden }))"""

# What is added to the page's own script, to see the pixels.
DECODE = """async function all(scaling) {
  const found = [];
  for (const file of document.querySelector("#files").files) {
    const levels = Array.from(await pixels(file, scaling), level => String.fromCharCode(level));
    found.push(btoa(levels.join("")));
  }
  return found;
}"""


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: nothing opens the page")
    with opened_browser() as tab:
        yield tab


@pytest.fixture
def web(cache: Path) -> None:
    """What a page needs on this machine; the test is skipped without."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: nothing opens the page")
    fetched(cache)


@pytest.fixture
def small(ours: GraphDef, tmp_path: Path) -> Path:
    """A classifier's folder on the tiny backbone, with pictures in two categories."""
    return made_small(tmp_path / "small", ours)


def made_small(folder: Path, graph: GraphDef) -> Path:
    random = np.random.default_rng(0)
    for category in ("Darth_Vader", "elsa"):
        (folder / "data" / category).mkdir(parents=True)
        for i in range(3):
            image = Image.fromarray(random.integers(0, 256, (20, 30, 3), np.uint8))
            image.save(folder / "data" / category / f"{i}.png")
    (folder / GRAPH).write_bytes(serialise(graph))
    return folder


@pytest.fixture(scope="module")
def page(cache: Path, ours: GraphDef, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a tiny classifier."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: nothing opens the page")
    fetched(cache)
    folder = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TENSOR_GUESS_CACHE", str(cache))
        patch.setattr(to_html, "_PART", 1001)  # so that the network comes in several
        found = export(Job(Given(made_small(folder / "small", ours)), folder / "page.html", "html"))
    assert found.worst <= 1e-5
    return folder / "page.html"


def results(tab: Tab) -> list[dict[str, Any]]:
    """What the page shows, the newest first."""
    tab.run(DONE)
    found: list[dict[str, Any]] = tab.run(RESULTS)
    return found


def asked(tab: Tab) -> set[str]:
    """The addresses that were asked for, except what is in memory."""
    urls = {
        each["params"]["request"]["url"]
        for each in tab.events
        if each["method"] == "Network.requestWillBeSent"
    }
    return {url for url in urls if not url.startswith(("data:", "blob:"))}


def complaints(tab: Tab) -> list[dict[str, Any]]:
    """What the page or the browser said of errors."""
    said = {"Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"}
    return [each for each in tab.events if each["method"] in said]


# --- the real classifier


@pytest.mark.slow
@TENSORFLOW
def test_dropped_pasted_and_chosen_pictures_get_the_scores_of_a_guess(
    web: None, tab: Tab, exported: Callable[[str], Path], trained: Path, tmp_path: Path
) -> None:
    page = exported("html")
    assert page.stat().st_size < 40_000_000
    photos = [*PHOTOS, *big(tmp_path), *turned(tmp_path)]
    given = guess(trained, photos)
    expected = {each.path.name: each.scores for each in given if isinstance(each, Guess)}
    labels = load(trained).record.labels

    tab.open(page)
    tab.choose("#files", photos[:4])
    tab.run(DONE)
    tab.drop(*photos[4:8])
    tab.run(DONE)
    tab.run(pasting(photos[8]))
    tab.run(DONE)
    tab.choose("#files", photos[9:])
    found = results(tab)
    assert [each["name"] for each in found] == [path.name for path in reversed(photos)]
    for each in found:
        scores = expected[each["name"]]
        assert each["scores"] == pytest.approx([scores[label] for label in labels], abs=1e-5)
        best = max(scores, key=lambda label: scores[label])
        assert each["told"] == f"{best} (score = {max(each['scores']):.5f})"
    assert asked(tab) == {page.as_uri()}
    assert complaints(tab) == []


def big(folder: Path) -> list[Path]:
    """A photo of 16 megapixels, and a large one that says how it is turned."""
    found = []
    for number, (width, height) in enumerate(((4624, 3468), (2001, 1501))):
        with Image.open(PHOTOS[0]) as image:
            large = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
        data = io.BytesIO()
        large.save(data, "JPEG", quality=90)
        path = folder / f"big{number}.jpg"
        path.write_bytes(oriented(data.getvalue(), 6 if number else 1))
        found.append(path)
    return found


def turned(folder: Path) -> list[Path]:
    """Files of other kinds that say that they are turned."""
    exif = Image.Exif()
    exif[0x0112] = 8
    found = []
    for name in ("turned.png", "turned.webp"):
        with Image.open(PHOTOS[0]) as image:
            image.convert("RGB").save(folder / name, exif=exif, lossless=True)
        found.append(folder / name)
    return found


def pasting(path: Path) -> str:
    """A script that pastes the file."""
    return f"""(() => {{
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array({list(path.read_bytes())})], {path.name!r}));
      document.dispatchEvent(new ClipboardEvent("paste", {{ clipboardData: data }}));
    }})()"""


# --- what the page does


@pytest.mark.slow
@TENSORFLOW
def test_no_label_and_no_name_is_more_than_text(
    web: None, tab: Tab, small: Path, tiny: Backbone, tmp_path: Path
) -> None:
    record = record_for(tiny)
    hostile = type(record)(**{**vars(record), "labels": HOSTILE, "categories": ("a", "b", "c")})
    (small / GRAPH).write_bytes(serialise(with_head(tiny.graph, head_for(12), hostile)))
    page = tmp_path / "page.html"
    export(Job(Given(small), page, "html"))
    photo = tmp_path / "<img src=x onerror=alert(1)>.png"
    photo.write_bytes((small / "data/elsa/0.png").read_bytes())
    tab.open(page)
    tab.choose("#files", [photo])
    (found,) = results(tab)
    assert found["name"] == photo.name
    assert tab.run("document.title") == f"{' or '.join(HOSTILE)}: which is it?"
    shown = tab.run("[...document.querySelectorAll('.bars bdi')].map(e => e.textContent)")
    assert sorted(shown) == sorted(HOSTILE)
    assert tab.run("document.querySelectorAll('img').length") == 1
    assert tab.run("document.querySelectorAll('script[type=module]').length") == 2
    assert not [each for each in tab.events if each["method"] == "Page.javascriptDialogOpening"]
    assert complaints(tab) == []


@pytest.mark.slow
@TENSORFLOW
def test_what_cannot_be_read_is_left_out_with_a_reason(
    page: Path, tab: Tab, tmp_path: Path
) -> None:
    photo = PHOTOS[0].read_bytes()
    for name, data, reason in (
        ("cut.jpg", photo[: len(photo) // 2], "it is damaged, or cut short"),
        ("start.jpg", photo[:30], "it is damaged"),
        ("text.png", b"no picture", "this browser cannot read it as a picture"),
        ("empty.jpg", b"", "this browser cannot read it as a picture"),
        ("grey.png", png_in_16_bits(), "it is grey in 16 bits; save it in 8 bits"),
    ):
        (tmp_path / name).write_bytes(data)
        tab.open(page)
        tab.choose("#files", [tmp_path / name, PHOTOS[1]])
        good, bad = results(tab)
        assert (bad["told"], bad["image"]) == (f"Left out: {reason}.", True)
        assert good["scores"]
        assert complaints(tab) == []
    tab.run(
        "document.dispatchEvent(new ClipboardEvent('paste', {clipboardData: new DataTransfer()}))"
    )
    assert "There is no picture to paste" in tab.run("document.querySelector('#state').textContent")


def png_in_16_bits() -> bytes:
    data = io.BytesIO()
    Image.fromarray(np.arange(400, dtype=np.uint16).reshape(20, 20)).save(data, "PNG")
    return data.getvalue()


@pytest.mark.slow
@TENSORFLOW
def test_the_camera_gives_a_picture_or_a_sentence(page: Path, tab: Tab) -> None:
    opened = "document.querySelector('#camera').open"
    with opened_browser(*CAMERA) as allowed:
        allowed.open(page)
        allowed.run(DONE)
        clicks(allowed, "#look")
        allowed.run(until(f"{opened} && document.querySelector('video').videoWidth"))
        clicks(allowed, "#shoot")
        allowed.run(until("document.querySelector('#results li')"))
        (found,) = results(allowed)
        assert found["name"] == "camera 1"
        assert found["scores"]
        allowed.press("Escape", 27)
        allowed.run(until(f"!{opened} && !document.querySelector('video').srcObject"))
    tab.open(page)
    tab.run(DONE)
    said = "document.querySelector('#state').textContent"
    clicks(tab, "#look")
    tab.run(until(f"/camera/.test({said})"))
    assert "choose pictures" in tab.run(said)


def clicks(tab: Tab, selector: str) -> None:
    """Click as a person does, whom browsers let do more than a script."""
    tab.ask(
        "Runtime.evaluate", expression=f"document.querySelector('{selector}').click()",
        userGesture=True,
    )  # fmt: skip


def until(condition: str) -> str:
    """A script that waits for the condition."""
    return f"""(async () => {{
      while (!({condition})) await new Promise(resume => setTimeout(resume, 20));
    }})()"""


@pytest.mark.slow
@TENSORFLOW
def test_the_pages_own_policy_lets_nothing_else_run_or_be_asked_for(page: Path, tab: Tab) -> None:
    tab.open(page)
    tab.run(
        """(async () => {
          globalThis.refused = [];
          const told = event => refused.push(event.effectiveDirective);
          document.addEventListener("securitypolicyviolation", told);
          const add = (name, more) =>
            document.body.append(Object.assign(document.createElement(name), more));
          add("script", { textContent: "globalThis.ran = true" });
          add("img", { src: "http://127.0.0.1:9/x.png" });
          add("iframe", { src: "http://127.0.0.1:9/" });
          while (refused.length < 3) await new Promise(resume => setTimeout(resume, 20));
        })()"""
    )
    assert sorted(tab.run("refused")) == ["frame-src", "img-src", "script-src-elem"]
    assert tab.run("globalThis.ran") is None
    assert asked(tab) <= {page.as_uri(), "http://127.0.0.1:9/x.png", "http://127.0.0.1:9/"}
    sent = [each for each in tab.events if each["method"] == "Network.requestWillBeSentExtraInfo"]
    assert not sent


@pytest.mark.slow
@TENSORFLOW
def test_by_keyboard_and_on_a_phone(page: Path, tab: Tab) -> None:
    tab.ask("Page.setInterceptFileChooserDialog", enabled=True)
    for width, dark in product((320, 390, 1280), (False, True)):
        tab.sized(width, dark=dark)
        tab.open(page)
        tab.choose("#files", PHOTOS[:2])
        assert len(results(tab)) == 2
        assert tab.run("document.documentElement.scrollWidth") <= width
    tab.press("Tab", 9)
    assert tab.run("document.activeElement.id") == "choose"
    tab.press("Enter", 13, "\r")
    tab.run(DONE)
    assert [each for each in tab.events if each["method"] == "Page.fileChooserOpened"]
    tab.press("Tab", 9)
    assert tab.run("document.activeElement.id") == "look"
    tab.ask("Page.setInterceptFileChooserDialog", enabled=False)


# --- the pixels


@pytest.fixture(scope="module")
def decoder(tab: Tab, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """What the page's own script makes of files: decoder(paths, size, fit) -> pixels of each."""
    page = tmp_path_factory.mktemp("decoder") / "page.html"
    own = Path(to_html.__file__).parent
    scripts = "\n".join((own / name).read_text("utf-8") for name in ("jpeg.js", "pixels.js"))
    page.write_text(
        "<!doctype html><meta charset=utf-8><input type=file multiple id=files>"
        f"<script>{scripts}{DECODE}</script>"
    )

    def decode(paths: Sequence[Path], size: int, fit: str) -> list[NDArray[np.uint8]]:
        tab.open(page)
        tab.choose("#files", paths)
        found = tab.run(f"all({json.dumps({'size': size, 'fit': fit, 'border': BORDER})})")
        return [np.frombuffer(b64decode(each), np.uint8).reshape(size, size, 3) for each in found]

    return decode


def jpegs(folder: Path) -> list[Path]:
    """JPEG files of every kind that cameras and programs write, of odd sizes."""
    random = np.random.default_rng(1)
    with Image.open(PHOTOS[0]) as photo:
        small = photo.convert("RGB")
    found = []
    for i, (colours, (width, height)) in enumerate(
        product(("444", "422", "420", "440", "411", "Gray"), ((233, 171), (97, 401), (16, 16)))
    ):
        image = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
        noisy = (image + random.normal(0, 9, image.shape)).clip(0, 255).astype(np.uint8)
        grey = colours == "Gray"
        data = simplejpeg.encode_jpeg(
            np.ascontiguousarray(noisy[..., :1] if grey else noisy), 60 + i,
            "Gray" if grey else "RGB", colours,
        )  # fmt: skip
        found.append(folder / f"{i:02}-{colours}-{width}.jpg")
        found[-1].write_bytes(oriented(data, i % 8 + 1))
    options: tuple[tuple[str, dict[str, Any]], ...] = (
        ("RGB", {"progressive": True}),
        ("RGB", {"progressive": True, "subsampling": "4:4:4", "quality": 98}),
        ("RGB", {"restart_marker_blocks": 3}),
        ("RGB", {"restart_marker_rows": 1, "optimize": True}),
        ("CMYK", {}),
        ("L", {"progressive": True}),
    )
    for i, (mode, option) in enumerate(options):
        found.append(folder / f"option{i}.jpg")
        small.resize((301, 203)).convert(mode).save(found[-1], **option)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("size", [8, 20, 50, 160])
def test_pixels_are_those_of_a_guess(
    decoder: Callable[..., Any], tmp_path: Path, size: int, fit: str
) -> None:
    paths = [*jpegs(tmp_path), *PHOTOS, *turned(tmp_path)]
    for path, found in zip(paths, decoder(paths, size, fit), strict=True):
        expected = decoding.decode(encoded.read(path), size, fit)
        assert np.array_equal(found, expected), path.name


# --- whether it is published


@pytest.mark.slow
@TENSORFLOW
@pytest.mark.parametrize("fit", [CROP, PAD])
def test_a_fit_goes_along(web: None, small: Path, tiny: Backbone, tmp_path: Path, fit: str) -> None:
    graph = with_head(tiny.graph, head_for(12), record_for(tiny.fitted(fit)))
    (small / GRAPH).write_bytes(serialise(graph))
    assert export(Job(Given(small), tmp_path / "page.html", "html")).worst <= 1e-5


@pytest.mark.slow
@TENSORFLOW
def test_a_page_that_scores_otherwise_is_not_published(
    web: None, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoiled(known: Classifier) -> GraphDef:
        graph = copy_of(portable.graph_of(known))
        (factor,) = (node for node in graph.node if node.name == "scaling/factor")
        value = np.frombuffer(factor.attr["value"].tensor.tensor_content, np.float32)
        factor.attr["value"].tensor.tensor_content = (value * 1.5).astype(np.float32).tobytes()
        return graph

    monkeypatch.setattr("tensor_guess.exporting.to_onnx.graph_of", spoiled)
    with pytest.raises(UserError, match=r"page.html is not written: .* differs by .* \(at most"):
        export(Job(Given(small), tmp_path / "page.html", "html"))
    assert [each.name for each in tmp_path.iterdir()] == ["small"]


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("/no/such/browser", "in a real browser, and none is here; install Chromium"),
        ("true", "the page could not be checked in .*true: it has ended; name another browser"),
    ],
)
@TENSORFLOW
@pytest.mark.slow
def test_without_a_browser_nothing_is_published(
    cache: Path, small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, said: str
) -> None:
    if named == "true":
        fetched(cache)
    monkeypatch.setenv("TENSOR_GUESS_BROWSER", named)
    with pytest.raises(UserError, match=said):
        export(Job(Given(small), tmp_path / "page.html", "html"))
    assert [each.name for each in tmp_path.iterdir()] == ["small"]


def test_the_command_says_that_there_is_no_browser_before_it_fetches_or_converts(
    small: Path, tmp_path: Path, call: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSOR_GUESS_BROWSER", "/no/such/browser")
    monkeypatch.setenv("TENSOR_GUESS_CACHE", str(tmp_path / "cache"))
    done = call("export", small, tmp_path / "page.html", "--format", "html")
    assert (done.returncode, done.stdout) == (1, "")
    assert "install Chromium or Google Chrome, or name one in TENSOR_GUESS_BROWSER" in done.stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == ["small"]


def test_a_classifier_of_retrain_py_is_refused(tmp_path: Path, call: Run) -> None:
    (tmp_path / "theirs.pb").write_bytes(serialise(made("inception_2015")))
    (tmp_path / "labels.txt").write_text("\n".join(THEIRS))
    done = call(
        "export", tmp_path / "theirs.pb", tmp_path / "page.html", "--format", "html",
        "--labels", tmp_path / "labels.txt", "--pictures", ROOT / "test_data",
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert "no browser decodes pictures as it did" in done.stderr
    assert not (tmp_path / "page.html").exists()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_a_page_that_cannot_start_says_so(small: Path, tab: Tab, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_bytes(to_html.page(load(small), b"network", Runtime("0", b"\0asm")))
    photo = encoded.read(PHOTOS[0])
    sample = portable.Sample(PHOTOS[0], photo, decoding.decode(photo, 16))
    with pytest.raises(UserError, match=r"no scores for .*: This browser cannot run the class"):
        to_html.scores(page, [sample])
    tab.open(page)
    tab.choose("#files", PHOTOS[:2])
    assert results(tab) == []
    assert "This browser cannot run" in tab.run("document.querySelector('#state').textContent")


def test_the_same_classifier_gives_the_same_bytes(small: Path) -> None:
    runtime = Runtime("0", b"\0asm" * 1000)
    pages = [to_html.page(load(small), b"network", runtime) for _ in range(2)]
    assert pages[0] == pages[1]
    assert b"Copyright (c) Microsoft Corporation" in pages[0]
    assert SQUEEZE.encode() in pages[0]
