"""Write what training makes: check what it may replace, and put a new classifier in place."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from tensor_guess.config import RECORD
from tensor_guess.errors import Unreadable, UserError, WrongUsage, reason_of, shown
from tensor_guess.evaluation import story
from tensor_guess.graphs import files as graph_files
from tensor_guess.images.dataset import label_of
from tensor_guess.system import reading
from tensor_guess.system.durable import check_writable, publish, stage, sweep, sync_folder
from tensor_guess.system.reading import real

_FIELD_1 = 0x0A  # protobuf's tag of field 1: a GraphDef's node, a node's name
_SNIFFED = 16


@dataclass(frozen=True)
class Outputs:
    """The places for the graph and the labels file; model.json goes beside the graph."""

    graph: Path
    labels: Path

    @property
    def model(self) -> Path:
        """Return the place for model.json."""
        return self.graph.parent / RECORD


def check(outputs: Outputs, pictures: Path) -> None:
    """Raise WrongUsage or UserError, before any work, if an output cannot be written.

    `pictures` is the folder of categories: nothing may be written there. Only what training writes
    may be replaced: a frozen graph, a labels file, a model.json of ours.
    """
    if len({real(outputs.graph), real(outputs.labels), real(outputs.model)}) < 3:
        raise WrongUsage(f"graph, labels and {RECORD} cannot be one file; choose other names")
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


def publish_classifier(outputs: Outputs, graph: bytes, labels: bytes, model: bytes) -> None:
    """Replace the classifier: all new files are on disk before the first gets its name.

    The graph comes last: it is enough alone, and is never newer than what belongs to it. Raise
    UserError if the system refuses; the old classifier is unchanged then.
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
        with _alone(outputs.graph.parent):
            for file in files:
                file.commit()
                sync_folder(file.path.parent)


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
    if not os.path.lexists(path):
        return
    because = ""
    try:
        with reading.opened(path, follow=False) as file:
            ours = is_ours(file)
    except Unreadable as error:
        ours, because = False, f" ({error})"
    if not ours:
        raise WrongUsage(
            f"{shown(path)} is not {kind}{because}, and nothing else is replaced; "
            "move it away or choose another name"
        )


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
    data = reading.rest(file, story.MAX_BYTES)
    return not data or story.graph_of(data) is not None
