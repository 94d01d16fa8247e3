"""Download files: resume what was cut off, check the digest, then publish."""

import hashlib
import os
import re
import socket
import ssl
import string
import time
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPException, HTTPMessage, HTTPResponse, IncompleteRead
from pathlib import Path
from urllib.error import URLError
from urllib.parse import quote, urljoin, urlsplit
from urllib.request import (
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
    getproxies,
    proxy_bypass,
)

from tensor_guess.errors import Unreadable, UserError, WrongUsage, reason_of, shown
from tensor_guess.system import progress, reading
from tensor_guess.system.durable import make_folder, publish
from tensor_guess.system.partial import Partial, opened

# Seconds without a single byte, while connecting or reading.
TIMEOUT = 30.0
# Seconds to wait before each further attempt, if any bytes came.
PAUSES = (1.0, 3.0, 10.0)

_CHUNK = 256 * 1024
_CERTIFICATES = "SSL_CERT_FILE"  # OpenSSL's
_MAX_REDIRECTS = 10
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")
_HOST = re.compile(r"[a-z0-9._:-]+")
_LOGIN = re.compile(r"(?<=://)[^/?#]*@")
_CHECK_INTERNET = "check the internet connection and the proxy (http_proxy, https_proxy)"
_ADVICE = {
    401: "use an address that needs no login",
    403: "use an address that needs no login",
    404: "check the address",
    407: "give the proxy a login (https_proxy=http://name:password@host:port)",
    410: "check the address",
}


def fetch(url: str, target: Path, *, limit: int, digest: str = "") -> bytes:
    """Download `url` into the file `target`, and return its bytes.

    `digest` is `md5:...` or `sha256:...`; a target that has it already is not downloaded again.
    `limit`: the largest size in bytes. What came before an interruption stays in a file beside the
    target, and the next call resumes from there.

    Raise UserError if there is no such file or no connection, if it is too large or has another
    digest, or if the disk is full.
    """
    address = _address(url)
    make_folder(target.parent)
    with opened(target.with_name(f"{target.name}.partial"), address) as partial:
        data = _present(target, digest, limit)
        if data is None:
            _download(partial, limit)
            data = partial.content()
            _check(data, digest, partial)
            publish(target, data)
        partial.forget()
    return data


def check(url: str) -> None:
    """Raise WrongUsage if nothing can be fetched from such an address."""
    _address(url)


def environ() -> dict[str, str]:
    """Return the variables that another process needs to download from where this one could."""
    return {
        key: value
        for key, value in os.environ.items()
        if key.lower().endswith("_proxy") or key == _CERTIFICATES
    }


def certificates() -> list[Path]:
    """Return the file of certificates that the user has named, if any."""
    return [Path(os.environ[_CERTIFICATES])] if _CERTIFICATES in os.environ else []


def named(url: str) -> str:
    """Return the URL as it may be printed: without the name and password in it."""
    return _LOGIN.sub("...@", url)


def _present(target: Path, digest: str, limit: int) -> bytes | None:
    """Return the target's bytes if it is there and has that digest, else None."""
    try:
        data = reading.read(target, limit) if digest else b""
    except Unreadable:
        return None  # it will be replaced, or publishing says why it cannot be
    return data if digest and _digest(data, digest) == digest else None


def _digest(data: bytes, like: str) -> str:
    algorithm = like.partition(":")[0]
    return f"{algorithm}:{hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()}"


def _check(data: bytes, digest: str, partial: Partial) -> None:
    found = _digest(data, digest) if digest else ""
    if found != digest:
        partial.forget()
        raise UserError(
            f"{shown(partial.url)} is not the file that was expected: its digest is {found}, not "
            f"{digest}; nothing was kept: try again, and check whether a proxy or a login page "
            "answered instead"
        )


def _download(partial: Partial, limit: int) -> None:
    """Complete the partial file. Raise UserError if that fails."""
    for pause in (*PAUSES, None):
        if partial.complete:
            _check_size(partial, partial.size, limit)
            return
        try:
            _continue(partial, limit)
            return
        except (OSError, HTTPException, ValueError) as error:
            reason, advice = _explained(error)
            # If nothing came at all, say so at once: only a cut-off is worth another attempt.
            if pause is None or not partial.received:
                kept = f" to resume after {_mb(partial.size)}" if partial.resumable else ""
                reason += _through(partial.url)
                raise _impossible(partial, reason, f"{advice}, then run it again{kept}") from error
            progress.say(f"{shown(partial.path.stem)}: {reason}; trying again in {pause:g} s")
            time.sleep(pause)


