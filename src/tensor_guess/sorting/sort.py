"""Sort a folder: images -> scores -> places -> the same images there, and a manifest."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tensor_guess.config import DATA, LINK, MOVE, REVIEW
from tensor_guess.errors import Unreadable, WrongUsage, shown
from tensor_guess.faces.cropping import cropping
from tensor_guess.guessing.besides import NOTHING, Besides
from tensor_guess.guessing.guess import Guess, MinScores, by_label, of_row
from tensor_guess.guessing.loading import Given, Imagenet
from tensor_guess.guessing.ready import Ready
from tensor_guess.images import encoded
from tensor_guess.images.encoded import Picture
from tensor_guess.images.files import Files, LeftOut, Listed
from tensor_guess.images.pixels import Crop, Pixels, pixels
from tensor_guess.images.scaling import Scaling
from tensor_guess.sorting.apply import Applying, Kind, Told, of_companion
from tensor_guess.sorting.bursts import Bursts
from tensor_guess.sorting.companions import ending, units
from tensor_guess.sorting.corrections import Labelled
from tensor_guess.sorting.manifest import Entry, Manifest
from tensor_guess.sorting.names import Names
from tensor_guess.sorting.plan import Place, Places, Way
from tensor_guess.sorting.watch import Inbox, Watch
from tensor_guess.system import progress
from tensor_guess.system.durable import check_writable, make_folder, turn
from tensor_guess.system.reading import real

# Few have others' machines at work.
if TYPE_CHECKING:
    from tensor_guess.graphs.network import Recipe
    from tensor_guess.spreading.cluster import Cluster
    from tensor_guess.spreading.machines import Machines

_LARGE = 16_000_000  # bytes
_NOT_LINKS = {MOVE: "is a link; only files are moved", LINK: "is a link; only files are linked"}


@dataclass
class Sorted:
    """What a run did: how many images it sorted, knew already, or left out and why.

    `counts`: how many of each category, in the order of names, were sorted into DEST and into its
    folder for review. `companions`: how many files came with them. `finished`: how many moves of a
    killed run were completed. `seconds`: how long all of it took. `run`: its name in the manifest.
    """

    counts: Counter[Kind] = field(default_factory=Counter)
    known: int = 0
    hidden: int = 0
    left_out: list[LeftOut] = field(default_factory=list)
    finished: int = 0
    seconds: float = 0.0
    run: str = ""
    companions: int = 0

    @property
    def sorted(self) -> int:
        """Return how many images were sorted."""
        return self.counts.total() + self.finished

    @property
    def reviewed(self) -> int:
        """Return how many of them are in the folder for review."""
        return sum(count for (_, review), count in self.counts.items() if review)


# What goes with a picture.
Companions = Sequence[tuple[Path, Picture]]
_Item = tuple[Path, Picture, Companions]
# What a network takes, or what it gave.
_Image = TypeVar("_Image", Pixels, NDArray[np.float32])
_Looked = tuple[Picture, _Image | None, Companions]  # without one, it is known already
_Found = TypeVar("_Found")
_Looking = Iterator[tuple[Listed, _Looked[_Image] | Unreadable]]
# What is called with the entry and the guess of each picture, and of what goes with it, if nothing
# is to be done but said.
Show = Callable[[Entry, Guess], None]


def sort(
    classifier: Path | Given | Imagenet,
    source: Path,
    destination: Path,
    precision: str | None = None,
    min_scores: MinScores = (),
    besides: Besides = NOTHING,
    *,
    faces: str | None = None,
    way: Way | None = None,
    burst: Fraction | None = None,
    watch: Watch | None = None,
    show: Show | None = None,
    machines: "Machines | None" = None,
) -> Sorted:
    """Bring every image below `source` to `destination`, named by category; return what was done.
    What goes with an image goes with it (`companions`), or neither does.
    Nothing is ever overwritten, images in the manifest are passed over, and the sources are only
    read, unless `way` moves them. Those whose best score is below its `min_scores`, or that show
    both of two things, go into `review` there; those like nothing in training are named `unknown`.
    `precision` is the precision to compute in; None means the classifier's own. `faces`: of each
    image, only the largest face that this detector finds is looked at, and one without is left out.
    `way`: copy or not, and how names are made; None means the defaults. `burst`: shots that are at
    most so many seconds apart are sorted as one. `watch`: sort whatever arrives until it is
    stopped. `show`: the plan is told to it, and no file or folder is touched. `machines`: which
    others guess; they are given nothing to do with a burst, a watched folder or a plan.

    Raise WrongUsage if `source` or an existing `destination` is not a folder, or if one is inside
    the other in a way that would sort pictures again. Raise UserError if the classifier cannot be
    used or `destination` cannot be written to.
    """
    start, way = time.monotonic(), way or Way()
    source, destination = _checked(source, destination, way)
    if machines:
        machines.check()
    crop = cropping(faces)
    ready = Ready(classifier, few=False, precision=precision, besides=besides)
    least = by_label(min_scores, ready.record)
    recipe = ready.recipe() if machines else None
    network = None if recipe else ready.network()
    places = Places(way, ready.record.categories)
    done = Sorted()
    with ExitStack() as stack:
        # Without them there is nothing to make.
        workers = stack.enter_context(_connected(machines)) if machines else None
        if not show:
            if way.way == MOVE:
                check_writable(source)
            make_folder(destination)
            check_writable(destination)
            stack.enter_context(turn(destination))
        manifest = stack.enter_context(
            Manifest(destination, source, ready.identity(), way, dry=bool(show))
        )
        bursts = Bursts(burst, manifest, _labelled(classifier)) if burst else None
        run = _Run(manifest, done, ready.record.scaling, crop, bursts)

        def guessed(files: Files) -> Iterator[tuple[_Item, Guess, Guess]]:
            if workers and recipe:
                found = run.not_known(run.looked_at_by(workers, recipe, faces, files), files)
            else:
                assert network
                found = network.run(run.not_known(run.looked_at(files), files))
            if bursts:
                yield from bursts.decided(found, ready, least)
                return
            for item, row in found:
                guess = of_row(item[0], ready, row, least=least)
                yield item, guess, guess

        def planned(files: Files) -> Iterator[tuple[_Item, Kind, Place, Guess, Guess]]:
            for item, own, guess in guessed(files):
                path, picture, companions = item
                name = places.name(guess.category, unknown=bool(guess.unknown))
                review = guess.unsure or bool(guess.both)
                image, extension = path.relative_to(source), picture.extension
                place = places.place(image, name, guess.score, extension, review=review)
                ends = (ending(path.name, each.name, place.suffix) for each, _ in companions)
                place = place._replace(beside=tuple(ends))
                yield item, (name, review), place, guess, own

        if show:
            names = Names(manifest, dry=True)
            for (path, picture, companions), kind, place, guess, _ in planned(Files(source)):
                for entry, _ in names.entries([(path, picture), *companions], place):
                    show(entry, guess)
                done.counts[kind] += 1
                done.companions += len(companions)
        else:
            with _applying(manifest, watch.told if watch else None) as applying:
                applying.finish(manifest.unfinished)
                if watch and network:
                    ready.keep(network)
                for files in watch.looks(source, way) if watch else (Files(source),):
                    for (path, picture, companions), kind, place, _, own in planned(files):
                        applying.add(path, picture, kind, place, own.scores, companions)
                    applying.settle()
            done.counts, done.finished = applying.counts, applying.finished
            done.companions = applying.companions
            done.left_out += applying.left_out.values()
            if network and not watch:
                ready.keep(network)
        if bursts:
            bursts.say()
        done.left_out += run.left_out.values()
        done.run = manifest.run
    done.seconds = time.monotonic() - start
    return done


def _connected(machines: "Machines") -> AbstractContextManager["Cluster"]:
    from tensor_guess.spreading import cluster

    return cluster.connected(machines)


@contextmanager
def _applying(manifest: Manifest, told: Told | None) -> Iterator[Applying]:
    """Yield the folder to bring pictures to; say what is in it if the run is interrupted."""
    applying = Applying(manifest, told)
    try:
        with applying:
            yield applying
    except KeyboardInterrupt:
        count, where = applying.counts.total() + applying.finished, shown(manifest.destination)
        progress.warn(f"stopped with {count} sorted into {where}; run it again to go on")
        raise


@dataclass
class _Run:
    manifest: Manifest
    done: Sorted
    scaling: Scaling
    crop: Crop | None
    bursts: Bursts | None = None

    def __post_init__(self) -> None:
        self.left_out = dict[Path, LeftOut]()
        self.no_links = _NOT_LINKS.get(self.manifest.way.way, "")

    def not_known(self, looked: _Looking[_Image], files: Files) -> Iterator[tuple[_Item, _Image]]:
        """Yield each image that is not known yet; count or leave out the others."""
        claimed, known = set[bytes](), 0
        for (path, _, _), result in looked:
            if isinstance(result, Unreadable):
                self._leave_out(path, str(result))
                continue
            picture, image, own = result
            is_known = image is None or picture.key in claimed
            if self.bursts:
                self.bursts.seen(path, picture, known=is_known)
            if image is None or is_known:
                known += 1
            else:
                claimed.add(picture.key)
                self.left_out.pop(path, None)
                yield (path, picture, own), image
        self.done.known += known
        self.done.hidden = files.hidden
        if known and isinstance(files, Inbox):
            progress.say(f"{known} known already: DEST has their bytes")

    def looked_at(self, files: Files) -> _Looking[Pixels]:
        """Yield each file as a network takes it."""
        if isinstance(files, Inbox):
            return files.ahead(self._look)
        found = encoded.ahead(
            self._look, files.units(units), weigh=lambda item: encoded.size_of(item[0])
        )
        return self._tracked(found, files)

    def looked_at_by(
        self, workers: "Cluster", recipe: "Recipe", faces: str | None, files: Files
    ) -> _Looking[NDArray[np.float32]]:
        """Yield each file with what a network gave, on others' machines."""
        from tensor_guess.guessing.spread import vectors
        from tensor_guess.spreading.shared import shared

        manifest = self.manifest
        known = map(bytes.fromhex, manifest.known)
        some = (path for path, reason, _ in Files(files.root).units(units) if not reason)
        how: dict[str, Any] = {"pictures": some, "inside": manifest.source, "faces": faces}
        with shared(manifest.destination, recipe, known, **how) as job:
            workers.check(job)
            items = files.units(units)
            found = vectors(workers, job, recipe, items, self._readable, self._look_alone)
            for item, result in self._tracked(found, files):
                if isinstance(result, Unreadable):
                    yield item, result
                    continue
                picture, row = result
                try:
                    yield item, (picture, row, self._companions(item, known=row is None))
                except Unreadable as error:
                    yield item, error

    def _tracked(self, found: Iterator[_Found], files: Files) -> Iterator[_Found]:
        total = sum(1 for _ in Files(files.root).units(units)) if progress.on_terminal() else 0
        return progress.track(found, total, "Sorting")

    def _look(self, item: Listed) -> _Looked[Pixels]:
        picture, image = self._look_alone(item)
        own = self._companions(item, known=image is None)
        if self.bursts:
            self.bursts.looked_at(item[0], picture)
        # Many large files, or all of a burst, may be waiting: their bytes are read again later.
        large = self.bursts or len(picture.data) >= _LARGE
        return encoded.let_go(picture) if large else picture, image, own

    def _look_alone(self, item: Listed) -> tuple[Picture, Pixels | None]:
        path = self._readable(item)
        if not path:
            raise Unreadable(item[1] or self.no_links)
        picture = encoded.read(path, inside=self.manifest.source)
        known = picture.key.hex() in self.manifest.known
        return picture, None if known else pixels(picture, self.scaling, self.crop)

    def _readable(self, item: Listed) -> Path | None:
        """Return the path, or None if the file is left out unread."""
        path, reason, _ = item
        return None if reason or (self.no_links and path.is_symlink()) else path

    def _companions(self, item: Listed, *, known: bool) -> Companions:
        path, _, names = item
        return () if known else [self._companion(path.with_name(each)) for each in names]

    def _companion(self, path: Path) -> tuple[Path, Picture]:
        try:
            return path, encoded.any_file(path, inside=self.manifest.source)
        except Unreadable as error:
            raise Unreadable(of_companion(path.name, error)) from error

    def _leave_out(self, path: Path, reason: str) -> None:
        """Leave the file out, and say so once: in a watched folder it may come again."""
        left_out = LeftOut(path, reason)
        if path not in self.left_out:
            self.manifest.left_out(path, reason)
            progress.warn(str(left_out))
        self.left_out[path] = left_out


