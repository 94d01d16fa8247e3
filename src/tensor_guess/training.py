"""The job of teaching: images -> labels, split -> bottlenecks -> head -> frozen graph + labels."""

import hashlib
import platform
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tensor_guess import __version__, backbones, gathering, progress
from tensor_guess import graph as graphs
from tensor_guess import head as heads
from tensor_guess import story as stories
from tensor_guess.backbones import Backbone
from tensor_guess.bottlenecks import Rows
from tensor_guess.config import (
    FINAL_TENSOR,
    GRAPH,
    LABELS,
    RECORD,
    Training,
)
from tensor_guess.dataset import Dataset, LeftOut, Split
from tensor_guess.durable import check_writable, make_folder, publish
from tensor_guess.errors import UserError, shown
from tensor_guess.evaluation import Accuracy, confusion, near_copies
from tensor_guess.examples import Examples, arrange
from tensor_guess.frozen_graph import Head, Record, with_head
from tensor_guess.head import Look
from tensor_guess.network import has_bf16
from tensor_guess.summaries import Summaries

# Below this, `retrain.py` warned too.
_FEW_IMAGES = 20


@dataclass(frozen=True)
class Job:
    """What to train on, with what, and where everything goes (None: into TF_FILES)."""

    tf_files: Path
    options: Training
    backbone: str | None = None  # None: the classifier's own, else the default
    bottleneck_tensor: str | None = None  # of a backbone that is a frozen graph
    precision: str = "float32"
    final_tensor: str = FINAL_TENSOR
    offline: bool = False  # never use the network
    image_dir: Path | None = None
    output_graph: Path | None = None
    output_labels: Path | None = None
    bottleneck_dir: Path | None = None
    summaries_dir: Path | None = None
    intermediate_dir: Path | None = None
    intermediate_frequency: int = 0

    @property
    def graph_path(self) -> Path:
        """Where the frozen graph goes."""
        return self.output_graph or self.tf_files / GRAPH

    @property
    def labels_path(self) -> Path:
        """Where the labels file goes."""
        return self.output_labels or self.tf_files / LABELS


@dataclass(frozen=True)
class Trained:
    """What came of it: the accuracy on the testing split, what it got wrong, what was left out."""

    accuracy: Accuracy
    misclassified: tuple[tuple[Path, str], ...]
    left_out: tuple[LeftOut, ...]


def train(job: Job) -> Trained:
    """What came of training; the classifier is in TF_FILES when this returns.

    Raises UserError (or WrongUsage) where it cannot: nothing is half-written then.
    """
    if job.backbone:
        backbones.check_name(job.backbone)
    source = gathering.find(job.tf_files, job.image_dir, job.bottleneck_dir)
    for folder in {job.tf_files, job.graph_path.parent, job.labels_path.parent}:
        check_writable(folder)
    if job.precision == "bf16" and not has_bf16():
        raise UserError("this CPU does not compute in bf16; train with --precision float32")
    backbone, instead = backbones.choose(
        job.backbone, job.graph_path, bottleneck=job.bottleneck_tensor, offline=job.offline
    )
    if source.data:
        _say_found(source.data)
    gathered = gathering.gather(source, backbone, job.precision)
    data, rows, backbone = gathered.data, gathered.rows, gathered.backbone
    examples = arrange(data, rows, job.options)
    _say_parts(examples, rows)
    bottlenecks = rows.bottlenecks[examples.rows]
    record = _record(job, data, backbone)
    head = _steps(job, examples, bottlenecks, backbone, record)
    result, metrics = _test(job.options, examples, bottlenecks, head)
    _write(job, backbone, head, record, _story(job, examples, instead, metrics))
    progress.say(f"wrote {shown(job.graph_path)}")
    if instead:
        progress.say(instead)
    return result


def _steps(
    job: Job,
    examples: Examples,
    bottlenecks: NDArray[np.float32],
    backbone: Backbone,
    record: Record,
) -> Head:
    summaries = Summaries(job.summaries_dir)
    with progress.bar("Training", job.options.steps) as show, summaries:

        def look(at: Look, head: Head) -> None:
            show(at.step + 1)
            summaries.add(at)
            _log(at)
            every = job.intermediate_frequency
            if job.intermediate_dir and every and at.step and at.step % every == 0:
                make_folder(job.intermediate_dir)
                graph = with_head(backbone.graph, head, record)
                path = job.intermediate_dir / f"intermediate_{at.step}.pb"
                publish(path, graphs.serialise(graph))

        parts = examples.of(Split.TRAINING), examples.of(Split.VALIDATION)
        return heads.train(bottlenecks, *parts, job.options, look)


