"""The server's own page, and the policy that lets it load nothing and talk to nobody else."""

import base64
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tensor_guess.pages import template

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Page:
    """The bytes of the page, and the headers that go with it."""

    body: bytes
    headers: dict[str, str]

    @classmethod
    def read(cls) -> Self:
        """Return the page; only the script and the style that are in it may run."""
        text = template.page(_HERE, script=template.script(_HERE))
        policy = (
            f"default-src 'none'; script-src {_hash('script', text)}; "
            f"style-src {_hash('style', text)}; connect-src 'self'; img-src blob: data:; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        allowed = "camera=(self), microphone=(), geolocation=()"
        headers = {"content-security-policy": policy, "permissions-policy": allowed}
        return cls(text.encode(), headers)


def _hash(tag: str, text: str) -> str:
    """Return the hash of the only element with this tag, as a policy names it."""
    (inside,) = re.findall(rf"<{tag}\b[^>]*>(.*?)</{tag}>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
    return f"'sha256-{digest}'"
