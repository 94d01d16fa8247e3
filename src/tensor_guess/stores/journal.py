"""Journals in a store, where nothing can be added to an object: their lines are in numbered ones.

DEST/manifest.jsonl/00000001.jsonl, 00000002.jsonl and so on are one journal in pieces. Each number
is written once, by one run: it takes the place of a lock.
"""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tensor_guess.errors import Unreadable, UserError, shown
from tensor_guess.stores import s3
from tensor_guess.stores.paths import StorePath
from tensor_guess.system import reading
from tensor_guess.system.durable import Journal

_PIECE = re.compile(r"([0-9]{8,18})\.jsonl")
# Lines of so many bytes are a piece, if nothing has to be in the store before. One of more than the
# other was not written here.
_BYTES, _MOST_BYTES = 1_000_000, 20_000_000
_READERS = 16


def journal(path: Path, *, make: bool = True, read_only: bool = False) -> Journal:
    """Return the journal at a path, wherever that is."""
    kind = StoreJournal if isinstance(path, StorePath) else Journal
    return kind(path, make=make, read_only=read_only)


class StoreJournal(Journal):
    """A journal whose pieces are objects below `path`. A line is there after the next `sync`."""

    def __enter__(self) -> Self:
        assert isinstance(self.path, StorePath)
        self._place, self._waiting = self.path, bytearray()
        with self._said("read"):
            names = [name for part in self._place.scan() for name, _ in part.files]
        self._numbers = sorted(int(found[1]) for name in names if (found := _PIECE.fullmatch(name)))
        self._next = self._numbers[-1] + 1 if self._numbers else 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.sync()
        except UserError:
            if not error:
                raise

    def add(self, *, sync: bool = False, **values: Any) -> None:
        """Add a line; with `sync`, it is in the store when this returns, and all before it are."""
        with self._writing:
            self._waiting += json.dumps(values).encode() + b"\n"
            if sync or len(self._waiting) >= _BYTES:
                self._write()

    def sync(self) -> None:
        """Return when all lines are in the store. Raise UserError if another run writes there."""
        with self._writing:
            self._write()

    def sync_name(self) -> None:
        """Return when all lines are in the store, which is one that overwrites nothing."""
        self.sync()
        last = self._next - 1
        data = reading.read(self._piece(last), _MOST_BYTES)
        try:
            s3.create(self._piece(last).object, [data], len(data))
        except FileExistsError:
            return
        raise UserError(
            f"the store of {shown(self._place)} overwrites what is there (it does not know "
            "If-None-Match); use another"
        )

    def _piece(self, number: int) -> StorePath:
        return self._place / f"{number:08}.jsonl"

    def _write(self) -> None:
        if not self._waiting:
            return
        piece, data = self._piece(self._next), bytes(self._waiting)
        with self._said("write"):
            try:
                s3.create(piece.object, [data], len(data))
            except FileExistsError:
                if reading.read(piece, _MOST_BYTES) != data:  # else an answer got lost
                    raise UserError(
                        f"another run is at work in {shown(self._place.parent)}, and this one "
                        "ends; when the other is done, run it again to go on"
                    ) from None
        self._next += 1
        self._waiting.clear()

    def _lines(self) -> Iterator[bytes]:
        with ThreadPoolExecutor(_READERS) as pool:
            for start in range(0, len(self._numbers), _READERS):
                pieces = map(self._piece, self._numbers[start : start + _READERS])
                for data in pool.map(self._read, pieces):
                    yield from (line + b"\n" for line in data.split(b"\n") if line)

    def _read(self, piece: StorePath) -> bytes:
        try:
            return reading.read(piece, _MOST_BYTES)
        except Unreadable as error:
            raise UserError(f"could not read {shown(piece)}: {error}") from error
