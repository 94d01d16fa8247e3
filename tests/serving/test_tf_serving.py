"""TensorFlow Serving's requests and answers."""

import json

import pytest

from tensor_guess.serving.refusal import Refused
from tensor_guess.serving.tf_serving import Asked, answer, asked, status

A, B = {"b64": "YQ=="}, {"b64": "Yg=="}


@pytest.mark.parametrize(
    ("said", "pictures", "as_column"),
    [
        ({"instances": [A]}, (b"a",), False),
        ({"instances": [A, B]}, (b"a", b"b"), False),
        ({"instances": [{"images": A}, {"image_bytes": B}]}, (b"a", b"b"), False),
        ({"signature_name": "serving_default", "instances": [A]}, (b"a",), False),
        ({"inputs": [A, B]}, (b"a", b"b"), True),
        ({"inputs": {"images": [A, B]}}, (b"a", b"b"), True),
        ({"inputs": A}, (b"a",), True),
        ({"inputs": {"images": A}}, (b"a",), True),
    ],
)
def test_what_clients_send(said: object, pictures: tuple[bytes, ...], as_column: bool) -> None:
    assert asked(json.dumps(said).encode()) == Asked(pictures, as_column)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({}, 400),
        ({"instances": []}, 400),
        ({"instances": A}, 400),
        ({"instances": "YQ=="}, 400),
        ({"instances": ["/etc/passwd"]}, 400),
        ({"instances": ["https://example.org/x.jpg"]}, 400),
        ({"instances": [{"b64": "https://example.org/x.jpg"}]}, 400),
        ({"instances": [{"url": "https://example.org/x.jpg"}]}, 400),
        ({"instances": [{"b64": None}]}, 400),
        ({"instances": [{"a": A, "b": B}]}, 400),
        ({"instances": [[[0.1, 0.2]]]}, 400),
        ({"instances": [A], "inputs": [A]}, 400),
        ({"instances": [A], "signature_name": "other"}, 400),
        ({"instances": [A] * 33}, 413),
        ({"inputs": {"images": [A] * 33}}, 413),
    ],
)
def test_what_they_must_not_send(said: object, code: int) -> None:
    with pytest.raises(Refused) as error:
        asked(json.dumps(said).encode())
    assert error.value.code == code


def test_what_they_get() -> None:
    rows, labels = [[0.25, 0.75]], ("cat", "dog")
    one = {"labels": ["cat", "dog"], "scores": [0.25, 0.75]}
    assert answer(Asked((b"a",), False), labels, rows) == {"predictions": [one]}
    assert answer(Asked((b"a",), True), labels, rows) == {
        "outputs": {"labels": [["cat", "dog"]], "scores": [[0.25, 0.75]]}
    }


def test_the_state_of_the_only_version() -> None:
    fine = {"error_code": "OK", "error_message": ""}
    said = {"version": "3", "state": "AVAILABLE", "status": fine}
    assert status(3, ready=True) == {"model_version_status": [said]}
    assert status(1, ready=False)["model_version_status"][0]["state"] == "LOADING"
