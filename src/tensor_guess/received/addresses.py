"""A classifier by its address: fetched once a machine by a process that sees nothing else.

<cache>/classifiers/<key>/<sha256>.<pb or zip>    key: of the address without its fragment
"""

import hashlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tensor_guess.config import cache_folder
from tensor_guess.errors import Unreadable, UserError, WrongUsage
from tensor_guess.system import progress, reading
from tensor_guess.system.reading import is_url

# What speaks HTTP, and what reads graphs, is imported on demand: most classifiers are here.

# How the addresses end that are a classifier's where a module's could stand too.
_ENDINGS = (".pb", ".zip")
_PIN = "sha256="
_SECONDS = 3600


@dataclass(frozen=True)
class Address:
    """Where a classifier is; `digest`: the SHA-256 that it must have, in hexadecimal, or ""."""

    url: str
    digest: str = ""

    def __str__(self) -> str:
        from tensor_guess.system import download

        return download.named(self.url)


def is_classifier(name: str) -> bool:
    """Return whether it is an address that says by its end that a classifier is there."""
    return is_url(name) and re.split("[?#]", name)[0].endswith(_ENDINGS)


def parsed(text: str) -> Address:
    """Return the address. Raise WrongUsage if nothing can be fetched from there."""
    from tensor_guess.system import download

    url, _, fragment = text.partition("#")
    download.check(url)
    digest = fragment.removeprefix(_PIN)
    if fragment and not (fragment.startswith(_PIN) and re.fullmatch("[0-9a-f]{64}", digest)):
        raise WrongUsage(
            f"{download.named(url)}: what follows # can only be {_PIN} and 64 hexadecimal digits"
        )
    return Address(url, digest)


def brought(address: Address, *, offline: bool = False) -> Path:
    """Return the file that is kept of the classifier at the address; fetch it if there is none.

    Raise UserError if it is not on this machine and `offline` is set, SystemExit if it cannot be
    fetched, after the reason was printed.
    """
    found = _kept(address)
    if found is None and offline:
        raise UserError(f"{address} is not on this machine, and --offline was given")
    return found or fetch(address)


def fetch(address: Address) -> Path:
    """Fetch the classifier, in a process that sees nothing else, and return the file that is kept.

    What was kept before goes, unless it is what the address pins. Raise as `brought` does.
    """
    from tensor_guess.system import apart, download
    from tensor_guess.system.durable import check_writable, make_folder

    folder = _folder(address)
    make_folder(folder)
    check_writable(folder)
    command = ["fetch-into", "--", str(folder), address.url, address.digest]
    try:
        done = apart.run(command, folder, seconds=_SECONDS, environ=download.environ())
    except apart.Failed as error:
        raise UserError(f"{address} could not be fetched: {error}") from error
    if done.code:
        raise SystemExit(done.code)  # it has said why
    found = _kept(address)
    if found is None:
        raise UserError(f"{address} was fetched, but has since disappeared from the cache")
    if not address.digest:
        progress.say(f"{address} is kept; to use this very file only, add #{_PIN}{found.stem}")
    return found


def fetch_into(folder: Path, address: Address) -> None:
    """Fetch the classifier into the folder, and look whether it is one; remove what was there.

    From now on this process can access only that folder, if the system supports that. Raise
    UserError if there is no such file, or if it is no classifier, or another than is pinned.
    """
    from tensor_guess.graphs import graph
    from tensor_guess.received import shared_zip
    from tensor_guess.system import archive, download
    from tensor_guess.system.confinement import confine
    from tensor_guess.system.durable import publish

    if sys.platform == "linux":
        confine(download.certificates(), folder.resolve(), internet=True)
    name = re.sub("[^A-Za-z0-9.-]+", "_", urlsplit(address.url).path.rpartition("/")[2])[-80:]
    path = folder / "download" / (name.lstrip(".") or "classifier")
    digest = f"sha256:{address.digest}" if address.digest else ""
    data = download.fetch(address.url, path, limit=archive.MAX_BYTES, digest=digest)
    try:
        if is_zip := reading.is_zip(path):
            shared_zip.opened(path)
        else:
            graph.parse(data, str(address))
        kept = folder / f"{hashlib.sha256(data).hexdigest()}.{'zip' if is_zip else 'pb'}"
        publish(kept, data)
    finally:
        path.unlink(missing_ok=True)
    for other in folder.glob("*"):
        if other != kept and other.suffix in _ENDINGS:
            other.unlink()


def _folder(address: Address) -> Path:
    key = hashlib.sha256(address.url.encode(errors="surrogateescape")).hexdigest()[:32]
    return cache_folder() / "classifiers" / key


def _kept(address: Address) -> Path | None:
    """Return the file that is kept, or None if there is none, or none that the address pins."""
    named = sorted(_folder(address).glob(f"{address.digest or '*'}.*"))
    for path in named:
        if path.suffix in _ENDINGS and (not address.digest or _digest(path) == address.digest):
            return path
    return None


def _digest(path: Path) -> str:
    from tensor_guess.system import archive

    try:
        return reading.sha256(path, archive.MAX_BYTES, follow=False).hex()
    except Unreadable:
        return ""  # it is fetched again
