"""Collect faces: a folder of pictures, a video or a camera -> numbered pictures of a category."""

import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from itertools import count as numbers
from pathlib import Path

from tensor_guess.config import DATA, HAAR
from tensor_guess.errors import Unreadable, UserError, WrongUsage, counted, shown
from tensor_guess.faces import face, video
from tensor_guess.faces.face import Pixels, Seen
from tensor_guess.images import decoding, encoded
from tensor_guess.images.dataset import label_of
from tensor_guess.images.files import Files, LeftOut
from tensor_guess.images.pixels import LONGEST
from tensor_guess.images.thumbnails import jpeg
from tensor_guess.system import progress
from tensor_guess.system.durable import make_folder, publish, sweep
from tensor_guess.system.reading import leaves, real

# libjpeg's, of 100: these pictures are trained on.
_QUALITY = 95


class Which(Enum):
    """Which faces are taken of a picture that shows more than one."""

    NONE = "none"
    LARGEST = "largest"
    ALL = "all"


@dataclass
class Collected:
    """What a run did: pictures looked at, faces written, and why others were not.

    `training` and `testing`: how many were written to the category, and to the test folder.
    """

    looked: int = 0
    training: int = 0
    testing: int = 0
    passed_over: Counter[str] = field(default_factory=Counter)
    left_out: list[LeftOut] = field(default_factory=list)


# Why a picture or a face is passed over.
REASONS = NOT_FOUND, SEVERAL, BLURRED, ALIKE = (
    "face not found",
    "more than one face",
    "blurred",
    "same as before",
)


def collect(
    tf_files: Path,
    category: str,
    source: Path,
    *,
    count: int,
    test_count: int = 0,
    test_dir: Path | None = None,
    which: Which = Which.NONE,
    detector: str = HAAR,
) -> Collected:
    """Write up to `count` faces in `source` to TF_FILES/data/<category>, and then up to
    `test_count` to `test_dir`/<category>; return what was done.

    Names go on from the largest number there; nothing is overwritten. Raise WrongUsage if the
    category or source makes no sense, UserError if there is no face anywhere, if the camera cannot
    be used or if the system refuses.
    """
    folders = _checked(tf_files, category, source, test_dir)
    face.check(detector)
    done, seen = Collected(), Seen()
    shelves = [_Shelf(folders[0], count, seen), _Shelf(folders[1], test_count, seen)]
    with progress.bar("Faces", count + test_count) as show:
        found = _faces(source, which, detector, done)
        while any(shelf.left for shelf in shelves) and (each := next(found, None)) is not None:
            if not seen.add(each):
                done.passed_over[ALIKE] += 1
                continue
            next(shelf for shelf in shelves if shelf.left).put(each)
            done.training, done.testing = (shelf.written for shelf in shelves)
            show(done.training + done.testing, f"{NOT_FOUND}: {done.passed_over[NOT_FOUND]}")
    if done.passed_over[NOT_FOUND] == done.looked:
        raise _no_face(source, done)
    return done


def _checked(
    tf_files: Path, category: str, source: Path, test_dir: Path | None
) -> tuple[Path, Path]:
    """Return the folders for training and testing. Raise WrongUsage as `collect` does."""
    if "/" in category or category.startswith(".") or not label_of(category):
        raise WrongUsage(
            f"{shown(category)} cannot be a category: it needs a letter or a digit, no / in it and "
            "no dot in front"
        )
    if not source.exists():
        what = "camera" if source.is_relative_to("/dev") else "folder, video or camera"
        raise WrongUsage(f"there is no {what} {shown(source)}")
    folder = tf_files / DATA / category
    if leaves(folder, tf_files):
        raise WrongUsage(
            f"{shown(folder)} is a link that leaves {shown(tf_files)}; "
            "nothing is written there: make it a folder"
        )
    folders = folder, (test_dir or tf_files / "test") / category
    if any(real(each).is_relative_to(real(source)) for each in folders):
        raise WrongUsage(f"SOURCE {shown(source)} is or contains the folder for the faces")
    return folders


def _no_face(source: Path, done: Collected) -> UserError:
    if not done.looked:
        return UserError(f"nothing in {shown(source)} could be looked at")
    return UserError(
        f"no face was found in {shown(source)}, in {counted(done.looked, 'picture')}; faces are "
        "found if they look at the camera, upright and in even light"
    )


class _Shelf:
    """A folder of numbered faces that takes a number of new ones."""

    def __init__(self, folder: Path, left: int, seen: Seen) -> None:
        self.left, self.written, self._folder = left, 0, folder
        if folder.is_dir():
            sweep(folder)
        there = [path for path in folder.glob("*") if path.stem.isdecimal()]
        self._numbers = numbers(max((int(path.stem) for path in there), default=0) + 1)
        # What an earlier run collected is not collected again, and what is for testing stays so.
        for _, image in encoded.ahead(_image, there, weigh=encoded.size_of):
            if not isinstance(image, Unreadable):
                seen.add(image)

    def put(self, image: Pixels) -> None:
        """Write the face under the next number. Raise UserError if the system refuses."""
        data = jpeg(image, _QUALITY)
        make_folder(self._folder)
        while True:
            try:
                publish(self._folder / f"{next(self._numbers):03}.jpg", data, replace=False)
                break
            except FileExistsError:  # of a parallel run
                continue
        self.left -= 1
        self.written += 1


def _faces(source: Path, which: Which, detector: str, done: Collected) -> Iterator[Pixels]:
    """Yield the sharp faces in `source`; count the others, and what was looked at."""
    for image in _images(source, done):
        done.looked += 1
        boxes = face.find(image, detector)
        if not boxes:
            done.passed_over[NOT_FOUND] += 1
        elif len(boxes) > 1 and which is Which.NONE:
            done.passed_over[SEVERAL] += 1
        else:
            for box in boxes if which is Which.ALL else boxes[:1]:
                if face.sharpness(image, box) < face.SHARP:
                    done.passed_over[BLURRED] += 1
                else:
                    yield face.crop(image, box)


def _images(source: Path, done: Collected) -> Iterator[Pixels]:
    """Yield the pictures or frames of `source`; say, and collect, what is left out."""
    if stat.S_ISCHR(source.stat().st_mode):
        yield from (frame.image for frame in video.camera(source))
        return
    try:
        if video.is_video(source):
            yield from (frame.image for frame in video.frames(source))
            return
    except Unreadable as error:
        _leave_out(done, source, str(error))
        return
    files = Files(source) if source.is_dir() else [(source, None)]
    for (path, _), image in encoded.ahead(
        _look, files, weigh=lambda item: encoded.size_of(item[0])
    ):
        if isinstance(image, Unreadable):
            _leave_out(done, path, str(image))
        else:
            yield image


def _look(item: tuple[Path, str | None]) -> Pixels:
    path, reason = item
    if reason:
        raise Unreadable(reason)
    return _image(path)


def _image(path: Path) -> Pixels:
    return decoding.decode_upright(encoded.read(path), LONGEST)


def _leave_out(done: Collected, path: Path, reason: str) -> None:
    done.left_out.append(LeftOut(path, reason))
    progress.warn(str(done.left_out[-1]))
