"""Bodies of requests: their limits, the files in forms, and JSON."""

import base64
import json
import time
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from made.server import Server, form, rest
from tensor_guess.serving import bodies
from tensor_guess.serving.refusal import Refused


@given(st.lists(st.tuples(st.sampled_from(["a.jpg", "日本.png", ""]), st.binary(max_size=300))))
def test_each_file_of_a_form_is_found(files: list[tuple[str, bytes]]) -> None:
    body, kind = form(*files, boundary="b0undary-that-no-picture-has")
    assert bodies.is_form(kind)
    assert bodies.files(kind, body) == files


def test_fields_without_a_file_are_passed_over() -> None:
    body, kind = form(("a.jpg", b"a"))
    field = b'--limit\r\nContent-Disposition: form-data; name="url"\r\n\r\nhttps://x.example\r\n'
    assert bodies.files(kind, field + body) == [("a.jpg", b"a")]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"x", b"--limit", b"--limit\r\n", b"--other\r\n\r\nx\r\n--other--\r\n",
        b"--limit\r\nno colon\r\n\r\nx\r\n--limit--", b"--limit\r\n\r\nno end",
        b"--limit\r\n" + b"A: b\r\n" * 10_000 + b"\r\nx\r\n--limit--",
        b"--limit\r\nA: " + b"b" * 1_000_000 + b"\r\n\r\nx\r\n--limit--",
    ],
)  # fmt: skip
def test_a_damaged_form_is_refused_or_has_no_file(body: bytes) -> None:
    found = list[tuple[str, bytes]]()
    with suppress(Refused):
        found = bodies.files("multipart/form-data; boundary=limit", body)
    assert not found


def test_a_form_of_many_parts_is_refused_at_once() -> None:
    part = b'--limit\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
    began = time.process_time()
    with pytest.raises(Refused) as error:
        bodies.files("multipart/form-data; boundary=limit", part * 500_000)
    assert error.value.code == 413
    assert time.process_time() - began < 2


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/form-data; boundary="])
def test_a_form_without_a_boundary_is_refused(server: Server, kind: str) -> None:
    assert server.ask("/v1/guess", b"--x", content_type=kind).code == 400


def test_what_is_too_large_is_refused_before_it_is_sent(server: Server) -> None:
    with server.connect() as client:
        head = (
            b"POST /v1/guess HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 99999999999\r\n\r\n"
        )
        client.sendall(head % server.port)
        said = rest(client)
    assert said.startswith(b"HTTP/1.1 413 ")
    assert b"larger than 64 MB" in said


@pytest.mark.slow
def test_what_says_no_size_is_refused_once_it_is_too_large(server: Server) -> None:
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    with server.connect() as client:
        head = (
            b"POST /v1/guess HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        client.sendall(head % server.port)
        sent = 0
        try:
            while sent < 100:
                client.sendall(chunk)
                sent += 1
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert 60 <= sent < 100
    assert server.ask("/health").code == 200


@pytest.mark.slow
def test_a_client_that_sends_a_byte_a_second_is_cut_off(server: Server) -> None:
    head = b"POST /v1/guess HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 1000\r\n\r\n"
    began, said = time.monotonic(), b""
    with server.connect() as client:
        client.sendall(head % server.port)
        client.settimeout(1)  # a byte a second
        while time.monotonic() - began < 60:
            client.sendall(b"x")
            try:
                said = client.recv(4096)
                break
            except TimeoutError:
                pass
    assert said.startswith(b"HTTP/1.1 408 ")
    assert bodies.SECONDS - 1 < time.monotonic() - began < 2 * bodies.SECONDS


def test_a_client_that_leaves_before_its_body_is_there_costs_nothing(server: Server) -> None:
    head = b"POST /v1/guess HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 1000\r\n\r\nxxx"
    for _ in range(20):
        with server.connect() as client:
            client.sendall(head % server.port)
    assert server.ask("/health").code == 200


# --- JSON


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"1", b'"x"', b"\xff\xfe{}", b"{'a': 1}", b'{"a": 1}x',
        b"[" * 9_999, b'{"a":' * 3_000, b'{"a": ' + b"1" * 100_000 + b"}", b'{"a": "\xff"}',
        b'{"a": [' + b"[]," * 20_000 + b"1]}",
    ],
)  # fmt: skip
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(Refused) as error:
        bodies.parsed(body)
    assert error.value.code == 400


def test_a_bomb_of_small_values_takes_no_memory() -> None:
    body = b'{"instances": [' + b"[]," * 10_000_000 + b"1]}"
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(Refused, match="too many values"):
        bodies.parsed(body)
    assert time.process_time() - began < 2
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


@given(st.dictionaries(st.text(), st.one_of(st.text(), st.integers(), st.none())))
def test_an_object_is_read(said: dict[str, object]) -> None:
    assert bodies.parsed(json.dumps(said).encode()) == said


@given(st.binary(max_size=200))
def test_base64_is_read(data: bytes) -> None:
    assert bodies.bytes_of(base64.b64encode(data).decode()) == data


@pytest.mark.parametrize(
    "said", [None, 1, [], {}, "a", "=", "ab cd", "ab\ncd", "äöü", "a-_b", "a=b="]
)
def test_what_is_no_base64_is_refused(said: object) -> None:
    with pytest.raises(Refused, match="not in Base64"):
        bodies.bytes_of(said)
