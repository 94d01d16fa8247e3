"""The bottleneck cache: immutable files of rows, and the way from image files to rows.

    bottlenecks/<fingerprint>/<sha256>.npy   structured rows: key, bottleneck
    bottlenecks/seen                         which file had which key, by size and times

Any number of runs may write at once, with no lock: a file's name is the SHA-256 of its bytes, and
adding rows adds a file.
"""

import hashlib
import io
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tensor_guess.backbones.loading import Backbone
from tensor_guess.bottlenecks.seen import Seen
from tensor_guess.config import BOTTLENECK
from tensor_guess.errors import Unreadable, shown
from tensor_guess.graphs import shapes
from tensor_guess.graphs.graph import cut
from tensor_guess.graphs.network import Network
from tensor_guess.images import encoded
from tensor_guess.images.dataset import LeftOut
from tensor_guess.images.pixels import Pixels, pixels
from tensor_guess.images.scaling import Scaling
from tensor_guess.system import progress, reading
from tensor_guess.system.durable import make_folder, publish, sweep

# Counts up when the same image would be squeezed to other pixels.
PREPROCESSING = 1
# What a kill costs at most: so many images, or so many seconds.
ROWS, SECONDS = 256, 10
# So many small files are merged into one.
_SMALL_FILES = 8
# Thousands of rows of the longest bottleneck known. What is larger is none of ours.
_MAX_BYTES = 500_000_000
# What NumPy writes before such rows (numpy.lib.format), and no more of what it can read.
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': \[\('key', '\|V32'\), "
    rb"\('bottleneck', '<f4', \(([0-9]{1,12}),\)\)\], "
    rb"'fortran_order': False, 'shape': \(([0-9]{1,12}),\), \} *\n",
    re.DOTALL,
)


@dataclass(frozen=True)
class Rows:
    """One row for each readable file, in their order: path, key (SHA-256), bottleneck [N, D].

    `computed`, `taken`: how many were, the latter as an old program had stored them.
    """

    paths: tuple[Path, ...]
    keys: tuple[bytes, ...]
    bottlenecks: NDArray[np.float32]
    left_out: tuple[LeftOut, ...]
    computed: int
    taken: int = 0


def fingerprint(backbone: Backbone, precision: str) -> str:
    """The name of the folder of rows that this backbone gives: 32 hexadecimal digits."""
    what = {
        "backbone": backbone.sha256,
        "scaling": asdict(backbone.scaling),
        "precision": precision,
        "preprocessing": PREPROCESSING,
    }
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]


def length_of(backbone: Backbone) -> int:
    """How many numbers its bottlenecks have."""
    nodes = cut(backbone.graph, backbone.scaling, BOTTLENECK)
    return shapes.check(nodes)[BOTTLENECK][-1]


def compute(
    files: Sequence[Path], folder: Path, backbone: Backbone, network: Callable[[], Network],
    precision: str, stored: Callable[[Path], NDArray[np.float32] | None] | None = None,
) -> Rows:  # fmt: skip
    """The bottlenecks of the files: from the cache in `folder`, else added to it.

    What the cache has not is taken as `stored` gives it (it is called by threads), else computed:
    `network` is called, once, only where something is. Files that cannot be read are left out with
    the reason.
    """
    cache = Cache(folder / fingerprint(backbone, precision), length_of(backbone))
    seen = Seen(folder / "seen")
    pass_ = _Pass(cache, seen, backbone.scaling, stored)
    for path, row in pass_.computed(files, network):
        cache.add(pass_.keys[path], row)
    cache.flush()
    seen.save()
    readable = [path for path in files if path in pass_.keys]
    keys = tuple(pass_.keys[path] for path in readable)
    left_out = tuple(pass_.left_out)
    return Rows(tuple(readable), keys, cache.rows(keys), left_out, pass_.count, pass_.taken)


def peek(
    files: Sequence[Path], folder: Path, backbone: Backbone, network: Callable[[], Network],
    precision: str,
) -> dict[Path, NDArray[np.float32]]:  # fmt: skip
    """The bottleneck of each file that can be read, as `compute` gives it; none is kept."""
    cache = Cache(folder / fingerprint(backbone, precision), length_of(backbone))
    pass_ = _Pass(cache, Seen(folder / "seen"), backbone.scaling)
    computed = {pass_.keys[path]: row for path, row in pass_.computed(files, network)}
    return {
        path: computed[key] if key in computed else cache.rows([key])[0]
        for path, key in pass_.keys.items()
    }


