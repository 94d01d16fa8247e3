"""The pictures that a classifier was trained on, as far as its folder still has them."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tensor_guess.backbones.backbone import Backbone
from tensor_guess.bottlenecks.computing import Computer
from tensor_guess.bottlenecks.examples import Examples, arrange
from tensor_guess.bottlenecks.extractor import Extractor
from tensor_guess.config import BOTTLENECKS, DATA, RECORD, Training
from tensor_guess.errors import UserError, shown
from tensor_guess.evaluation import story as stories
from tensor_guess.evaluation.copies import Pictures
from tensor_guess.graphs.classifier import Classifier
from tensor_guess.graphs.own import is_ours
from tensor_guess.guessing import loading
from tensor_guess.guessing.loading import Given, Imagenet
from tensor_guess.images import dataset
from tensor_guess.images.dataset import Split
from tensor_guess.system import reading

# Training also watches how the head does on the validation split.
SEEN = Split.TRAINING, Split.VALIDATION


@dataclass(frozen=True)
class TrainedOn:
    """The pictures in TF_FILES/data that training saw, N of them; a test picture is none of them.

    `paths` and `keys` (SHA-256) have one entry for each; `pictures`: the bottlenecks [N, D], and
    the numbers of their labels [N]. `note`: what makes this uncertain, or "".
    """

    paths: tuple[Path, ...]
    keys: tuple[bytes, ...]
    pictures: Pictures
    note: str = ""


class NotKnown(Exception):
    """What a classifier was trained on cannot be known; the text is the reason."""


def find(which: Given | Imagenet, known: Classifier) -> TrainedOn:
    """Return what the classifier was trained on; write nothing.

    The split comes from model.json. Bottlenecks come from the cache; missing ones are computed.
    Raise NotKnown if the classifier is a graph alone, another program's or the built-in one, or if
    its pictures are not there.
    """
    if isinstance(which, Imagenet):
        raise NotKnown("ImageNet's pictures are not here")
    if not is_ours(known.graph):
        raise NotKnown("another program trained it")
    if not which.path.is_dir():
        raise NotKnown("it is a graph alone; name its folder if its pictures are there")
    if not (which.path / DATA).is_dir():
        raise NotKnown(f"there is no {shown(which.path / DATA)}")
    try:
        return _find(which.path, known)
    except UserError as error:
        raise NotKnown(str(error)) from error


def _find(folder: Path, known: Classifier) -> TrainedOn:
    graph = loading.graph_path(folder)
    model, record = stories.bytes_beside(graph), known.record
    story = stories.read(model, record, known.digest(), RECORD) if model else stories.Story()
    data = dataset.find(folder)
    own = tuple(each for each in data.categories if each.label in record.labels)
    if not own:
        raise NotKnown(f"no folder in {shown(folder / DATA)} is one of its categories")
    data = replace(data, categories=own)
    files = [path for category in own for path in category.files]
    backbone = Backbone(record.backbone, record.scaling, record.backbone_sha256, known.graph)
    cache = folder / BOTTLENECKS
    # A stranger's link must not lead elsewhere. Then there are no rows, and they are computed.
    cache = cache if not reading.leaves(cache, folder) else folder / "no such folder"
    rows = Computer(cache, Extractor(backbone, record.precision), readonly=True).rows(files)
    validation, testing = story.held_out or (0, 0)
    options = Training(validation_percentage=validation, testing_percentage=testing)
    examples = arrange(data, rows, options)
    kept = [i for i, part in enumerate(examples.parts) if part in SEEN]
    truth = [record.labels.index(own[examples.truth[i]].label) for i in kept]
    return TrainedOn(
        tuple(examples.paths[i] for i in kept),
        tuple(examples.keys[i] for i in kept),
        Pictures(rows.bottlenecks[[examples.rows[i] for i in kept]], np.array(truth, np.intp)),
        _note(folder, story, examples),
    )


def _note(folder: Path, story: stories.Story, examples: Examples) -> str:
    if story.held_out is None:
        return (
            f"{shown(folder)} does not say which pictures were held out from training; "
            f"all in {DATA} are taken as trained on"
        )
    if story.data_sha256 != examples.digest():
        return f"{shown(folder / DATA)} has changed since training, so what it saw is not certain"
    return ""
