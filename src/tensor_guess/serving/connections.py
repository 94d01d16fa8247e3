"""The connections of uvicorn, with limits on their number and on how slow a client may be."""

import json
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 256
# For the head of a request, for the rest of a body that was refused, and for reading an answer.
HEAD_SECONDS, ANSWER_SECONDS = 10.0, 30.0


class Connection(H11Protocol):
    """A connection that is cut off if its client is too slow, or one too many."""

    def connection_made(self, transport: Any) -> None:
        """Take the connection, or close it if there are too many."""
        super().connection_made(transport)
        # When this part began: a head, or a pause between two requests.
        self._since, self._started = self.loop.time(), False
        self._unsent_since: float | None = None
        if len(self.connections) > MOST_CONNECTIONS:
            self._cut(b"503 Service Unavailable", "too many connections")

    def data_received(self, data: bytes) -> None:
        """Take what came; from the first byte of a head, its time runs."""
        if self.transport.is_closing():
            return
        if not self._started and self._is_between:
            self._since, self._started = self.loop.time(), True
        super().data_received(data)

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        self._since, self._started = self.loop.time(), False
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        self._cut(b"400 Bad Request", "this is not HTTP")

    def check(self) -> None:
        """Cut the client off if it is too slow; called again and again."""
        now = self.loop.time()
        if not self.transport.get_write_buffer_size():
            self._unsent_since = None
        elif self._unsent_since is None:
            self._unsent_since = now
        elif now - self._unsent_since > ANSWER_SECONDS:
            self.transport.abort()
        late = self._is_between and now - self._since > HEAD_SECONDS
        if late and not self.transport.is_closing():
            self._cut(b"408 Request Timeout", "the request took too long to arrive")

    @property
    def _is_between(self) -> bool:
        """Return whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def _cut(self, status: bytes, reason: str) -> None:
        body = json.dumps({"error": reason}).encode()
        head = (
            b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
            b"x-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head % (status, len(body)) + body)
        self.transport.close()
