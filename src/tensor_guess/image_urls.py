"""Images by URL, fetched by a process that sees no classifier; guessing has no network.

Where a launcher has fetched them, they lie in the folder that TENSOR_GUESS_FETCHED names.
"""

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tensor_guess import download, images, progress
from tensor_guess.confinement import confine
from tensor_guess.durable import make_folder
from tensor_guess.errors import Unreadable, UserError, shown

MAX_BYTES = 50_000_000
SECONDS = 120


def is_url(image: str) -> bool:
    """Whether the image is to be fetched: anything with a scheme."""
    return "://" in image


@contextmanager
def fetched(given: Sequence[str]) -> Iterator[list[Path]]:
    """For each image as it was given, its path; URLs are fetched, and gone again afterwards.

    What could not be fetched was said on stderr, and its path leads nowhere.
    """
    urls = [image for image in given if is_url(image)]
    with tempfile.TemporaryDirectory(prefix="tensor-guess-") as own:
        folder = Path(os.environ.get("TENSOR_GUESS_FETCHED", own))
        if urls and folder == Path(own):
            _apart(folder, urls)
        yield [folder / _name(image) if is_url(image) else Path(image) for image in given]


def fetch(folder: Path, urls: Sequence[str]) -> int:
    """How many of the URLs are pictures and in the folder now; of the others the reason is said.

    From then on this process sees nothing but that folder, where the system can do that.
    """
    make_folder(folder)
    if sys.platform == "linux":
        certificates = [Path(os.environ["SSL_CERT_FILE"])] if "SSL_CERT_FILE" in os.environ else []
        confine(certificates, folder.resolve(), network=True)
    count = 0
    for url in urls:
        path = folder / _name(url)
        try:
            download.fetch(url, path, limit=MAX_BYTES)
            images.read(path)
            count += 1
        except UserError as error:
            progress.say(str(error))
        except Unreadable as error:
            path.unlink()
            progress.say(f"{shown(url)} {error}")
    return count


def _name(url: str) -> str:
    digest = hashlib.sha256(url.encode(errors="surrogateescape")).hexdigest()
    last = re.sub(r"[^A-Za-z0-9.-]+", "_", url.partition("?")[0].rpartition("/")[2])
    return f"{digest[:16]}-{last[-80:]}"


def _apart(folder: Path, urls: Sequence[str]) -> None:
    """Nothing comes back; `fetch-images` did what it could, in a process of its own."""
    proxies = {key: value for key, value in os.environ.items() if key.lower().endswith("_proxy")}
    certificates = {key: os.environ[key] for key in ("SSL_CERT_FILE",) if key in os.environ}
    try:
        subprocess.run(
            [sys.executable, "-I", "-u", "-X", "utf8", str(Path(__file__).parents[1]),
             "fetch-images", str(folder), *urls],
            env={"HOME": str(folder), "TMPDIR": str(folder), **proxies, **certificates},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=SECONDS * len(urls),
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        progress.say(f"fetching took longer than {SECONDS} seconds a picture; the rest is left out")
