"""Downloads, from a server on this machine that can be made to fail in every way."""

import hashlib
import os
import resource
import shutil
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tensor_guess.errors import UserError, WrongUsage
from tensor_guess.system import download, progress

CONTENT = bytes(range(256)) * 12_000  # 3.1 MB
OTHER = CONTENT[::-1]
LIMIT = 4_000_000
# A client that goes round and round fails rather than hangs.
MOST_REQUESTS = 30


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Site(ThreadingHTTPServer):
    """A server with one file at /file; `pages` answer at other paths."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.scheme = "http"
        self.content = CONTENT
        self.headers = {"ETag": '"one"'}
        self.with_length = True
        # The first answers end after so many bytes of content, and how.
        self.ends: list[tuple[int, str]] = []
        # The answer to a Range request, where it is not the rest of the file.
        self.on_range: Callable[[Handler], None] | None = None
        self.pages: dict[str, Callable[[Handler], None]] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.served = 0
        self.over = threading.Event()

    @property
    def file(self) -> str:
        return self.url("/file")

    @property
    def ranges(self) -> list[str | None]:
        return [headers.get("Range") for _, headers in self.requests]

    def url(self, path: str) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}{path}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing is printed: clients that go away are what these tests are about."""


class Handler(BaseHTTPRequestHandler):
    server: Site
    timeout = 20

    def do_GET(self) -> None:
        site = self.server
        assert len(site.requests) < MOST_REQUESTS
        site.requests.append((self.path, dict(self.headers)))
        if self.path in site.pages:
            site.pages[self.path](self)
        elif "Range" in self.headers and site.on_range:
            site.on_range(self)
        elif self.headers.get("If-Range") in site.headers.values():
            self.send_file(int(self.headers["Range"].removeprefix("bytes=").removesuffix("-")))
        else:
            self.send_file()

    do_CONNECT = do_GET  # noqa: N815

    def send_file(self, start: int = 0, total: int | None = None) -> None:
        """The file from `start`, or as much of it as `ends` says."""
        site = self.server
        body = site.content[start:]
        self.send_response(206 if start else 200)
        for name, value in site.headers.items():
            self.send_header(name, value)
        if start:
            total = total or len(site.content)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        if site.with_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        count, end = site.ends.pop(0) if site.ends else (len(body), "closed")
        self.wfile.write(body[:count])
        site.served += len(body[:count])
        if end == "silent":
            site.over.wait(20)
        elif end == "reset":
            self.reset()

    def reset(self) -> None:
        linger_no_time = struct.pack("ii", 1, 0)
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_no_time)
        os.close(self.request.detach())

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is logged."""


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    thread = threading.Thread(target=site.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield site
    finally:
        site.over.set()
        site.shutdown()
        thread.join()
        site.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    with serving(Site()) as running:
        yield running


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1 that nobody trusts."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is absent: it makes the certificate")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    options = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test".split()
    for extension in ("subjectAltName=IP:127.0.0.1", "keyUsage=keyCertSign,digitalSignature"):
        options += ["-addext", extension]
    made = path.with_suffix(".crt")
    command = ["openssl", *options, "-keyout", str(path), "-out", str(made)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    path.write_bytes(path.read_bytes() + made.read_bytes())
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[Site]:
    """A site that speaks TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    site = Site()
    site.scheme = "https"
    site.socket = context.wrap_socket(site.socket, server_side=True)
    with serving(site) as running:
        yield running


@pytest.fixture(autouse=True)
def _direct_and_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setattr(download, "PAUSES", (0, 0, 0))


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / "weights.h5"


