"""Fine-tune: versions of the pictures -> inputs of the last blocks -> backbone and head."""

import hashlib
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.types_pb2 import DT_FLOAT

from tensor_guess.backbones.backbone import Backbone, of_graph
from tensor_guess.bottlenecks.computing import distorted
from tensor_guess.bottlenecks.extractor import Extractor
from tensor_guess.config import AUGMENT, BOTTLENECK, NETWORK_INPUT, Augmentation, Training
from tensor_guess.errors import Unreadable, UserError, counted, reason_of, shown
from tensor_guess.finetuning import task as tasks
from tensor_guess.finetuning.blocks import Block, blocks_of
from tensor_guess.finetuning.task import (
    BEST,
    FIRST,
    GRAPH,
    INPUTS,
    LOOKS,
    NO_MEMORY,
    NO_TIME,
    Epoch,
    Task,
)
from tensor_guess.graphs import shapes
from tensor_guess.graphs.builder import Builder
from tensor_guess.graphs.graph import cut, node_of, serialise, value_of
from tensor_guess.graphs.network import Network
from tensor_guess.graphs.own import Head, Layer
from tensor_guess.images import augment, encoded
from tensor_guess.images.pixels import Pixels, pixels
from tensor_guess.system import apart, progress, scratch
from tensor_guess.system.reading import real

# What the blocks' inputs may take on the disk.
_MOST_BYTES = 8_000_000_000
_SMALLEST_BATCH = 4


@dataclass(frozen=True)
class Pictures:
    """Pictures to train or validate on: paths, keys, and the numbers of their categories."""

    paths: Sequence[Path]
    keys: Sequence[bytes]
    truth: Sequence[int]


@dataclass(frozen=True)
class Tuned:
    """What fine-tuning gives; `best` is the epoch that it is from, `epochs` tell of them all.

    `steps`: how many there are in an epoch.
    """

    extractor: Extractor
    head: Head
    best: int
    steps: int
    epochs: list[Epoch]


def blocks_to_train(backbone: Backbone, count: int | None) -> list[Block]:
    """Return the last `count` blocks of the backbone; None is all of them.

    Raise UserError if it has fewer, or if one of them has no weights that can be trained.
    """
    every = blocks_of(cut(backbone.graph, backbone.scaling, BOTTLENECK))
    own = every[-(count or len(every)) :]
    if count and count > len(every):
        raise UserError(
            f"{shown(backbone.name)} has only {counted(len(every), 'block')}; give --fine_tune "
            f"{len(every)} or all (`tensor-guess inspect --layers` lists them)"
        )
    if not all(block.weights for block in own):
        raise UserError(
            f"{shown(backbone.name)} cannot be fine-tuned: its weights are not stored as float32; "
            "choose another --backbone"
        )
    return own


