"""Load a backbone by name or handle: fetch, verify and freeze it once per machine, and keep it.

<cache>/backbones/<name>-<format>-<sha256>.pb    the frozen graph, with its digest in its name
<cache>/backbones/<name>.sha256                  the weights' digest, if Keras does not state one
<cache>/downloads/                               weights while they are downloaded
"""

import hashlib
import multiprocessing
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

from tensorboard.compat.proto.graph_pb2 import GraphDef

from tensor_guess.backbones import efficientnet_lite, handles, modules, torch_weights
from tensor_guess.backbones.backbone import Backbone, check_backbone, of_file, of_graph
from tensor_guess.backbones.catalogue import CATALOGUE, KerasWeights, PackagedWeights, Source, find
from tensor_guess.config import BAKED_BACKBONES, DEFAULT_BACKBONES, cache_folder
from tensor_guess.errors import Unreadable, UserError, shown
from tensor_guess.graphs import graph as graphs
from tensor_guess.graphs.graph import parse, serialise
from tensor_guess.images.scaling import Scaling
from tensor_guess.received import addresses
from tensor_guess.system import download, packages, progress, reading
from tensor_guess.system.confinement import end_with
from tensor_guess.system.durable import check_writable, make_folder, publish

# Part of a kept backbone's name. Increase it when the same weights are frozen differently.
_FORMAT = 1
_MAX_DOWNLOAD = 2_000_000_000
_MAX_DIGEST = 1000


def check_name(name: str) -> None:
    """Raise WrongUsage, before any work, if there is no such backbone."""
    if handles.is_handle(name):
        handles.check_handle(name)
    else:
        find(name)


def load(name: str, *, bottleneck: str | None = None, offline: bool = False) -> Backbone:
    """Return the backbone of that name or handle; on first use, fetch and freeze it.

    `bottleneck`: the tensor to use in a frozen graph. Raise WrongUsage if there is no such
    backbone. Raise UserError, with advice, if it cannot be downloaded, or if it is not on this
    machine and `offline` is set.
    """
    if handles.is_graph(name):
        return of_file(name, bottleneck)
    if addresses.is_classifier(name):
        path = addresses.brought(addresses.parsed(name), offline=offline)
        found = of_file(str(path), bottleneck)
        # Another program's graph has no name of its own.
        return replace(found, name=handles.recorded(name)) if found.name == path.name else found
    name, key, source = _named(name)
    graph = _kept(key)
    if graph is None and source and (installed := _installed(source.weights)):
        graph = _lite(installed.read_bytes(), name, source.scaling)
        _keep(key, graph)
    elif graph is None:
        if offline and not handles.is_local(name):
            raise UserError(f"{shown(name)} is not on this machine, and --offline was given")
        _in_a_process_of_its_own(name)
        graph = _kept(key)
    if graph is None:
        raise UserError(
            f"{shown(name)} was frozen, but has since disappeared from {shown(cache_folder())}"
        )
    if source is None:
        return of_graph(handles.recorded(name), modules.scaling_of(graph), graph)
    return of_graph(name, source.scaling, graph)


def load_default(*, offline: bool = False) -> tuple[Backbone, str]:
    """Return the first available one of DEFAULT_BACKBONES, and why not the very first (or "")."""
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


def choose(
    asked: str | None, own: Path, *, bottleneck: str | None = None, offline: bool = False
) -> tuple[Backbone, str]:
    """Return the backbone asked for, else that of the classifier's `own` graph, else the default.

    Also return what to report at the end, or "". Raise as `load` does.
    """
    if asked:
        return load(asked, bottleneck=bottleneck, offline=offline), ""
    if own.exists():
        try:
            # The graph contains its whole backbone, so nothing has to be fetched.
            found = of_file(str(own), None)
        except UserError as error:
            if isinstance(error.__cause__, Unreadable):
                raise  # the graph may be intact, and readable for another run
            progress.warn(f"{error}; it is replaced when training is done")
        else:
            return _untuned(found, offline) if found.fine_tuned else found, ""
    backbone, instead = load_default(offline=offline)
    if instead:
        progress.warn(instead)
    return backbone, instead


def _untuned(found: Backbone, offline: bool) -> Backbone:
    """Return the backbone as it was before it was fine-tuned to a classifier's pictures."""
    progress.say(f"training starts from {shown(found.name)} as it was before it was fine-tuned")
    try:
        return load(found.name, offline=offline).fitted(found.scaling.fit)
    except UserError as error:
        raise UserError(f"{error}; name it by --backbone") from error


def is_here(name: str) -> bool:
    """Return whether `load` needs no internet for it."""
    return any(_files(name)) or _installed(CATALOGUE[name].weights) is not None


def load_here(name: str) -> Backbone:
    """Return the backbone of that name in the catalogue, without the internet.

    Raise WrongUsage if there is no such backbone, UserError if it is not on this machine.
    """
    name, _ = find(name)
    if not is_here(name):
        raise UserError(f"{name} is not on this machine; `tensor-guess fetch {name}` brings it")
    return load(name, offline=True)


