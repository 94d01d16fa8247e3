"""The bottlenecks in a shared zip: a row for each picture, and neither its name nor its pixels.

    bottlenecks.npy    structured rows: key, category, <fingerprint>

`key`: the SHA-256 of the picture's bytes. `category`: its number in the record. The last field has
the bottleneck, and its name is the extractor's fingerprint: rows of another one are not read.
"""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from tensor_guess.backbones.backbone import of_graph
from tensor_guess.bottlenecks import gathering, table
from tensor_guess.bottlenecks.computing import Computer, Rows
from tensor_guess.bottlenecks.examples import arrange
from tensor_guess.bottlenecks.extractor import Extractor
from tensor_guess.bottlenecks.gathering import Gathered
from tensor_guess.config import BF16, DATA, ROWS, Training
from tensor_guess.errors import UserError, WrongUsage, counted, shown
from tensor_guess.evaluation.story import Story
from tensor_guess.graphs.classifier import Classifier
from tensor_guess.graphs.network import has_bf16
from tensor_guess.graphs.own import is_ours
from tensor_guess.images import dataset
from tensor_guess.images.dataset import label_of
from tensor_guess.received.shared_zip import OPTIONAL

_AGAIN = "get it again"


@dataclass(frozen=True)
class Shared:
    """A classifier's rows as a file of the zip, and of how many pictures they are."""

    data: bytes
    count: int


def written(tf_files: Path, known: Classifier, story: Story) -> Shared:
    """Return the rows of the pictures in TF_FILES/data, on which the classifier was trained.

    They come from the cache, which is only read; missing ones are computed. Raise UserError or
    WrongUsage if the pictures are not there or not the same any more, or if there are no such rows.
    """
    if not tf_files.is_dir():
        raise WrongUsage(
            f"{shown(tf_files)} is no folder, and bottlenecks are made of the pictures in it; "
            "name the classifier's folder"
        )
    extractor = _extractor(known, shown(tf_files))
    source = gathering.find(tf_files, None, None)
    if source.data is None:
        raise UserError(
            f"{shown(tf_files)} has bottlenecks but no pictures, and only pictures tell what is "
            f"there twice; put them into {shown(source.photos)}"
        )
    files = [path for category in source.data.categories for path in category.files]
    rows = Computer(source.cache, extractor, readonly=True).rows(files)
    if rows.computed and extractor.precision == BF16 and not has_bf16():
        raise UserError(f"this CPU does not compute in {BF16}; share it where it was trained")
    found = Gathered(source.data, rows, extractor)
    if _digest(found) != story.data_sha256:
        raise UserError(
            f"the pictures in {shown(tf_files / DATA)} are not those that it was trained on; "
            f"run ./train.sh {shown(tf_files)} first"
        )
    return _packed(found, known)


def read(data: bytes | None, known: Classifier, story: Story, path: Path) -> Gathered:
    """Return the rows in the bytes of the file that `written` makes; `path`: of the zip.

    Each stands for a picture that is not there: its path is only a name. Raise UserError if there
    are none, if they are damaged, or if they are not of what the classifier was trained on.
    """
    name = f"{ROWS} in {shown(path)}"
    if data is None:
        raise UserError(
            f"{shown(path)} has no bottlenecks; its author can share it with --with-bottlenecks"
        )
    extractor, record = _extractor(known, shown(path)), known.record
    for category, label in zip(record.categories, record.labels, strict=True):
        if not dataset.is_category(category) or label_of(category) != label:
            raise UserError(f"{shown(path)} has {shown(category)} as a category; {_AGAIN}")
    found = table.read(data, _row(extractor))
    if found is None:
        raise UserError(f"{name} is damaged, or of another backbone; {_AGAIN}")
    bottlenecks, numbers = found[extractor.fingerprint], found["category"]
    order = [(k, bytes(key)) for k, key in zip(numbers.tolist(), found["key"], strict=True)]
    if (
        not np.isfinite(bottlenecks).all()
        or set(numbers.tolist()) != set(range(len(record.labels)))
        or any(one >= other for one, other in pairwise(order))
    ):
        raise UserError(f"{name} is damaged; {_AGAIN}")
    keys = tuple(key for _, key in order)
    paths = [path / record.categories[k] / key.hex() for k, key in order]
    files = {category: list[Path]() for category in record.categories}
    for each in paths:
        files[each.parent.name].append(each)
    rows = Rows(tuple(paths), keys, bottlenecks, (), 0, len(paths))
    gathered = Gathered(dataset.of_files(path, files), rows, extractor)
    if _digest(gathered) != story.data_sha256:
        raise UserError(f"{name} is not of the pictures that it was trained on; {_AGAIN}")
    return gathered


def count(gathered: Gathered) -> int:
    """Return of how many pictures the rows are."""
    return len(set(gathered.rows.keys))


def _extractor(known: Classifier, name: str) -> Extractor:
    """Return what computes the rows. Raise UserError if nobody else's could go with them."""
    record = known.record
    if not is_ours(known.graph):
        raise UserError(f"{name} is another program's; train on its backbone (--from) first")
    if record.fine_tuned:
        raise UserError(
            f"{name} was fine-tuned, so its bottlenecks go with nobody else's; "
            "train it without --fine_tune"
        )
    return Extractor(of_graph(record.backbone, record.scaling, known.graph), record.precision)


def _row(extractor: Extractor) -> np.dtype[np.void]:
    bottleneck = extractor.fingerprint, "<f4", (extractor.length,)
    return np.dtype([("key", "V32"), ("category", "<u4"), bottleneck])


def _digest(gathered: Gathered) -> str:
    return arrange(gathered.data, gathered.rows, Training()).digest()


def _packed(found: Gathered, known: Classifier) -> Shared:
    """Return the file: each picture once in each of its categories, by category and key."""
    places = {path: i for i, path in enumerate(found.rows.paths)}
    rows = {
        (known.record.labels.index(category.label), found.rows.keys[places[path]]): places[path]
        for category in found.data.categories
        for path in category.files
        if path in places
    }
    order = sorted(rows)
    packed = np.empty(len(order), _row(found.extractor))
    packed["key"] = np.array([key for _, key in order], "V32")
    packed["category"] = [k for k, _ in order]
    packed[found.extractor.fingerprint] = found.rows.bottlenecks[[rows[each] for each in order]]
    data = table.written(packed)
    if len(data) > OPTIONAL[ROWS]:
        raise UserError(
            f"the bottlenecks of {counted(len(order), 'picture')} are too many for a zip "
            f"({OPTIONAL[ROWS] // 10**6} MB); share it without them"
        )
    return Shared(data, len({key for _, key in order}))
