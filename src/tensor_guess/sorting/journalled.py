"""A run that is journalled in a folder: it begins, says what it does, and ends."""

import os
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from tensor_guess.errors import shown
from tensor_guess.stores.journal import journal
from tensor_guess.system import progress
from tensor_guess.system.durable import Journal
from tensor_guess.system.reading import is_there

Event = TypeVar("Event")


def events(
    journal: Journal, event: Callable[[dict[str, Any]], Event | None], *, quiet: bool = False
) -> Iterator[Event]:
    """Yield what the lines tell, in their order; say at the end how many are damaged.

    `event` returns what a line tells, or None if it is not for us; it raises AttributeError,
    KeyError, TypeError or ValueError if that cannot be true.
    """
    damaged = 0
    for values in journal.lines():
        try:
            found = event(values)
        except (AttributeError, KeyError, TypeError, ValueError):
            damaged += 1
            continue
        if found is not None:
            yield found
    damaged += journal.damaged
    if damaged and not quiet:
        progress.warn(f"{shown(journal.path)}: {damaged} damaged lines passed over")


class Journalled(ABC):
    """A journal that is open for one run over the images below `source`.

    `run`: the run's name. `dry`: the journal is only read, and need not be there.
    """

    def __init__(self, path: Path, source: Path, *, dry: bool) -> None:
        self.source, self.run, self._dry = source, secrets.token_hex(8), dry
        self._journal = journal(path, make=not dry, read_only=dry)

    @abstractmethod
    def _take_in(self) -> None:
        """Read what earlier runs wrote."""

    @abstractmethod
    def _header(self) -> dict[str, Any]:
        """Return what the line of a run's beginning says besides its name."""

    def __enter__(self) -> Self:
        if self._dry and not is_there(self._journal.path):
            return self
        self._journal.__enter__()
        try:
            self._take_in()
            if not self._dry:
                self._journal.add(run=self.run, **self._header())
                self._journal.sync_name()
        except BaseException as error:
            self._journal.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._dry:
            return
        if not error:
            self._journal.add(ended=self.run)
        self._journal.__exit__(kind, error, traceback)

    def left_out(self, image: Path, reason: str) -> None:
        """Record why the file was passed over. Raise UserError if it cannot be written."""
        if not self._dry:
            self._journal.add(image=self.relative(image), left_out=reason, by=self.run)

    def relative(self, path: Path) -> str:
        """Return the path in the folder of the images."""
        return os.fspath(path.relative_to(self.source))
