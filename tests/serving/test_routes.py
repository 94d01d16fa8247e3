"""What the paths answer: as `guess`, as others' clients expect it, and as openapi.json says."""

import base64
import io
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema
import numpy as np
import pytest
from PIL import Image

from made.coloured import classifier
from made.place import ROOT
from made.server import Answer, Server, form, started
from tensor_guess.evaluation.maps import CAM
from tensor_guess.explaining.explain import Subject
from tensor_guess.guessing.guess import Guess, guess
from tensor_guess.guessing.loading import Given, Imagenet
from tensor_guess.serving.metrics import Metrics
from tensor_guess.serving.routes import Api
from tensor_guess.serving.served import Asked, Keeper

PHOTOS = sorted((ROOT / "test_data").iterdir())
PHOTO = PHOTOS[0].read_bytes()
OPENAPI = json.loads((ROOT / "src/tensor_guess/serving/openapi.json").read_text("utf-8"))


def fits(answer: Answer, schema: str) -> Any:
    """The JSON of the answer, which fits that schema of openapi.json."""
    said = answer.json
    jsonschema.validate(said, {"$ref": f"#/components/schemas/{schema}", **OPENAPI})
    return said


def b64(data: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(data).decode()}


def test_openapi_has_every_path_and_no_other() -> None:
    api = Api(Keeper(Asked(Imagenet()), Metrics()), Metrics())
    own = {
        (route.path, method.lower())
        for route in api.routes()
        for method in route.methods or ()
        if method != "HEAD"
    }
    said = {(path, method) for path, item in OPENAPI["paths"].items() for method in item}
    assert said == own


def test_openapi_is_sound() -> None:
    assert OPENAPI["openapi"].startswith("3.1")
    known, used = set[str](), set[str]()

    def walk(value: Any, path: str) -> None:
        known.add(path)
        if isinstance(value, dict):
            if "$ref" in value:
                used.add(value["$ref"])
            for name, each in value.items():
                walk(each, f"{path}/{name}")
        elif isinstance(value, list):
            for each in value:
                walk(each, f"{path}/-")

    walk(OPENAPI, "#")
    assert used <= known
    for name, schema in OPENAPI["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert f"#/components/schemas/{name}" in used, name
    for path, item in OPENAPI["paths"].items():
        for operation in item.values():
            named = {each["name"] for each in operation.get("parameters", ())}
            named -= {"label"}  # it is in the query
            assert named == {part[1:].partition("}")[0] for part in path.split("/") if "{" in part}


def test_openapi_is_served(server: Server) -> None:
    found = server.ask("/openapi.json")
    assert (found.json, found.headers["content-type"]) == (OPENAPI, "application/json")


def test_what_is_known_of_the_classifier(server: Server, small: Path) -> None:
    said = fits(server.ask("/v1/model"), "Model")
    assert said["labels"] == ["darth vader", "elsa", "東京"]
    assert (said["name"], said["version"], said["refused"]) == ("small.pb", 1, None)
    assert server.ask("/v1/guess", PHOTO).headers["tensor-guess-model"] == said["digest"]


def test_it_runs_and_is_ready(server: Server) -> None:
    assert fits(server.ask("/health"), "State") == {"status": "ok"}
    assert fits(server.ask("/ready"), "State") == {"status": "ready"}


def test_other_paths_and_methods_are_refused(server: Server) -> None:
    assert fits(server.ask("/no/such"), "Error") == {"error": "Not Found"}
    assert server.ask("/v1/guess").code == 405
    assert server.ask("/v1/model", b"x").code == 405
    assert server.ask("/v1/guess?url=https://evil.example/x.jpg", PHOTO).code == 200
    assert server.ask("/health", method="HEAD").code == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"x", b"/etc/passwd", b"https://example.org/x.jpg", b"file:///etc/passwd", PHOTO[:500],
     b'{"url": "https://example.org/x.jpg"}', b"url=https://example.org/x.jpg"],
)  # fmt: skip
def test_what_is_no_picture_has_a_reason(server: Server, body: bytes) -> None:
    for kind in ("application/octet-stream", "image/jpeg", "application/json", "text/plain",
                 "application/x-www-form-urlencoded"):  # fmt: skip
        found = server.ask("/v1/guess", body, content_type=kind)
        assert (found.code, len(found.json["error"]) > 5) == (422, True)
    fits(found, "Error")


def test_of_several_pictures_one_may_be_bad(server: Server) -> None:
    body, kind = form(("a.jpg", PHOTO), ("../b", b"x"), ("c.png", PHOTOS[1].read_bytes()))
    found = server.ask("/v1/guess", body, content_type=kind)
    said = fits(found, "Guesses")
    assert found.code == 200
    assert [each["image"] for each in said["guesses"]] == ["a.jpg", "../b", "c.png"]
    assert ["error" in each for each in said["guesses"]] == [False, True, False]
    body, kind = form(("a", b"x"), ("b", b"y"))
    found = server.ask("/v1/guess", body, content_type=kind)
    assert (found.code, len(fits(found, "Guesses")["guesses"])) == (422, 2)


