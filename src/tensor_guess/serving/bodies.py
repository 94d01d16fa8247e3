"""A request's body -> its bytes, within limits of size, memory and time, and what is in them."""

import asyncio
import base64
import binascii
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from tensor_guess.serving.refusal import Left, Refused

logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # the client is told
# Of one body, and of all that are in memory.
MOST_BYTES = 64_000_000
ALL_BYTES = 256_000_000
# The pictures of one request.
MOST_PICTURES = 32
# A body may take so long, and a second more for each of so many bytes.
SECONDS, BYTES_A_SECOND = 20.0, 50_000
# When the server stops, a body that is still on its way has this long.
_HURRY_SECONDS = 1.0
_BUSY_SECONDS = 1
# What separates values in JSON, none of which is in Base64. Each value takes tens of bytes.
_SEPARATORS, _MOST_VALUES = (b",", b"[", b"{", b":"), 10_000


class Bodies:
    """The bodies that are being read or used, all by one event loop."""

    def __init__(self) -> None:
        self._bytes, self._reading = 0, set[asyncio.Timeout]()

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[bytes]:
        """Yield the body; it counts as memory until the block ends.

        Raise Refused if it is too large, too slow, or one too many; Left if the client goes.
        """
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > MOST_BYTES:
            raise _too_large()
        parts, size = list[bytes](), 0
        try:
            loop = asyncio.get_running_loop()
            began = loop.time()
            async with asyncio.timeout(SECONDS) as patience:
                self._reading.add(patience)
                more = True
                while more:
                    message = await request.receive()
                    if message["type"] == "http.disconnect":
                        raise Left
                    part, more = message.get("body", b""), message.get("more_body", False)
                    parts.append(part)
                    size, self._bytes = size + len(part), self._bytes + len(part)
                    if size > MOST_BYTES:
                        raise _too_large()
                    if self._bytes > ALL_BYTES:
                        raise Refused(429, "too many pictures at once", again=_BUSY_SECONDS)
                    if patience in self._reading:
                        patience.reschedule(began + SECONDS + size / BYTES_A_SECOND)
        except TimeoutError as error:
            self._bytes -= size
            raise Refused(408, "the body took too long to arrive", close=True) from error
        except BaseException:
            self._bytes -= size
            raise
        finally:
            self._reading.discard(patience)
        try:
            yield b"".join(parts)
        finally:
            self._bytes -= size

    def hurry(self) -> None:
        """Wait for no body longer than a moment: the server stops."""
        soon = asyncio.get_running_loop().time() + _HURRY_SECONDS
        for patience in self._reading:
            with suppress(RuntimeError):  # its time is over anyway
                patience.reschedule(min(soon, patience.when() or soon))
        self._reading.clear()


def is_form(content_type: str | None) -> bool:
    """Return whether a Content-Type header is that of a form with files."""
    return parse_options_header(content_type)[0] == b"multipart/form-data"


def files(content_type: str, body: bytes) -> list[tuple[str, bytes]]:
    """Return the name and the bytes of each file in a form; its other fields are passed over.

    Raise Refused if it is no such form, or has too many parts.
    """
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    form = _Form()
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": form.begin,
                "on_header_field": form.header_name,
                "on_header_value": form.header_value,
                "on_header_end": form.header_end,
                "on_part_data": form.data,
            },
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise Refused(400, "the form is damaged") from error
    return [(part.name, b"".join(part.data)) for part in form.parts if part.is_file]


class _Part:
    def __init__(self) -> None:
        self.name, self.is_file = "", False
        self.data = list[memoryview]()


class _Form:
    """The parts of a form, as the parser finds them."""

    def __init__(self) -> None:
        self.parts = list[_Part]()
        self._name = self._value = b""

    def begin(self) -> None:
        self.parts.append(_Part())
        if len(self.parts) > 2 * MOST_PICTURES:
            raise Refused(413, f"the form has more than {2 * MOST_PICTURES} parts")

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            said = parse_options_header(self._value)[1].get(b"filename")
            part = self.parts[-1]
            part.is_file = said is not None
            part.name = (said or b"").decode("utf-8", "replace")
        self._name = self._value = b""

    def data(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].data.append(memoryview(data)[start:end])


def parsed(body: bytes) -> dict[str, Any]:
    """Return the object that the body is. Raise Refused if it is none, or has too many values."""
    if sum(map(body.count, _SEPARATORS)) > _MOST_VALUES:
        raise Refused(400, "the JSON has too many values")
    try:
        found = json.loads(body)
    except (RecursionError, ValueError) as error:
        raise Refused(400, "the body is not JSON") from error
    if not isinstance(found, dict):
        raise Refused(400, "the body is not an object of JSON")
    return found


def bytes_of(said: object) -> bytes:
    """Return the bytes that a text in Base64 stands for. Raise Refused if it is none."""
    if isinstance(said, str):
        try:
            return base64.b64decode(said, validate=True)
        except (binascii.Error, ValueError):
            pass
    raise Refused(400, "a picture is not in Base64")


def _too_large() -> Refused:
    return Refused(413, f"the body is larger than {MOST_BYTES // 1_000_000} MB", close=True)
