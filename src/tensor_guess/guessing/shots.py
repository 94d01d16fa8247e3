"""What is guessed: each picture, and each of a video's frames that is asked for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from tensor_guess.errors import Unreadable
from tensor_guess.faces.cropping import cropping
from tensor_guess.images import encoded
from tensor_guess.images.files import LeftOut
from tensor_guess.images.pixels import Crop, Pixels, fitted, pixels
from tensor_guess.images.scaling import Scaling


@dataclass(frozen=True)
class Shot:
    """A picture, or a frame shown `seconds` after its video's start, as a network takes it."""

    path: Path
    image: Pixels
    seconds: Fraction | None = None


def shots(
    paths: Sequence[Path],
    scaling: Scaling,
    *,
    faces: str | None = None,
    every: Fraction | None = None,
) -> Iterator[Shot | LeftOut]:
    """Yield the pictures, and the first frame of each time that `every` asks for, in order.

    LeftOut says why there is none, or why a video ends early. `faces`: of each, the largest face
    that this detector finds. Raise UserError if what is needed for that is not installed.
    """
    crop = cropping(faces)

    def look(path: Path) -> Pixels | None:
        if every is not None:
            from tensor_guess.faces import video

            if video.is_video(path):
                return None
        return pixels(encoded.read(path), scaling, crop)

    for path, image in encoded.ahead(look, paths, weigh=encoded.size_of):
        if isinstance(image, Unreadable):
            yield LeftOut(path, str(image))
        elif image is not None:
            yield Shot(path, image)
        elif every is not None:
            yield from _frames(path, every, scaling, crop)


def _frames(
    path: Path, every: Fraction, scaling: Scaling, crop: Crop | None
) -> Iterator[Shot | LeftOut]:
    from tensor_guess.faces import video

    try:
        for frame in video.frames(path, every):
            try:
                image = crop(frame.image) if crop else frame.image
            except Unreadable as error:
                yield LeftOut(path, f"at {video.clock(frame.seconds)}: {error}")
            else:
                yield Shot(path, fitted(image, scaling), frame.seconds)
    except Unreadable as error:
        yield LeftOut(path, str(error))
