"""A real S3 server as a process of its own: moto's, which does one thing at a time, and fails at
what a test wants.
"""

import http.client
import io
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from made.place import ROOT

_PATIENCE = 60  # seconds
_CONTROL = "/_made"
KEY, SECRET = "AKIDTESTSONLY0000001", "sekrit/0123456789abcdefABCDEF+nobody"


@dataclass(frozen=True)
class Store:
    """A server, and a bucket in it of one's own."""

    port: int
    bucket: str

    @property
    def url(self) -> str:
        return f"s3://{self.bucket}"

    @property
    def environ(self) -> dict[str, str]:
        """What the program must have in its environment."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_REGION": "us-east-1",
            "NO_PROXY": "127.0.0.1",
        }

    @property
    def client(self) -> Any:
        return boto3.client(
            "s3",
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            endpoint_url=self.environ["AWS_ENDPOINT_URL"],
            region_name="us-east-1",
            config=Config(proxies={}, retries={"max_attempts": 1}),
        )

    def put(self, files: dict[str, bytes]) -> None:
        """Put objects there, whatever was there before."""
        client = self.client
        for key, data in files.items():
            client.put_object(Bucket=self.bucket, Key=key, Body=data)

    def take(self, folder: Path, prefix: str) -> None:
        """Put the files below a folder there."""
        files = (path for path in sorted(folder.rglob("*")) if path.is_file())
        self.put({f"{prefix}/{path.relative_to(folder)}": path.read_bytes() for path in files})

    def objects(self, prefix: str = "") -> dict[str, bytes]:
        """All objects with such keys."""
        client, found = self.client, dict[str, bytes]()
        for page in client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix
        ):
            for each in page.get("Contents", ()):
                body = client.get_object(Bucket=self.bucket, Key=each["Key"])["Body"]
                found[each["Key"]] = body.read()
        return found

    def requests(self) -> list[str]:
        """What was asked since this was asked: `PUT /bucket/key 200`."""
        return list(self._control(None))

    def fill(self, keys: Iterable[str]) -> None:
        """Put many objects there at once, whose bytes are their keys."""
        self._control({"fill": self.bucket, "keys": list(keys)})

    def fail(self, match: str, how: str, times: int = 1, after: int = 0) -> None:
        """Let requests such as `PUT /bucket/key?query` fail, `after` so many: with a code and a
        number as in `503 SlowDown`, or

        lost: it is done, but the connection breaks before the answer
        hang: it is done, but no answer comes
        taken: just before, another one writes there
        blind: its conditions are not looked at
        """
        self._control({"match": match, "how": how, "times": times, "after": after})

    def _control(self, said: dict[str, Any] | None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)
        try:
            connection.request("PUT" if said else "GET", _CONTROL, json.dumps(said))
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


@contextmanager
def started(log: Path, **environ: str) -> Iterator[int]:
    """Yield the port of a server that ends with the block."""
    paths = os.pathsep.join(sys.path)
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "made.store"],
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": paths, "HOME": str(log.parent)} | environ,
            cwd=ROOT / "tests",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
        )
    try:
        assert process.stdout
        line = process.stdout.readline()
        assert line, log.read_text()
        yield int(line)
    finally:
        process.kill()
        process.communicate(timeout=_PATIENCE)


def with_bucket(port: int, bucket: str) -> Store:
    """A new, empty bucket."""
    store = Store(port, bucket)
    store.client.create_bucket(Bucket=bucket)
    return store


class _Disturbed:
    """An application that notes what is asked, and fails at times."""

    def __init__(self, application: Any, backend: Any) -> None:
        self._application, self._backend, self._lock = application, backend, threading.Lock()
        self._asked, self._faults = list[str](), list[dict[str, Any]]()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        if path == _CONTROL:
            return self._controlled(environ["REQUEST_METHOD"], body, start)
        query = environ.get("QUERY_STRING", "")
        asked = f"{environ['REQUEST_METHOD']} {path}" + (f"?{query}" if query else "")
        fault = self._fault(asked)
        if fault[:1].isdigit():
            return self._failed(asked, fault, start)
        if fault == "taken":
            _, bucket, key = path.split("/", 2)
            with self._lock:
                self._backend.put_object(bucket, key, b"another's")
        elif fault == "blind":
            environ.pop("HTTP_IF_NONE_MATCH", None)
        environ["wsgi.input"] = io.BytesIO(body)
        told: list[tuple[str, Any]] = []
        # moto looks whether there is such an object, and then makes one: a real store does both
        # at once.
        with self._lock:
            answer = list(self._application(environ, lambda *said: told.append(said[:2])))
            self._asked.append(f"{asked} {told[0][0][:3]}")
        if fault == "hang":
            with self._lock:
                self._asked.append("hangs")
            time.sleep(_PATIENCE)
        if fault in ("lost", "hang"):
            raise ConnectionAbortedError
        start(*told[0])
        return answer

    def _fault(self, asked: str) -> str:
        with self._lock:
            for each in self._faults:
                if each["times"] and re.search(each["match"], asked):
                    if each["after"]:
                        each["after"] -= 1
                        continue
                    each["times"] -= 1
                    return str(each["how"])
        return ""

    def _failed(self, asked: str, fault: str, start: Callable[..., Any]) -> Iterable[bytes]:
        number, _, code = fault.partition(" ")
        self._asked.append(f"{asked} {number}")
        said = f"<Error><Code>{code}</Code><Message>{SECRET}</Message></Error>".encode()
        start(
            f"{number} Failed", [("Content-Length", str(len(said))), ("Content-Type", "text/xml")]
        )
        return [said]

    def _controlled(self, method: str, body: bytes, start: Callable[..., Any]) -> Iterable[bytes]:
        with self._lock:
            asked = json.loads(body) if method == "PUT" else {}
            if "fill" in asked:
                for key in asked["keys"]:
                    self._backend.put_object(asked["fill"], key, key.encode())
            elif asked:
                self._faults.append(asked)
            said, self._asked = json.dumps(self._asked).encode(), []
        start("200 OK", [("Content-Length", str(len(said)))])
        return [said]


def _serve() -> None:
    from moto.backends import get_backend
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_request(self, *_: object) -> None:
            """It would be a line for each."""

        def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
            self.close_connection = True

    backend = get_backend("s3")[DEFAULT_ACCOUNT_ID]["aws"]
    application = _Disturbed(DomainDispatcherApplication(create_backend_app), backend)
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Handler)
    print(server.socket.getsockname()[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        _serve()
