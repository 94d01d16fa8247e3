"""What is in a sorted folder by its manifest, and the files that other programs read about it."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tensor_guess.config import MANIFEST, REVIEW
from tensor_guess.errors import WrongUsage, shown
from tensor_guess.images.dataset import label_of
from tensor_guess.sorting.manifest import NotSorted, Run, Told, Undoing, Undone, Wrote, read
from tensor_guess.sorting.plan import category_in
from tensor_guess.sorting.staging import digest, sha256_of
from tensor_guess.system.durable import Data, Journal, stage, sync_folder
from tensor_guess.system.reading import real

# What an animal trap shows besides animals, in the words that people use for their folders.
_BLANK = {"blank", "empty", "nothing", "none", "no animal", "background"}
_PEOPLE = {"human", "humans", "person", "people", "homo sapiens", "man", "woman", "child"}
_VEHICLES = {"vehicle", "vehicles", "car", "cars", "truck", "bicycle", "motorcycle"}
BLANK, ANIMAL, HUMAN, VEHICLE, UNKNOWN = ("blank", "animal", "human", "vehicle", "unknown")


@dataclass(frozen=True)
class Shown:
    """A picture that is in DEST, as it was sorted.

    `category`: as it is in its name there. `kind`: one of those above; UNKNOWN if it is for review,
    or like nothing in training. `classifier`: the SHA-256 of the one that sorted it.
    """

    told: Told
    category: str
    kind: str
    classifier: str


class Present:
    """The pictures from SRC in DEST that are not undone, whichever run sorted them.

    `labels`: all that any of them may be. Raise UserError if the manifest cannot be read.
    """

    def __init__(self, destination: Path, source: Path, run: str) -> None:
        self.destination, self._run = real(destination), run
        self._runs = dict[str, Run]()
        labels = set[str]()
        with Journal(self.destination / MANIFEST, read_only=True) as journal:
            self._there = there(journal)
            for event in read(journal, quiet=True):
                match event:
                    case Run(run=name) if event.has(real(source), self.destination):
                        self._runs[name] = event
                    case Told(run=name, scores=scores) if name in self._runs:
                        labels.update(scores)
        self.labels = sorted(labels)

    def pictures(self) -> Iterator[Shown | NotSorted]:
        """Yield the pictures, and what this run left out, in the order of the manifest."""
        left = dict(self._there)
        with Journal(self.destination / MANIFEST, read_only=True) as journal:
            for event in read(journal, quiet=True):
                match event:
                    case Told(run=name, entry=entry) if event.label and name in self._runs:
                        if left.get(entry.name) == entry.sha256:
                            del left[entry.name]
                            yield self._shown(event)
                    case NotSorted(run=name) if name == self._run:
                        yield event

    def _shown(self, told: Told) -> Shown:
        run = self._runs[told.run]
        category = category_in(told.entry.name, run.way)
        sure = not told.entry.name.startswith(f"{REVIEW}/")
        sure = sure and label_of(category) == label_of(told.label)
        return Shown(told, category, _kind(told.label) if sure else UNKNOWN, run.classifier)


def there(journal: Journal) -> dict[str, str]:
    """Return what is not undone: path in DEST -> SHA-256."""
    found = dict[str, str]()
    for event in read(journal, quiet=True):
        match event:
            case Told(entry=entry):
                found[entry.name] = entry.sha256
            case Undoing(names=names) | Undone(names=names):
                for name in names:
                    found.pop(name, None)
    return found


def check(destination: Path, names: tuple[str, ...]) -> None:
    """Raise WrongUsage, before any work, if one of these files in DEST is not as it was written."""
    root = real(destination)
    there = [name for name in names if os.path.lexists(root / name)]
    if not there:
        return
    ours = set[tuple[str, str]]()
    if os.path.lexists(root / MANIFEST):
        with Journal(root / MANIFEST, read_only=True) as journal:
            for event in read(journal, quiet=True):
                if isinstance(event, Wrote):
                    ours.update(event.names.items())
    for name in there:
        if (name, digest(root / name)) not in ours:
            raise WrongUsage(
                f"{shown(destination / name)} was not written by classify-dir, or was changed "
                "since; move it away"
            )


def write(destination: Path, run: str, files: Mapping[str, Data]) -> None:
    """Write files into DEST, one after the other; those that `check` passed are replaced.

    The manifest has the SHA-256 of each before it is there. Raise UserError if that fails.
    """
    root = real(destination)
    with Journal(root / MANIFEST, make=False) as journal:
        for _ in journal.lines():  # the last one may be cut off
            pass
        for name, data in files.items():
            with stage(root / name, data) as staged:
                journal.add(sync=True, results={name: sha256_of(staged.temporary)}, by=run)
                staged.commit()
        sync_folder(root)


def _kind(label: str) -> str:
    text = label_of(label)
    for kind, words in ((BLANK, _BLANK), (HUMAN, _PEOPLE), (VEHICLE, _VEHICLES)):
        if text in words:
            return kind
    return ANIMAL
