"""Classifiers taught on photos of noise by a tiny backbone, and shared with their bottlenecks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from made.graphs import head_for, record_for
from made.rows import photo
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.config import GRAPH, Training
from tensor_guess.graphs.graph import serialise
from tensor_guess.graphs.own import with_head
from tensor_guess.sharing.card import Author
from tensor_guess.sharing.share import share
from tensor_guess.training.train import Job, train

# The seeds of each category's photos: the same seed is the same picture.
Pictures = Mapping[str, Sequence[int]]


def taught(
    folder: Path, backbone: Backbone, pictures: Pictures, options: Training | None = None
) -> Path:
    """The folder of a classifier that was trained on these pictures."""
    for category, seeds in pictures.items():
        for number, seed in enumerate(seeds):
            photo(folder / "data" / category / f"{folder.name}{number}.bmp", seed)
    record = record_for(backbone)
    (folder / GRAPH).write_bytes(serialise(with_head(backbone.graph, head_for(12), record)))
    train(Job(folder, options or Training(), fit=backbone.scaling.fit))
    return folder


def handed_on(folder: Path, backbone: Backbone, pictures: Pictures) -> Path:
    """The zip of such a classifier, soon trained, with its bottlenecks."""
    taught(folder, backbone, pictures, Training(steps=10))
    path = folder.with_name(f"{folder.name}.zip")
    share(folder, path, Author(), with_bottlenecks=True)
    return path
