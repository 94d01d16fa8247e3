"""Turn image files into rows: taken from the cache, or computed and added to it.
bottlenecks/<fingerprint>/   the rows of one extractor, see `cache`
bottlenecks/seen             which file had which key, see `seen`
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tensor_guess.bottlenecks.cache import Cache
from tensor_guess.bottlenecks.extractor import Extractor
from tensor_guess.bottlenecks.seen import Seen
from tensor_guess.config import Augmentation
from tensor_guess.errors import Unreadable, counted, shown
from tensor_guess.graphs.network import Network
from tensor_guess.images import augment, encoded
from tensor_guess.images.files import LeftOut
from tensor_guess.images.pixels import Pixels, pixels
from tensor_guess.images.scaling import Scaling
from tensor_guess.system import progress

if TYPE_CHECKING:
    from tensor_guess.spreading.machines import Machines

# So many versions are computed to tell how long the rest takes: fewer do not fill the pipeline.
_PROBE = 64

# Returns the row that an old program stored for a file, or None.
StoredRow = Callable[[Path], NDArray[np.float32] | None]


@dataclass(frozen=True)
class Rows:
    """One row for each readable file, in order: path, key (SHA-256), bottleneck [N, D].

    `computed`: how many were computed. `taken`: how many an old program had stored.
    """

    paths: tuple[Path, ...]
    keys: tuple[bytes, ...]
    bottlenecks: NDArray[np.float32]
    left_out: tuple[LeftOut, ...]
    computed: int
    taken: int = 0


@dataclass
class Computer:
    """Gets rows from the cache in `folder`, and computes missing ones; compiles at most once.

    `readonly`: write nothing to the folder, which may be missing. `machines`: which others compute
    what `rows` lacks; None means this one.
    """

    folder: Path
    extractor: Extractor
    readonly: bool = False
    machines: "Machines | None" = None

    def rows(
        self,
        files: Sequence[Path],
        stored: StoredRow | None = None,
        until: float | None = None,
    ) -> Rows:
        """Return the bottlenecks of the files, and add new ones to the cache.

        A row that is not in the cache comes from `stored`, which threads call, or is computed.
        Files that cannot be read are left out with the reason. `until`: the time after which no
        other file is looked at.
        """
        pass_ = self._pass(stored, until)
        cache = pass_.cache
        if self.machines:
            files = self._spread(pass_, files, self.machines)
        for path, row in pass_.computed(files, lambda: self._network):
            cache.add(pass_.keys[path], row)
        cache.flush()
        if not self.readonly:
            pass_.seen.save()
        readable = [path for path in files if path in pass_.keys]
        keys = tuple(pass_.keys[path] for path in readable)
        left_out = tuple(pass_.left_out)
        progress.detail(f"the cache of bottlenecks: {shown(self.folder)}")
        return Rows(tuple(readable), keys, cache.rows(keys), left_out, pass_.count, pass_.taken)

    def versions(
        self,
        paths: Sequence[Path],
        keys: Sequence[bytes],
        how: Augmentation,
        until: float | None = None,
    ) -> NDArray[np.float32]:
        """Return the bottlenecks [N, V, D] of each picture's versions, and cache new ones.

        keys: the pictures' own. A picture that can no longer be read as it was stands for its
        versions. Raise OutOfTime if they are not there at the time `until`, or will not be.
        """
        pass_ = self._pass()
        wanted = [[augment.key_of(key, how, i) for i in range(how.versions)] for key in keys]
        missing = [
            (path, key, [each for each in own if each not in pass_.cache])
            for path, key, own in zip(paths, keys, wanted, strict=True)
        ]
        missing = [each for each in missing if each[2]]
        pairs = _rows_of(missing, self.extractor.backbone.scaling, how)
        total = sum(len(own) for _, _, own in missing)
        probe = list(islice(pairs, _PROBE))
        if probe:
            network = self._network  # compiled before the rate is measured
            started = time.monotonic()
            computed = list(network.run(probe))
            seconds = (time.monotonic() - started) / len(probe) * (total - len(probe))
            progress.say(
                f"augmenting: {how.versions} versions of {counted(len(paths), 'picture')}, "
                f"{total} of them new: about {seconds:.0f} seconds"
            )
            if until:
                progress.check_time(until - seconds)
            rest = network.run(pairs)
            for key, row in progress.track(chain(computed, rest), total, "Versions"):
                pass_.cache.add(key, row)
                progress.check_time(until)
            pass_.cache.flush()
        found = [
            each if each in pass_.cache else key
            for key, own in zip(keys, wanted, strict=True)
            for each in own
        ]
        return pass_.cache.rows(found).reshape(len(keys), how.versions, -1)

    def peek(self, files: Sequence[Path]) -> dict[Path, NDArray[np.float32]]:
        """Return the bottleneck of each readable file as `rows` does; add none to the cache."""
        pass_ = self._pass()
        found = pass_.computed(files, lambda: self._network)
        computed = {pass_.keys[path]: row for path, row in found}
        return {
            path: computed[key] if key in computed else pass_.cache.rows([key])[0]
            for path, key in pass_.keys.items()
        }

    def _spread(self, pass_: "_Pass", files: Sequence[Path], machines: "Machines") -> list[Path]:
        """Return the files that are left to look at here; hardly anything is left to compute."""
        from tensor_guess.bottlenecks import spread  # few have others' machines at work

        before = len(pass_.cache)
        try:
            fatal = spread.fill(
                machines,
                files,
                self.extractor,
                pass_.cache,
                pass_.seen,
                self._own,
                pass_.until,
            )
        finally:
            pass_.seen.save()  # so that the next run need not read all pictures again
        pass_.left_out += fatal
        pass_.count = len(pass_.cache) - before
        apart = {each.path for each in fatal}
        return [path for path in files if path not in apart]

    @property
    def _own(self) -> Path:
        return self.folder / self.extractor.fingerprint

    @cached_property
    def _network(self) -> Network:
        return self.extractor.network()

    def _pass(self, stored: StoredRow | None = None, until: float | None = None) -> "_Pass":
        cache = Cache(self._own, self.extractor.length, readonly=self.readonly)
        scaling = self.extractor.backbone.scaling
        return _Pass(cache, Seen(self.folder / "seen"), scaling, stored, until)


@dataclass
class _Pass:
    """One pass over the files; it collects keys, and computes missing rows on the way."""

    cache: Cache
    seen: Seen
    scaling: Scaling
    stored: StoredRow | None = None
    until: float | None = None
    keys: dict[Path, bytes] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    count: int = 0
    taken: int = 0

    def computed(
        self, files: Sequence[Path], network: Callable[[], Network]
    ) -> Iterator[tuple[Path, NDArray[np.float32]]]:
        """Yield each file whose bottleneck was not known, with the bottleneck."""
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
        tracked = progress.track(looked, len(files), "Bottlenecks")
        for path, found in progress.in_time(tracked, self.until):
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
        """Return the file's key and, if the cache lacks its row, the stored row or the pixels."""
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


# A picture's file, its key, and the keys of the versions that are wanted of it.
Wanted = tuple[Path, bytes, list[bytes]]


def distorted(
    wanted: Sequence[Wanted], scaling: Scaling, how: Augmentation
) -> Iterator[tuple[Wanted, list[Pixels] | Unreadable]]:
    """Yield each picture with its versions, or why it can no longer be read as it was."""

    def made(each: Wanted) -> list[Pixels]:
        path, key, own = each
        picture = encoded.read(path)
        if picture.key != key:
            raise Unreadable("was changed meanwhile")
        return augment.versions(picture, scaling, how, own)

    return encoded.ahead(made, wanted, weigh=lambda each: encoded.size_of(each[0]))


def _rows_of(
    missing: Sequence[Wanted], scaling: Scaling, how: Augmentation
) -> Iterator[tuple[bytes, Pixels]]:
    for (_, _, own), images in distorted(missing, scaling, how):
        if not isinstance(images, Unreadable):
            yield from zip(own, images, strict=True)


def _chain(
    first: tuple[Path, Pixels], rest: Iterator[tuple[Path, Pixels]]
) -> Iterator[tuple[Path, Pixels]]:
    yield first
    yield from rest