@dataclass
class Bar:
    """Stands in for the bar on a terminal; `on_show` is called with the megabytes."""

    shown: list[int] = field(default_factory=list)
    total: int = 0
    on_show: Callable[[int], None] = lambda done: None

    @contextmanager
    def __call__(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        self.total = total
        yield self._show

    def _show(self, done: int) -> None:
        self.shown.append(done)
        self.on_show(done)


@pytest.fixture
def bar(monkeypatch: pytest.MonkeyPatch) -> Bar:
    made = Bar()
    monkeypatch.setattr(progress, "bar", made)
    return made


def names(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def fetch_cut_off(site: Site, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A first run that got a million bytes and then gave up."""
    site.ends = [(1_000_000, "closed")]
    with monkeypatch.context() as once:
        once.setattr(download, "PAUSES", ())
        with pytest.raises(UserError, match="closed early"):
            download.fetch(site.file, target, limit=LIMIT)


# What works


def test_file_is_there_and_said_before(
    site: Site, target: Path, bar: Bar, capsys: pytest.CaptureFixture[str]
) -> None:
    got = download.fetch(site.file, target, limit=LIMIT, digest=digest_of(CONTENT))
    assert got == target.read_bytes() == CONTENT
    assert names(target) == ["weights.h5"]
    assert capsys.readouterr().err == "downloading weights.h5 from 127.0.0.1 (3.1 MB)\n"
    assert bar.shown == sorted(bar.shown)
    assert (bar.shown[-1], bar.total) == (3, 4)


@pytest.mark.parametrize("content", [b"", b"x", CONTENT], ids=len)
@pytest.mark.parametrize("with_length", [True, False])
def test_any_size_with_and_without_length(
    site: Site, target: Path, content: bytes, with_length: bool
) -> None:
    site.content, site.with_length = content, with_length
    assert download.fetch(site.file, target, limit=len(content)) == content
    assert target.read_bytes() == content


@pytest.mark.parametrize(
    "digest", [digest_of(CONTENT), f"md5:{hashlib.md5(CONTENT).hexdigest()}"], ids=["sha256", "md5"]
)
def test_target_with_that_digest_is_not_downloaded_again(
    site: Site, target: Path, digest: str
) -> None:
    for _ in range(2):
        assert download.fetch(site.file, target, limit=LIMIT, digest=digest) == CONTENT
    assert len(site.requests) == 1


def test_damaged_target_is_replaced(site: Site, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(OTHER)
    download.fetch(site.file, target, limit=LIMIT, digest=digest_of(CONTENT))
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_followed(site: Site, target: Path, status: int) -> None:
    site.pages["/old name?a=b c"] = site.pages["/old%20name?a=b%20c"] = lambda handler: (
        handler.answer(status, Location="../file")
    )
    old = site.url("/old name?a=b c")
    assert download.fetch(old, target, limit=LIMIT) == CONTENT


def test_trusted_certificate(
    secure: Site, certificate: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert download.fetch(secure.file, target, limit=LIMIT) == CONTENT


def test_proxy_of_the_environment_is_asked(
    site: Site, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", site.url(""))
    site.pages["http://models.invalid/file"] = Handler.send_file
    assert download.fetch("http://models.invalid/file", target, limit=LIMIT) == CONTENT
    assert [path for path, _ in site.requests] == ["http://models.invalid/file"]


# Going on


@pytest.mark.parametrize("end", ["closed", "reset", "silent"])
def test_cut_off_goes_on_where_it_stopped(
    site: Site, target: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.5)
    site.ends = [(1_000_000, end), (1_000_000, end)]
    assert download.fetch(site.file, target, limit=LIMIT, digest=digest_of(CONTENT)) == CONTENT
    assert len(site.requests) >= 2
    if end != "reset":  # a reset throws away what was on its way
        assert site.ranges == [None, "bytes=1000000-", "bytes=2000000-"]
        assert site.served == len(CONTENT)
    assert names(target) == ["weights.h5"]


def test_next_run_goes_on(
    site: Site,
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fetch_cut_off(site, target, monkeypatch)
    assert names(target) == ["weights.h5.partial"]
    capsys.readouterr()
    assert download.fetch(site.file, target, limit=LIMIT) == CONTENT
    assert site.ranges == [None, "bytes=1000000-"]
    assert site.served == len(CONTENT)
    assert "(3.1 MB, resuming after 1.0 MB)" in capsys.readouterr().err
    assert names(target) == ["weights.h5"]


def test_interrupted_by_the_user_goes_on(site: Site, target: Path, bar: Bar) -> None:
    def interrupt(done: int) -> None:
        if done == 2:
            bar.on_show = lambda done: None
            raise KeyboardInterrupt

    bar.on_show = interrupt
    with pytest.raises(KeyboardInterrupt):
        download.fetch(site.file, target, limit=LIMIT)
    assert names(target) == ["weights.h5.partial"]
    assert download.fetch(site.file, target, limit=LIMIT) == CONTENT
    start = int(str(site.ranges[1]).removeprefix("bytes=").removesuffix("-"))
    assert 2_000_000 <= start < 3_000_000


@pytest.mark.parametrize(
    "on_range",
    [
        pytest.param(lambda handler: handler.send_file(), id="takes no ranges"),
        pytest.param(lambda handler: handler.answer(416), id="range not satisfiable"),
        pytest.param(lambda handler: handler.send_file(500_000), id="starts elsewhere"),
        pytest.param(lambda handler: handler.send_file(1_000_000, 9_999_999), id="other size"),
        pytest.param(lambda handler: handler.answer(206, b"x"), id="does not say which"),
    ],
)
def test_server_that_cannot_go_on_starts_again(
    site: Site,
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
    on_range: Callable[[Handler], None],
) -> None:
    fetch_cut_off(site, target, monkeypatch)
    site.on_range = on_range
    assert download.fetch(site.file, target, limit=LIMIT) == CONTENT
    assert site.ranges[1] == "bytes=1000000-"
    assert names(target) == ["weights.h5"]


def test_part_of_the_file_that_was_not_asked_for_is_not_used(
    site: Site, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch_cut_off(site, target, monkeypatch)
    site.pages["/file"] = lambda handler: handler.answer(206, b"x")
    with pytest.raises(UserError, match="the answer was 206"):
        download.fetch(site.file, target, limit=LIMIT)
    assert names(target) == []


def test_file_that_changed_comes_whole(
    site: Site, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch_cut_off(site, target, monkeypatch)
    site.content, site.headers = OTHER, {"ETag": '"two"'}
    assert download.fetch(site.file, target, limit=LIMIT) == OTHER
    assert site.requests[1][1]["If-Range"] == '"one"'


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        ({"ETag": '"one"'}, ["weights.h5.partial"]),
        ({"Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT"}, ["weights.h5.partial"]),
        ({"ETag": 'W/"one"'}, []),
        ({"ETag": 'W/"one"', "Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT"}, []),
        ({}, []),
    ],
)
def test_only_what_can_be_gone_on_with_is_kept(
    site: Site,
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
    headers: dict[str, str],
    kept: list[str],
) -> None:
    site.headers = headers
    fetch_cut_off(site, target, monkeypatch)
    assert names(target) == kept
    assert download.fetch(site.file, target, limit=LIMIT) == CONTENT
    assert site.ranges == [None, "bytes=1000000-" if kept else None]
    assert site.served == len(CONTENT) + (0 if kept else 1_000_000)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda data, line: b"", id="empty"),
        pytest.param(lambda data, line: b"\0" * 100_000, id="zeros"),
        pytest.param(lambda data, line: b"[]\n" + data, id="other line"),
        pytest.param(lambda data, line: line.rstrip(b"\n"), id="torn after the line"),
        pytest.param(lambda data, line: line[:20], id="torn in the line"),
        pytest.param(lambda data, line: data + CONTENT, id="too long"),
        pytest.param(lambda data, line: data.replace(b"/file", b"/other"), id="other address"),
    ],
)
def test_spoilt_partial_file_is_not_used(
    site: Site,
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[bytes, bytes], bytes],
) -> None:
    fetch_cut_off(site, target, monkeypatch)
    partial = target.with_name("weights.h5.partial")
    data = partial.read_bytes()
    partial.write_bytes(spoil(data, data[: data.index(b"\n") + 1]))
    assert download.fetch(site.file, target, limit=LIMIT) == CONTENT
    assert site.ranges == [None, None]


def test_complete_file_that_could_not_be_published_is_not_downloaded_again(
    site: Site, target: Path
) -> None:
    target.mkdir(parents=True)
    with pytest.raises(UserError, match=r"could not write .*weights\.h5: is a directory"):
        download.fetch(site.file, target, limit=LIMIT)
    target.rmdir()
    assert download.fetch(site.file, target, limit=LIMIT) == CONTENT
    assert len(site.requests) == 1
    assert names(target) == ["weights.h5"]


@pytest.mark.parametrize("room", [1_500_000, len(CONTENT)], ids=["half", "all but the last bytes"])
def test_disk_full_says_so_and_goes_on_later(site: Site, target: Path, room: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(UserError, match=r"could not write .*\.partial: file too large; "):
            download.fetch(site.file, target, limit=LIMIT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    partial = target.with_name("weights.h5.partial")
    assert names(target) == [partial.name]
    came = partial.stat().st_size - len(partial.read_bytes().partition(b"\n")[0]) - 1
    assert download.fetch(site.file, target, limit=LIMIT) == CONTENT
    assert site.ranges == [None, f"bytes={came}-"]


def test_two_runs_at_once_download_once(
    site: Site, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, waiting = threading.Event(), threading.Event()

    def say(line: str) -> None:
        if line == "another run is downloading weights.h5; waiting for it":
            waiting.set()

    def slowly(handler: Handler) -> None:
        begun.set()
        assert waiting.wait(20)
        handler.send_file()

    def fetch() -> bytes:
        return download.fetch(site.url("/slow"), target, limit=LIMIT, digest=digest_of(CONTENT))

    monkeypatch.setattr(progress, "say", say)
    site.pages["/slow"] = slowly
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(fetch)
        assert begun.wait(20)
        second = pool.submit(fetch)
        assert first.result(20) == second.result(20) == CONTENT
    assert len(site.requests) == 1
    assert names(target) == ["weights.h5"]


# What fails: one sentence, and nothing left


def answers(status: int, **headers: str) -> Callable[[Handler], None]:
    return lambda handler: handler.answer(status, b"", **headers)


def writes(data: bytes) -> Callable[[Handler], None]:
    def write(handler: Handler) -> None:
        handler.wfile.write(data)

    return write


def says_nothing(handler: Handler) -> None:
    handler.server.over.wait(20)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n100\r\nonly this"


@pytest.mark.parametrize(
    ("page", "said", "requests"),
    [
        (answers(404), r"the answer was 404 \(Not Found\); check the address", 1),
        (answers(403), r"the answer was 403 \(Forbidden\); use an address that needs no login", 1),
        (answers(503), r"the answer was 503 \(Service Unavailable\); try again later", 1),
        (answers(204), r"the answer was 204 \(No Content\)", 1),
        (answers(206), r"the answer was 206 \(Partial Content\)", 1),
        (answers(302), r"the answer was 302 \(Found\)", 1),
        (answers(302, Location="/page"), "redirects without end", 11),
        (answers(302, Location="file:///etc/passwd"), "redirects to file:///etc/passwd, which", 1),
        (answers(302, Location="ftp://127.0.0.1/x"), "redirects to ftp://127.0.0.1/x, which", 1),
        (answers(302, Location="http://[x/"), "Invalid IPv6 URL", 1),
        (writes(b""), "remote end closed connection without response; check the internet", 1),
        (writes(b"SSH-2.0\x1b[31m\r\n"), r"SSH-2.0\\x1b\[31m", 1),
        (writes(CHUNKED), "closed early; check the internet", 4),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_answer(
    site: Site, target: Path, page: Callable[[Handler], None], said: str, requests: int
) -> None:
    site.pages["/page"] = page
    with pytest.raises(UserError, match=said) as error:
        download.fetch(site.url("/page"), target, limit=LIMIT)
    assert str(error.value).isprintable()
    assert len(site.requests) == requests
    assert names(target) == []


@pytest.mark.parametrize("with_length", [True, False])
def test_too_large(
    site: Site, target: Path, with_length: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    site.with_length = with_length
    with pytest.raises(UserError, match=r"it is larger than 2\.0 MB"):
        download.fetch(site.file, target, limit=2_000_000)
    begun = "downloading weights.h5 from 127.0.0.1 (size unknown)\n"
    assert capsys.readouterr().err == ("" if with_length else begun)
    assert names(target) == []


def test_other_digest(site: Site, target: Path) -> None:
    with pytest.raises(UserError) as error:
        download.fetch(site.file, target, limit=LIMIT, digest=digest_of(OTHER))
    assert f"its digest is {digest_of(CONTENT)}, not {digest_of(OTHER)}; " in str(error.value)
    assert names(target) == []


def test_silence_before_the_first_byte(
    site: Site, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.1)
    site.pages["/silent"] = says_nothing
    with pytest.raises(UserError, match=r"nothing came for 0\.1 s; check the internet"):
        download.fetch(site.url("/silent"), target, limit=LIMIT)
    assert names(target) == []


def test_cut_off_again_and_again_ends(site: Site, target: Path) -> None:
    site.ends = [(100_000, "closed")] * 10
    said = r"closed early; .* then run it again to resume after 0\.4 MB$"
    with pytest.raises(UserError, match=said):
        download.fetch(site.file, target, limit=LIMIT)
    assert len(site.requests) == 4
    assert names(target) == ["weights.h5.partial"]


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port where nobody listens, and nobody else can come to."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def test_connection_refused(closed_port: int, target: Path) -> None:
    url = f"http://127.0.0.1:{closed_port}/file"
    with pytest.raises(UserError, match=f"could not download {url}: connection refused; check"):
        download.fetch(url, target, limit=LIMIT)
    assert names(target) == []


def test_unknown_host(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(
        UserError, match="its host is unknown; check the internet connection and the proxy"
    ):
        download.fetch("https://models.invalid/file", target, limit=LIMIT)
    assert names(target) == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "weights.h5",
        "file:///etc/passwd",
        "ftp://host/file",
        "https:///file",
        "https://[/file",
        "https://host:port/file",
        "https://ho..st/file",
        "https://me:secret@host/file",
        "https://me:secret@[/file",
        "https://secret@host",
        "https://host\\me:secret@host/file",
        "https://\udcff/file",
        "https://host/\udcff",
        "https://ho st/file",
        "https://ho\0st/file",
        "https://%31/file",
        "--x://y",
        "://",
    ],
)
def test_address_that_cannot_be_asked(target: Path, url: str) -> None:
    said = "cannot be downloaded: give an address like https://host/file"
    with pytest.raises(WrongUsage, match=said) as raised:
        download.fetch(url, target, limit=LIMIT)
    with pytest.raises(WrongUsage, match=said):
        download.check(url)
    assert "secret" not in str(raised.value)
    assert str(raised.value).isprintable()
    assert not target.parent.exists()


def test_a_host_in_another_script_is_asked_by_its_ascii_name(site: Site, target: Path) -> None:
    wide = "".join(chr(ord(letter) + 0xFEE0) for letter in "LOCALHOST")  # U+FF2C and so on
    url = site.file.replace("127.0.0.1", wide)
    assert download.fetch(url, target, limit=LIMIT) == CONTENT
    ((_, headers),) = site.requests
    assert headers["Host"] == f"localhost:{site.server_address[1]}"


@pytest.mark.parametrize(
    ("path", "asked"),
    [("/a b", "/a%20b"), ("/\xfc", "/%C3%BC"), ("/a\nb", "/ab"), ("/@b", "/@b"), ("/a#b", "/a")],
)
def test_odd_names_are_asked_for(site: Site, target: Path, path: str, asked: str) -> None:
    download.fetch(site.url(path), target, limit=LIMIT)
    assert [each for each, _ in site.requests] == [asked]


def test_certificate_that_is_not_trusted(secure: Site, target: Path) -> None:
    with pytest.raises(UserError, match=r"its certificate is not trusted \(.*SSL_CERT_FILE"):
        download.fetch(secure.file, target, limit=LIMIT)
    assert secure.requests == []
    assert names(target) == []


def test_secure_address_of_an_insecure_server(site: Site, target: Path) -> None:
    site.scheme = "https"
    with pytest.raises(UserError, match="no secure connection"):
        download.fetch(site.file, target, limit=LIMIT)
    assert names(target) == []


def test_secure_address_does_not_redirect_to_an_insecure_one(
    secure: Site, site: Site, certificate: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    secure.pages["/file"] = answers(302, Location=site.file)
    with pytest.raises(UserError, match=f"redirects to {site.file}, which is not followed"):
        download.fetch(secure.file, target, limit=LIMIT)
    assert site.requests == []
    assert names(target) == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_that_wants_a_login(
    site: Site, target: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    proxy = f"127.0.0.1:{site.server_address[1]}"
    monkeypatch.setenv(f"{scheme}_proxy", f"http://me:secret@{proxy}")
    url = f"{scheme}://models.invalid/file"
    site.pages[url] = site.pages["models.invalid:443"] = answers(407)
    with pytest.raises(UserError, match=f"407 .*through the proxy {proxy}; .*https_proxy") as error:
        download.fetch(url, target, limit=LIMIT)
    assert "secret" not in str(error.value)
    assert names(target) == []


def test_proxy_that_is_not_there(
    closed_port: int, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port}")
    said = f"connection refused through the proxy http://127.0.0.1:{closed_port}; check"
    with pytest.raises(UserError, match=said):
        download.fetch("http://models.invalid/file", target, limit=LIMIT)
    assert names(target) == []
