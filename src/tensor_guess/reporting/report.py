"""The report on a classifier: one page that needs nothing but itself."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined, Template
from numpy.typing import NDArray

from tensor_guess.errors import shown
from tensor_guess.evaluation.accuracy import Accuracy, at_thresholds
from tensor_guess.evaluation.calibration import calibration_error
from tensor_guess.images.dataset import Split
from tensor_guess.reporting import advice
from tensor_guess.reporting.findings import Curves, Findings
from tensor_guess.reporting.reliability import reliability

# A page of ours says so itself; what does not is never replaced.
MARK = b'<meta name="generator" content="tensor-guess">'
# The mark is in the first bytes of the page.
MARKED_WITHIN = 1000

# The most pictures of a page, and the most bytes of all of them.
MOST_PICTURES = 500
_MOST_BYTES = 1_200_000
# Larger matrices, and longer lists, are shown in part.
_MOST_CELLS = 15
_MOST_CONFUSIONS = 60
_MOST_ROWS = 200
_UNSURE = 12
_THRESHOLDS = (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
_MOST_MISTAKES = 120
_MOST_SUSPECTS = 60
_MOST_PAIRS = 30
_MOST_POINTS = 200
_MOST_LEFT_OUT = 200
# The area of a chart's lines, in its own units.
_WIDTH, _HEIGHT = 300, 150

# The pictures that say where there was evidence: for the label given, and for the true one.
Maps = Mapping[Path, tuple[bytes, bytes]]


def pictured(findings: Findings) -> list[int]:
    """Return the numbers of the examples whose pictures are shown, the most interesting first."""
    wanted = chain(
        findings.wrong,
        (findings.suspects or ())[:_MOST_SUSPECTS],
        chain.from_iterable(findings.pairs[:_MOST_PAIRS]),
        _unsure(findings),
        findings.tested,
    )
    return list(dict.fromkeys(wanted))[:MOST_PICTURES]


def report(
    findings: Findings, thumbnails: Callable[[Path], bytes | None], maps: Maps | None = None
) -> bytes:
    """Return the page, in HTML. The same findings and pictures give the same bytes.

    `thumbnails` returns a small JPEG file of a picture, or None. `maps`: for misclassified
    pictures, JPEG files that show what spoke for the label given, and for the true label.
    """
    page = _Page(findings)
    room = _MOST_BYTES
    for i in pictured(findings):
        path = findings.examples[i].path
        wanted = [thumbnails(path), *((maps or {}).get(path, ()) if i in findings.wrong else ())]
        uris = [_uri(data) for data in wanted if data]
        room -= sum(map(len, uris))
        if room < 0:
            break
        if wanted[0]:
            page.pictures[i] = uris[0]
            page.maps[i] = uris[1:]
    text: str = template().render(page=page, findings=findings, **page.parts())
    return text.encode("utf-8", "backslashreplace")


def is_ours(start: bytes) -> bool:
    """Return whether a file that starts like this is a report of ours."""
    return MARK in start[:MARKED_WITHIN]


@cache
def template() -> Template:
    """Return the page with nothing in it; compiling it takes longer than filling it."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"percent": _percent, "shown": shown, "interval": _interval}
    text = Path(__file__).with_name("page.html").read_text("utf-8")
    return environment.from_string(text)


@dataclass(frozen=True)
class _Cell:
    """Pictures of one category that were taken for one, `share` of all of that category."""

    truth: int
    given: int
    members: tuple[int, ...]
    share: float

    @property
    def id(self) -> str:
        return f"cell-{self.truth}-{self.given}"

    @property
    def right(self) -> bool:
        return self.truth == self.given


@dataclass(frozen=True)
class _Row:
    label: str
    count: int
    precision: Accuracy
    recall: Accuracy


