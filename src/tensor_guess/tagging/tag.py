"""Tag a folder: images -> labels -> keywords in the sidecars beside them."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tensor_guess.config import MANIFEST
from tensor_guess.errors import Unreadable, WrongUsage, shown
from tensor_guess.faces.cropping import cropping
from tensor_guess.guessing.besides import NOTHING, Besides
from tensor_guess.guessing.guess import Guess, MinScores, by_label, of_row
from tensor_guess.guessing.loading import Given, Imagenet
from tensor_guess.guessing.ready import Ready
from tensor_guess.images import encoded
from tensor_guess.images.files import Files, LeftOut
from tensor_guess.images.pixels import Crop, Pixels, pixels
from tensor_guess.images.scaling import Scaling
from tensor_guess.sorting.companions import units
from tensor_guess.system import progress
from tensor_guess.system.durable import check_writable
from tensor_guess.system.reading import real
from tensor_guess.tagging import sidecars
from tensor_guess.tagging.adding import AddingTags
from tensor_guess.tagging.tags import Tags
from tensor_guess.tagging.xmp import keyword

# What is called with a picture, its sidecar and the keywords, if nothing is to be done but said.
Show = Callable[[Path, Path, Sequence[str]], None]


@dataclass
class TaggedFolder:
    """What a run did: how many pictures got which label, and how many none and why.

    `known`: how many had their labels already; `unsure`: how many are below their least score, or
    like nothing in training, and so get none. `seconds`: how long it took. `run`: its name.
    """

    counts: Counter[str] = field(default_factory=Counter)
    known: int = 0
    unsure: int = 0
    hidden: int = 0
    left_out: list[LeftOut] = field(default_factory=list)
    seconds: float = 0.0
    run: str = ""


def tag(
    classifier: Path | Given | Imagenet,
    source: Path,
    precision: str | None = None,
    min_scores: MinScores = (),
    besides: Besides = NOTHING,
    *,
    faces: str | None = None,
    show: Show | None = None,
) -> TaggedFolder:
    """Let the sidecar of every image below `source` have its label as a keyword.

    A sidecar is made if an image has none; whatever else it has is kept, and the images are only
    read. Those whose best score is below its `min_scores`, or that are like nothing in training,
    are passed over; those that show two things get both labels. The other arguments are those of
    `sorting.sort`.

    Raise WrongUsage if `source` is not a folder. Raise UserError if the classifier cannot be used
    or `source` cannot be written to.
    """
    start = time.monotonic()
    if not source.is_dir():
        raise WrongUsage(f"{shown(source)} is not a folder of pictures to tag")
    source, crop = real(source), cropping(faces)
    ready = Ready(classifier, few=False, precision=precision, besides=besides)
    least = by_label(min_scores, ready.record)
    if not show:
        check_writable(source)
    network, done = ready.network(), TaggedFolder()
    with Tags(source, ready.identity(), dry=bool(show)) as tags:
        run = _Run(tags, done, ready.record.scaling, crop)
        with AddingTags(tags) as adding:
            for (path, key, sidecar), row in network.run(run.to_guess(Files(source))):
                guess = of_row(path, ready, row, least=least)
                words = [] if guess.unsure or guess.unknown else list(map(keyword, _labels(guess)))
                if not words:
                    done.unsure += 1
                elif show:
                    show(path, sidecar, words)
                    done.counts[guess.label] += 1
                else:
                    adding.add(path, key, sidecar, words, guess.scores)
        if not show:
            done.counts = adding.counts
            ready.keep(network)
        done.known += adding.there
        done.left_out += adding.left_out
        done.run = tags.run
    done.seconds = time.monotonic() - start
    return done


def _labels(guess: Guess) -> Sequence[str]:
    return guess.both or (guess.label,)


@dataclass
class _Run:
    tags: Tags
    done: TaggedFolder
    scaling: Scaling
    crop: Crop | None

    def to_guess(self, files: Files) -> Iterator[tuple[tuple[Path, str, Path], Pixels]]:
        """Yield each image that is not tagged yet; count or leave out the others."""
        total = sum(1 for _ in Files(files.root).units(units)) if progress.on_terminal() else 0
        found = encoded.ahead(
            self._look, files.units(units), weigh=lambda item: encoded.size_of(item[0])
        )
        for (path, _, _), result in progress.track(found, total, "Tagging"):
            if path == files.root / MANIFEST:  # of a folder that was sorted
                continue
            if isinstance(result, Unreadable):
                left_out = LeftOut(path, str(result))
                self.done.left_out.append(left_out)
                self.tags.left_out(path, str(result))
                progress.warn(str(left_out))
                continue
            key, sidecar, image = result
            if image is None:
                self.done.known += 1
            else:
                yield (path, key, sidecar), image
        self.done.hidden = files.hidden

    def _look(
        self, item: tuple[Path, str | None, Sequence[str]]
    ) -> tuple[str, Path, Pixels | None]:
        path, reason, names = item
        if reason:
            raise Unreadable(reason)
        picture = encoded.read(path, inside=self.tags.source)
        key, sidecar = picture.key.hex(), path.with_name(sidecars.name_of(path.name, names))
        if self.tags.known.get(self.tags.relative(sidecar)) == key:
            return key, sidecar, None
        return key, sidecar, pixels(picture, self.scaling, self.crop)
