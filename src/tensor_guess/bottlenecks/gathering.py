"""Gather what to train on: photos, the bottlenecks that `retrain.py` stored for them, or both."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tensor_guess.bottlenecks import classic as classic_bottlenecks
from tensor_guess.bottlenecks.classic import Group, Stored, spread
from tensor_guess.bottlenecks.computing import Computer, Rows
from tensor_guess.bottlenecks.extractor import Extractor
from tensor_guess.bottlenecks.same_backbone import alike, reason_against, reason_in_names
from tensor_guess.config import BOTTLENECKS, DATA
from tensor_guess.errors import Unreadable, UserError, shown
from tensor_guess.images import dataset, encoded
from tensor_guess.images.dataset import Dataset
from tensor_guess.images.files import LeftOut
from tensor_guess.system import progress, reading
from tensor_guess.system.reading import real

if TYPE_CHECKING:
    from tensor_guess.spreading.machines import Machines

# How many photos' bottlenecks are computed and compared with the stored ones.
COMPARED = 8


@dataclass(frozen=True)
class Gathered:
    """One row for each picture; `extractor` computes such rows (classic if any were stored)."""

    data: Dataset
    rows: Rows
    extractor: Extractor


@dataclass(frozen=True)
class Source:
    """The folder of categories, an old run's bottlenecks, and others'; not all three are None.

    `cache`: the folder of our own bottlenecks. `given`: rows that came without their pictures; with
    them, there is nothing else.
    """

    photos: Path
    data: Dataset | None
    stored: Stored | None
    cache: Path
    given: Gathered | None = None


def find(tf_files: Path, image_dir: Path | None, bottleneck_dir: Path | None) -> Source:
    """Return what there is to train on; open no file.

    If there are no photos, the bottlenecks that `retrain.py` stored are enough. Raise as
    `dataset.find` does, and UserError if TF_FILES/bottlenecks is needed but is a link that leaves
    TF_FILES.
    """
    photos = image_dir or tf_files / DATA
    stored = classic_bottlenecks.index(bottleneck_dir or _kept(tf_files))
    # Never write to an old run's folder.
    own = bottleneck_dir if bottleneck_dir and not stored else _kept(tf_files)
    alone = image_dir is None and tf_files.is_dir() and not photos.exists()
    if stored and alone and not dataset.meant(tf_files.absolute()):
        return Source(photos, None, stored, own)
    return Source(photos, dataset.find(tf_files, image_dir), stored, own)


def gather(
    source: Source,
    extractor: Extractor,
    until: float | None = None,
    machines: "Machines | None" = None,
) -> Gathered:
    """Return the bottlenecks: stored ones from this extractor, else cached or computed ones.

    `machines`: see Computer. Raise UserError if there are only stored ones, and they are from
    another extractor. Raise OutOfTime if they are not there at the time `until`.
    """
    if source.given:
        return source.given
    if source.data is None:
        assert source.stored
        return _stored_alone(source.stored, source.photos, extractor)
    files = [path for category in source.data.categories for path in category.files]
    if source.stored:
        classic = Computer(source.cache, extractor.classic())
        taken = _taken(source, source.stored, classic)
        if taken:
            rows = classic.rows(files, taken)
            taken.say(rows.taken)
            return Gathered(source.data, rows, classic.extractor)
    rows = Computer(source.cache, extractor, machines=machines).rows(files, until=until)
    if len(rows.paths) + len(rows.left_out) < len(files):
        raise progress.OutOfTime
    return Gathered(source.data, rows, extractor)


def _kept(tf_files: Path) -> Path:
    kept = tf_files / BOTTLENECKS
    if reading.leaves(kept, tf_files):
        raise UserError(
            f"{shown(kept)} {reading.LEAVES}; name the folder that it leads to by --bottleneck_dir"
        )
    return kept


@dataclass
class _Taken:
    """A group in use: call it with a photo to get the stored bottleneck, or None.

    `files`: photo -> its file in the group. `absent`: how many files there are without a photo.
    `compared`: how many photos were compared and found alike.
    """

    folder: Path
    group: Group
    length: int
    files: dict[Path, Path]
    absent: int
    compared: int = 0
    damaged: list[LeftOut] = field(default_factory=list)

    def __call__(self, photo: Path) -> NDArray[np.float32] | None:
        if photo not in self.files:
            return None
        try:
            return classic_bottlenecks.read(self.files[photo], self.length)[1]
        except Unreadable as error:
            self.damaged.append(LeftOut(self.files[photo], str(error)))
            return None

    def say(self, count: int) -> None:
        """Report on stderr how many were reused, and which were damaged."""
        for file in sorted(self.damaged, key=lambda file: file.path):
            progress.warn(f"damaged: {shown(file.path)} {file.reason}; its photo is computed")
        parts = [f"{count} bottlenecks taken from {shown(self.folder)} ({self.group})"]
        parts += [f"{self.compared} photos compared and alike"]
        parts += [f"{len(self.damaged)} damaged"] if self.damaged else []
        parts += [f"{self.absent} of photos that are not there"] if self.absent else []
        if count or self.damaged:
            progress.say(", ".join(parts))


def _taken(source: Source, stored: Stored, classic: Computer) -> _Taken | None:
    """Return the first group that is this extractor's, as a comparison of photos shows, or None.

    Report why each other group before it is not used.
    """
    length = classic.extractor.length
    for group in stored.groups:
        files = dict(_of_photos(source, group))
        taken = _Taken(stored.folder, group, length, files, len(group) - len(files))
        reason = reason_against(group, classic.extractor)
        if not reason and not taken.files:
            reason = f"none is of a photo in {shown(source.photos)}"
        if not reason:
            sound = dict(islice(_sound(taken), COMPARED))
            own = classic.peek(list(sound))
            reason = _compared(taken, sound, own)
        if not reason:
            return taken
        progress.warn(f"not used: the bottlenecks in {shown(stored.folder)} ({group}): {reason}")
    return None


def _of_photos(source: Source, group: Group) -> Iterator[tuple[Path, Path]]:
    """Yield each photo that has a stored bottleneck, with its file, taking categories by turns."""
    assert source.data
    lists = []
    for category in source.data.categories:
        # `retrain.py` used no photos from deeper folders.
        home = real(source.photos / category.name)
        files = group.files.get(category.name, {})
        own = [path for path in category.files if path.parent == home and path.name in files]
        lists.append([(path, files[path.name]) for path in own])
    return spread(lists)


def _sound(taken: _Taken) -> Iterator[tuple[Path, NDArray[np.float32]]]:
    for photo, file in taken.files.items():
        try:
            yield photo, classic_bottlenecks.read(file, taken.length)[1]
        except Unreadable:
            continue  # it is reported when it would be used


def _compared(
    taken: _Taken, sound: dict[Path, NDArray[np.float32]], own: dict[Path, NDArray[np.float32]]
) -> str:
    """Return why the group is another network's, or ""; drop single photos that have changed."""
    unlike = [photo for photo, row in own.items() if not alike(row, sound[photo])]
    if not own:
        return "there is no photo to compare with that can be read"
    if 2 * len(unlike) >= len(own):
        return f"of {len(own)} photos compared, {len(unlike)} give other numbers"
    for photo in unlike:
        progress.warn(f"{shown(photo)} is not what {shown(taken.files[photo])} was made of")
        del taken.files[photo]
    taken.compared = len(own) - len(unlike)
    return ""