def test_a_form_has_1_to_32_pictures(server: Server) -> None:
    for count, code in ((0, 400), (1, 200), (32, 200), (33, 413)):
        body, kind = form(*[("a.jpg", PHOTO)] * count)
        assert server.ask("/v1/guess", body, content_type=kind).code == code


# --- where it looked


def test_what_speaks_for_a_label(server: Server, small: Path) -> None:
    own = server.ask("/v1/guess", PHOTO).json
    best = fits(server.ask("/v1/explain", PHOTO), "Explanation")
    assert (best["label"], best["model"]) == (own["label"], own["model"])
    assert best["score"] == pytest.approx(own["score"], abs=1e-6)
    assert server.ask("/v1/model").json["map"] == best["method"] == CAM
    subject = Subject(Given(small), PHOTOS[0], True)
    _, shares = subject.evidence()
    for k, share in zip(subject.best, shares, strict=False):
        label = subject.record.labels[k]
        said = fits(server.ask(f"/v1/explain?label={quote(label)}", PHOTO), "Explanation")
        assert said["label"] == label
        assert said["score"] == pytest.approx(own["scores"][label], abs=1e-6)
        np.testing.assert_allclose(said["map"], share, atol=1e-4)
        data = base64.b64decode(said["picture"].removeprefix("data:image/jpeg;base64,"))
        assert max(Image.open(io.BytesIO(data)).size) == 480
    body, kind = form(("a.jpg", PHOTO))
    assert server.ask("/v1/explain", body, content_type=kind).json == best
    assert server.count("tensor_guess_map_seconds_count") >= 4
    assert server.count('tensor_guess_requests_total{code="200",path="/v1/explain"}') >= 4


def test_a_map_is_refused_as_a_guess_is(server: Server) -> None:
    for query in ("?label=", "?label=nobody", "?label=%00", "?label=darth_vader"):
        found = server.ask("/v1/explain" + query, PHOTO)
        assert (found.code, "no such label" in fits(found, "Error")["error"]) == (400, True)
    for body in (b"", b"x", b"/etc/passwd", b"https://example.org/x.jpg", PHOTO[:500]):
        assert server.ask("/v1/explain", body).code == 422
    for count, code in ((0, 400), (2, 413)):
        body, kind = form(*[("a.jpg", PHOTO)] * count)
        assert server.ask("/v1/explain", body, content_type=kind).code == code
    assert server.ask("/v1/explain").code == 405
    assert server.ask("/v1/explain?url=https://evil.example/x.jpg", PHOTO).code == 200
    assert server.ask("/v1/explain", PHOTO, origin="https://evil.example").code == 403
    assert server.ask("/v1/explain", PHOTO, host="evil.example").code == 421


def test_a_label_that_is_not_asked_for_has_no_map(cache: Path, small: Path, tmp_path: Path) -> None:
    with started(cache, tmp_path / "log", small, "--only", "elsa,東京") as found:
        own = found.ask("/v1/guess", PHOTO).json
        said = found.ask("/v1/explain", PHOTO).json
        assert said["label"] == own["label"]
        assert said["score"] == pytest.approx(own["score"], abs=1e-6)
        refused = found.ask("/v1/explain?label=darth%20vader", PHOTO)
        assert (refused.code, "--only" in refused.json["error"]) == (400, True)


def test_a_graph_without_an_exact_map_says_so(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "x.pb").write_bytes(classifier(adds_up=False))
    with started(cache, tmp_path / "log", tmp_path / "x.pb") as found:
        assert fits(found.ask("/v1/model"), "Model")["map"] is None
        assert found.ask("/v1/guess", PHOTO).code == 200
        refused = found.ask("/v1/explain", PHOTO)
        assert (refused.code, "has no map" in fits(refused, "Error")["error"]) == (404, True)
    assert len(found.said.splitlines()) == 1


# --- others' clients


def test_tensorflow_servings_clients(server: Server) -> None:
    body = json.dumps({"instances": [b64(PHOTO), {"images": b64(PHOTO)}]}).encode()
    found = server.ask("/v1/models/anything:predict", body)
    said = fits(found, "PredictResponse")["predictions"]
    own = server.ask("/v1/guess", PHOTO).json["scores"]
    assert [dict(zip(each["labels"], each["scores"], strict=True)) for each in said] == [own] * 2
    column = json.dumps({"inputs": {"images": [b64(PHOTO)]}}).encode()
    said = fits(server.ask("/v1/models/x/versions/1:predict", column), "PredictResponse")
    assert dict(zip(said["outputs"]["labels"][0], said["outputs"]["scores"][0], strict=True)) == own
    for path in ("/v1/models/x", "/v1/models/x/versions/1"):
        (state,) = fits(server.ask(path), "Status")["model_version_status"]
        assert (state["version"], state["state"]) == ("1", "AVAILABLE")
    assert server.ask("/v1/models/x/versions/2").code == 404
    assert server.ask("/v1/models/x/versions/2:predict", body).code == 404
    bad = json.dumps({"instances": [b64(PHOTO), b64(b"x")]}).encode()
    found = server.ask("/v1/models/x:predict", bad)
    assert found.code == 422
    assert fits(found, "Error")["error"].startswith("picture 2 is no picture")