class Cache:
    """The rows of one backbone, in memory and in immutable files.

    Files are not believed: what is damaged is dropped, what cannot be read is computed again.
    `length`: how many numbers a row has.
    """

    def __init__(self, folder: Path, length: int) -> None:
        make_folder(folder)
        sweep(folder)
        self._folder = folder
        self._row = np.dtype([("key", "V32"), ("bottleneck", "<f4", (length,))])
        self._known: dict[bytes, NDArray[np.float32]] = {}
        self._new: dict[bytes, NDArray[np.float32]] = {}
        self._flushed = time.monotonic()
        small = {path: keys for path, keys in self._open_all().items() if 0 < len(keys) < ROWS}
        if len(small) >= _SMALL_FILES:
            self._merge(small)

    def __contains__(self, key: bytes) -> bool:
        return key in self._known

    def add(self, key: bytes, row: NDArray[np.float32]) -> None:
        """Nothing comes back; the row is known, and on disk with the next flush."""
        self._known[key] = self._new[key] = row
        if len(self._new) >= ROWS or time.monotonic() - self._flushed > SECONDS:
            self.flush()

    def flush(self) -> None:
        """Nothing comes back; all rows are on disk."""
        if self._new:
            self._publish(self._new)
        self._new, self._flushed = {}, time.monotonic()

    def rows(self, keys: Iterable[bytes]) -> NDArray[np.float32]:
        """float32 [N, D], one row a key."""
        found = [self._known[key] for key in keys]
        return np.stack(found) if found else np.empty((0, 0), np.float32)

    def _open_all(self) -> dict[Path, list[bytes]]:
        """The keys in each file; all rows are known now.

        Listed until nothing is new: another run may merge files into one while they are read.
        """
        opened: dict[Path, list[bytes]] = {}
        while new := [path for path in sorted(self._folder.glob("*.npy")) if path not in opened]:
            opened.update((path, self._open(path)) for path in new)
        return opened

    def _open(self, path: Path) -> list[bytes]:
        """The keys in the file, none where it is gone or cannot be used; its rows are known now."""
        try:
            data = reading.read(path, _MAX_BYTES, follow=False)
        except Unreadable as error:
            if os.path.lexists(path):  # else merged by another run just now
                _say(f"could not read {shown(path)}: {error}")
            return []
        table = self._table(data) if hashlib.sha256(data).hexdigest() == path.stem else None
        if table is None:
            _say(f"{shown(path)} is damaged")
            with suppress(OSError):
                path.unlink()
            return []
        keys = [bytes(key) for key in table["key"]]
        self._known.update(zip(keys, table["bottleneck"], strict=True))
        return keys

    def _table(self, data: bytes) -> NDArray[np.void] | None:
        """The rows in a file's bytes; None where they are not such as `_publish` writes."""
        header = _HEADER.match(data)
        if not header or int(header[1]) != self._row["bottleneck"].shape[0]:
            return None
        if len(data) - header.end() != int(header[2]) * self._row.itemsize:
            return None
        return np.frombuffer(data, self._row, offset=header.end())

    def _publish(self, rows: dict[bytes, NDArray[np.float32]]) -> Path:
        table = np.empty(len(rows), self._row)
        table["key"] = np.array(list(rows), "V32")
        table["bottleneck"] = np.stack(list(rows.values()))
        file = io.BytesIO()
        np.save(file, table, allow_pickle=False)
        data = file.getvalue()
        path = self._folder / f"{hashlib.sha256(data).hexdigest()}.npy"
        publish(path, data)
        return path

    def _merge(self, small: dict[Path, list[bytes]]) -> None:
        keys = sorted({key for each in small.values() for key in each})
        merged = self._publish({key: self._known[key] for key in keys})
        # The merged file may be among them: a run was killed before it removed the others.
        for path in small.keys() - {merged}:
            with suppress(OSError):  # it only costs room
                path.unlink()


@dataclass
class _Pass:
    """One walk over the files: keys as they become known, images to compute as they come."""

    cache: Cache
    seen: Seen
    scaling: Scaling
    stored: Callable[[Path], NDArray[np.float32] | None] | None = None
    keys: dict[Path, bytes] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    count: int = 0
    taken: int = 0

    def computed(
        self, files: Sequence[Path], network: Callable[[], Network]
    ) -> Iterator[tuple[Path, NDArray[np.float32]]]:
        """Each file whose bottleneck was not known, with it."""
        pairs = self._to_compute(files)
        first = next(pairs, None)
        if first is not None:
            for path, row in network().run(_chain(first, pairs)):
                self.count += 1
                if self.count % 100 == 0 and not progress.on_terminal():
                    progress.say(f"{self.count} bottleneck files created.")
                yield path, row

    def _to_compute(self, files: Sequence[Path]) -> Iterator[tuple[Path, Pixels]]:
        claimed = set()
        looked = encoded.ahead(self._look, files, weigh=encoded.size_of)
        for path, found in progress.track(looked, len(files), "Bottlenecks"):
            if isinstance(found, Unreadable):
                self.left_out.append(LeftOut(path, str(found)))
                continue
            key, row, image = found
            self.keys[path] = key
            if row is not None:
                self.cache.add(key, row)
                self.taken += 1
            elif image is not None and key not in claimed:
                claimed.add(key)
                yield path, image

    def _look(self, path: Path) -> tuple[bytes, NDArray[np.float32] | None, Pixels | None]:
        """The file's key; where the cache has not its bottleneck, that as stored, or its pixels."""
        known = self.seen.key(path)
        if known is not None and known in self.cache:
            return known, None, None
        picture = encoded.read(path)
        row = image = None
        if picture.key not in self.cache:
            row = self.stored(path) if self.stored else None
            image = pixels(picture, self.scaling) if row is None else None
        self.seen.remember(path, picture)
        return picture.key, row, image


def _say(what: str) -> None:
    progress.say(f"{what}; its bottlenecks are computed again")


def _chain(
    first: tuple[Path, Pixels], rest: Iterator[tuple[Path, Pixels]]
) -> Iterator[tuple[Path, Pixels]]:
    yield first
    yield from rest
