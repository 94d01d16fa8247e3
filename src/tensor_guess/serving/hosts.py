"""By which names a server is called, and from which sites."""

import re
from dataclasses import dataclass
from ipaddress import ip_address

_OWN = frozenset(("localhost", "127.0.0.1", "[::1]"))
_HTTP = 80  # the port that a browser does not say
_SAID = re.compile(r"(\[[0-9a-f:.]+\]|[^\s\[\]:/@]+)(?::([0-9]{1,5}))?")
# What a browser says of requests by this site's own page, and by the user.
_OWN_SITES = ("same-origin", "none")


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches the address."""
    return host == "localhost" or ip_address(host).is_loopback


def in_url(host: str) -> str:
    """Return the address as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


@dataclass(frozen=True)
class Names:
    """What a server may be called: its address and port, those of this machine, and `others`.

    `others` may come with any port: they are for proxies.
    """

    host: str
    port: int
    others: tuple[str, ...] = ()

    def know(self, said: str | None) -> bool:
        """Return whether a request's Host header names this server.

        A stranger's page can have its own name lead here, but not say another (DNS rebinding).
        """
        found = _SAID.fullmatch((said or "").lower())
        if not found:
            return False
        name, port = found[1], int(found[2] or _HTTP)
        if name in {each.lower() for each in self.others}:
            return True
        # An address cannot be made to lead elsewhere.
        own = name in _OWN or name == in_url(self.host) or (self._is_wide and _is_address(name))
        return own and port == self.port

    @property
    def _is_wide(self) -> bool:
        """Return whether every address of this machine is listened at."""
        return self.host != "localhost" and ip_address(self.host).is_unspecified


def is_cross_site(host: str, origin: str | None, fetch_site: str | None) -> bool:
    """Return whether a browser says that another site's page makes this request.

    `host`, `origin`, `fetch_site`: the headers Host, Origin and Sec-Fetch-Site.
    """
    if fetch_site is not None and fetch_site not in _OWN_SITES:
        return True
    own = (f"http://{host}".lower(), f"https://{host}".lower())
    return origin is not None and origin.lower() not in own


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
