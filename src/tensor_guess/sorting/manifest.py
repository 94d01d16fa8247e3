"""The manifest: JSON lines in DEST that say what was sorted; appended to and never rewritten.

docs/file_formats.md describes it. It is the only journal: what is about to be done to files is said
first, and each picture has its line once it is in DEST. Paths are relative to the folders of the
run's header.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from tensor_guess.config import COPY, FLAT, LAYOUTS, MANIFEST, SYMLINK, WAYS
from tensor_guess.sorting.journalled import Journalled, events
from tensor_guess.sorting.plan import Way, is_inside
from tensor_guess.system.durable import Journal
from tensor_guess.system.reading import is_url

# The key of a picture's path in DEST says how it came there.
_KEYS = {"copied_to": "copy", "moved_to": "move", "linked_to": "link", "symlinked_to": "symlink"}
_KEY_OF = {way: key for key, way in _KEYS.items()}
_SHA256 = re.compile("[0-9a-f]{64}")
assert set(_KEY_OF) == set(WAYS)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file and its place: paths in SRC and in DEST, the way it comes there, its SHA-256.

    `links_to`: the text of a symbolic link. `companion_of`: the path in DEST of the picture that it
    goes with; none for a picture.
    """

    image: str
    name: str
    way: str
    sha256: str
    links_to: str = ""
    companion_of: str = ""

    @property
    def unit(self) -> str:
        """Return the path in DEST of the picture: what goes with it has the same."""
        return self.companion_of or self.name

    def values(self) -> dict[str, Any]:
        """Return what a line says of it."""
        values: dict[str, Any] = {
            "image": self.image,
            _KEY_OF[self.way]: self.name,
            "sha256": self.sha256,
        }
        values |= {"links_to": self.links_to} if self.links_to else {}
        return values | ({"companion_of": self.companion_of} if self.companion_of else {})


@dataclass(frozen=True)
class Run:
    """A run begins, or goes on after it was killed. `tells_end`: whether it will tell its end."""

    run: str
    classifier: str
    source: str
    destination: str
    way: Way
    tells_end: bool = True

    def source_from(self, destination: Path) -> Path:
        """Return SRC, if it and `destination` were moved together since."""
        relative = os.path.relpath(self.source, self.destination)
        return Path(os.path.normpath(destination / relative))

    def has(self, source: Path, destination: Path) -> bool:
        """Return whether these are its folders, or have only been moved, both together."""
        if any(map(is_url, (str(source), str(destination), self.source, self.destination))):
            return str(source) == self.source
        return source in (Path(self.source), self.source_from(destination))


