"""The journal of a tagged folder: what was added to which sidecar, by which run.

docs/file_formats.md describes it. It lies in the folder itself, its paths are relative, and what is
about to be added is said first.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tensor_guess.config import TAGS
from tensor_guess.sorting.journalled import Journalled, events
from tensor_guess.sorting.plan import is_inside
from tensor_guess.system.durable import Journal
from tensor_guess.tagging.xmp import Keywords

_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Change:
    """What is added to a sidecar (its path in the folder); `made`: it was not there before."""

    sidecar: str
    words: Keywords
    made: bool

    def values(self) -> dict[str, Any]:
        """Return what a line says of it."""
        words = {"subject": self.words.subject, "tags_list": self.words.tags_list}
        return {"sidecar": self.sidecar, **words, "made": self.made}


@dataclass(frozen=True, slots=True)
class Run:
    """A run begins, or goes on after it was killed."""

    run: str
    classifier: str


@dataclass(frozen=True, slots=True)
class Adding:
    """These changes may have been made from now on."""

    run: str
    changes: Sequence[Change]


@dataclass(frozen=True, slots=True)
class Tagged:
    """The sidecar has the labels of a picture with these bytes."""

    run: str
    sidecar: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Removed:
    """What a run added to these sidecars is no longer there."""

    run: str
    sidecars: Sequence[str]


@dataclass(frozen=True, slots=True)
class Ended:
    """A run came to its end."""

    run: str


Event = Run | Adding | Tagged | Removed | Ended


def read(journal: Journal, *, quiet: bool = False) -> Iterator[Event]:
    """Yield what the journal tells, in its order; say at the end how many lines are damaged."""
    return events(journal, _event, quiet=quiet)


class Tags(Journalled):
    """The journal of a folder, open for one run.

    `known`: the sidecars that have the labels of this classifier: path -> SHA-256 of the picture
    (hexadecimal). `dry`: only read, and need not be there.
    """

    def __init__(self, source: Path, classifier: str, *, dry: bool = False) -> None:
        super().__init__(source / TAGS, source, dry=dry)
        self.classifier, self.continued = classifier, False
        self.known = dict[str, str]()

    def adding(self, changes: Sequence[Change]) -> None:
        """Record what is about to be added; on disk when this returns.

        This and the others raise UserError if the journal cannot be written.
        """
        if changes:
            self._journal.add(sync=True, by=self.run, adding=[each.values() for each in changes])

    def tagged(self, image: Path, sidecar: Path, sha256: str, scores: Mapping[str, float]) -> None:
        """Record that the sidecar has the picture's label, with its scores, best first."""
        self._journal.add(
            tagged=self.relative(image),
            sidecar=self.relative(sidecar),
            sha256=sha256,
            label=next(iter(scores)),
            scores=dict(scores),
            by=self.run,
        )

    def _header(self) -> dict[str, Any]:
        return {"classifier": self.classifier, "source": os.fspath(self.source)}

    def _take_in(self) -> None:
        """Read what earlier runs wrote. One like this that did not end is continued."""
        ours, open_ = set[str](), dict[str, None]()
        for event in read(self._journal):
            match event:
                case Run(run=run, classifier=classifier):
                    if classifier == self.classifier:
                        ours.add(run)
                        open_[run] = None
                case Ended(run=run):
                    open_.pop(run, None)
                case Tagged(run=run, sidecar=sidecar, sha256=sha256):
                    if run in ours:
                        self.known[sidecar] = sha256
                case Removed(sidecars=sidecars):
                    for each in sidecars:
                        self.known.pop(each, None)
        if open_:
            self.run, self.continued = list(open_)[-1], True


def _event(values: dict[str, Any]) -> Event | None:
    """Return what a line tells; None if it is not for us.

    Raise AttributeError, KeyError, TypeError or ValueError if it tells nothing that can be true.
    """
    if "run" in values:
        return Run(_text(values["run"]), _text(values["classifier"]))
    if "ended" in values:
        return Ended(_text(values["ended"]))
    by = _text(values["by"])
    if "adding" in values:
        return Adding(by, [_change(each) for each in values["adding"]])
    if "removed" in values:
        return Removed(by, [_sidecar(each) for each in values["removed"]])
    if "tagged" in values:
        if not _SHA256.fullmatch(_text(values["sha256"])):
            raise ValueError
        return Tagged(by, _sidecar(values["sidecar"]), values["sha256"])
    return None


def _change(values: dict[str, Any]) -> Change:
    subject, tags_list = (tuple(map(_text, values[key])) for key in ("subject", "tags_list"))
    return Change(_sidecar(values["sidecar"]), Keywords(subject, tags_list), bool(values["made"]))


def _sidecar(path: object) -> str:
    """Return the path if it is one that we would write; the line may be a stranger's."""
    if not isinstance(path, str) or not is_inside(path) or not path.lower().endswith(".xmp"):
        raise ValueError
    return path


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value
