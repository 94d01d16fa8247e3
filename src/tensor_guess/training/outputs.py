"""Write what training makes: check what it may replace, and put a new classifier in place."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from tensor_guess.config import RECORD, REPORT
from tensor_guess.errors import Unreadable, UserError, WrongUsage, reason_of, shown
from tensor_guess.evaluation import story
from tensor_guess.graphs import files as graph_files
from tensor_guess.images.dataset import label_of
from tensor_guess.reporting import report
from tensor_guess.system import progress, reading
from tensor_guess.system.durable import Staged, check_writable, publish, stage, sweep, sync_folder
from tensor_guess.system.reading import real

_FIELD_1 = 0x0A  # protobuf's tag of field 1: a GraphDef's node, a node's name
_SNIFFED = 16


@dataclass(frozen=True)
class Outputs:
    """The places for graph and labels file; model.json and the report go beside the graph."""

    graph: Path
    labels: Path

    @property
    def model(self) -> Path:
        """Return the place for model.json."""
        return self.graph.parent / RECORD

    @property
    def report(self) -> Path:
        """Return the place for the report."""
        return self.graph.parent / REPORT


def check(outputs: Outputs, pictures: Path) -> None:
    """Raise WrongUsage or UserError, before any work, if an output cannot be written.

    `pictures` is the folder of categories: nothing may be written there. Only what training writes
    may be replaced: a frozen graph, a labels file, a model.json of ours. (A report is an extra: see
    `may_report`.)
    """
    places = (outputs.graph, outputs.labels, outputs.model, outputs.report)
    if len({real(place) for place in places}) < len(places):
        raise WrongUsage(
            f"graph, labels, {RECORD} and {REPORT} cannot be one file; choose other names"
        )
    for path, is_ours, kind in (
        (outputs.graph, _is_graph, "a frozen graph"),
        (outputs.labels, _are_labels, "a labels file"),
        (outputs.model, _is_model, f"a {RECORD} that training wrote"),
    ):
        check_apart(path, pictures)
        _check_ours(path, is_ours, kind)
    for folder in {outputs.graph.parent, outputs.labels.parent}:
        check_writable(folder)
        sweep(folder)


def check_apart(path: Path, pictures: Path) -> None:
    """Raise WrongUsage if `path` would be among the pictures, even in a linked category."""
    folder = real(path).parent
    homes = [real(pictures)]
    if pictures.is_dir():
        homes += [real(each) for each in pictures.iterdir() if each.is_dir()]
    if any(folder.is_relative_to(home) for home in homes):
        raise WrongUsage(f"{shown(path)} would lie among the pictures; choose another folder")


def publish_graph(path: Path, data: bytes) -> None:
    """Write a frozen graph to `path` durably. Raise WrongUsage if `path` is something else."""
    _check_ours(path, _is_graph, "a frozen graph")
    publish(path, data)


def may_report(outputs: Outputs) -> bool:
    """Return whether a report can be put in its place; if not, say why."""
    why = _why_not_ours(outputs.report, _is_report)
    if why is not None:
        progress.warn(
            f"{shown(outputs.report)} is not a report that training wrote{why}: "
            "it stays, and there is no report on this training"
        )
    return why is None


def publish_classifier(
    outputs: Outputs, graph: bytes, labels: bytes, model: bytes, page: bytes | None = None
) -> None:
    """Replace the classifier: all new files are on disk before the first gets its name.

    The graph comes last: it is enough alone, and is never newer than what belongs to it. Raise
    UserError if the system refuses; the old classifier is unchanged then. `page` is the report. If
    there is none, or it cannot be written, the old one goes: it is about another classifier.
    """
    with ExitStack() as staged:
        files = [
            staged.enter_context(stage(path, data))
            for path, data in (
                (outputs.model, model),
                (outputs.labels, labels),
                (outputs.graph, graph),
            )
        ]
        new = _staged_report(outputs.report, page)
        if new:
            staged.enter_context(new)
        with _alone(outputs.graph.parent):
            _replace_report(outputs.report, new)
            for file in files:
                file.commit()
                sync_folder(file.path.parent)


def _staged_report(path: Path, page: bytes | None) -> Staged | None:
    try:
        return None if page is None else stage(path, page)
    except UserError as error:  # a classifier is worth more than a report on it
        progress.warn(str(error))
        return None


def _replace_report(path: Path, new: Staged | None) -> None:
    if _why_not_ours(path, _is_report) is not None:
        return
    placed = False
    try:
        if new:
            new.commit()
            placed = True
    except UserError as error:
        progress.warn(str(error))
    try:
        if not placed and path.exists():
            path.unlink()
        sync_folder(path.parent)
    except UserError as error:
        progress.warn(str(error))
    except OSError as error:
        progress.warn(f"could not remove {shown(path)}: {reason_of(error)}")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a lock, so that two trainings that end at the same time leave no mixture."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise UserError(f"could not open {shown(folder)}: {reason_of(error)}") from error
    try:
        with suppress(OSError):  # a file share without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        with suppress(OSError):  # nothing was written through it
            os.close(handle)


def _check_ours(path: Path, is_ours: Callable[[FileIO], bool], kind: str) -> None:
    because = _why_not_ours(path, is_ours)
    if because is not None:
        raise WrongUsage(
            f"{shown(path)} is not {kind}{because}, and nothing else is replaced; "
            "move it away or choose another name"
        )


def _why_not_ours(path: Path, is_ours: Callable[[FileIO], bool]) -> str | None:
    """Return None if there is nothing at `path` or it is ours; else why not, in brackets, or ""."""
    if not os.path.lexists(path):
        return None
    try:
        with reading.opened(path, follow=False) as file:
            return None if is_ours(file) else ""
    except Unreadable as error:
        return f" ({error})"


def _is_graph(file: FileIO) -> bool:
    """Return whether it starts like a frozen graph, with a node and its name.

    The rest may be damaged.
    """
    start = file.read(_SNIFFED)
    if not start:
        return True
    start = start.ljust(_SNIFFED, b"\0")
    if start[0] != _FIELD_1:
        return False
    length = end = 0
    for end, byte in enumerate(start[1:-2], 1):
        length |= (byte & 0x7F) << 7 * (end - 1)
        if byte < 0x80:
            break
    return start[end + 1] == _FIELD_1 and start[end + 2] < length


def _are_labels(file: FileIO) -> bool:
    """Return whether every line is a label that `label_of` can return."""
    data = reading.rest(file, graph_files.MAX_LABELS_BYTES)
    try:
        labels = graph_files.labels_in(data, "") if data else ()
    except UserError:
        return False
    return all(label and label_of(label) == label for label in labels)


def _is_model(file: FileIO) -> bool:
    data = reading.rest(file, graph_files.MAX_RECORD_BYTES)
    return not data or story.graph_of(data) is not None


def _is_report(file: FileIO) -> bool:
    start = file.read(report.MARKED_WITHIN)
    return not start or report.is_ours(start)
