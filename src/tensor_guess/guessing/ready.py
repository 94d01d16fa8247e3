"""A classifier ready to score: kept from an earlier run if possible, else loaded now."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tensor_guess.errors import Unreadable, UserError, counted, shown
from tensor_guess.graphs import files
from tensor_guess.graphs.files import AS_FOUND, Record, of_json, position_of, to_json
from tensor_guess.guessing import besides as extras
from tensor_guess.guessing import kept, loading
from tensor_guess.guessing.besides import NOTHING, TRAIN_AGAIN, Besides, Floats, Layout
from tensor_guess.guessing.kept import Kept
from tensor_guess.guessing.loading import Given, Imagenet
from tensor_guess.system import progress, reading

if TYPE_CHECKING:
    from tensor_guess.graphs.classifier import Classifier
    from tensor_guess.graphs.network import Network, Recipe


class Ready:
    """A classifier, and on demand its network.

    `few`: only a handful of images will come. `precision`: None means the record's own.
    `besides`: what is wanted of a picture besides its scores. `layout` says where `network` gives
    it, once that was called. Raise UserError, as `loading.load` does, if the classifier cannot be
    used, or has no threshold for the unknown if that is wanted; WrongUsage if it has no such label
    as is asked for.

    `only`: where in the record the labels are that are asked for; none means all.
    """

    record: Record
    top: int | None = None
    only: tuple[int, ...] = ()
    layout: Layout

    def __init__(
        self,
        which: Path | Given | Imagenet,
        few: bool,
        precision: str | None = None,
        besides: Besides = NOTHING,
    ) -> None:
        self._which = Given(which) if isinstance(which, Path) else which
        self._few, self._precision, self._besides = few, precision, besides
        self._kept: Kept | None = None
        self._made: Classifier | None = None
        if isinstance(self._which, Given):
            self._look_up(self._which)
        if self._kept is None:
            self._make()
        if besides.unknown and self.record.unknown is None:
            name = self._which if isinstance(self._which, Given) else "imagenet"
            raise UserError(f"{name} {TRAIN_AGAIN}")
        if progress.voice() is progress.Voice.VERBOSE:  # a digest takes time
            progress.detail(self._described())
        if self._which.only:
            chosen = (position_of(each, self.record, "--only") for each in self._which.only)
            self.only = tuple(sorted(set(chosen)))
            self.top = None
            count = len(self.record.labels)
            progress.say(f"scores are shared among {len(self.only)} of {count} labels (--only)")

    def digest(self) -> str:
        """Return the SHA-256 of the graph's bytes."""
        return self._made.digest() if self._made else self._digest

    def identity(self) -> str:
        """Return the digest, and with `only` the labels that are asked for."""
        labels = ", ".join(self.record.labels[k] for k in self.only)
        return f"{self.digest()} only {labels}" if labels else self.digest()

    def _described(self) -> str:
        size, precision = self.record.scaling.size, self._precision or self.record.precision
        return (
            f"classifier: SHA-256 {self.digest()}, {counted(len(self.record.labels), 'label')}, "
            f"on {shown(self.record.backbone)}, {size} x {size} pixels, {precision}"
        )

    def scores(self, row: Floats) -> Floats:
        """Return the scores [K] in a vector of `network`; with `only`, all others are 0."""
        scores = self.layout.scores(row)
        if not self.only:
            return scores
        own, chosen = np.zeros_like(scores), list(self.only)
        total = scores[chosen].sum()
        own[chosen] = scores[chosen] / total if total > 0 else 1 / len(chosen)
        return own

    def network(self) -> "Network":
        """Return the compiled network: images [S, S, 3] -> vectors divided as `layout` says.

        Scores [K] come first, in the order of the labels.

        Raise UserError if it cannot be compiled.
        """
        if self._kept:
            from tensor_guess.graphs.network import Network, precision_of

            precision = precision_of(self.record, self._precision)
            try:
                self.layout = Layout.of_json(self._kept.said["layout"])
                if self.layout.classes != len(self.record.labels):
                    raise ValueError("it has other labels")
                how = self.record.scaling, precision, self._kept.said.get("batch", 0)
                network = Network.of_blob(self._kept.blob, *how, self.layout.width)
                progress.detail("its network was compiled by an earlier run")
                return network
            except (KeyError, RuntimeError, TypeError, ValueError):
                self._kept = None
                self._make()
        with progress.timed("compiling its network"):
            return self.recipe().network(self._few)

    def recipe(self) -> "Recipe":
        """Return what `network` is made from. Raise UserError if it cannot give what is wanted."""
        if self._made is None:
            self._make()
        assert self._made
        found, self.layout = extras.recipe(self._made, self._precision, self._besides)
        return found

    def keep(self, network: "Network") -> None:
        """Keep the network for next time, unless it was kept already."""
        if self._kept or not self._made or not self._made.data or not kept.can_keep():
            return
        from tensor_guess.graphs.network import runtime
        from tensor_guess.graphs.own import is_ours

        said = {
            "runtime": runtime(),
            "ours": is_ours(self._made.graph),
            "record": to_json(self.record),
            "layout": asdict(self.layout),
            "batch": network.batch,
        }
        with suppress(MemoryError, RuntimeError):  # the scores are computed; this only saves time
            kept.keep(self._key(self.digest()), said, network.blob())

    def _look_up(self, given: Given) -> None:
        path = loading.graph_path(given.path)
        with ThreadPoolExecutor(1) as pool:
            found = pool.submit(self._find, path)
            # Imported meanwhile, because it takes as long.
            from tensor_guess.graphs.network import runtime

            known = found.result()
        try:
            if known and known.said["runtime"] == runtime():
                self._take(known, given, path)
        except (KeyError, TypeError, ValueError):
            pass  # written by another program

    def _find(self, path: Path) -> Kept | None:
        try:
            if not kept.folder().is_dir():
                return None
            self._digest = _digest_of(path)
        except (Unreadable, UserError):
            return None
        return kept.find(self._key(self._digest))

    def _take(self, known: Kept, given: Given, path: Path) -> None:
        """Use what was kept, unless the labels beside the graph have changed.

        Raise KeyError, TypeError or ValueError if what was kept does not have the expected form.
        """
        said = known.said["record"]
        record = of_json(said, tuple(said["labels"]))
        ours = known.said["ours"]
        if ours or reading.is_zip(path):
            loading.check_labels(given, path, record.labels, lambda: self._digest)
        if ours:
            files.say_ignored(given.address or shown(path), given.fed)
        elif files.distinct(loading.labels_of(given, path)) != record.labels:
            return
        self.record, self._kept = record, known

    def _make(self) -> None:
        self._made = loading.load(self._which)
        self.record, self.top = self._made.record, self._made.top

    def _key(self, digest: str) -> str:
        fed = self._which.fed if isinstance(self._which, Given) else AS_FOUND
        return kept.key(digest, fed, self._few, self._precision, self._besides)


def _digest_of(path: Path) -> str:
    """Return the SHA-256 of the graph at `path`, or in the zip there, whose digests are checked.

    Raise Unreadable or UserError if it cannot be read.
    """
    if reading.is_zip(path):
        from tensor_guess.received import shared_zip

        return hashlib.sha256(shared_zip.opened(path).graph).hexdigest()
    return reading.sha256(path, kept.MAX_BYTES).hex()
