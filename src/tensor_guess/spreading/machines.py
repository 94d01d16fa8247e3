"""Which machines share the work, and how they prove to each other who they are."""

import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tensor_guess.errors import UserError, WrongUsage, reason_of, shown
from tensor_guess.spreading import optional

if TYPE_CHECKING:
    from distributed import Security

# In the folder that --tls names.
CA, CERTIFICATE, KEY = "ca.pem", "cert.pem", "key.pem"
_ADDRESS = re.compile(r"(tcp|tls)://(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_LOOPBACK = re.compile(r"127\.[0-9.]+|localhost|\[::1\]")


@dataclass(frozen=True)
class Machines:
    """A scheduler's address, or how many workers are started on this machine.

    `tls`: the folder with the certificates for a tls:// address; None leaves them to Dask's own
    configuration.
    """

    scheduler: str = ""
    workers: int = 0
    tls: Path | None = None

    @property
    def is_loopback(self) -> bool:
        """Return whether the scheduler is on this machine, out of others' reach."""
        return bool(_LOOPBACK.fullmatch(self._parts()[1]))

    @property
    def is_encrypted(self) -> bool:
        """Return whether nobody without a certificate can take part."""
        return self._parts()[0] == "tls"

    def check(self) -> None:
        """Raise WrongUsage or UserError, before any work, if it cannot be used like this."""
        if self.scheduler and self.is_encrypted:
            self.security()
        elif self.tls:
            raise WrongUsage("--tls is for a scheduler whose address begins with tls://")

    def security(self) -> "Security | None":
        """Return the certificates for a tls:// address; None for another one.

        Raise UserError if they are missing or no certificates.
        """
        if not self.is_encrypted:
            return None
        optional.require()
        from distributed import Security

        files = {"tls_ca_file": CA}
        for role in ("client", "scheduler", "worker"):
            files |= {f"tls_{role}_cert": CERTIFICATE, f"tls_{role}_key": KEY}
        if self.tls:
            for name in (CA, CERTIFICATE, KEY):
                if not (self.tls / name).is_file():
                    raise UserError(
                        f"{shown(self.tls / name)} is missing; --tls names a folder with "
                        f"{CA}, {CERTIFICATE} and {KEY}"
                    )
            chosen = {name: str(self.tls.absolute() / file) for name, file in files.items()}
            found = Security(require_encryption=True, **chosen)
        else:
            found = Security(require_encryption=True)
        try:
            ready = all(
                found.get_connection_args(role).get("ssl_context") for role in ("client", "worker")
            )
        except (OSError, ssl.SSLError) as error:
            reason = reason_of(error)
            raise UserError(
                f"the certificates for {shown(self.scheduler)} cannot be used: {reason}"
            ) from error
        if not ready:
            raise UserError(
                f"{shown(self.scheduler)} needs certificates; name the folder with {CA}, "
                f"{CERTIFICATE} and {KEY} by --tls"
            )
        return found

    def _parts(self) -> tuple[str, str]:
        found = _ADDRESS.fullmatch(self.scheduler)
        if not found or int(found[3]) > 65535:
            raise WrongUsage(
                f"{shown(self.scheduler)} is no address of a scheduler such as tcp://host:8786 or "
                "tls://host:8786"
            )
        return found[1], found[2]
