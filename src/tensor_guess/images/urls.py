"""Fetch images by URL, in a process that cannot see the classifier: guessing has no internet.

If a launcher has fetched them already, they are in the folder that TENSOR_GUESS_FETCHED names.
"""

import hashlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tensor_guess.errors import Unreadable, UserError, shown
from tensor_guess.system import progress
from tensor_guess.system.durable import make_folder
from tensor_guess.system.reading import is_url

# What speaks HTTP is imported on demand: it takes as long as numpy, and most images are files.

MAX_BYTES = 50_000_000
SECONDS = 120


def named(image: str) -> str:
    """Return the image's name for messages: a URL without any user name and password."""
    if not is_url(image):
        return image
    from tensor_guess.system import download

    return download.named(image)


@contextmanager
def fetched(given: Sequence[str]) -> Iterator[list[Path]]:
    """Yield the path of each given image; URLs are fetched, and removed afterwards.

    If one cannot be fetched, the reason is printed on stderr and its path does not exist.
    """
    urls = [image for image in given if is_url(image)]
    there = os.environ.get("TENSOR_GUESS_FETCHED")
    if there or not urls:
        yield _paths(given, Path(there or ""))
        return
    from tensor_guess.system import scratch

    with scratch.folder() as folder:
        _apart(folder, urls)
        yield _paths(given, folder)


def fetch(folder: Path, urls: Sequence[str]) -> int:
    """Fetch the URLs into the folder and return how many are pictures; report why others are not.

    From then on this process can access only that folder, if the system supports that.
    """
    from tensor_guess.images import encoded
    from tensor_guess.system import download
    from tensor_guess.system.confinement import confine

    make_folder(folder)
    if sys.platform == "linux":
        confine(download.certificates(), folder.resolve(), internet=True)
    count = 0
    for url in urls:
        path = folder / _name(url)
        try:
            download.fetch(url, path, limit=MAX_BYTES)
            encoded.read(path)
            count += 1
        except UserError as error:
            progress.warn(str(error))
        except Unreadable as error:
            path.unlink()
            progress.warn(f"{shown(url)} {error}")
    return count


def _paths(given: Sequence[str], folder: Path) -> list[Path]:
    return [folder / _name(image) if is_url(image) else Path(image) for image in given]


def _name(url: str) -> str:
    digest = hashlib.sha256(url.encode(errors="surrogateescape")).hexdigest()
    last = re.sub(r"[^A-Za-z0-9.-]+", "_", url.partition("?")[0].rpartition("/")[2])
    return f"{digest[:16]}-{last[-80:]}"


def _apart(folder: Path, urls: Sequence[str]) -> None:
    """Run `fetch-images` in a process of its own; report if it fails."""
    from tensor_guess.system import apart, download

    try:
        apart.run(
            ["fetch-images", "--", str(folder), *urls],
            folder,
            seconds=SECONDS * len(urls),
            environ=download.environ(),
        )
    except apart.Failed as error:
        progress.warn(f"pictures are left out: {error}")