def fine_tune(
    extractor: Extractor,
    head: Head,
    training: Pictures,
    validation: Pictures,
    options: Training,
    place: Path,
    until: float | None = None,
) -> Tuned:
    """Return the extractor and the head after training the last blocks of the backbone too.

    `options` has `fine_tuning`. `place`: where the folder is made for what is needed meanwhile. If
    this is killed, the same call goes on after the last epoch. `until`: when it must be done. Raise
    UserError if a picture can no longer be read, or if there is too little memory or space, and
    OutOfTime if there is too little time.
    """
    backbone, how = extractor.backbone, options.fine_tuning
    assert how
    blocks = blocks_to_train(backbone, how.blocks)
    nodes = {node.name: node for node in cut(backbone.graph, backbone.scaling, BOTTLENECK)}
    start = blocks[0].start
    shape = shapes.check(list(nodes.values()))[start][1:]
    pictures = _Inputs(extractor, start, shape, options.augmentation or AUGMENT)
    pictures = pictures.fitting(len(training.paths), len(validation.paths))
    versions = counted(pictures.augmentation.versions, "version")
    progress.say(
        f"fine-tuning the last {counted(len(blocks), 'block')} of {shown(backbone.name)} on "
        f"{versions} of each of {counted(len(training.paths), 'picture')}"
    )
    names = tuple(name for block in blocks for name in block.weights)
    layers = [*head.hidden, Layer(head.weights, head.biases)]
    first = [_floats(nodes[name]) for name in names]
    first += [each for layer in layers for each in (layer.weights, layer.biases)]
    raw = start == NETWORK_INPUT
    task = Task(
        start=start,
        mean=backbone.scaling.mean if raw else 0.0,
        std=backbone.scaling.std if raw else 1.0,
        weights=names,
        hidden=len(head.hidden),
        classes=len(head.biases),
        truth=tuple(map(int, training.truth)),
        validated=tuple(map(int, validation.truth)),
        versions=pictures.augmentation.versions,
        epochs=how.epochs,
        batch_size=how.batch_size,
        learning_rate=how.learning_rate,
        dropout=options.dropout,
        seed=options.seed,
    )
    with scratch.kept(place, _key(task, pictures, (*training.keys, *validation.keys), first)) as at:
        if not (at / INPUTS).exists():
            pictures.write(at / INPUTS, training, validation, until)
        (at / GRAPH).write_bytes(serialise(_tail(nodes, start, names)))
        tasks.save(at / FIRST, first)
        _run(at, replace(task, until=until))
        found, told = tasks.load(at / BEST)
        epochs = [Epoch(**each) for each in json.loads((at / LOOKS).read_text("utf-8"))]
    graph = _with(backbone.graph, dict(zip(names, found, strict=False)))
    tuned = replace(of_graph(backbone.name, backbone.scaling, graph), fine_tuned=len(blocks))
    *hidden, last = [Layer(*found[at : at + 2]) for at in range(len(names), len(found), 2)]
    own = Head(last.weights, last.biases, tuple(hidden))
    return Tuned(replace(extractor, backbone=tuned), own, int(told["epoch"]), task.steps, epochs)


def _floats(node: NodeDef) -> NDArray[np.float32]:
    found = value_of(node)
    assert found is not None
    return found


