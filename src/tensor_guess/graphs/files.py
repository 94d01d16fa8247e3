"""A classifier without its network: its files, labels and record, and what its user specifies.

All of this can be read without any library.
"""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from tensor_guess.config import FINAL_TENSOR, FITS, GRAPH, LABELS, PRECISIONS, SQUEEZE
from tensor_guess.errors import Unreadable, UserError, WrongUsage, shown
from tensor_guess.images.scaling import Scaling
from tensor_guess.system import progress, reading

# The names that `retrain.py`, its tutorials and the tools around it use, best first.
_GRAPHS = (GRAPH, "optimized_graph.pb", "output_graph.pb", "frozen_graph.pb", "graph.pb")
_LABELS = (LABELS, "output_labels.txt", "labels.txt", "graph_label_strings.txt")
MAX_LABELS_BYTES = 10_000_000
# Of model.json: the confusion of a thousand labels has a million numbers.
MAX_RECORD_BYTES = 32_000_000
# Not read by name: the labels are elsewhere, and older versions wrote none of the other.
_LACKED = ("labels", "unknown", "fine_tuned")
_HUGE = 1e6  # no mean, deviation or threshold comes near; not NaN either


@dataclass(frozen=True)
class Record:
    """What a frozen graph of ours says about itself; kept inside it as JSON.

    `unknown`: the novelty above which a picture is like nothing in training; None if not known.
    `fine_tuned`: how many blocks of the backbone were trained too.
    """

    labels: tuple[str, ...]
    categories: tuple[str, ...]
    scaling: Scaling
    backbone: str
    backbone_sha256: str
    precision: str
    final_tensor: str = FINAL_TENSOR
    thresholds: dict[str, float] = field(default_factory=dict)
    format: int = 1
    unknown: float | None = None  # older graphs lack it
    fine_tuned: int = 0  # other graphs lack it


@dataclass(frozen=True)
class Fed:
    """What the user says about a graph, as to `label_image.py`; None leaves it to the graph."""

    input: str | None = None
    output: str | None = None
    size: int | None = None
    mean: float | None = None
    std: float | None = None


AS_FOUND = Fed()


def position_of(name: str, record: Record, option: str) -> int:
    """Return where in the record the label is that the user means by a category or label.

    Raise WrongUsage, naming the option and the nearest category, if there is none.
    """
    for names in (record.categories, record.labels):
        if name in names:
            return names.index(name)
    near = get_close_matches(name, record.categories, 1, 0)
    raise WrongUsage(
        f"{option}: the classifier has no category {shown(name)}; did you mean {shown(near[0])}?"
    )


def find_graph(folder: Path) -> Path | None:
    """Return the frozen graph in the folder: the usual name, or the only `.pb`; None without one.

    Raise UserError if it could be any of several, or is a link that leaves the folder.
    """
    found = _find(folder, _GRAPHS, ".pb", "--graph")
    if found and reading.leaves(found, folder):
        raise UserError(f"{shown(found)} {reading.LEAVES}; give the path of the graph itself")
    return found


def find_labels(graph: Path) -> Path | None:
    """Return the labels file beside the graph: a usual name, or the only `.txt`; None without one.

    Raise UserError if it could be any of several.
    """
    # output_graph.pb has output_labels.txt.
    own = graph.stem.removesuffix("_graph") + "_labels.txt"
    return _find(graph.parent, (own, f"{graph.stem}.txt", *_LABELS), ".txt", "--labels")


def read_labels(path: Path, *, follow: bool = False) -> tuple[str, ...]:
    """Return the labels, one a line, unchanged.

    `follow`: whether the file may be a link, as one that the user named may. Raise UserError if it
    is not readable, not UTF-8 or empty.
    """
    try:
        return labels_in(reading.read(path, MAX_LABELS_BYTES, follow=follow), shown(path))
    except Unreadable as error:
        raise UserError(f"could not read {shown(path)}: {error}") from error