def _stored_alone(stored: Stored, photos: Path, extractor: Extractor) -> Gathered:
    """Return the rows of the first group that may be the extractor's; its files are the examples.

    Raise UserError if there is no such group.
    """
    backbone, reasons = extractor.backbone, []
    for group in stored.groups:
        reason = reason_against(group, extractor)
        reason = reason or reason_in_names(group, backbone)
        if not reason:
            break
        reasons.append(f"{group}: {reason}")
    else:
        raise UserError(
            f"the bottlenecks in {shown(stored.folder)} cannot be used ({'; '.join(reasons)}); "
            f"give the graph that they were made with by --from, or put their photos into "
            f"{shown(photos)}"
        )
    files = {name: sorted(of.values()) for name, of in sorted(group.files.items())}
    data = replace(dataset.of_files(stored.folder, files), left_out=stored.strays)
    paths = [path for category in data.categories for path in category.files]
    rows = _rows(paths, extractor.length)
    compared = "" if group.is_of(backbone.name) else "; there are no photos to compare them with"
    damaged = f", {len(rows.left_out)} damaged" if rows.left_out else ""
    progress.say(
        f"{rows.taken} bottlenecks taken from {shown(stored.folder)} ({group}){damaged}{compared}"
    )
    return Gathered(data, rows, extractor.classic())


def _rows(files: list[Path], length: int) -> Rows:
    """Return a row for each sound file, with the SHA-256 of its text as key."""
    found, left_out = {}, []
    read = encoded.ahead(lambda path: classic_bottlenecks.read(path, length), files)
    for path, each in progress.track(read, len(files), "Bottlenecks"):
        if isinstance(each, Unreadable):
            left_out.append(LeftOut(path, str(each)))
        else:
            found[path] = each
    keys = tuple(key for key, _ in found.values())
    rows = [row for _, row in found.values()]
    table = np.stack(rows) if rows else np.empty((0, length), np.float32)
    return Rows(tuple(found), keys, table, tuple(left_out), 0, len(found))
