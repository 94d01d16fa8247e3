"""Sort a folder: images -> scores -> copies named `<category>-<score>.<ext>`."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tensor_guess.config import UNKNOWN
from tensor_guess.errors import Unreadable, WrongUsage, shown
from tensor_guess.guessing.besides import NOTHING, Besides
from tensor_guess.guessing.guess import MinScores, by_label, of_row
from tensor_guess.guessing.loading import Given, Imagenet
from tensor_guess.guessing.ready import Ready
from tensor_guess.guessing.shots import cropping
from tensor_guess.images import encoded
from tensor_guess.images.encoded import Picture
from tensor_guess.images.files import Files, LeftOut
from tensor_guess.images.pixels import Crop, Pixels, pixels
from tensor_guess.images.scaling import Scaling
from tensor_guess.sorting.copies import Copies
from tensor_guess.sorting.manifest import Manifest
from tensor_guess.system import progress
from tensor_guess.system.durable import check_writable, make_folder, sweep
from tensor_guess.system.reading import real

_LARGE = 16_000_000  # bytes
# What some file systems (FAT, NTFS) forbid in names, and what shells misread.
_FORBIDDEN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f\ud800-\udfff]')
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")
# A name has at most 255 bytes, and `-0.99621-1234567.heic` must fit too.
_MAX_BYTES = 220


@dataclass
class Sorted:
    """What a run did: how many images were copied, were known already, or were left out and why.

    `reviewed`: how many of the copies are in the folder for review.
    """

    copied: int = 0
    known: int = 0
    hidden: int = 0
    left_out: list[LeftOut] = field(default_factory=list)
    reviewed: int = 0


def sort(
    classifier: Path | Given | Imagenet,
    source: Path,
    destination: Path,
    precision: str | None = None,
    min_scores: MinScores = (),
    besides: Besides = NOTHING,
    *,
    faces: bool = False,
) -> Sorted:
    """Copy every image below `source` to `destination`, named by category; return what was done.
    Nothing is ever overwritten, images in the manifest are not copied again, and the sources are
    only read. Those whose best score is below its `min_scores`, or that show both of two
    things, go into `review` there; those like nothing in training are named `unknown`.
    `precision` is the precision to compute in; None means the classifier's own. `faces`: of each
    image, only its largest face is looked at, and one without is left out.

    Raise WrongUsage if `source` or an existing `destination` is not a folder, or if `destination`
    is inside `source`. Raise UserError if the classifier cannot be used or `destination` cannot be
    written to.
    """
    source, destination = _checked(source, destination)
    crop = cropping(faces)
    ready = Ready(classifier, few=False, precision=precision, besides=besides)
    least = by_label(min_scores, ready.record)
    make_folder(destination)
    check_writable(destination)
    sweep(destination)
    network, unknown = ready.network(), _unknown(ready.record.categories)
    done = Sorted()
    with Manifest(destination, source, ready.digest()) as manifest, Copies(manifest) as copies:
        run = _Run(manifest, done, ready.record.scaling, crop)
        for (path, picture), row in network.run(run.to_guess(Files(source))):
            guess = of_row(path, ready, row, least=least)
            name = unknown if guess.unknown else file_name(guess.category)
            copies.add(path, picture, name, guess.scores, review=guess.unsure or bool(guess.both))
    ready.keep(network)
    done.copied, done.reviewed = copies.count, copies.reviewed
    done.left_out += copies.left_out
    return done


def file_name(category: str) -> str:
    """Return the category as the start of a file name that is safe on any file system."""
    safe = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", category)).lstrip("-. ").rstrip(". ")
    if _RESERVED.match(safe) or not safe:
        safe = f"_{safe}"
    return safe.encode()[:_MAX_BYTES].decode(errors="ignore")


def _unknown(categories: Sequence[str]) -> str:
    """Return the name for the unknown: a category may have it, on a file system in any case."""
    taken, name = {file_name(each).casefold() for each in categories}, UNKNOWN
    while name in taken:
        name += "_"
    return name


@dataclass
class _Run:
    manifest: Manifest
    done: Sorted
    scaling: Scaling
    crop: Crop | None

    def to_guess(self, files: Files) -> Iterator[tuple[tuple[Path, Picture], Pixels]]:
        """Yield each image that is not known yet; count or leave out the others."""
        total = sum(1 for _ in Files(files.root)) if progress.on_terminal() else 0
        found = encoded.ahead(self._look, files, weigh=lambda item: encoded.size_of(item[0]))
        claimed: set[bytes] = set()
        for (path, _), result in progress.track(found, total, "Sorting"):
            if isinstance(result, Unreadable):
                self._leave_out(path, str(result))
                continue
            picture, image = result
            if image is None or picture.key in claimed:
                self.done.known += 1
            else:
                claimed.add(picture.key)
                yield (path, picture), image
        self.done.hidden = files.hidden

    def _look(self, item: tuple[Path, str | None]) -> tuple[Picture, Pixels | None]:
        path, reason = item
        if reason:
            raise Unreadable(reason)
        picture = encoded.read(path, inside=self.manifest.source)
        known = picture.key.hex() in self.manifest.known
        image = None if known else pixels(picture, self.scaling, self.crop)
        # Many large files may be waiting, so their bytes are read again later.
        return picture if len(picture.data) < _LARGE else encoded.let_go(picture), image

    def _leave_out(self, path: Path, reason: str) -> None:
        left_out = LeftOut(path, reason)
        self.done.left_out.append(left_out)
        self.manifest.left_out(path, reason)
        progress.say(str(left_out))


def _checked(source: Path, destination: Path) -> tuple[Path, Path]:
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
    return real_source, real_destination
