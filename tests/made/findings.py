"""Findings that tests make, without any training."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tensor_guess.graphs.files import Record
from tensor_guess.images.dataset import Split
from tensor_guess.images.scaling import Scaling
from tensor_guess.reporting.findings import Curves, Example, Findings


def findings_of(
    *examples: Example, labels: tuple[str, ...] = ("cat", "dog"), **more: Any
) -> Findings:
    """Findings of these examples, with nothing else looked for."""
    record = Record(labels, labels, Scaling(16, 127.5, 127.5), "tiny", "ab" * 32, "float32")
    known = Findings(
        record=record,
        examples=examples,
        curves=Curves(
            np.array([0, 10]), *np.array([[0.25, 0.75], [1.5, 0.5], [0.5, np.nan]], np.float32)
        ),
        graph_sha256="cd" * 32,
        data_sha256="ef" * 32,
        versions={"tensor-guess": "1"},
        settings={"steps": 11},
    )
    return replace(known, **more)


def example_of(
    truth: int,
    given: int,
    score: float = 0.75,
    *,
    name: str = "a.jpg",
    classes: int = 2,
    split: Split = Split.TESTING,
) -> Example:
    """A tested picture with that score for the label given, the rest for the others."""
    scores = np.full(classes, (1 - score) / max(1, classes - 1), np.float32)
    scores[given] = score
    return Example(Path("/data") / name, truth, split, given, scores, tested=True)


def trained_on(truth: int, name: str = "t.jpg") -> Example:
    """A picture that was trained on, and never judged."""
    return Example(Path("/data") / name, truth, Split.TRAINING)
