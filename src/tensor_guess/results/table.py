"""The manifest as a table: what is in DEST, for a spreadsheet."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from tensor_guess.config import MANIFEST
from tensor_guess.results.present import there
from tensor_guess.sorting.manifest import NotSorted, Told, read
from tensor_guess.stores.journal import journal

_COLUMNS = (
    "image", "sorted_to", "way", "label", "score", "sha256", "left_out", "companion_of",
)  # fmt: skip


def rows(destination: Path, run: str) -> Iterator[bytes]:
    """Yield the lines of a CSV file: a heading, and one for each file that is in DEST.

    A companion has neither label nor score. Those that `run` left out follow where it came to them.
    Names keep their bytes. Raise UserError if the manifest cannot be read.
    """
    with journal(destination / MANIFEST, read_only=True) as manifest:
        left = there(manifest)
        yield _line(_COLUMNS)
        for event in read(manifest, quiet=True):
            match event:
                case Told(entry=e) if left.get(e.name) == e.sha256:
                    del left[e.name]
                    score = "" if e.companion_of else f"{event.score:.5f}"
                    told = e.image, e.name, e.way, event.label, score, e.sha256
                    yield _line((*told, "", e.companion_of))
                case NotSorted(image=image, reason=reason) if event.run == run:
                    yield _line((image, "", "", "", "", "", reason, ""))


def _line(values: tuple[str, ...]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(values)
    return text.getvalue().encode("utf-8", "surrogateescape")
