"""What PhotoPrism's vision clients send and get for labels.

`ApiRequest` and `ApiResponse` in internal/ai/vision of github.com/photoprism/photoprism.
"""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from tensor_guess.graphs.files import Record
from tensor_guess.guessing.guess import Guess
from tensor_guess.serving.bodies import MOST_PICTURES, bytes_of, parsed
from tensor_guess.serving.refusal import Refused

# PhotoPrism keeps every label that it is sent; its own networks leave out those below this.
LEAST_SCORE = 0.1
_DATA = re.compile(r"data:[^,;]*(;[^,;]*)*;base64,")
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


@dataclass(frozen=True)
class Asked:
    """The pictures of one photo, and the id by which the client knows its request."""

    pictures: tuple[bytes, ...]
    id: str


def asked(body: bytes) -> Asked:
    """Return what a request for labels asks.

    Raise Refused if it is none, has no picture, or names one by an address, which is never fetched.
    """
    said = parsed(body)
    images = said.get("images")
    if said.get("url"):
        raise _an_address()
    if not isinstance(images, list) or not images:
        raise Refused(400, "there is no picture in it")
    if len(images) > MOST_PICTURES:
        raise Refused(413, f"at most {MOST_PICTURES} pictures fit in a request")
    found = said.get("id")
    known = isinstance(found, str) and _ID.fullmatch(found)
    return Asked(tuple(map(_bytes, images)), str(found) if known else str(uuid.uuid4()))


def answer(asked: Asked, record: Record, guesses: Sequence[Guess]) -> dict[str, Any]:
    """Return the labels of all its pictures, surest first, each with its best score."""
    best = dict[str, float]()
    for guess in guesses:
        for label, score in guess.scores.items():
            best[label] = max(score, best.get(label, 0.0))
    labels = [
        {"name": label, "source": "image", "confidence": score}
        for label, score in sorted(best.items(), key=lambda each: -each[1])
        if score >= LEAST_SCORE
    ]
    model = {"type": "labels", "name": "tensor-guess", "resolution": record.scaling.size}
    return {"id": asked.id, "code": 200, "model": model, "result": {"labels": labels}}


def failure(code: int, reason: str) -> dict[str, Any]:
    """Return the answer to a request that is refused."""
    said = reason or HTTPStatus(code).phrase
    return {"id": str(uuid.uuid4()), "code": code, "error": said, "result": {}}


def _bytes(said: object) -> bytes:
    """Return the picture in a data URL, or in Base64 alone."""
    if not isinstance(said, str):
        raise Refused(400, "a picture is not a text")
    found = _DATA.match(said[:200])
    if not found and ":" in said[:20]:
        raise _an_address()
    return bytes_of(said[found.end() :] if found else said)


def _an_address() -> Refused:
    return Refused(
        400,
        "pictures are not fetched from an address; set FileScheme: data in PhotoPrism's vision.yml",
    )
