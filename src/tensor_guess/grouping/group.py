"""Group a heap of unlabelled pictures: images -> bottlenecks -> groups -> copies in folders."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tensor_guess.backbones import loading
from tensor_guess.bottlenecks.computing import Computer, Rows
from tensor_guess.bottlenecks.extractor import Extractor
from tensor_guess.config import (
    BF16,
    BOTTLENECKS,
    CONTACT_SHEET,
    COPY,
    FLOAT32,
    FOLDERS,
    MANIFEST,
    OUTLIERS,
)
from tensor_guess.errors import Unreadable, UserError, WrongUsage, reason_of, shown
from tensor_guess.evaluation import copies, groups
from tensor_guess.graphs.network import has_bf16
from tensor_guess.grouping import contact_sheet
from tensor_guess.grouping.contact_sheet import Shown
from tensor_guess.images.encoded import Picture
from tensor_guess.images.files import Files, LeftOut
from tensor_guess.sorting.apply import Applying
from tensor_guess.sorting.manifest import Manifest
from tensor_guess.sorting.plan import Place, Way
from tensor_guess.system import progress, reading
from tensor_guess.system.durable import check_writable, make_folder, publish
from tensor_guess.system.reading import real

Floats = NDArray[np.float32]

_WAY = Way(COPY, FOLDERS)


@dataclass(frozen=True)
class Wanted:
    """How to group: `groups` is how many there are to be (None: as many as is usual).

    `choose`: how many pictures to name that are to be labelled first. `backbone`: None means the
    default. `offline`: never use the internet.
    """

    groups: int | None = None
    choose: int = 0
    backbone: str | None = None
    precision: str = FLOAT32
    offline: bool = False


@dataclass(frozen=True)
class Grouped:
    """What was done: the number of pictures in each folder of DEST, by its name.

    `chosen`: the paths in DEST of those to label first. `same`: how many files had the bytes of
    another. `hidden`: how many were passed over. `instead`: why it is not the default backbone.
    """

    counts: dict[str, int]
    chosen: tuple[str, ...]
    same: int
    hidden: int
    left_out: tuple[LeftOut, ...]
    instead: str


@dataclass(frozen=True, eq=False)
class _Heap:
    """The pictures, each once: path, key (SHA-256), bottleneck [N, D]."""

    paths: list[Path]
    keys: list[bytes]
    bottlenecks: Floats


@dataclass(frozen=True)
class _Placed:
    """The place of the picture with the number `row`, and how much it is like its group."""

    row: int
    place: Place
    likeness: float


def group(source: Path, destination: Path, wanted: Wanted) -> Grouped:
    """Copy every picture below `source` into a folder of `destination` for what it looks like.

    Pictures that look alike share a folder (group-01 is the largest), the most typical first by
    name; those that are near none are in OUTLIERS. CONTACT_SHEET shows them all, and BOTTLENECKS
    keeps what was computed. `source` is only read; each file there with other bytes is copied.

    Raise WrongUsage if `source` is no folder, or if `destination` is inside it or not empty. Raise
    UserError if no picture can be read, or `destination` cannot be written to.
    """
    source, destination = _checked(source, destination)
    if wanted.backbone:
        loading.check_name(wanted.backbone)
    if wanted.precision == BF16 and not has_bf16():
        raise UserError(f"this CPU does not compute in {BF16}; use --precision {FLOAT32}")
    files = Files(source)
    found = list(files)
    if not found:
        raise UserError(f"{shown(source)} has no pictures")
    make_folder(destination)
    check_writable(destination)
    extractor, instead = _extractor(wanted)
    computer = Computer(destination / BOTTLENECKS, extractor)
    rows = computer.rows([path for path, reason in found if not reason])
    left_out = [LeftOut(path, reason) for path, reason in found if reason] + list(rows.left_out)
    for left in left_out:
        progress.warn(str(left))
    if not rows.paths:
        raise UserError(f"no picture in {shown(source)} can be used; the first: {left_out[0]}")
    heap = _each_once(rows)
    placed = _placed(heap, wanted.groups)
    near, chosen = _near_copies(heap, placed), _chosen(heap, placed, wanted.choose)
    left_out += _copy(heap, placed, Manifest(destination, source, extractor.fingerprint, _WAY))
    lost = {left.path for left in left_out}
    names = {e.row: e.place.path(1) for e in placed if heap.paths[e.row] not in lost}
    pictures = dict[str, list[Shown]]()
    for each in placed:
        if each.row in names:
            name, like = os.path.basename(names[each.row]), names.get(near[each.row], "")
            one = Shown(heap.paths[each.row], name, like, each.row in chosen)
            pictures.setdefault(each.place.folder, []).append(one)
    counts = {folder: len(own) for folder, own in pictures.items()}
    outliers = pictures.pop(OUTLIERS, [])
    page = contact_sheet.page(source.name, pictures, outliers, list(map(str, left_out)))
    publish(destination / CONTACT_SHEET, page)
    return Grouped(
        counts,
        tuple(names[row] for row in chosen if row in names),
        len(rows.paths) - len(heap.paths),
        files.hidden,
        tuple(left_out),
        instead,
    )


def _checked(source: Path, destination: Path) -> tuple[Path, Path]:
    if not source.is_dir():
        raise WrongUsage(f"{shown(source)} is not a folder of pictures to group")
    if os.path.lexists(destination) and not destination.is_dir():
        raise WrongUsage(f"{shown(destination)} is not a folder to copy to")
    root, to = real(source), real(destination)
    if to.is_relative_to(root):
        relation = "the same folder as" if root == to else "inside"
        raise WrongUsage(
            f"DEST {shown(destination)} is {relation} SRC {shown(source)}; "
            "choose a folder outside it"
        )
    if to.is_dir():
        _check_empty(destination, to)
    return root, to


def _check_empty(destination: Path, folder: Path) -> None:
    """Raise WrongUsage if the folder has more than what makes a second run quick.

    Hidden files do not count: a launcher leaves one, and so do file managers.
    """
    for name in sorted(os.listdir(folder)):
        path = folder / name
        if name.startswith(".") or name == MANIFEST or (name == CONTACT_SHEET and _is_sheet(path)):
            continue
        if name != BOTTLENECKS:
            raise WrongUsage(
                f"DEST {shown(destination)} is not empty: it has {shown(name)}; choose a new "
                f"folder, or take back what an earlier run copied: undo {shown(destination)}"
            )
        if reading.leaves(path, folder):
            raise WrongUsage(f"{shown(path)} {reading.LEAVES}; choose a new folder")


def _is_sheet(path: Path) -> bool:
    try:
        with reading.opened(path, follow=False) as file:
            return contact_sheet.is_ours(file.read(contact_sheet.HEAD))
    except Unreadable:
        return False


def _extractor(wanted: Wanted) -> tuple[Extractor, str]:
    if wanted.backbone:
        return Extractor(
            loading.load(wanted.backbone, offline=wanted.offline), wanted.precision
        ), ""
    backbone, instead = loading.load_default(offline=wanted.offline)
    if instead:
        progress.warn(instead)
    return Extractor(backbone, wanted.precision), instead


def _each_once(rows: Rows) -> _Heap:
    """Return the first file with each key."""
    first = dict[bytes, int]()
    for i, key in enumerate(rows.keys):
        first.setdefault(key, i)
    once = list(first.values())
    bottlenecks = rows.bottlenecks if len(once) == len(rows.keys) else rows.bottlenecks[once]
    return _Heap([rows.paths[i] for i in once], list(first), bottlenecks)


def _placed(heap: _Heap, count: int | None) -> list[_Placed]:
    """Return the pictures in the order in which they are shown, each with its place."""
    found = groups.group(heap.bottlenecks, count or groups.usual_count(len(heap.paths)))
    unlike = groups.unlike_all(heap.bottlenecks, found)
    members = [[int(i) for i in found.members(k) if not unlike[i]] for k in range(found.count)]
    members = sorted(filter(None, members), key=len, reverse=True)
    folders = {f"group-{_padded(n, len(members))}": own for n, own in enumerate(members, 1)}
    folders[OUTLIERS] = np.flatnonzero(unlike).tolist()

    def placed() -> Iterator[_Placed]:
        for folder, own in folders.items():
            for number, i in enumerate(own, 1):
                stem, suffix = os.path.splitext(heap.paths[i].name)
                place = Place(folder, f"{_padded(number, len(own))}-{stem}", suffix)
                yield _Placed(i, place, float(found.likeness[i]))

    return list(placed())


def _padded(number: int, of: int) -> str:
    """Return the number with as many digits as the last one has, so that names are in order."""
    return f"{number:0{max(2, len(str(of)))}}"


def _near_copies(heap: _Heap, placed: list[_Placed]) -> dict[int, int]:
    """Return, for each picture, the first near copy that is shown before it, or -1."""
    shown_at = np.empty(len(placed), np.intp)
    shown_at[[each.row for each in placed]] = np.arange(len(placed))
    first = shown_at.copy()
    for own, before in copies.pairs(heap.bottlenecks):
        first[own] = min(first[own], shown_at[before].min())
        first[before] = np.minimum(first[before], shown_at[own])
    return {i: placed[at].row if at != shown_at[i] else -1 for i, at in enumerate(first.tolist())}


def _chosen(heap: _Heap, placed: list[_Placed], count: int) -> list[int]:
    """Return the pictures to label first; none that is near nothing, as it would show little."""
    rows = np.array(sorted(each.row for each in placed if each.place.folder != OUTLIERS), np.intp)
    return [int(rows[i]) for i in groups.choose(heap.bottlenecks[rows], count)] if count else []


def _copy(heap: _Heap, placed: list[_Placed], manifest: Manifest) -> list[LeftOut]:
    """Copy the pictures to their places, and return those that could not be, with the reason."""
    left_out = []
    with manifest, Applying(manifest) as applying:
        for each in progress.track(placed, len(placed), "Copying"):
            path, folder = heap.paths[each.row], each.place.folder
            try:
                # Its bytes are read once more, to be copied, and compared by their SHA-256.
                picture = Picture(b"", "", heap.keys[each.row], os.stat(path))
            except OSError as error:
                left_out.append(LeftOut(path, reason_of(error)))
                progress.warn(str(left_out[-1]))
            else:
                applying.add(path, picture, (folder, False), each.place, {folder: each.likeness})
    return left_out + list(applying.left_out.values())
