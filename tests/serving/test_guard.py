"""Who may ask: DNS rebinding, other sites' pages, tokens; and the headers that protect."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from made.place import ROOT
from made.server import Server, started
from tensor_guess.serving.serve import token_in

TOKEN = "correct-horse-battery-staple"
PHOTO = (ROOT / "test_data/photo01.jpg").read_bytes()
# Every path, and what it is asked with.
ASKED: list[tuple[str, bytes | None]] = [
    ("/v1/guess", PHOTO), ("/v1/model", None), ("/v1/models/x:predict", b"{}"),
    ("/v1/models/x/versions/1:predict", b"{}"), ("/v1/models/x", None),
    ("/v1/models/x/versions/1", None), ("/api/v1/vision/labels", b"{}"), ("/metrics", None),
    ("/openapi.json", None), ("/no-such-path", None),
]  # fmt: skip
FREE: list[tuple[str, bytes | None]] = [("/health", None), ("/ready", None)]


@pytest.mark.parametrize(("path", "body"), ASKED + FREE)
def test_a_name_that_was_made_to_lead_here_gets_nothing(
    server: Server, path: str, body: bytes | None
) -> None:
    for host in (f"evil.example:{server.port}", "evil.example", "localhost:1", ""):
        assert server.ask(path, body, Host=host).code == 421


def test_a_request_without_a_name_gets_nothing(server: Server) -> None:
    assert server.raw(b"GET /v1/model HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 421 ")
    assert b"400" in server.raw(b"GET /v1/model HTTP/1.1\r\n\r\n")[:16]
    two = b"GET /v1/model HTTP/1.1\r\nHost: localhost:%d\r\nHost: evil.example\r\n\r\n"
    assert server.raw(two % server.port)[:13] == b"HTTP/1.1 400 "


@pytest.mark.parametrize(("path", "body"), ASKED + FREE)
def test_another_sites_page_gets_nothing(server: Server, path: str, body: bytes | None) -> None:
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://localhost:{server.port + 1}"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "no-cors", "Content_Type": "text/plain"},
    ):
        found = server.ask(path, body, **headers)
        assert found.code == 403
        assert "access-control-allow-origin" not in found.headers


def test_another_sites_page_gets_no_leave_to_ask(server: Server) -> None:
    found = server.ask(
        "/v1/guess",
        method="OPTIONS",
        Origin="http://evil.example",
        Access_Control_Request_Method="POST",
    )
    assert found.code == 403
    assert not [name for name in found.headers if name.startswith("access-control")]


def test_the_own_page_may_ask(server: Server) -> None:
    own = {"Origin": f"http://127.0.0.1:{server.port}", "Sec_Fetch_Site": "same-origin"}
    assert server.ask("/v1/guess", PHOTO, **own).code == 200


@pytest.mark.parametrize(("path", "body"), ASKED + FREE)
def test_every_answer_has_the_headers_that_protect(
    server: Server, path: str, body: bytes | None
) -> None:
    for found in (server.ask(path, body), server.ask(path, body, Host="evil.example")):
        assert found.headers["content-security-policy"].startswith("default-src 'none'")
        assert found.headers["x-content-type-options"] == "nosniff"
        assert found.headers["cache-control"] == "no-store"
        assert found.headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in found.headers


@pytest.fixture(scope="module")
def guarded(cache: Path, small: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that wants a token, open to others."""
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "token").write_text(f"{TOKEN}\n")
    options = ("--host", "0.0.0.0", "--token-file", folder / "token", "--allowed-host", "nas.home")
    with started(cache, folder / "log", small, *options) as found:
        yield found
        assert TOKEN not in found.said


@pytest.mark.parametrize(("path", "body"), ASKED)
def test_without_the_token_nothing_is_answered(
    guarded: Server, path: str, body: bytes | None
) -> None:
    for said in (
        None, "", "Bearer", "Bearer ", "Bearer wrong", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}",
        f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN.upper()}", "Bearer \xff\xfe",
    ):  # fmt: skip
        found = guarded.ask(path, body, **({} if said is None else {"Authorization": said}))
        assert (found.code, found.headers["www-authenticate"]) == (401, "Bearer")
        assert TOKEN.encode() not in found.body


@pytest.mark.parametrize(("path", "body"), ASKED)
def test_with_the_token_it_is(guarded: Server, path: str, body: bytes | None) -> None:
    for said in (f"Bearer {TOKEN}", f"bearer  {TOKEN}"):
        assert guarded.ask(path, body, Authorization=said).code not in (401, 403, 421)


def test_whether_it_runs_is_no_secret(guarded: Server) -> None:
    assert [guarded.ask(path).code for path, _ in FREE] == [200, 200]


def test_it_is_known_by_addresses_and_by_the_names_it_was_given(guarded: Server) -> None:
    port = guarded.port
    for host in (f"127.0.0.1:{port}", f"192.168.7.7:{port}", "nas.home", f"NAS.home:{port}"):
        assert guarded.ask("/health", Host=host).code == 200
    assert guarded.ask("/health", Host=f"evil.example:{port}").code == 421


def test_a_token_is_one_line_of_a_file(tmp_path: Path) -> None:
    for data in (TOKEN.encode(), f" {TOKEN}\r\n".encode()):
        (tmp_path / "token").write_bytes(data)
        assert token_in(tmp_path / "token") == TOKEN
