"""What was sorted, line by line: JSON lines in DEST, added to and never rewritten.

A run's header, then a line for each image as it happens; paths are relative to the header's roots.
"""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tensor_guess import progress
from tensor_guess.config import MANIFEST
from tensor_guess.errors import UserError, reason_of, shown


@dataclass
class Manifest:
    """The manifest of a folder of sorted images, open for one run.

    `known`: SHA-256 (hexadecimal) of each image sorted by any run -> its name in DEST.
    """

    destination: Path
    source: Path
    classifier: str
    known: dict[str, str] = field(default_factory=dict)

    def __enter__(self) -> Self:
        path = self.destination / MANIFEST
        try:
            # In append mode each line lands whole at the end, whoever else writes.
            self._file = open(path, "a+b")
            self._file.seek(0)
            self._take_in(self._file.read())
        except OSError as error:
            raise UserError(f"could not open {shown(path)}: {reason_of(error)}") from error
        self._line(
            run=secrets.token_hex(8),
            classifier=self.classifier,
            source=os.fspath(self.source),
            destination=os.fspath(self.destination),
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def sorted(self, source: Path, name: str, sha256: str, scores: Mapping[str, float]) -> None:
        """Nothing comes back; the image is known, as `name` in DEST, with its scores."""
        self.known[sha256] = name
        self._line(
            image=self._relative(source),
            copied_to=name,
            sha256=sha256,
            label=next(iter(scores)),
            scores=dict(scores),
        )

    def left_out(self, source: Path, reason: str) -> None:
        """Nothing comes back; the manifest says why the file was not sorted."""
        self._line(image=self._relative(source), left_out=reason)

    def _relative(self, path: Path) -> str:
        return os.fspath(path.relative_to(self.source))

    def _line(self, **values: Any) -> None:
        try:
            self._file.write(json.dumps(values).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            path = shown(self.destination / MANIFEST)
            raise UserError(f"could not write {path}: {reason_of(error)}") from error

    def _take_in(self, data: bytes) -> None:
        damaged = 0
        for line in data.splitlines():
            try:
                values = json.loads(line)
                if "copied_to" in values:
                    self.known[values["sha256"]] = values["copied_to"]
            except (ValueError, TypeError, KeyError):
                damaged += 1
        if data and not data.endswith(b"\n"):
            self._file.write(b"\n")  # the last run was killed in the middle of a line
        if damaged:
            progress.say(
                f"{shown(self.destination / MANIFEST)}: {damaged} damaged lines passed over"
            )