def _continue(partial: Partial, limit: int) -> None:
    """Add the rest to the partial file. Raise OSError or the like if it is cut off."""
    with closing(_answer(partial)) as response:
        if response.status == HTTPStatus.OK:
            partial.restart(_validator(response.headers), response.length)
        elif response.status != HTTPStatus.PARTIAL_CONTENT or not partial.size:
            raise _refused(partial, response)
        _check_size(partial, partial.total or 0, limit)
        _announce(partial)
        end = limit + 1 if partial.total is None else partial.total
        with progress.bar(f"{shown(partial.path.stem)}, MB", -(-end // 1_000_000)) as show:
            # read1, because what came before a cut-off counts. Never past the end, where Python
            # before 3.11.8 waits (https://github.com/python/cpython/issues/113199).
            while chunk := response.read1(min(_CHUNK, end - partial.size)):
                partial.append(chunk)
                show(partial.size // 1_000_000)
    _check_size(partial, partial.size, limit)
    if partial.total is not None and partial.size < partial.total:
        raise ConnectionAbortedError("the connection was closed early")


def _answer(partial: Partial) -> HTTPResponse:
    """Return the server's answer: the rest (206) if it still has the same file, else all of it."""
    if partial.size:
        # If-Range, RFC 9110 13.1.5: a file that has changed comes whole.
        response = _open(
            partial, {"Range": f"bytes={partial.size}-", "If-Range": partial.validator}
        )
        if response.status == HTTPStatus.PARTIAL_CONTENT:
            found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if found and int(found[1]) == partial.size and partial.total in (None, int(found[2])):
                partial.total = int(found[2])
                return response
        elif response.status != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return response
        response.close()
        partial.restart("", None)
    return _open(partial, {})


def _open(partial: Partial, headers: dict[str, str]) -> HTTPResponse:
    """Return the answer, whatever its status, after redirects; only over http and https."""
    opener = OpenerDirector()
    for handler in (ProxyHandler(), HTTPHandler(), HTTPSHandler(), UnknownHandler()):
        opener.add_handler(handler)
    url = partial.url
    for _ in range(_MAX_REDIRECTS + 1):
        request = Request(url, headers={"User-Agent": "tensor-guess", **headers})
        response: HTTPResponse = opener.open(request, timeout=TIMEOUT)
        place = response.headers.get("Location", "")
        if response.status not in (301, 302, 303, 307, 308) or not place:
            return response
        response.close()
        # Header bytes are Latin-1 to http.client, whatever they were meant to be.
        place = urljoin(url, quote(place, encoding="iso-8859-1", safe=string.punctuation))
        try:
            address = _address(place)
        except WrongUsage:
            address = ""
        if urlsplit(address).scheme not in ("https", urlsplit(url).scheme):
            reason = f"it redirects to {shown(named(place))}, which is not followed"
            raise _impossible(partial, reason, "check the address")
        url = address
    raise _impossible(partial, "it redirects without end", "check the address")


def _address(url: str) -> str:
    """Return the address as a request needs it. Raise WrongUsage if it is not valid."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").encode("idna").decode("ascii"), parts.port
        valid = parts.scheme in ("http", "https") and _HOST.fullmatch(host)
        if valid and port != 0 and "@" not in parts.netloc:
            host = f"[{host}]" if ":" in host else host
            place = host if port is None else f"{host}:{port}"
            rest = parts.path + (f"?{parts.query}" if parts.query else "")
            return f"{parts.scheme}://{place}{quote(rest, safe=string.punctuation)}"
    except ValueError:
        pass  # brackets, letters for a port, an impossible host
    raise WrongUsage(
        f"{shown(named(url))} cannot be downloaded: give an address like https://host/file, "
        "without a login"
    )


def _validator(headers: HTTPMessage) -> str:
    """Return what will show whether the file is still the same, or ""."""
    found = str(headers.get("ETag") or headers.get("Last-Modified") or "")
    # RFC 9110 13.1.5: no weak ETag in If-Range, nor a date in its place.
    return "" if found.startswith("W/") or not found.isprintable() else found


def _announce(partial: Partial) -> None:
    size = "size unknown" if partial.total is None else _mb(partial.total)
    done = f", resuming after {_mb(partial.size)}" if partial.size else ""
    host = urlsplit(partial.url).hostname or ""
    progress.say(f"downloading {shown(partial.path.stem)} from {shown(host)} ({size}{done})")
    progress.detail(f"its address: {shown(named(partial.url))}")


def _check_size(partial: Partial, size: int, limit: int) -> None:
    if size > limit:
        partial.forget()
        raise _impossible(partial, f"it is larger than {_mb(limit)}", "check the address")


def _refused(partial: Partial, response: HTTPResponse) -> UserError:
    status = response.status
    advice = _ADVICE.get(status, "try again later" if status >= 429 else "check the address")
    said = f"the answer was {status} ({shown(response.reason)}){_through(partial.url)}"
    return _impossible(partial, said, advice)


def _impossible(partial: Partial, reason: str, advice: str) -> UserError:
    return UserError(f"could not download {shown(partial.url)}: {reason}; {advice}")


def _explained(error: Exception) -> tuple[str, str]:
    """Return why there was no connection, or why it ended, and what to check."""
    cause = error.reason if isinstance(error, URLError) else error
    match cause:
        case ssl.SSLCertVerificationError():
            return (
                f"its certificate is not trusted ({cause.verify_message})",
                "if a proxy replaces it by its own, name a file with the proxy's authority in "
                "SSL_CERT_FILE",
            )
        case ssl.SSLError():
            return f"no secure connection ({cause.reason or cause})", _CHECK_INTERNET
        case socket.gaierror():
            return "its host is unknown", _CHECK_INTERNET
        case TimeoutError():
            return f"nothing came for {TIMEOUT:g} s", _CHECK_INTERNET
        case IncompleteRead():
            return "the connection was closed early", _CHECK_INTERNET
        case OSError():
            return shown(reason_of(cause)), _CHECK_INTERNET
    return shown(str(cause)), _CHECK_INTERNET


def _through(url: str) -> str:
    """Return ` through the proxy host:port` if there is one, since it may be to blame; else ""."""
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if not proxy or proxy_bypass(parts.hostname or ""):
        return ""
    # Without the name and password that may precede the host.
    return f" through the proxy {shown(proxy.rpartition('@')[2])}"


def _mb(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