def _key(task: Task, pictures: "_Inputs", keys: Sequence[bytes], first: tasks.Weights) -> str:
    """Return a name that is the same only if all that the result depends on is."""
    how = asdict(task), asdict(pictures.augmentation), pictures.extractor.fingerprint
    digest = hashlib.sha256(json.dumps(how).encode())
    for each in (*keys, *(array.tobytes() for array in first)):
        digest.update(each)
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class _Inputs:
    """What the blocks are fed: the tensor `start`, [*shape] for one picture."""

    extractor: Extractor
    start: str
    shape: shapes.Shape
    augmentation: Augmentation

    def fitting(self, training: int, validation: int) -> "_Inputs":
        """Return the inputs with as many versions as there is space for.

        Raise UserError if there is none even for one.
        """
        most = (_MOST_BYTES // (prod(self.shape) * self._kind.itemsize) - validation) // training
        if most < 1:
            raise UserError(
                f"fine-tuning would need more than {_MOST_BYTES // 10**9} GB for what its blocks "
                "are fed; give fewer blocks (--fine_tune) or fewer pictures"
            )
        if most >= self.augmentation.versions:
            return self
        progress.warn(
            f"fine-tuning on {counted(most, 'version')} of each picture: more would need more "
            f"than {_MOST_BYTES // 10**9} GB"
        )
        return replace(self, augmentation=replace(self.augmentation, versions=most))

    def write(
        self, path: Path, training: Pictures, validation: Pictures, until: float | None
    ) -> None:
        """Write what the blocks are fed for each version, then for each picture to validate.

        Raise OutOfTime if that takes more than half of the time until then, UserError if there is
        too little space.
        """
        half = until and (until + time.monotonic()) / 2
        count = len(training.paths) * self.augmentation.versions
        part = path.with_suffix(".part")
        shape = (count + len(validation.paths), *self.shape)
        try:
            rows = np.lib.format.open_memmap(part, "w+", self._kind, shape)
            _take_space(part)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise UserError(
                f"could not write {shown(part.parent)}: {reason_of(error)}; it needs "
                f"{prod(shape) * self._kind.itemsize / 1e6:.0f} MB for what the blocks are fed"
            ) from error
        pairs = chain(self._versions(training), self._plain(validation, count))
        run = pairs if self.start == NETWORK_INPUT else self._network().run(pairs)
        for at, row in progress.track(run, len(rows), "Versions"):
            rows[at] = row.reshape(self.shape)
            progress.check_time(half)
        rows.flush()
        part.replace(path)

    @property
    def _kind(self) -> np.dtype[Any]:
        whole = self.start == NETWORK_INPUT and not self.extractor.backbone.scaling.classic
        return np.dtype(np.uint8 if whole else np.float32)

    def _network(self) -> Network:
        backbone = self.extractor.backbone
        how = backbone.scaling, self.start, self.extractor.precision
        return Network(backbone.graph, *how, width=prod(self.shape))

    def _versions(self, of: Pictures) -> Iterator[tuple[int, Pixels]]:
        how = self.augmentation
        wanted = [
            (path, key, [augment.key_of(key, how, i) for i in range(how.versions)])
            for path, key in zip(of.paths, of.keys, strict=True)
        ]
        made = distorted(wanted, self.extractor.backbone.scaling, how)
        for number, ((path, _, _), images) in enumerate(made):
            if isinstance(images, Unreadable):
                raise _changed(path, images)
            for version, image in enumerate(images):
                yield number * how.versions + version, image

    def _plain(self, of: Pictures, first: int) -> Iterator[tuple[int, Pixels]]:
        scaling = self.extractor.backbone.scaling
        found = encoded.ahead(
            lambda path: pixels(encoded.read(path), scaling), of.paths, weigh=encoded.size_of
        )
        for number, (path, image) in enumerate(found, first):
            if isinstance(image, Unreadable):
                raise _changed(path, image)
            yield number, image


def _take_space(path: Path) -> None:
    """Have the disk give the file all its space: a write to a map without it would be fatal."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _changed(path: Path, reason: Unreadable) -> UserError:
    return UserError(f"{shown(path)} {reason}; train again")


def _tail(nodes: dict[str, NodeDef], start: str, weights: Sequence[str]) -> GraphDef:
    """Return the nodes from `start` to BOTTLENECK, of which `weights` are fed too."""
    builder = Builder()
    builder.placeholder(start, DT_FLOAT, ())
    del builder.graph.node[0].attr["shape"]
    for name in weights:
        dims = nodes[name].attr["value"].tensor.tensor_shape.dim
        builder.placeholder(name, DT_FLOAT, [each.size for each in dims])
    found = {start, *weights}
    queue = [BOTTLENECK]
    while queue:
        name = queue.pop()
        if name not in found:
            found.add(name)
            builder.graph.node.append(nodes[name])
            queue += map(node_of, nodes[name].input)
    return builder.graph


def _run(folder: Path, task: Task) -> None:
    """Do the task in a process of its own. Raise UserError if there is too little memory."""
    folder, size = real(folder), task.batch_size  # the process works in another folder
    while True:
        tasks.write(folder, replace(task, batch_size=size))
        try:
            code = apart.run(["fine-tune", str(folder)], folder, seconds=float("inf")).code
        except apart.Failed as error:
            raise UserError(f"fine-tuning ended: {error}") from error
        if code == 0:
            return
        if code == NO_TIME:
            raise progress.OutOfTime
        if code not in (NO_MEMORY, -signal.SIGKILL, -signal.SIGABRT):
            raise UserError("fine-tuning ended before it was done; the reason is above")
        if size <= _SMALLEST_BATCH:
            raise UserError(
                f"there is too little memory to fine-tune with batches of {size} pictures; "
                "give fewer blocks (--fine_tune)"
            )
        size //= 2
        progress.warn(f"there was too little memory; going on with batches of {size} pictures")


def _with(graph: GraphDef, weights: Mapping[str, NDArray[np.float32]]) -> GraphDef:
    """Return the graph with these constants in place of its own."""
    found = Builder()
    for node in graph.node:
        if node.name in weights:
            found.const(node.name, weights[node.name])
        else:
            found.graph.node.append(node)
    found.graph.versions.CopyFrom(graph.versions)
    return found.graph
