"""PhotoPrism's requests and answers."""

import json
from pathlib import Path

import pytest

from made.graphs import record_for
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.guessing.guess import Guess
from tensor_guess.serving.photoprism import Asked, answer, asked, failure
from tensor_guess.serving.refusal import Refused

# As `media.DataUrl` writes it.
DATA = "data:image/jpeg;base64,YQ=="


def test_what_it_sends() -> None:
    images = [DATA, "data:image/png;charset=x;base64,Yg==", "Yw=="]
    said = {"id": "3487da77-246e-4b4c-9437-67507177bcd7", "suffix": "", "stream": False}
    said |= {"model": "x:latest", "images": images}
    assert asked(json.dumps(said).encode()) == Asked((b"a", b"b", b"c"), str(said["id"]))


def test_an_odd_id_is_not_handed_back() -> None:
    found = asked(json.dumps({"id": "<script>", "images": [DATA]}).encode())
    assert found.id != "<script>"
    assert len(found.id) == 36


@pytest.mark.parametrize(
    "said",
    [
        {"images": ["https://photos.example/api/v1/dl/x"]},
        {"images": [DATA, "http://169.254.169.254/"]},
        {"images": ["file:///etc/passwd"]},
        {"url": "https://photos.example/x", "images": [DATA]},
        {"url": "https://photos.example/x"},
    ],
)
def test_nothing_is_fetched(said: object) -> None:
    with pytest.raises(Refused, match="FileScheme: data") as error:
        asked(json.dumps(said).encode())
    assert error.value.code == 400


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({}, 400),
        ({"images": []}, 400),
        ({"images": DATA}, 400),
        ({"images": [1]}, 400),
        ({"images": ["/etc/passwd!"]}, 400),
        ({"images": ["data:image/jpeg,YQ=="]}, 400),
        ({"images": [DATA] * 33}, 413),
    ],
)
def test_what_it_must_not_send(said: object, code: int) -> None:
    with pytest.raises(Refused) as error:
        asked(json.dumps(said).encode())
    assert error.value.code == code


def test_what_it_gets(tiny: Backbone) -> None:
    guesses = [
        Guess(Path(), "elsa", {"elsa": 0.7, "darth vader": 0.25, "東京": 0.05}),
        Guess(Path(), "elsa", {"elsa": 0.5, "darth vader": 0.4, "東京": 0.1}),
    ]
    found = answer(Asked((b"a", b"b"), "7"), record_for(tiny), guesses)
    assert (found["id"], found["code"], "error" in found) == ("7", 200, False)
    assert found["model"]["type"] == "labels"
    assert found["result"]["labels"] == [
        {"name": "elsa", "source": "image", "confidence": 0.7},
        {"name": "darth vader", "source": "image", "confidence": 0.4},
        {"name": "東京", "source": "image", "confidence": 0.1},
    ]


def test_what_it_gets_instead() -> None:
    found = failure(413, "too large")
    assert (found["code"], found["error"], found["result"]) == (413, "too large", {})
    assert failure(400, "")["error"] == "Bad Request"
