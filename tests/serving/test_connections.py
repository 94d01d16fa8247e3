"""Clients that are too slow, or too many, or no clients at all."""

import time
from contextlib import ExitStack

import pytest

from made.server import Server, code_of, rest, until
from tensor_guess.serving.connections import HEAD_SECONDS, MOST_CONNECTIONS


@pytest.mark.slow
@pytest.mark.parametrize("sent", [b"", b"GET /hea", b"POST /v1/guess HTTP/1.1\r\nHost: x\r\n"])
def test_who_does_not_finish_a_request_is_cut_off(server: Server, sent: bytes) -> None:
    with server.connect() as client:
        began = time.monotonic()
        client.sendall(sent)
        said = rest(client)
        took = time.monotonic() - began
    assert said.startswith(b"HTTP/1.1 408 ")
    assert HEAD_SECONDS - 1 < took < HEAD_SECONDS + 10


@pytest.mark.slow
def test_a_byte_a_second_does_not_help(server: Server) -> None:
    """Nor does it on a connection on which one request was answered."""
    request = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % server.port
    with server.connect() as client:
        client.sendall(request)
        assert code_of(client) == 200
        client.settimeout(1)
        began, said = time.monotonic(), b""
        while time.monotonic() - began < 60:
            client.sendall(b"G")
            try:
                said = client.recv(4096)
                break
            except TimeoutError:
                pass
        assert said.startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - began < 2 * HEAD_SECONDS + 5


def test_an_idle_connection_is_closed(server: Server) -> None:
    request = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % server.port
    with server.connect() as client:
        client.sendall(request)
        assert rest(client).count(b"HTTP/1.1 200 ") == 1


def test_one_connection_serves_many_requests(server: Server) -> None:
    request = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % server.port
    assert server.raw(request * 20).count(b"HTTP/1.1 200 ") >= 1
    with server.connect() as client:
        for _ in range(50):
            client.sendall(request)
            assert code_of(client) == 200


def test_an_answer_is_sent_at_once(server: Server) -> None:
    """A client's system may wait 40 ms for more before it confirms the first half."""
    request = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % server.port
    took = []
    with server.connect() as client:
        for _ in range(30):
            began = time.monotonic()
            client.sendall(request)
            assert code_of(client) == 200
            took.append(time.monotonic() - began)
    assert sorted(took)[10] < 0.03


def test_too_many_connections_are_refused_and_then_taken_again(server: Server) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(MOST_CONNECTIONS + 20)]
        refused = rest(clients[-1])
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"too many connections" in refused

    def is_answered() -> bool:
        return server.ask("/health").code == 200

    until(is_answered)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),  # TLS
        b"\x00" * 1000, b"SSH-2.0-x\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 10_000 + b"\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    ],
)  # fmt: skip
def test_what_is_no_http_is_refused(server: Server, data: bytes) -> None:
    said = server.raw(data)
    assert said[:9] in (b"HTTP/1.1 ", b"")
    assert said[9:10] in (b"4", b"")
    assert server.ask("/health").code == 200
