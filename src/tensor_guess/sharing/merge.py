"""Merge shared classifiers into one with the categories of all, without any of their pictures."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tensor_guess.bottlenecks.computing import Rows
from tensor_guess.bottlenecks.extractor import Extractor
from tensor_guess.bottlenecks.gathering import Gathered, Source
from tensor_guess.config import BOTTLENECKS, DATA, FINAL_TENSOR, Training
from tensor_guess.errors import UserError, WrongUsage, counted, shown
from tensor_guess.graphs.own import check_final_tensor
from tensor_guess.images import dataset
from tensor_guess.images.dataset import Dataset
from tensor_guess.sharing import rows
from tensor_guess.sharing.share import opened
from tensor_guess.system import progress
from tensor_guess.system.durable import check_writable, make_folder
from tensor_guess.system.reading import real
from tensor_guess.training import outputs
from tensor_guess.training import train as training
from tensor_guess.training.train import Job, Ready, Trained


@dataclass(frozen=True)
class _Received:
    """A shared zip; `options`: the names of those that its classifier was trained with."""

    path: Path
    data: Dataset
    rows: Rows
    extractor: Extractor
    options: tuple[str, ...]


def merge(zips: Sequence[Path], out: Path) -> Trained:
    """Train a classifier on the bottlenecks in shared zips; write it to `out`, as `train` would.

    The graph is that which `train` makes, with its default options and their backbone, precision
    and fit, in a folder with the pictures of all. Categories with the same label are one, named as
    in the first zip. Return how good it is.

    Raise WrongUsage or UserError, and leave `out` as it is, if a zip does not pass what `verify`
    checks, has no bottlenecks, or if they are not all of one extractor.
    """
    if len(zips) < 2:
        raise WrongUsage("merge takes two or more zips, and then OUT")
    job = Job(out, Training())
    _check_out(job)
    found = [_received(zips[0])]
    for path in zips[1:]:
        other = _received(path)
        _check_same(found[0], other)
        found.append(replace(other, extractor=found[0].extractor))  # so its graph is let go
    extractor = found[0].extractor
    backbone, precision = extractor.backbone, extractor.precision
    check_final_tensor(job.final_tensor, backbone.graph, backbone.scaling)
    job = Job(out, Training(), precision=precision, fit=backbone.scaling.fit)
    source = Source(out / DATA, None, None, out / BOTTLENECKS, _joined(found))
    made = training.make(job, Ready(source, backbone, _instead(found)))
    make_folder(out)
    return training.finish(made, _instead(found))


def _check_out(job: Job) -> None:
    """Raise WrongUsage or UserError, before any work, if the classifier cannot be written there."""
    out = job.tf_files
    if os.path.lexists(out / DATA):
        raise WrongUsage(f"{shown(out)} has pictures of its own ({DATA}); choose another folder")
    if out.is_dir():
        outputs.check(job.outputs, out / DATA)
    elif os.path.lexists(out):
        raise WrongUsage(f"{shown(out)} is not a folder, and the last argument is the result's")
    else:
        check_writable(next(each for each in real(out).parents if each.is_dir()))


def _received(path: Path) -> _Received:
    found, story = opened(path)
    gathered = rows.read(found.rows, found.classifier, story, path)
    pictures = counted(rows.count(gathered), "picture")
    progress.say(f"{shown(path)}: {pictures} in {len(gathered.data.categories)} categories")
    options = story.options or ()
    if found.classifier.record.final_tensor != FINAL_TENSOR:
        options += ("final_tensor",)
    return _Received(path, gathered.data, gathered.rows, gathered.extractor, options)


def _check_same(one: _Received, other: _Received) -> None:
    """Raise UserError, saying what differs, if their rows are not of the same extractor."""
    several = one.extractor, other.extractor
    if several[0].fingerprint == several[1].fingerprint:
        return
    for what, said in (
        ("backbones", [f"{e.backbone.name}, SHA-256 {e.backbone.sha256}" for e in several]),
        ("precisions", [e.precision for e in several]),
        ("fits", [e.backbone.scaling.fit for e in several]),
        ("scalings", [str(e.backbone.scaling.plain()) for e in several]),
    ):
        if said[0] != said[1]:
            raise UserError(
                f"{shown(one.path)} and {shown(other.path)} cannot be merged: they have different "
                f"{what} ({shown(said[0])} and {shown(said[1])}); train one of them like the other"
            )


def _joined(found: Sequence[_Received]) -> Gathered:
    """Return the rows of all; of the same label, the first name is used."""
    names, files = dict[str, str](), dict[str, list[Path]]()
    for each in found:
        for category in each.data.categories:
            name = names.setdefault(category.label, category.name)
            files.setdefault(name, []).extend(category.files)
            if name != category.name:
                progress.say(
                    f"{shown(category.name)} in {shown(each.path)} joins {shown(name)}: "
                    f"the label of both is {category.label}"
                )
    several = [each.rows for each in found]
    paths = tuple(path for each in several for path in each.paths)
    keys = tuple(key for each in several for key in each.keys)
    together = np.concatenate([each.bottlenecks for each in several])
    data = dataset.of_files(found[0].path, files)
    joined = Rows(paths, keys, together, (), 0, len(paths))
    return Gathered(data, joined, found[0].extractor)


def _instead(found: Sequence[_Received]) -> str:
    """Return the sentence about options that are not used; "" if there were none."""
    others = [
        f"{shown(each.path)} was trained with other options ({', '.join(each.options)})"
        for each in found
        if each.options
    ]
    return "; ".join([*others, "this classifier has the default options"]) if others else ""