def labels_in(data: bytes, name: str) -> tuple[str, ...]:
    """Return the labels in the bytes of a labels file called `name`. Raise as `read_labels`."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{name} is not UTF-8 (byte {error.start} is {error.object[error.start]:#04x}); "
            "save it as UTF-8, e.g. with iconv -f latin1 -t utf-8"
        ) from error
    lines = [line.removesuffix("\r") for line in text.rstrip("\r\n").split("\n")]
    if lines == [""]:
        raise UserError(f"{name} has no labels: it is empty")
    if any("\0" in line for line in lines):
        raise UserError(f"{name} is not a labels file: it has NUL bytes; save it as UTF-8")
    return tuple(lines)


def distinct(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Return the labels, numbering repetitions (ImageNet has two cranes): `crane`, `crane (2)`."""
    counts, used, found = Counter[str](), set(labels), list[str]()
    for label in labels:
        counts[label] += 1
        name = label
        while counts[label] > 1 and name in used:
            name = f"{label} ({counts[label]})"
            counts[label] += name in used
        used.add(name)
        found.append(name)
    return tuple(found)


def of_json(said: Any, labels: tuple[str, ...]) -> Record:
    """Return the record in parsed JSON, with these labels.

    Raise KeyError, TypeError or ValueError if it is not a record.
    """
    kept = {each.name: said[each.name] for each in fields(Record) if each.name not in _LACKED}
    kept["scaling"] = Scaling(**kept["scaling"])
    kept["categories"] = tuple(kept["categories"])
    fine_tuned = said.get("fine_tuned", 0)
    record = Record(labels=labels, unknown=said.get("unknown"), fine_tuned=fine_tuned, **kept)
    _check_types(record)
    return record


def to_json(record: Record) -> dict[str, Any]:
    """Return the record as plain values, with its labels; `of_json` reads it."""
    return {**asdict(record), "scaling": record.scaling.plain()}


def model_in(data: bytes, record: Record, digest: str, name: str) -> dict[str, Any]:
    """Return what is in the bytes of model.json, called `name`, of the graph with that digest.

    Raise UserError if it is damaged, or another graph's.
    """
    try:
        model = json.loads(data)
        own = json.loads(json.dumps(to_json(record)))
        for key in ("unknown", "fine_tuned"):  # older versions did not write them
            if not own[key]:
                del own[key]
        bound = {key: model[key] for key in own} == own and model["graph_sha256"] == digest
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        raise damaged_model(name) from error
    if not bound:
        raise UserError(
            f"{name} was not written with the graph beside it; train again, "
            "or share the graph alone"
        )
    return dict(model)


def damaged_model(name: str) -> UserError:
    """Return the error about a model.json, called `name`, that training cannot have written."""
    return UserError(f"{name} is damaged; train again, or get it again")


def _find(folder: Path, names: tuple[str, ...], extension: str, option: str) -> Path | None:
    for name in names:
        if _is_candidate(folder / name):
            return folder / name
    others = sorted(filter(_is_candidate, folder.glob(f"*{extension}")))
    if len(others) > 1:
        several = ", ".join(shown(path.name) for path in others[:5])
        raise UserError(
            f"{shown(folder)} has several {extension} files ({several}); choose one with {option}"
        )
    return others[0] if others else None


def _is_candidate(path: Path) -> bool:
    # The target of a link may exist on the host but not in a container.
    return path.is_file() or path.is_symlink()


def say_ignored(name: str, fed: Fed) -> None:
    """Report that the user's settings for a graph of ours are ignored, if there are any."""
    if fed != AS_FOUND:
        progress.warn(
            f"{name} records its own settings; the --input and --output options are ignored"
        )


def _check_types(record: Record) -> None:
    """Raise TypeError if a value from JSON is not of the type that Record says."""
    scaling, texts = record.scaling, (record.backbone, record.backbone_sha256, record.final_tensor)
    numbers = (scaling.mean, scaling.std, *record.thresholds.values(), record.unknown or 0)
    sound = (
        all(isinstance(each, str) for each in (*record.categories, *texts))
        and all(type(each) in (int, float) and abs(each) < _HUGE for each in numbers)
        and type(scaling.size) is type(record.format) is type(record.fine_tuned) is int
        and type(scaling.classic) is bool
        and scaling.fit in ((SQUEEZE,) if scaling.classic else FITS)
        and record.precision in PRECISIONS
    )
    if not sound:
        raise TypeError
