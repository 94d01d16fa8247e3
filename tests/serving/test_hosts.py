"""By which names a server may be called, and from which sites."""

import pytest

from tensor_guess.serving.hosts import Names, in_url, is_cross_site, is_loopback


@pytest.mark.parametrize(
    ("said", "known"),
    [
        ("127.0.0.1:8501", True),
        ("localhost:8501", True),
        ("LocalHost:8501", True),
        ("[::1]:8501", True),
        ("127.0.0.1", False),  # port 80
        ("localhost:8502", False),
        ("evil.example:8501", False),  # a name that was made to lead here
        ("127.0.0.1.evil.example:8501", False),
        ("evil.example", False),
        ("192.168.1.5:8501", False),  # not what it listens at
        ("localhost:8501@evil.example", False),
        ("user@localhost:8501", False),
        ("localhost:08501x", False),
        ("localhost:", False),
        ("localhost :8501", False),
        ("[::1:8501", False),
        ("::1:8501", False),
        ("", False),
        (None, False),
    ],
)
def test_on_this_machine_alone(said: str | None, known: bool) -> None:
    assert Names("127.0.0.1", 8501).know(said) == known


def test_an_address_that_is_listened_at_is_a_name() -> None:
    names = Names("192.168.1.5", 80, ("Photos.Home",))
    assert names.know("192.168.1.5")
    assert names.know("photos.home")
    assert names.know("photos.home:8443")  # a proxy's port
    assert not names.know("192.168.1.6")
    assert Names("fd00::5", 8501).know("[fd00::5]:8501")


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_if_every_address_is_listened_at_each_is_a_name_and_no_word(host: str) -> None:
    names = Names(host, 8501)
    assert names.know("192.168.1.6:8501")
    assert names.know("[fd00::5]:8501")
    assert not names.know("photos.home:8501")
    assert not names.know("999.1.1.1:8501")


@pytest.mark.parametrize(
    ("origin", "fetch_site", "cross"),
    [
        (None, None, False),  # no browser
        ("http://localhost:8501", None, False),
        ("http://LOCALHOST:8501", "same-origin", False),
        ("https://localhost:8501", None, False),  # behind a proxy
        (None, "none", False),  # typed by the user
        (None, "same-origin", False),
        (None, "same-site", True),
        (None, "cross-site", True),
        (None, "anything", True),
        ("null", None, True),
        ("http://localhost", None, True),
        ("http://localhost:8502", None, True),
        ("http://evil.example", None, True),
        ("http://localhost:8501.evil.example", None, True),
        ("http://evil.example", "same-origin", True),
        ("", None, True),
    ],
)
def test_another_sites_page_is_known(
    origin: str | None, fetch_site: str | None, cross: bool
) -> None:
    assert is_cross_site("localhost:8501", origin, fetch_site) == cross


def test_which_addresses_only_this_machine_reaches() -> None:
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.8.8.8", "::1")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.5", "fd00::5")))
    assert (in_url("127.0.0.1"), in_url("::1")) == ("127.0.0.1", "[::1]")
