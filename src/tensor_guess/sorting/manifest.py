"""The manifest: JSON lines in DEST that say what was sorted; appended to and never rewritten.

Each run writes a header, then a line for each image once its copy is on disk. Paths are relative
to the header's folders.
"""

import json
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self

from tensor_guess.config import MANIFEST, REVIEW
from tensor_guess.errors import UserError, reason_of, shown
from tensor_guess.system import progress

# O_APPEND puts each line at the end as a whole, even if another run writes at the same time.
# O_NOFOLLOW, because a link may lead to somebody's photo.
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# A hundred thousand labels with their scores fit.
_MAX_LINE = 8_000_000
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass
class Manifest:
    """The manifest of a folder of sorted images, open for one run.

    `known`: for each image that any run sorted, SHA-256 (hexadecimal) -> its path in DEST: a name,
    or `review/` and a name.
    """

    destination: Path
    source: Path
    classifier: str
    known: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._writing, self._torn = Lock(), False
        with self._said("open"):
            self._file = os.open(self._path, _FLAGS, 0o666)
        try:
            self._take_in()
            self._line(
                run=secrets.token_hex(8),
                classifier=self.classifier,
                source=os.fspath(self.source),
                destination=os.fspath(self.destination),
            )
        except BaseException:
            with suppress(OSError):  # report the first error, not this one
                os.close(self._file)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with suppress(OSError) if error else self._said("write"):
            try:
                os.fsync(self._file)
            finally:
                os.close(self._file)

    def sorted(self, source: Path, name: str, sha256: str, scores: Mapping[str, float]) -> None:
        """Record that the image is in DEST as `name`, with its scores.

        Raise UserError if the manifest cannot be written.
        """
        self.known[sha256] = name
        self._line(
            image=self._relative(source),
            copied_to=name,
            sha256=sha256,
            label=next(iter(scores)),
            scores=dict(scores),
        )

    def left_out(self, source: Path, reason: str) -> None:
        """Record why the file was not sorted. Raise UserError if the manifest cannot be written."""
        self._line(image=self._relative(source), left_out=reason)

    def _relative(self, path: Path) -> str:
        return os.fspath(path.relative_to(self.source))

    def _line(self, **values: Any) -> None:
        line = json.dumps(values).encode() + b"\n"
        with self._writing, self._said("write"):
            left = memoryview(b"\n" + line if self._torn else line)
            self._torn = True  # until all of it is there
            while left:
                left = left[os.write(self._file, left) :]
            self._torn = False

    @property
    def _path(self) -> Path:
        return self.destination / MANIFEST

    @contextmanager
    def _said(self, doing: str) -> Iterator[None]:
        """Turn an OSError into a UserError."""
        try:
            yield
        except OSError as error:
            raise UserError(f"could not {doing} {shown(self._path)}: {reason_of(error)}") from error

    def _take_in(self) -> None:
        """Read what earlier runs wrote; count damaged lines and skip them."""
        damaged, line = 0, b"\n"
        for line in self._lines():
            if line.isspace():  # two runs found the same unfinished line, and both ended it
                continue
            try:
                values = json.loads(line)
                if "copied_to" in values:
                    self.known[_checked(values["sha256"])] = _plain(values["copied_to"])
            except (KeyError, RecursionError, TypeError, ValueError):
                damaged += 1
        self._torn = not line.endswith(b"\n")  # the last run was killed in the middle of a line
        if damaged:
            progress.say(f"{shown(self._path)}: {damaged} damaged lines passed over")

    def _lines(self) -> Iterator[bytes]:
        with self._said("read"):
            if not stat.S_ISREG(os.fstat(self._file).st_mode):
                raise UserError(f"{shown(self._path)} is not a regular file; move it away")
            with open(os.dup(self._file), "rb") as file:
                file.seek(0)
                if file.peek(1)[:1] not in (b"", b"{", b"\n"):
                    raise UserError(f"{shown(self._path)} is not a manifest of ours; move it away")
                while line := file.readline(_MAX_LINE):
                    yield line


def _checked(sha256: object) -> str:
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise ValueError
    return sha256


def _plain(name: object) -> str:
    if not isinstance(name, str):
        raise ValueError
    folder, _, own = name.rpartition("/")
    if folder not in ("", REVIEW) or name.startswith("/") or not own.strip("."):
        raise ValueError
    return name
