"""The part of a picture that is looked at: all of it, or its largest face."""

from functools import partial

from tensor_guess.images.pixels import Crop


def cropping(faces: str | None) -> Crop | None:
    """Return the crop to a picture's largest face by that detector; None without one.

    Raise UserError if what is needed for that is not installed.
    """
    if not faces:
        return None
    from tensor_guess.faces import face

    face.check(faces)
    return partial(face.largest, detector=faces)