class _Page:
    """The findings, arranged as the page shows them."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self.labels = [shown(label) for label in findings.record.labels]
        self.chosen = set(pictured(findings))
        self.pictures: dict[int, str] = {}
        self.maps: dict[int, list[str]] = {}

    def label(self, k: int | None) -> str:
        return "?" if k is None else self.labels[k]

    def name(self, i: int) -> str:
        """Return the file's name, as it may be printed."""
        return shown(self._findings.examples[i].path.name)

    def alt(self, i: int) -> str:
        each = self._findings.examples[i]
        given = f", taken for {self.label(each.given)}" if each.given != each.category else ""
        return f"{self.label(each.category)}{given if each.given is not None else ''}"

    def score(self, i: int, k: int | None) -> str:
        scores = self._findings.examples[i].scores
        return "" if scores is None or k is None else f"{scores[k]:.2f}"

    def parts(self) -> dict[str, Any]:
        findings = self._findings
        truth, scores = findings.unseen
        bins = reliability(truth, scores)
        cells = self._cells()
        whole = len(self.labels) <= _MOST_CELLS
        wrong = sorted((each for each in cells if not each.right), key=lambda c: -len(c.members))
        return {
            "mark": MARK.decode(),
            "found": advice.found(findings),
            "to_do": advice.to_do(findings),
            "cells": cells if whole else wrong[:_MOST_CONFUSIONS],
            "matrix": self._matrix(cells) if whole else None,
            "hidden_cells": 0 if whole else max(0, len(wrong) - _MOST_CONFUSIONS),
            "rows": self._rows(),
            "wrong": findings.wrong[:_MOST_MISTAKES],
            "unsure": _unsure(findings),
            "suspects": None if findings.suspects is None else findings.suspects[:_MOST_SUSPECTS],
            "pairs": None if findings.near_copies is None else findings.pairs[:_MOST_PAIRS],
            "bins": bins,
            "calibration_error": calibration_error(scores, truth),
            "reliability": _reliability(bins),
            "unseen": len(truth),
            "thresholds": self._thresholds(truth, scores),
            "tested": [i for i in findings.tested if i in self.chosen],
            "charts": _charts(findings.curves),
            "augmented": _uri(findings.augmented) if findings.augmented else None,
            "looks": _few_looks(findings.curves),
            "splits": tuple(Split),
            "left_out": findings.left_out[:_MOST_LEFT_OUT],
            "width": _WIDTH,
            "height": _HEIGHT,
        }

    def _cells(self) -> list[_Cell]:
        found: dict[tuple[int, int], list[int]] = {}
        for i in self._findings.tested:
            each = self._findings.examples[i]
            assert each.given is not None
            found.setdefault((each.category, each.given), []).append(i)
        totals = self._findings.confusion.sum(axis=1)
        return [
            _Cell(truth, given, tuple(members), len(members) / totals[truth])
            for (truth, given), members in sorted(found.items())
        ]

    def _matrix(self, cells: list[_Cell]) -> list[list[_Cell | None]]:
        of_place = {(each.truth, each.given): each for each in cells}
        numbers = range(len(self.labels))
        return [[of_place.get((truth, given)) for given in numbers] for truth in numbers]

    def _rows(self) -> list["_Row"]:
        """Return what the table says of each category; of many, the worst recalls."""
        taken = self._findings.confusion
        found = [
            _Row(
                self.labels[k],
                sum(self._findings.counts[k].values()),
                Accuracy(int(taken[k, k]), int(taken[:, k].sum())),
                Accuracy(int(taken[k, k]), int(taken[k].sum())),
            )
            for k in range(len(self.labels))
        ]
        if len(found) > _MOST_ROWS:
            found.sort(key=lambda row: row.recall.value if row.recall.count else 2)
        return found[:_MOST_ROWS]

    def _thresholds(
        self, truth: NDArray[np.intp], scores: NDArray[np.float32]
    ) -> list[tuple[str, Any]]:
        if not len(truth):
            return []
        found = [
            (self.labels[k], at_thresholds(scores, truth, k, _THRESHOLDS))
            for k in range(len(self.labels))
        ]
        return found[:_MOST_ROWS]


def _unsure(findings: Findings) -> list[int]:
    """Return the tested pictures with the lowest best scores, least sure first."""
    known = [i for i in findings.tested if findings.examples[i].scores is not None]
    return sorted(known, key=findings.sureness)[:_UNSURE]


@dataclass(frozen=True)
class _Line:
    name: str
    points: str
    last: float


@dataclass(frozen=True)
class _Chart:
    title: str
    top: str
    steps: int
    lines: tuple[_Line, ...]


def _charts(curves: Curves) -> list[_Chart]:
    if not len(curves.steps):
        return []
    most = float(np.nanmax(curves.cross_entropy, initial=0)) or 1.0
    accuracies = (("training", curves.train_accuracy), ("validation", curves.validation_accuracy))
    return [
        _chart("Accuracy", "100%", curves.steps, accuracies, 1.0),
        _chart(
            "Loss (cross entropy)", f"{most:.2g}", curves.steps,
            (("training", curves.cross_entropy),), most,
        ),
    ]  # fmt: skip


def _chart(
    title: str,
    top: str,
    steps: NDArray[np.intp],
    values: tuple[tuple[str, NDArray[np.float32]], ...],
    most: float,
) -> _Chart:
    last = max(1, int(steps[-1]))
    chosen = _chosen(len(steps), _MOST_POINTS)
    lines = []
    for name, each in values:
        known = [i for i in chosen if np.isfinite(each[i])]
        points = " ".join(
            f"{_WIDTH * steps[i] / last:.1f},{_HEIGHT * (1 - min(each[i] / most, 1)):.1f}"
            for i in known
        )
        if known:
            lines.append(_Line(name, points, float(each[known[-1]])))
    return _Chart(title, top, int(steps[-1]), tuple(lines))


def _few_looks(curves: Curves) -> list[tuple[int, float, float, float]]:
    return [
        (
            int(curves.steps[i]),
            float(curves.train_accuracy[i]),
            float(curves.cross_entropy[i]),
            float(curves.validation_accuracy[i]),
        )
        for i in _chosen(len(curves.steps), 11)
    ]


def _chosen(count: int, most: int) -> list[int]:
    """Return at most `most` of `count` positions, evenly spread, with the first and the last."""
    return [int(i) for i in np.unique(np.linspace(0, count - 1, min(count, most)).round())]


def _reliability(bins: tuple[Any, ...]) -> list[dict[str, float]]:
    """Return where the points of the calibration plot lie, 0 to 100; larger ones are more."""
    most = max((each.accuracy.count for each in bins), default=1)
    found = []
    for each in bins:
        low, high = each.accuracy.interval()
        found.append(
            {
                "x": 100 * each.score,
                "y": 100 * (1 - each.accuracy.value),
                "low": 100 * (1 - low),
                "high": 100 * (1 - high),
                "r": 1.5 + 2.5 * (each.accuracy.count / most) ** 0.5,
                "count": each.accuracy.count,
            }
        )
    return found


def _uri(data: bytes) -> str:
    return f"data:image/jpeg;base64,{b64encode(data).decode()}"


def _percent(share: float) -> str:
    return "-" if np.isnan(share) else f"{100 * share:.1f}%"


def _interval(accuracy: Accuracy) -> str:
    low, high = accuracy.interval()
    return f"{100 * low:.0f} to {100 * high:.0f}%" if accuracy.count else "-"