def fetch(name: str, weights: Path | None = None) -> None:
    """Freeze the network and keep it. For a Keras network, this imports TensorFlow.

    `weights`: its .h5 file, if it is here already; otherwise it is downloaded first.
    """
    name, key, source = _named(name)
    if source is None:
        _keep(key, modules.freeze(name))
        return
    if isinstance(source.weights, PackagedWeights):
        packaged = source.weights
        data = packages.fetch(packaged.package, packaged.digest, packaged.file)
        _keep(key, _lite(data, name, source.scaling))
        return
    downloads = cache_folder() / "downloads"
    make_folder(downloads)
    check_writable(downloads)
    path = weights or downloads / f"{name}.h5"
    if weights is None:
        _download(name, source.weights, path)
    progress.say(f"freezing {name}: once a machine, 10 to 60 seconds")
    from tensor_guess.backbones import (
        keras_networks,  # imports TensorFlow: seconds, and half a gigabyte
    )

    _keep(key, keras_networks.freeze(name, source.scaling.size, path))
    if weights is None:
        path.unlink()


def fetch_modules(urls: Sequence[str]) -> None:
    """Download the modules that are not frozen yet to where tensorflow_hub keeps them.

    Raise WrongUsage if TFHUB_CACHE_DIR names no folder, or if one is no URL.
    """
    for url in urls:
        modules.check_kept(url)
    for url in urls:
        if not any(_files(modules.key_of(url))):
            modules.keep(url)


def _download(name: str, weights: KerasWeights, path: Path) -> None:
    """Download the weights to `path`, and check their digest.

    If Keras states no digest, trust the first download, and compare later ones with it.
    """
    trusted = cache_folder() / "backbones" / f"{name}.sha256"
    digest = weights.digest
    if not digest and os.path.lexists(trusted):
        digest = _trusted(trusted)
    data = download.fetch(weights.url, path, limit=_MAX_DOWNLOAD, digest=digest)
    if not digest:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        make_folder(trusted.parent)
        publish(trusted, f"{digest}\n".encode())
        progress.warn(
            f"Keras has no digest for {name}: what came over https is trusted from now on, {digest}"
            f" ({shown(trusted)}; remove that to trust another)"
        )


def _trusted(path: Path) -> str:
    """Return the digest in the file. Raise UserError if it contains none."""
    advice = f"remove it to trust what comes over https: {shown(path)}"
    try:
        digest = reading.read(path, _MAX_DIGEST).decode("ascii").strip()
    except (Unreadable, UnicodeDecodeError) as error:
        raise UserError(
            f"the digest of the weights could not be read: {error}; {advice}"
        ) from error
    if not re.fullmatch("sha256:[0-9a-f]{64}", digest):
        raise UserError(f"the digest of the weights is damaged; {advice}")
    return digest


def _named(name: str) -> tuple[str, str, Source | None]:
    """Return the name, the key it is kept under, and its catalogue entry (None for a handle)."""
    if handles.is_handle(name):
        return name, modules.key_of(name), None
    name, source = find(name)
    return name, name, source


def _kept(key: str) -> GraphDef | None:
    """Return the graph that was frozen before, here or in the container image, or None.

    Report why damaged ones are not used.
    """
    for path in _files(key):
        try:
            data = graphs.read(path)
            if path.stem.endswith(hashlib.sha256(data).hexdigest()):
                graph = parse(data, shown(path))
                # The digest in the name proves nothing about who wrote the file.
                check_backbone(graph, shown(path))
                return graph
            reason = f"{shown(path)} is damaged"
        except UserError as error:
            reason = str(error)
        progress.warn(f"{reason}; making it again")
    return None


def _files(key: str) -> Iterator[Path]:
    for folder in (cache_folder() / "backbones", BAKED_BACKBONES):
        yield from sorted(folder.glob(f"{key}-{_FORMAT}-*.pb"))


def _keep(key: str, graph: GraphDef) -> None:
    """Keep the graph for next time, if the cache is writable."""
    check_backbone(graph, key)
    data = serialise(graph)
    digest = hashlib.sha256(data).hexdigest()
    folder = cache_folder() / "backbones"
    try:
        make_folder(folder)
        publish(folder / f"{key}-{_FORMAT}-{digest}.pb", data)
    except UserError as error:
        progress.warn(f"{key} is not kept for next time: {error} (TENSOR_GUESS_CACHE)")


def _installed(weights: KerasWeights | PackagedWeights) -> Path | None:
    """Return the file of weights that is installed with the program, or None."""
    if isinstance(weights, PackagedWeights):
        return packages.find(weights.package, weights.file)
    return None


def _lite(data: bytes, name: str, scaling: Scaling) -> GraphDef:
    return efficientnet_lite.build(torch_weights.read(data, name), scaling.size)


def _in_a_process_of_its_own(name: str) -> None:
    """Fetch it in a process that sees no pictures: it uses the internet and TensorFlow."""
    context = multiprocessing.get_context("spawn")
    how = os.getpid(), progress.voice()
    with ProcessPoolExecutor(1, context, initializer=_begin, initargs=how) as process:
        try:
            process.submit(fetch, name).result()
        except BrokenProcessPool as error:
            raise UserError(f"freezing {name} was killed: is there enough memory?") from error


def _begin(parent: int, voice: progress.Voice) -> None:
    # Without this, it would go on waiting for work if that process were killed.
    end_with(parent)
    progress.speak(voice)
