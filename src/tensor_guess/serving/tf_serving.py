"""What TensorFlow Serving's REST clients send and get, as for an exported SavedModel.

https://www.tensorflow.org/tfx/serving/api_rest: `instances` -> `predictions`, and
`inputs` -> `outputs`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tensor_guess.serving.bodies import MOST_PICTURES, bytes_of, parsed
from tensor_guess.serving.refusal import Refused

_SIGNATURE = "serving_default"
_B64 = "b64"


@dataclass(frozen=True)
class Asked:
    """The pictures of a request, and whether they came as a column (`inputs`) or as rows."""

    pictures: tuple[bytes, ...]
    as_column: bool


def asked(body: bytes) -> Asked:
    """Return what a predict request asks. Raise Refused if it is none, or has no picture."""
    said = parsed(body)
    if said.get("signature_name", _SIGNATURE) != _SIGNATURE:
        raise Refused(400, f"the only signature is {_SIGNATURE}")
    as_column = "inputs" in said
    if as_column == ("instances" in said):
        raise Refused(400, 'the body needs either "instances" or "inputs"')
    values: object = said["inputs" if as_column else "instances"]
    if as_column:
        values = _only(values)
        if isinstance(values, dict):  # a single picture
            values = [values]
    if not isinstance(values, list) or not values:
        raise Refused(400, "there is no picture in it")
    if len(values) > MOST_PICTURES:
        raise Refused(413, f"at most {MOST_PICTURES} pictures fit in a request")
    return Asked(tuple(_bytes(each) for each in values), as_column)


def answer(asked: Asked, labels: Sequence[str], rows: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Return the answer: the labels and their scores [K] of each picture, as the graph has them."""
    if asked.as_column:
        return {"outputs": {"labels": [list(labels) for _ in rows], "scores": list(rows)}}
    return {"predictions": [{"labels": list(labels), "scores": row} for row in rows]}


def status(version: int, *, ready: bool) -> dict[str, Any]:
    """Return what is said of the model's only version."""
    said = {"error_code": "OK", "error_message": ""}
    state = "AVAILABLE" if ready else "LOADING"
    return {"model_version_status": [{"version": str(version), "state": state, "status": said}]}


def _bytes(value: object) -> bytes:
    """Return the picture in an instance: {"b64": ...}, or the same as its only named input."""
    value = _only(value)
    if not isinstance(value, dict) or value.keys() != {_B64}:
        raise Refused(400, f'a picture is not an object such as {{"{_B64}": "..."}}')
    return bytes_of(value[_B64])


def _only(value: object) -> object:
    """Return the value of the only input that is named, or the value itself."""
    if isinstance(value, dict) and len(value) == 1 and _B64 not in value:
        return next(iter(value.values()))
    return value