@dataclass(frozen=True, slots=True)
class Begun:
    """These files may be in DEST from now on."""

    run: str
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class Burst:
    """These pictures, by their SHA-256, are sorted as one: by these scores, best first.

    `first`: the path in SRC of the first of them. `unknown`, `both`: see Guess.
    """

    run: str
    first: str
    keys: Sequence[str]
    scores: Mapping[str, float]
    unknown: bool = False
    both: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Return the best label."""
        return next(iter(self.scores))


@dataclass(frozen=True, slots=True)
class Told:
    """This picture, or its companion, is in DEST; a picture was sorted by this label and score.

    `label`: "" for a companion. `scores`: those that are known, best first; of a burst, only the
    one that decided.
    """

    run: str
    entry: Entry
    label: str
    score: float
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wrote:
    """These files in DEST are results for other programs; each name has its SHA-256."""

    run: str
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NotSorted:
    """This file was left out."""

    run: str
    image: str
    reason: str


@dataclass(frozen=True, slots=True)
class Made:
    """This folder in DEST may be there from now on."""

    run: str
    folder: str


@dataclass(frozen=True, slots=True)
class Undoing:
    """These pictures of a run may no longer be in DEST; each path has its SHA-256."""

    run: str
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Undone:
    """These are no longer in DEST, or no longer ours."""

    run: str
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Ended:
    """A run came to its end."""

    run: str


Event = Run | Begun | Burst | Told | Wrote | NotSorted | Made | Undoing | Undone | Ended


def read(journal: Journal, *, quiet: bool = False) -> Iterator[Event]:
    """Yield what the manifest tells, in its order; say at the end how many lines are damaged."""
    last = ""

    def event(values: dict[str, Any]) -> Event | None:
        nonlocal last
        found = _event(values, last)
        if isinstance(found, Run):
            last = found.run
        return found

    return events(journal, event, quiet=quiet)


class Manifest(Journalled):
    """The manifest of a folder of sorted images, open for one run.

    `known`: for each image that any run sorted, SHA-256 (hexadecimal) -> its path in DEST.
    `begun`: the same of those that a killed run may have brought there without their line.
    `bursts`: for each image of a burst that is still to come in this run, SHA-256 -> the burst.
    `companions`: the paths in DEST of what goes with them.
    `unfinished`: the moves by earlier runs from this SRC that left the source where it was, if
    this run moves too. `dry`: only read, and need not be there.
    """

    def __init__(
        self,
        destination: Path,
        source: Path,
        classifier: str,
        way: Way | None = None,
        *,
        dry: bool = False,
    ) -> None:
        super().__init__(destination / MANIFEST, source, dry=dry)
        self.destination, self.classifier, self.way = destination, classifier, way or Way()
        self.known = dict[str, str]()
        self.begun = dict[str, str]()
        self.bursts = dict[str, Burst]()
        self.companions = set[str]()
        self.unfinished = list[Entry]()

    def making(self, folder: str) -> None:
        """Record that a folder in DEST is about to be made; on disk when this returns.

        This and all below raise UserError if the manifest cannot be written.
        """
        self._journal.add(sync=True, by=self.run, made=folder)

    def beginning(self, entries: Iterable[Entry]) -> None:
        """Record that pictures are about to come to DEST; on disk when this returns."""
        begun = [each.values() for each in entries]
        self._journal.add(sync=True, by=self.run, begun=begun)

    def deciding(self, burst: Burst) -> None:
        """Record that the images of a burst are sorted as one; before any of them is."""
        if not self._dry:
            self.bursts.update((key, burst) for key in burst.keys)
            self._journal.add(
                burst=burst.first,
                of=list(burst.keys),
                label=burst.label,
                scores=dict(burst.scores),
                unknown=burst.unknown,
                both=list(burst.both),
                by=self.run,
            )

    def accompanied(self, entry: Entry) -> None:
        """Record that a companion is in DEST; before its picture, which is known from then on."""
        self._journal.add(**entry.values(), by=self.run)

    def sorted(self, entry: Entry, scores: Mapping[str, float]) -> None:
        """Record that the image is in DEST, with its own scores, best first."""
        self.known[entry.sha256] = entry.name
        values: dict[str, Any] = {"label": next(iter(scores)), "scores": dict(scores)}
        if burst := self.bursts.pop(entry.sha256, None):
            decided = {"label": burst.label, "score": burst.scores[burst.label]}
            values |= {"burst": burst.first, "decided": decided}
        self._journal.add(**entry.values(), **values, by=self.run)

    def sync(self) -> None:
        """Return when all that was recorded is on disk."""
        self._journal.sync()

    def _header(self) -> dict[str, Any]:
        return {
            "classifier": self.classifier,
            "source": str(self.source),
            "destination": str(self.destination),
            "way": self.way.way,
            "layout": self.way.layout,
            "keep_tree": self.way.keep_tree,
        }

    def _take_in(self) -> None:
        """Read what earlier runs wrote. One like this that did not end is continued."""
        moved = dict[str, bool]()  # by run: whether it moved pictures from this SRC
        open_ = dict[str, Run]()
        moving = self.way.way == "move"
        for event in read(self._journal):
            match event:
                case Run(run=run):
                    if event.tells_end:
                        open_[run] = event
                    moved[run] = moving and event.has(self.source, self.destination)
                case Ended(run=run):
                    open_.pop(run, None)
                case Begun(entries=entries):
                    pictures = (each for each in entries if not each.companion_of)
                    self.begun.update((each.sha256, each.name) for each in pictures)
                case Burst():
                    self.bursts.update((key, event) for key in event.keys)
                case Told(run=run, entry=entry):
                    if entry.companion_of:
                        self.companions.add(entry.name)
                    else:
                        self.bursts.pop(entry.sha256, None)
                        self.begun.pop(entry.sha256, None)
                        self.known[entry.sha256] = entry.name
                    if entry.way == "move" and moved.get(run) and self._is_there(entry):
                        self.unfinished.append(entry)
                case Undoing(names=names) | Undone(names=names):
                    self.companions.difference_update(names)
                    for name, sha256 in names.items():
                        if self.known.get(sha256) == name:
                            del self.known[sha256]
        for each in open_.values():
            same = (each.classifier, each.way) == (self.classifier, self.way)
            if same and each.has(self.source, self.destination):
                self.run = each.run
        self.bursts = {key: each for key, each in self.bursts.items() if each.run == self.run}
        self.unfinished = list(filter(self._is_known, self.unfinished))

    def _is_known(self, entry: Entry) -> bool:
        if entry.companion_of:
            return entry.name in self.companions
        return self.known.get(entry.sha256) == entry.name

    def _is_there(self, entry: Entry) -> bool:
        return os.path.lexists(self.source / entry.image)


def _event(values: dict[str, Any], last: str) -> Event | None:
    """Return what a line tells; `last` is the last run before it. None if it is not for us.

    Raise AttributeError, KeyError, TypeError or ValueError if it tells nothing that can be true.
    """
    if "run" in values:
        return _run(values)
    by = _text(values.get("by", last))
    if any(key in values for key in _KEYS):
        return _told(values, by)
    if "of" in values:
        return _burst(values, by)
    if "begun" in values:
        return Begun(by, [_entry(each) for each in values["begun"]])
    if "made" in values:
        return Made(by, _inside(values["made"]))
    if "left_out" in values:
        return NotSorted(by, _text(values["image"]), _text(values["left_out"]))
    if "results" in values:
        return Wrote(by, _names(values["results"]))
    if "undoing" in values:
        return Undoing(by, _names(values["undoing"]))
    for key in ("undone", "left_there"):
        if key in values:
            return Undone(by, _names(values[key]))
    if "ended" in values:
        return Ended(_text(values["ended"]))
    return None


def _run(values: dict[str, Any]) -> Run:
    texts = [_text(values[key]) for key in ("run", "classifier", "source", "destination")]
    way, layout = values.get("way", COPY), values.get("layout", FLAT)
    if way not in WAYS or layout not in LAYOUTS or not all(map(_is_whole, texts[2:])):
        raise ValueError
    how = Way(way, layout, bool(values.get("keep_tree")))
    return Run(texts[0], texts[1], texts[2], texts[3], how, "way" in values)


def _is_whole(path: str) -> bool:
    """Return whether it is a path or URL from anywhere."""
    return os.path.isabs(path) or is_url(path)


def _told(values: dict[str, Any], by: str) -> Told:
    entry, label = _entry(values), values.get("label")
    scores = values["scores"] if label is not None else {}
    if "decided" in values:
        label, score = values["decided"]["label"], values["decided"]["score"]
        scores = {label: score}
    scores = _scores(scores)
    return Told(by, entry, str(label or ""), scores.get(label or "", 0.0), scores)


def _burst(values: dict[str, Any], by: str) -> Burst:
    scores = _scores(values["scores"])
    if values["label"] != next(iter(scores), None):
        raise ValueError
    keys, both = [_checked(each) for each in values["of"]], tuple(map(_text, values["both"]))
    return Burst(by, _inside(values["burst"]), keys, scores, bool(values["unknown"]), both)


def _scores(values: dict[str, Any]) -> dict[str, float]:
    scores = {_text(label): float(score) for label, score in values.items()}
    if not all(map(isfinite, scores.values())):
        raise ValueError
    return scores


def _entry(values: dict[str, Any]) -> Entry:
    (key,) = (each for each in _KEYS if each in values)
    links_to = _text(values["links_to"]) if _KEYS[key] == SYMLINK else ""
    sha256 = _checked(values["sha256"])
    picture = _inside(values["companion_of"]) if "companion_of" in values else ""
    name = _inside(values[key])
    return Entry(_inside(values["image"]), name, _KEYS[key], sha256, links_to, picture)


def _names(values: Any) -> dict[str, str]:
    return {_inside(name): _checked(sha256) for name, sha256 in values.items()}


def _inside(path: object) -> str:
    if not isinstance(path, str) or not is_inside(path):
        raise ValueError
    return path


def _text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError
    return value


def _checked(sha256: object) -> str:
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise ValueError
    return sha256
