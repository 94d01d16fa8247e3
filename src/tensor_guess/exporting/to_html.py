"""A classifier as one page that needs nothing but a browser, run by Chromium."""

import gzip
import hashlib
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tensor_guess.errors import UserError, shown
from tensor_guess.exporting import browser, onnxruntime_web
from tensor_guess.exporting.portable import PIXELS, SCORES, Sample
from tensor_guess.graphs.classifier import Classifier
from tensor_guess.images.scaling import BORDER
from tensor_guess.pages import template
from tensor_guess.system import scratch

# A script's text may be half a gigabyte, for some browsers: the network comes in parts.
_PART = 24_000_000
_HERE = Path(__file__).parent
# How many milliseconds pass between two looks at what the page has done.
_LOOK = 20


def check(classifier: Classifier) -> None:
    """Raise UserError if no page can be made of the classifier, or checked on this machine."""
    if classifier.record.scaling.classic:
        raise UserError(
            "a classifier of `retrain.py` cannot become a page: no browser decodes pictures as it "
            "did, so scores would differ; train one on the same pictures"
        )
    _browser()
    onnxruntime_web.fetch()


def write(classifier: Classifier, path: Path) -> None:
    """Write the page to `path`: the network, what runs it, and all that the page does."""
    # Here, as it takes seconds: what is missing is said before.
    from tensor_guess.exporting import to_onnx

    with scratch.folder() as folder:
        to_onnx.write(classifier, folder / "network.onnx")
        network = (folder / "network.onnx").read_bytes()
    path.write_bytes(page(classifier, network, onnxruntime_web.load()))


def page(classifier: Classifier, network: bytes, runtime: onnxruntime_web.Runtime) -> bytes:
    """Return the page for the network, in ONNX: PIXELS in, SCORES out."""
    record = classifier.record
    scaling = record.scaling
    labels = [shown(label) for label in record.labels]
    scripts = [runtime.script, template.script(_HERE, "jpeg.js", "pixels.js")]
    text = template.page(
        _HERE,
        labels=labels,
        backbone=shown(record.backbone),
        size=scaling.size,
        how=scaling.how,
        version=onnxruntime_web.VERSION,
        about={
            "labels": labels,
            "scaling": {"size": scaling.size, "fit": scaling.fit, "border": BORDER},
            "input": PIXELS,
            "output": SCORES,
        },
        # Weights hardly shrink.
        runtime=_text(gzip.compress(runtime.program, mtime=0)),
        network=[_text(network[at : at + _PART]) for at in range(0, len(network), _PART)],
        scripts=scripts,
        # Nothing else is run, whatever a label says.
        sources=" ".join(f"'sha256-{_text(_sha256(script))}'" for script in scripts),
    )
    return text.encode("utf-8", "backslashreplace")


def scores(path: Path, samples: Sequence[Sample]) -> NDArray[np.float32]:
    """Return the scores [N, K] that the page shows in a browser for the samples' files.

    Raise UserError if there is no browser, or if it cannot show the page or read a file.
    """
    program = _browser()
    try:
        with scratch.folder() as folder, browser.opened(program, browser.Tab) as tab:
            # Whatever it is called: a browser looks at the name.
            shown_as = folder / "page.html"
            shown_as.write_bytes(path.read_bytes())
            tab.open(shown_as)
            return np.array([_scores(tab, each) for each in samples], np.float32)
    except (OSError, browser.Failed) as error:
        raise UserError(
            f"the page could not be checked in {shown(program)}: {error}; name another browser in "
            "TENSOR_GUESS_BROWSER (one from a snap or flatpak does not see other programs' files)"
        ) from error


def _scores(tab: browser.Tab, sample: Sample) -> list[float]:
    tab.choose("#files", [sample.path])
    found = tab.run(
        f"""(async () => {{
            const root = document.documentElement;
            while (root.dataset.state === "loading" || document.querySelector("#results .waiting"))
              await new Promise((resume) => setTimeout(resume, {_LOOK}));
            const [newest] = document.querySelector("#results").children;
            const reason = newest?.reason ?? document.querySelector("#state").textContent;
            return newest?.scores ? {{ scores: [...newest.scores] }} : {{ reason }};
        }})()"""
    )
    if "scores" not in found:
        raise UserError(
            f"the page gives no scores for {shown(sample.path)}: {shown(found['reason'])}"
        )
    return [float(score) for score in found["scores"]]


def _browser() -> str:
    found = browser.find()
    if not found:
        raise UserError(
            "a page is published only if it gives the right scores in a real browser, and none is "
            "here; install Chromium or Google Chrome, or name one in TENSOR_GUESS_BROWSER"
        )
    return found


def _text(data: bytes) -> str:
    return b64encode(data).decode()


def _sha256(script: str) -> bytes:
    return hashlib.sha256(script.encode()).digest()
