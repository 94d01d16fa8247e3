"""The results as JSON in the output format of MegaDetector, which Timelapse reads.

https://lila.science/megadetector-output-format
"""

import json
from collections.abc import Iterator
from typing import Any

from tensor_guess import __version__
from tensor_guess.results.present import ANIMAL, BLANK, HUMAN, VEHICLE, Present, Shown

_VERSION = "1.4"
# MegaDetector's own categories, on which programs depend. What is unknown is taken for an animal,
# so that a person looks at it.
_CATEGORIES = {ANIMAL: "1", HUMAN: "2", VEHICLE: "3"}
_NAMES = {"1": "animal", "2": "person", "3": "vehicle"}
_WHOLE = [0.0, 0.0, 1.0, 1.0]
# Scores below this are noise, but for the best one.
_LEAST = 0.01


def written(present: Present, moved: bool) -> Iterator[bytes]:
    """Yield the file. The paths are relative to SRC, or to DEST if the pictures were moved there.

    Nothing is detected here: a picture that is not blank has one detection, all of it.
    """
    numbers = {label: str(number) for number, label in enumerate(present.labels)}
    head = {
        "info": {
            "format_version": _VERSION,
            "detector": "none: whole pictures",
            "classifier": f"tensor-guess {__version__}",
        },
        "detection_categories": _NAMES,
        "classification_categories": {number: label for label, number in numbers.items()},
    }
    yield json.dumps(head, indent=1)[:-2].encode() + b',\n "images": ['
    before = b"\n"
    for each in present.pictures():
        yield before + json.dumps(_image(each, numbers, moved)).encode()
        before = b",\n"
    yield b"\n ]\n}\n"


def _image(each: Any, numbers: dict[str, str], moved: bool) -> dict[str, Any]:
    if not isinstance(each, Shown):
        return {"file": each.image, "failure": each.reason, "detections": None}
    entry = each.told.entry
    detections = []
    if each.kind != BLANK:
        scores = each.told.scores.items()
        best = sorted(scores, key=lambda item: -item[1])
        kept = [[numbers[label], score] for label, score in best if score >= _LEAST] or [
            [numbers[label], score] for label, score in best[:1]
        ]
        category = _CATEGORIES.get(each.kind, _CATEGORIES[ANIMAL])
        detections = [
            {"category": category, "conf": each.told.score, "bbox": _WHOLE, "classifications": kept}
        ]
    return {"file": entry.name if moved else entry.image, "detections": detections}