def _labelled(classifier: Path | Given | Imagenet) -> Labelled | None:
    """Return what a person has labelled, in the folder of the classifier."""
    path = classifier.path if isinstance(classifier, Given) else classifier
    return Labelled(path / DATA) if isinstance(path, Path) and path.is_dir() else None


def _checked(source: Path, destination: Path, way: Way) -> tuple[Path, Path]:
    if not source.is_dir():
        raise WrongUsage(f"{shown(source)} is not a folder of pictures to sort")
    if destination.exists() and not destination.is_dir():
        raise WrongUsage(f"{shown(destination)} is not a folder to copy to")
    real_source, real_destination = real(source), real(destination)
    if real_destination.is_relative_to(real_source):
        relation = "the same folder as" if real_source == real_destination else "inside"
        raise WrongUsage(
            f"DEST {shown(destination)} is {relation} SRC {shown(source)}; "
            "choose a folder outside it, so that no copy is sorted again"
        )
    if real_source.is_relative_to(real_destination):
        inside = real_source.relative_to(real_destination).parts
        if way.has_folders or inside[0] == REVIEW:
            raise WrongUsage(
                f"SRC {shown(source)} is inside DEST {shown(destination)}, whose folders are "
                "written to; choose another DEST"
            )
    if way.way == LINK and _disk(real_source) != _disk(real_destination):
        raise WrongUsage(
            f"{shown(source)} and {shown(destination)} are on different disks, and --link needs "
            "one; copy, or use --symlink"
        )
    return real_source, real_destination


def _disk(folder: Path) -> int:
    """Return the device of the folder, or of the nearest above it that exists."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    return there.stat().st_dev