def _test(
    options: Training, examples: Examples, bottlenecks: NDArray[np.float32], head: Head
) -> tuple[Trained, dict[str, object]]:
    """The accuracy on the testing split, near copies of training images not counted."""
    training = np.concatenate(examples.of(Split.TRAINING))
    held_out = np.concatenate(examples.of(Split.TESTING))
    copies = near_copies(bottlenecks[held_out], bottlenecks[training])
    tested = held_out[~copies]
    if 0 <= options.test_batch_size < len(tested):
        random = np.random.default_rng(options.seed)
        tested = np.sort(random.choice(tested, options.test_batch_size, replace=False))
    truth = np.array(examples.truth, np.intp)[tested]
    found = heads.scores_of(bottlenecks[tested], head).argmax(axis=1)
    taken = confusion(truth, found, len(head.biases))
    accuracy = Accuracy(int(taken.trace()), len(tested))
    wrong = tuple(
        (examples.paths[i], examples.data.categories[k].label)
        for i, k in zip(tested[found != truth], found[found != truth], strict=True)
    )
    if copies.any():
        progress.say(f"{copies.sum()} test pictures are near copies of training ones: not counted")
    low, high = accuracy.interval()
    metrics: dict[str, object] = {
        "test_accuracy": accuracy.value if accuracy.count else None,
        "test_count": accuracy.count,
        "test_interval_95": [low, high],
        "test_near_copies": int(copies.sum()),
        "test_confusion": taken.tolist(),
    }
    return Trained(accuracy, wrong, tuple(examples.left_out)), metrics


def _record(job: Job, data: Dataset, backbone: Backbone) -> Record:
    return Record(
        labels=tuple(category.label for category in data.categories),
        categories=tuple(category.name for category in data.categories),
        scaling=backbone.scaling,
        backbone=backbone.name,
        backbone_sha256=backbone.sha256,
        precision=job.precision,
        final_tensor=job.final_tensor,
    )


def _story(
    job: Job, examples: Examples, instead: str, metrics: dict[str, object]
) -> dict[str, object]:
    """What model.json says besides the record."""
    counts = {
        category.name: Counter(
            part.value for part, t in zip(examples.parts, examples.truth, strict=True) if t == k
        )
        for k, category in enumerate(examples.data.categories)
    }
    libraries = ("numpy", "openvino", "pillow")
    return {
        "training": asdict(job.options),
        "counts": counts,
        "left_out": len(examples.left_out),
        "data_sha256": examples.digest(),
        "metrics": metrics,
        "notice": instead,
        "versions": {
            "tensor-guess": __version__,
            "python": platform.python_version(),
            **{library: version(library) for library in libraries},
        },
    }


def _write(
    job: Job, backbone: Backbone, head: Head, record: Record, story: dict[str, object]
) -> None:
    """The outputs, the graph last: it is never newer than what belongs to it."""
    graph = graphs.serialise(with_head(backbone.graph, head, record))
    publish(job.labels_path, "".join(f"{label}\n" for label in record.labels).encode())
    model = stories.written(record, hashlib.sha256(graph).hexdigest(), story)
    publish(job.graph_path.with_name(RECORD), model)
    publish(job.graph_path, graph)


def _say_found(data: Dataset) -> None:
    for category in data.categories:
        count = len(category.files)
        few = f" (fewer than {_FEW_IMAGES}: more would help)" if count < _FEW_IMAGES else ""
        progress.say(f"{shown(category.name)}: {count} files{few}")
    if data.hidden:
        progress.say(f"{data.hidden} hidden files passed over")


def _say_parts(examples: Examples, rows: Rows) -> None:
    for left_out in examples.left_out:
        progress.say(str(left_out))
    if examples.copies:
        progress.say(
            f"{examples.copies} files are copies of others in their category: counted once"
        )
    parts = Counter(part.value for part in examples.parts)
    cached = len(rows.paths) - rows.computed - rows.taken
    taken = f"{rows.taken} taken, " if rows.taken else ""
    progress.say(
        f"{len(examples.paths)} pictures ({_listed(parts)}); "
        f"bottlenecks: {rows.computed} computed, {taken}{cached} from the cache"
    )


def _listed(parts: Counter[str]) -> str:
    return ", ".join(f"{parts[part.value]} {part.value}" for part in Split)


def _log(at: Look) -> None:
    """The lines of `retrain.py`, for whoever reads its logs; a terminal has the bar."""
    if progress.on_terminal():
        return
    now = datetime.now()
    progress.say(f"{now}: Step {at.step}: Train accuracy = {100 * at.train_accuracy:.1f}%")
    progress.say(f"{now}: Step {at.step}: Cross entropy = {at.cross_entropy:f}")
    progress.say(
        f"{now}: Step {at.step}: Validation accuracy = "
        f"{100 * at.validation_accuracy:.1f}% (N={at.validation_count})"
    )
