"""A real server, as a process, and clients that are as good or as bad as a test wants them."""

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from made.place import ROOT

PATIENCE = 60  # seconds


@dataclass(frozen=True)
class Answer:
    """What came back."""

    code: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Server:
    """A server that was started."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    @property
    def said(self) -> str:
        """All that it has printed."""
        return self.log.read_text("utf-8")

    def ask(self, path: str, body: bytes | None = None, method: str = "", **headers: str) -> Answer:
        """What it answers on a connection of its own; `accept_language` is Accept-Language."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method or ("GET" if body is None else "POST"), path, body, named)
            found = connection.getresponse()
            said = {name.lower(): value for name, value in found.getheaders()}
            return Answer(found.status, said, found.read())
        finally:
            connection.close()

    def count(self, line: str) -> float:
        """The value of a metric, with its labels."""
        for each in self.ask("/metrics").body.decode().splitlines():
            if each.startswith(f"{line} "):
                return float(each.rpartition(" ")[2])
        return 0

    def connect(self) -> socket.socket:
        """A connection, for what no client library does."""
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)

    def raw(self, data: bytes) -> bytes:
        """All that it says to these bytes, until it closes the connection."""
        with self.connect() as client:
            try:
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
                return rest(client)
            except (BrokenPipeError, ConnectionResetError):
                return b""  # it had heard enough


def code_of(client: socket.socket) -> int:
    """The code of the next answer, all of which is read."""
    found = http.client.HTTPResponse(client)
    found.begin()
    found.read()
    return found.status


def rest(client: socket.socket) -> bytes:
    """All that comes until the other end closes."""
    parts = []
    while part := client.recv(65_536):
        parts.append(part)
    return b"".join(parts)


def form(*files: tuple[str, bytes], boundary: str = "limit") -> tuple[bytes, str]:
    """The body of a form with these files, and its Content-Type."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="p"; filename="{name}"\r\n'
        "Content-Type: image/jpeg\r\n\r\n".encode()
        + data
        + b"\r\n"
        for name, data in files
    ]
    whole = b"".join(parts) + f"--{boundary}--\r\n".encode()
    return whole, f"multipart/form-data; boundary={boundary}"


def until(happened: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Return once it has happened. Raise TimeoutError if it does not."""
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            raise TimeoutError("it did not happen")
        time.sleep(0.02)


def free_port() -> int:
    """A port that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@contextmanager
def started(
    cache: Path, log: Path, *arguments: object, port: int = 0, wait: bool = True
) -> Iterator[Server]:
    """Yield a server with these arguments, ready unless told not to `wait`; end it."""
    port = port or free_port()
    words = ["serve", *arguments, "--port", port]
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-I", "-u", "-X", "utf8", ROOT / "src", *map(str, words)],
            env={"TENSOR_GUESS_CACHE": str(cache), "PATH": "/usr/bin:/bin"},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
    server = Server(process, port, log)
    try:
        if wait:
            until(lambda: "answers at" in server.said or process.poll() is not None)
            assert process.poll() is None, server.said
        yield server
    finally:
        process.kill()
        process.wait()
