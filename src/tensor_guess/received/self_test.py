"""The self-test of a shared classifier: pictures of random noise, and the scores they get."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tensor_guess.config import FLOAT32, SELF_TEST
from tensor_guess.errors import UserError
from tensor_guess.graphs.classifier import Classifier
from tensor_guess.images.pixels import Pixels

# How many cells of noise the pictures have on a side: from a few blots to fine grain.
_CELLS = (2, 4, 8, 16, 64)
PICTURES = tuple(f"self_test/{number}.png" for number in range(1, len(_CELLS) + 1))
# How far a score may be from the stored one: processors round differently.
TOLERANCE = 1e-4
_DIGITS = 7  # of a stored score; float32 has no more


def made(classifier: Classifier) -> dict[str, bytes]:
    """Return the files of the self-test by their names in the zip; none is anybody's picture."""
    size = classifier.record.scaling.size
    drawn = [_drawn(seed, cells, size) for seed, cells in enumerate(_CELLS)]
    vectors = [
        {"picture": name, "scores": scores}
        for name, scores in zip(PICTURES, _scores(classifier, drawn), strict=True)
    ]
    text = json.dumps({"format": 1, "vectors": vectors}, indent=2, ensure_ascii=False)
    return {SELF_TEST: f"{text}\n".encode()} | {
        name: _png(picture) for name, picture in zip(PICTURES, drawn, strict=True)
    }


def worst(classifier: Classifier, files: Mapping[str, bytes], zip_name: str) -> float:
    """Return the largest difference between a stored score and the classifier's own.

    `files` are those of `made`. Raise UserError if one is damaged, or if a score differs by more
    than TOLERANCE.
    """
    kept = _kept(files[SELF_TEST], classifier.record.labels, f"{SELF_TEST} in {zip_name}")
    size = classifier.record.scaling.size
    pictures = [_read(files[name], size, f"{name} in {zip_name}") for name in PICTURES]
    largest = 0.0
    for name, expected, found in zip(PICTURES, kept, _scores(classifier, pictures), strict=True):
        difference = max(abs(found[label] - expected[label]) for label in found)
        if not difference <= TOLERANCE:  # NaN differs too
            raise UserError(
                f"the self-test of {zip_name} fails: a score of {name} differs by {difference:.7f} "
                f"(at most {TOLERANCE}), so the graph is not the one that was shared; get it again"
            )
        largest = max(largest, difference)
    return largest


def _drawn(seed: int, cells: int, size: int) -> NDArray[np.uint8]:
    """Return smooth noise [size, size, 3]: cells x cells random colours, enlarged."""
    colours = np.random.default_rng(seed).integers(0, 256, (cells, cells, 3), np.uint8)
    enlarged = Image.fromarray(colours).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(enlarged)


def _scores(
    classifier: Classifier, pictures: Sequence[NDArray[np.uint8]]
) -> list[dict[str, float]]:
    """Return the scores of each picture by label, computed in float32 whatever the record says."""
    record = replace(classifier.record, precision=FLOAT32)
    network = replace(classifier, record=record).network(few=True)
    # Pictures of the network's own size: they are not resized.
    fed: Sequence[Pixels] = pictures
    if record.scaling.classic:
        fed = [picture.astype(np.float32) for picture in pictures]
    return [
        {
            label: round(float(score), _DIGITS)
            for label, score in zip(record.labels, scores, strict=True)
        }
        for _, scores in network.run(enumerate(fed))
    ]


def _png(picture: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def _read(data: bytes, size: int, name: str) -> NDArray[np.uint8]:
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if (image.size, image.mode) == ((size, size), "RGB"):
                return np.asarray(image)
            problem = f"is not {size} x {size} pixels of RGB"
    except Exception as error:  # decoders raise anything at all on hostile bytes
        raise UserError(f"{name} cannot be decoded; get the zip again") from error
    raise UserError(f"{name} {problem}; get the zip again")


def _kept(data: bytes, labels: tuple[str, ...], name: str) -> list[dict[str, float]]:
    """Return the stored scores of each picture by label."""
    try:
        kept = json.loads(data)
        scores = [each["scores"] for each in kept["vectors"]]
        sound = (
            kept["format"] == 1
            and [each["picture"] for each in kept["vectors"]] == list(PICTURES)
            and all(each.keys() == set(labels) for each in scores)
            and all(0 <= score <= 1 for each in scores for score in each.values())
        )
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
        sound = False
    if not sound:
        raise UserError(f"{name} is damaged, or of another classifier; get the zip again")
    return scores