def test_photoprisms_clients(server: Server) -> None:
    url = "data:image/jpeg;base64," + b64(PHOTO)["b64"]
    said = {"id": "7", "images": [url], "suffix": "", "stream": False}
    found = server.ask("/api/v1/vision/labels", json.dumps(said).encode())
    answer = fits(found, "VisionResponse")
    own = server.ask("/v1/guess", PHOTO).json["scores"]
    assert (answer["id"], answer["code"]) == ("7", 200)
    named = {each["name"]: each["confidence"] for each in answer["result"]["labels"]}
    assert named == {label: score for label, score in own.items() if score >= 0.1}
    for images, code in (["https://photos.example/x"], 400), (["eA=="], 422), ([], 400):
        found = server.ask("/api/v1/vision/labels", json.dumps({"images": images}).encode())
        answer = fits(found, "VisionResponse")
        assert (found.code, answer["code"], "labels" in answer["result"]) == (code, code, False)


# --- the same scores as `guess`


def odd_pictures() -> Iterator[tuple[str, bytes]]:
    """Pictures that are decoded in a way of their own."""
    whole = Image.open(PHOTOS[0]).convert("RGB")

    def saved(image: Image.Image, kind: str, **how: Any) -> bytes:
        file = io.BytesIO()
        image.save(file, kind, **how)
        return file.getvalue()

    for turned in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = turned
        yield f"turned {turned}", saved(whole, "JPEG", exif=exif)
    yield "CMYK", saved(whole.convert("CMYK"), "JPEG")
    yield "16 Mpx", saved(whole.resize((4608, 3456)), "JPEG", quality=80)
    yield "WebP", saved(whole, "WEBP")
    yield "lossless WebP with alpha", saved(whole.convert("RGBA"), "WEBP", lossless=True)
    yield "palette", saved(whole.convert("P"), "PNG")
    yield "16 bits", saved(whole.convert("L").convert("I;16"), "TIFF")
    yield "progressive", saved(whole, "JPEG", progressive=True)
    for path in PHOTOS:
        yield path.name, path.read_bytes()


@pytest.fixture(scope="module")
def real(cache: Path, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of EfficientNet-Lite0."""
    with started(cache, tmp_path_factory.mktemp("real") / "log", trained) as found:
        yield found


@pytest.fixture(scope="module")
def odd(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[bytes, dict[str, float]]:
    """Each odd picture, and the scores that `guess` gives it alone."""
    folder, found = tmp_path_factory.mktemp("odd"), {}
    for number, (_, data) in enumerate(odd_pictures()):
        path = folder / str(number)
        path.write_bytes(data)
        (own,) = guess(trained, [path])
        assert isinstance(own, Guess)
        found[data] = own.scores
    return found


@pytest.mark.slow
def test_the_scores_are_those_of_guess_alone_and_at_load(
    real: Server, odd: dict[bytes, dict[str, float]]
) -> None:
    def worst(data: bytes) -> float:
        found = real.ask("/v1/guess", data)
        assert found.code == 200, found.body
        return max(abs(float(found.json["scores"][each]) - odd[data][each]) for each in odd[data])

    assert max(map(worst, odd)) <= 1e-6
    with ThreadPoolExecutor(24) as pool:
        assert max(pool.map(worst, list(odd) * 4)) <= 1e-6
    body, kind = form(*[("x", data) for data in odd])
    said = real.ask("/v1/guess", body, content_type=kind).json["guesses"]
    for each, own in zip(said, odd.values(), strict=True):
        assert each["scores"] == pytest.approx(own, abs=1e-6)
    alone = real.count('tensor_guess_batch_size_bucket{le="1.0"}')
    together = real.count("tensor_guess_batch_size_count") - alone
    assert together or os.cpu_count() == 1


@pytest.mark.slow
def test_what_is_asked_besides_is_said(cache: Path, trained: Path, tmp_path: Path) -> None:
    options = ("--unknown", "--both", "--min-score", "1")
    with started(cache, tmp_path / "log", trained, *options) as found:
        said = fits(found.ask("/v1/guess", PHOTO), "Guess")
    assert said.keys() > {"label", "category", "score", "scores", "model"}
    assert (said["unsure"], said["unknown"], said["both"]) == (True, False, None)
