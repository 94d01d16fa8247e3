"""Requests that no server should have to read."""

import random

from made.server import form

ODD_HEADERS = (
    "Expect: 100-continue", "Upgrade: websocket", "Connection: close", "Connection: upgrade",
    "Origin: null", "\x00: x", ": x", "a b: c", "Authorization: Bearer \xff",
    "Sec-Fetch-Site: x" * 50,
)  # fmt: skip


def malformed(draw: random.Random, photo: bytes, port: int) -> bytes:
    """A request that is wrong in one of many ways."""
    pictures = [photo, photo[:300], b"", b"x" * 3000, b"\x89PNG\r\n\x1a\n" + draw.randbytes(200)]
    body = draw.choice(pictures)
    kind = draw.choice(
        ["image/jpeg", "multipart/form-data; boundary=limit", "application/json", "text/plain",
         "multipart/form-data", "multipart/form-data; boundary=" + "x" * 300, "\xff\xfe", ""]
    )  # fmt: skip
    if draw.random() < 0.3:
        body = form(("x.jpg", body))[0]
    elif draw.random() < 0.5:
        body = draw.choice(
            [b"[" * 3000, b'{"instances": [{"b64": "' + b"A" * draw.randrange(900) + b'"}]}',
             b'{"instances": ' + b"[" * 2000, b'{"inputs": {"x": {"b64": 1}}}', b"null", b"{}",
             b'{"images": ["data:;base64,' + b"=" * 50 + b'"]}', b'{"images": {"a": []}}',
             b'{"images": ["http://x"], "url": []}', draw.randbytes(500), b'{"instances": 1e999}']
        )  # fmt: skip
    for _ in range(draw.randrange(3)):  # spoil it
        if body:
            at = draw.randrange(len(body))
            body = body[:at] + draw.randbytes(draw.randrange(4)) + body[at + draw.randrange(9) :]
    path = draw.choice(
        ["/v1/guess", "/v1/models/x:predict", "/api/v1/vision/labels", "/v1/models/%00:predict",
         "/v1/models/x/versions/9:predict", "/v1/explain",
         "/v1/explain?label=%ff%00&label=", "/", "//", "/..%2f", "/v1/guess?" + "a" * 500, "*",
         "http://evil.example/v1/guess", "/%ff%fe", "/v1/models//:predict", "/metrics"]
    )  # fmt: skip
    method = draw.choice(["POST"] * 6 + ["GET", "PUT", "HEAD", "OPTIONS", "CONNECT", "TRACE", "x"])
    length = draw.choice([len(body)] * 6 + [0, 5, len(body) + 10, -1, 10**30])
    lines = [
        f"{method} {path} HTTP/1.{draw.choice('1110')}",
        f"Host: {draw.choice(['127.0.0.1', '127.0.0.1', 'evil.example', ''])}:{port}",
        f"Content-Type: {kind}",
        draw.choice([f"Content-Length: {length}"] * 5 + ["Transfer-Encoding: chunked", "X: y"]),
    ]
    if draw.random() < 0.3:
        lines.append(draw.choice(ODD_HEADERS))
    data = "\r\n".join([*lines, "", ""]).encode("latin-1") + body
    return data[: draw.randrange(len(data))] if draw.random() < 0.15 else data
