"""What stands before all answers: who may ask, what is counted, and headers that protect."""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tensor_guess.serving.hosts import Names, is_cross_site
from tensor_guess.serving.metrics import Metrics
from tensor_guess.serving.refusal import Refused

# What needs no token: whether it runs, and the page, which asks for the token.
OPEN = frozenset(("/", "/health", "/ready"))
# What another site may lead a browser to: a page that does nothing by itself.
_PAGE = "/"
_HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
_NO_PATH = "other"


class Guard:
    """The application behind its guard. `paths`: each endpoint's path, by which it is counted."""

    def __init__(
        self,
        app: ASGIApp,
        names: Names,
        token: str | None,
        metrics: Metrics,
        paths: Mapping[Any, str],
    ) -> None:
        self._app, self._names, self._metrics, self._paths = app, names, metrics, paths
        # Of one length, so that comparing says nothing of the token's.
        self._token = token and _digest(token.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse to."""
        code = 499  # the client has gone

        async def guarded(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            self._check(scope, Headers(scope=scope))
            await self._app(scope, receive, guarded)
        except Refused as refused:
            said = JSONResponse({"error": refused.reason}, refused.code, refused.headers)
            if refused.code == 401:
                said.headers["www-authenticate"] = "Bearer"
            await said(scope, receive, guarded)
        finally:
            path = self._paths.get(scope.get("endpoint"), _NO_PATH)
            self._metrics.requests.labels(path, str(code)).inc()

    def _check(self, scope: Scope, headers: Headers) -> None:
        """Raise Refused unless this client may ask this."""
        host, origin = headers.get("host"), headers.get("origin")
        if not self._names.know(host):
            raise Refused(421, "this server has another name; see --allowed-host")
        is_page = scope["path"] == _PAGE and scope["method"] in ("GET", "HEAD")
        if not is_page and is_cross_site(host or "", origin, headers.get("sec-fetch-site")):
            raise Refused(403, "pages of other sites may not ask")
        if self._token and scope["path"] not in OPEN:
            scheme, _, given = headers.get("authorization", "").partition(" ")
            said = given.strip().encode("utf-8", "surrogateescape")
            if scheme.lower() != "bearer" or not hmac.compare_digest(_digest(said), self._token):
                raise Refused(401, "the token is missing or wrong (Authorization: Bearer ...)")


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
