"""The paths of the server, and what each of them answers."""

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from typing import Any, TypeVar

import numpy as np
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tensor_guess.errors import Unreadable, UserError, counted
from tensor_guess.evaluation.maps import CAM
from tensor_guess.images import encoded
from tensor_guess.images.thumbnails import jpeg
from tensor_guess.serving import bodies, photoprism, tf_serving
from tensor_guess.serving.bodies import Bodies
from tensor_guess.serving.metrics import CONTENT_TYPE, Metrics
from tensor_guess.serving.page import Page
from tensor_guess.serving.queueing import Outcome, Queue, Row, Turns
from tensor_guess.serving.refusal import Left, Refused
from tensor_guess.serving.served import Keeper, Served

DIGEST = "tensor-guess-model"  # the header that names the graph that answered
# The longer side of a picture with its map.
_DRAWN = 480
# Bodies are taken apart by so many threads.
_READERS = 2

Result = TypeVar("Result")
Endpoint = Callable[[Request], Awaitable[Response]]


class Api:
    """The endpoints."""

    def __init__(self, keeper: Keeper, metrics: Metrics) -> None:
        self._keeper, self._metrics = keeper, metrics
        self._queue, self._turns, self.bodies = Queue(metrics), Turns(), Bodies()
        self._readers = ThreadPoolExecutor(_READERS, "reader")
        self._page = Page.read()
        self._openapi = (files("tensor_guess.serving") / "openapi.json").read_bytes()
        self.is_stopping = False

    def routes(self) -> list[Route]:
        """Return all routes; openapi.json describes each."""
        models = "/v1/models/{name}"
        version = models + "/versions/{version}"
        return [
            Route("/", self.page),
            Route("/v1/guess", self.guess, methods=["POST"]),
            Route("/v1/explain", self.explain, methods=["POST"]),
            Route("/v1/model", self.model),
            Route(models + ":predict", self.predict, methods=["POST"]),
            Route(version + ":predict", self.predict_version, methods=["POST"]),
            Route(version, self.status_version),
            Route(models, self.status),
            Route("/api/v1/vision/labels", self.vision_labels, methods=["POST"]),
            Route("/health", self.health),
            Route("/ready", self.ready),
            Route("/metrics", self.metrics),
            Route("/openapi.json", self.openapi),
        ]

    @property
    def pending(self) -> int:
        """Return how many pictures were accepted and are not done."""
        return self._queue.pending + self._turns.pending

    def end(self) -> None:
        """End the threads once they have nothing to do."""
        self._queue.end()
        self._turns.end()

    def application(self) -> Starlette:
        """Return the application, without its guard."""
        return Starlette(
            routes=self.routes(),
            exception_handlers={
                HTTPException: _no_such_route,
                Refused: _refused,
                Left: _nobody_waits,
                Exception: _our_mistake,
            },
        )

    # --- guesses

    async def guess(self, request: Request) -> Response:
        """Answer with the guess of the picture that is the body, or of each file of a form."""
        served = self._now()
        kind = request.headers.get("content-type", "")
        async with self.bodies.read(request) as body:
            if not bodies.is_form(kind):
                (outcome,) = await self._outcomes(request, served, [body])
                said = _said(served, outcome)
                code = _code(outcome)
                return _answer({**said, "model": served.digest}, served, code)
            named = await self._apart(lambda: bodies.files(kind, body))
            _check_count(len(named))
            outcomes = await self._outcomes(request, served, [data for _, data in named])
        guesses = [
            {"image": name, **_said(served, outcome)}
            for (name, _), outcome in zip(named, outcomes, strict=True)
        ]
        code = min(map(_code, outcomes))  # 200 if one is guessed
        return _answer({"model": served.digest, "guesses": guesses}, served, code)

    async def explain(self, request: Request) -> Response:
        """Answer with what speaks for a label in the picture that is the body, or in a form."""
        served = self._now()
        k = served.position(request.query_params.get("label"))
        kind = request.headers.get("content-type", "")
        async with self.bodies.read(request) as body:
            picture = body
            if bodies.is_form(kind):
                named = await self._apart(lambda: bodies.files(kind, body))
                _check_count(len(named), 1)
                ((_, picture),) = named
            try:
                work = self._turns.take(lambda: self._explained(served, picture, k))
                said = await _unless_left(request, work)
            except (Unreadable, UserError) as error:
                return _answer(_said(served, error), served, _code(error))
        return _answer(said, served)

    def _explained(self, served: Served, picture: bytes, k: int | None) -> dict[str, Any]:
        assert served.maps
        with self._metrics.maps.time():
            found = served.maps.of(encoded.of_bytes(picture), _DRAWN, k)
        return {
            "label": served.record.labels[found.k],
            "score": found.score,
            "method": CAM,
            "map": found.share.astype(float).round(5).tolist(),
            "picture": "data:image/jpeg;base64," + b64encode(jpeg(found.drawn)).decode(),
            "model": served.digest,
        }

    async def predict(self, request: Request) -> Response:
        """Answer as TensorFlow Serving does, whatever the model is called."""
        served = self._now()
        async with self.bodies.read(request) as body:
            asked = await self._apart(lambda: tf_serving.asked(body))
            rows = await self._rows(request, served, asked.pictures)
        scores = [served.scores(row) for row in rows]
        return _answer(tf_serving.answer(asked, served.record.labels, scores), served)

    async def predict_version(self, request: Request) -> Response:
        """Answer as `predict` does, if that version is the one that answers."""
        self._check_version(request)
        return await self.predict(request)

    async def vision_labels(self, request: Request) -> Response:
        """Answer as PhotoPrism's vision service does."""
        try:
            served = self._now()
            async with self.bodies.read(request) as body:
                asked = await self._apart(lambda: photoprism.asked(body))
                rows = await self._rows(request, served, asked.pictures)
        except Refused as refused:
            said = photoprism.failure(refused.code, refused.reason)
            return JSONResponse(said, refused.code, refused.headers)
        guesses = [served.guess(row) for row in rows]
        return _answer(photoprism.answer(asked, served.record, guesses), served)

    def _now(self) -> Served:
        if self.is_stopping:
            raise Refused(503, "the server is stopping", again=1, close=True)
        return self._keeper.now()

    async def _apart(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    async def _rows(self, request: Request, served: Served, pictures: Sequence[bytes]) -> list[Row]:
        """Return the network's row of each picture. Raise Refused if one has none."""
        outcomes, rows = await self._outcomes(request, served, pictures), list[Row]()
        for number, outcome in enumerate(outcomes, 1):
            if isinstance(outcome, Exception):
                which = f"picture {number} " if len(pictures) > 1 else "the picture "
                raise Refused(_code(outcome), which + str(outcome))
            rows.append(outcome)
        return rows

    async def _outcomes(
        self, request: Request, served: Served, pictures: Sequence[bytes]
    ) -> list[Outcome]:
        """Return what becomes of the pictures. Raise Left if the client goes meanwhile."""
        return await _unless_left(request, self._queue.rows(served, pictures))

    # --- about the server

    async def model(self, request: Request) -> Response:
        """Answer with what is known of the classifier."""
        return _answer(self._keeper.facts(), self._keeper.now())

    async def status(self, request: Request) -> Response:
        """Answer as TensorFlow Serving does about a model's versions."""
        keeper = self._keeper
        return JSONResponse(tf_serving.status(keeper.version, ready=keeper.is_ready))

    async def status_version(self, request: Request) -> Response:
        """Answer as `status` does, if that version is the one that answers."""
        self._check_version(request)
        return await self.status(request)

    def _check_version(self, request: Request) -> None:
        if request.path_params["version"] != str(self._keeper.version):
            raise Refused(404, f"the version that answers is {self._keeper.version}")

    async def health(self, request: Request) -> Response:
        """Answer that the server runs."""
        return JSONResponse({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """Answer whether a guess would be answered now."""
        self._now()
        return JSONResponse({"status": "ready"})

    async def metrics(self, request: Request) -> Response:
        """Answer with all that is counted."""
        return Response(self._metrics.text(), media_type=CONTENT_TYPE)

    async def page(self, request: Request) -> Response:
        """Answer with a page for people."""
        return Response(self._page.body, headers=self._page.headers, media_type="text/html")

    async def openapi(self, request: Request) -> Response:
        """Answer with the description of all this."""
        return Response(self._openapi, media_type="application/json")


def _answer(said: dict[str, Any], served: Served, code: int = 200) -> Response:
    return JSONResponse(said, code, {DIGEST: served.digest})


def _said(served: Served, outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, np.ndarray):
        return served.facts(served.guess(outcome))
    return {"error": str(outcome)}


def _code(outcome: Outcome) -> int:
    if isinstance(outcome, Unreadable):
        return 422
    return 500 if isinstance(outcome, UserError) else 200


def _check_count(count: int, most: int = bodies.MOST_PICTURES) -> None:
    if not count:
        raise Refused(400, "there is no file in the form; name one, as `curl -F image=@photo.jpg`")
    if count > most:
        raise Refused(413, f"at most {counted(most, 'picture')} may be in a request")


async def _unless_left(request: Request, asked: Coroutine[Any, Any, Result]) -> Result:
    """Return what comes of it. Raise Left if the client goes meanwhile: then it is cancelled."""
    work = asyncio.ensure_future(asked)
    left = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait((work, left), return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise Left
        return work.result()
    finally:
        work.cancel()
        left.cancel()


async def _left(request: Request) -> None:
    """Return when the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _no_such_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return JSONResponse({"error": error.reason}, error.code, error.headers)


async def _nobody_waits(request: Request, error: Exception) -> Response:
    return Response(status_code=499)


async def _our_mistake(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "the server made a mistake, which it prints"}, 500)
