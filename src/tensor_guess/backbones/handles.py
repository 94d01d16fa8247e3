"""Backbones that are not in the catalogue: a TF Hub handle, a SavedModel, an archive, a graph.

A module is a stranger's program. It is downloaded and unpacked here, loaded and frozen by a process
that can reach neither network nor files, and what that gives is checked op by op.
"""

import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import numpy as np
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.types_pb2 import DT_INT64

from tensor_guess.backbones import unpacking
from tensor_guess.config import BOTTLENECK, NETWORK_INPUT, cache_folder
from tensor_guess.errors import Unreadable, UserError, WrongUsage, reason_of, shown
from tensor_guess.graphs import graph as graphs
from tensor_guess.graphs import shapes
from tensor_guess.graphs.builder import Builder
from tensor_guess.graphs.files import find_graph
from tensor_guess.graphs.foreign import UNDER, Flavour, flavour_of, renamed
from tensor_guess.graphs.graph import check, cut, node_of, parse
from tensor_guess.graphs.own import is_ours, record_of
from tensor_guess.graphs.rewriting import rewritten
from tensor_guess.images.scaling import Scaling
from tensor_guess.system import apart, archive, download, reading, scratch
from tensor_guess.system.durable import make_folder

SECONDS = 600
# Where a module takes images of any size and its name does not say one.
_SIZE = 224
# Images as TF Hub's common signatures want them: 0 to 1.
_HUB_RANGE = (0.0, 255.0)
_ARCHIVES = (".tar.gz", ".tgz")


def is_handle(name: str) -> bool:
    """Whether it is a URL or a path, and not the name of a backbone in the catalogue."""
    return "/" in name or name.endswith((".pb", *_ARCHIVES)) or os.path.isdir(name)


def check_handle(handle: str) -> None:
    """Raise WrongUsage where it is no path that is there, and no address that can be asked."""
    if _is_url(handle):
        download.check(handle)
    else:
        is_graph(handle)


def recorded(handle: str) -> str:
    """The handle as it is written down: a URL without its query, which may hold a key."""
    return re.split("[?#]", handle)[0] if _is_url(handle) else handle


def is_local(name: str) -> bool:
    """Whether it is a path, for which no network is needed."""
    return is_handle(name) and not _is_url(name)


def is_graph(name: str) -> bool:
    """Whether it is the path of a frozen graph: read anew each time, as nothing is to be frozen."""
    if not is_local(name):
        return False
    if not os.path.exists(name):
        raise WrongUsage(f"there is no backbone {shown(name)}: no such file or folder")
    if os.path.isfile(name):
        return not name.endswith(_ARCHIVES)
    module = os.path.exists(os.path.join(name, "saved_model.pb"))
    return not module and find_graph(Path(name)) is not None


def key_of(handle: str) -> str:
    """What a module is kept under: a URL by its text, a file or folder by its content."""
    digest = hashlib.sha256(handle.encode(errors="surrogateescape"))
    if not _is_url(handle):
        root, name = Path(handle), shown(handle)
        digest = hashlib.sha256(str(_size_of(handle)).encode())
        for path in _files(root, name) if root.is_dir() else [root]:
            try:
                content = reading.sha256(path, unpacking.MAX_BYTES, follow=path == root)
            except Unreadable as error:
                raise UserError(f"could not read {shown(path)}: {error}") from error
            digest.update(bytes(path.relative_to(root)) + b"\0" + content)
    return f"handle-{digest.hexdigest()[:32]}"


def check_backbone(graph: GraphDef, name: str) -> None:
    """Raise UserError where it may not be run, or does not lead from images to BOTTLENECK."""
    check(graph, name)
    sides = _sides(graph)
    if len(sides) != 4 or sides[1] < 1 or all(node.name != BOTTLENECK for node in graph.node):
        raise UserError(f"{name} is refused: it does not turn images into vectors")


def scaling_of(module: GraphDef) -> Scaling:
    """What a frozen module is fed: its own size, in the range of TF Hub's common signatures."""
    return Scaling(_sides(module)[1], *_HUB_RANGE)


def freeze(handle: str) -> GraphDef:
    """The frozen graph of a module, from NETWORK_INPUT to BOTTLENECK, checked op by op.

    Raises UserError in one sentence, and leaves nothing behind.
    """
    with scratch.folder() as place:
        folder = _folder(handle, place)
        size = sum(path.stat().st_size for path in _files(folder, shown(handle)))
        graph = _frozen_apart(folder, handle, min(graphs.MAX_BYTES, archive.most(size)))
    check_backbone(graph, shown(handle))
    return graph


def read(path: str, bottleneck: str | None) -> tuple[str, GraphDef, Scaling]:
    """A frozen graph, or that of a classifier's folder, as a backbone: name, nodes, scaling.

    A classifier's is the backbone that it was made with. `bottleneck`: the tensor to take; else
    what the classifier's head is fed, else the last pooling layer.
    Raises UserError where it is none that is known.
    """
    file = find_graph(Path(path)) or Path(path)
    name = shown(file)
    graph = graphs.parse(graphs.read(file), name)
    check(graph, name)
    if is_ours(graph) and not bottleneck:
        record = record_of(graph, name)
        return record.backbone, graph, record.scaling
    graph = rewritten(graph)
    flavour = flavour_of(graph, name)
    # Pictures are squeezed as for all that is trained here.
    scaling = replace(flavour.scaling, classic=False)
    chosen = _bottleneck(graph, flavour, name, bottleneck)
    if chosen == flavour.input:
        raise UserError(f"{name}: {shown(chosen)} is what the graph is fed, no bottleneck")
    tensor = UNDER + chosen
    nodes = cut(renamed(graph, flavour), scaling, tensor)
    shape = shapes.check(nodes)[tensor]
    if len(shape) < 2 or any(side != 1 for side in shape[1:-1]):
        found = shown(tensor.removeprefix(UNDER))
        raise UserError(f"{name}: {found} is no vector for each image, but {list(shape[1:])}")
    builder = Builder()
    builder.graph.node.extend(nodes)
    to = builder.const("backbone_shape", np.array([-1, shape[-1]], np.int64))
    builder.floats("Reshape", BOTTLENECK, (tensor, to), Tshape=AttrValue(type=DT_INT64))
    return file.name, builder.graph, scaling


def _sides(graph: GraphDef) -> list[int]:
    """What NETWORK_INPUT is fed, as its shape says: [N, S, S, 3]; [] where there is none."""
    starts = (node for node in graph.node if node.name == NETWORK_INPUT)
    return [int(side.size) for node in starts for side in node.attr["shape"].shape.dim]


def _bottleneck(graph: GraphDef, flavour: Flavour, name: str, named: str | None) -> str:
    if named is not None:
        tensor = node_of(named)
        if all(node.name != tensor for node in graph.node):
            raise UserError(f"{name} has no tensor {shown(named)} (--bottleneck_tensor_name)")
        return tensor
    pools = [node.name for node in graph.node if node.op in ("AvgPool", "Mean")]
    if not (flavour.bottleneck or pools):
        raise UserError(f"{name} has no pooling layer; name one by --bottleneck_tensor_name")
    return flavour.bottleneck or pools[-1]


def _files(folder: Path, name: str) -> list[Path]:
    """The files of a module's folder, sorted: what may be in an archive of one, and no more.

    Raises UserError: no module, a link or device in it, too many or too large, not readable.
    """
    if not (folder / "saved_model.pb").is_file():
        raise UserError(f"{name} is no module: it has no saved_model.pb")
    found, folders, count, size = [], [folder], 0, 0
    try:
        while folders:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    count += 1
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(Path(entry))
                    elif entry.is_file(follow_symlinks=False):
                        found.append(Path(entry))
                        size += entry.stat(follow_symlinks=False).st_size
                    else:
                        raise UserError(
                            f"{name} is refused: {shown(entry)} is a link or device; where it is "
                            "a link to a file of the module, give a copy made by cp -rL"
                        )
                    if count > unpacking.MAX_FILES or size > unpacking.MAX_BYTES:
                        raise UserError(
                            f"{name} is refused: it has more files or bytes than a module can have"
                        )
    except OSError as error:
        raise UserError(f"could not read {name}: {reason_of(error)}") from error
    return sorted(found)


def _is_url(handle: str) -> bool:
    return "://" in handle


def _folder(handle: str, place: Path) -> Path:
    """What should be the folder of a SavedModel: given, unpacked, or downloaded and unpacked."""
    if not _is_url(handle):
        path = Path(handle)
        return path if path.is_dir() else _unpacked(path, place, shown(handle))
    # tensorflow_hub keeps a module unpacked under the SHA-1 of its handle.
    kept = os.environ.get("TFHUB_CACHE_DIR")
    folder = Path(kept or "/", hashlib.sha1(handle.encode(errors="surrogateescape")).hexdigest())
    if kept and folder.is_dir():
        return folder
    downloads = cache_folder() / "downloads"
    make_folder(downloads)
    downloaded = downloads / f"{key_of(handle)}.tar.gz"
    download.fetch(_compressed(handle), downloaded, limit=unpacking.MAX_BYTES)
    try:
        return _unpacked(downloaded, place, shown(handle))
    finally:
        downloaded.unlink(missing_ok=True)


def _compressed(handle: str) -> str:
    """The address of the archive: hosts of hub modules give it where they are asked so."""
    parts = urlsplit(handle)
    if parts.path.endswith(_ARCHIVES) or parts.query:
        return handle
    return urlunsplit(parts._replace(query="tf-hub-format=compressed"))


def _unpacked(path: Path, folder: Path, name: str) -> Path:
    """The folder of the module in the archive at `path`, unpacked below `folder`."""
    unpacking.unpack(path, folder, name)
    found = sorted(folder.rglob("saved_model.pb"), key=lambda path: len(path.parts))
    return found[0].parent if found else folder


def _frozen_apart(folder: Path, handle: str, most: int) -> GraphDef:
    """The module's graph of at most `most` bytes, by a process that sees only its folder."""
    command = ["freeze-module", str(folder.resolve()), str(_size_of(handle))]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        done = apart.run(command, Path("/"), seconds=SECONDS, most=most, environ=quiet)
    except apart.Failed as error:
        raise UserError(f"{shown(handle)} cannot be used: {error}") from error
    if done.code:
        said = done.said.decode(errors="replace").strip().splitlines() or ["it was killed"]
        reason = said[-1].removeprefix("tensor-guess: ")
        reason = reason if reason.isprintable() else ascii(reason)
        raise UserError(f"{shown(handle)} cannot be used: {reason}")
    return parse(done.output, shown(handle))


def _size_of(handle: str) -> int:
    """The input's side as the module's name says it: `mobilenet_v2_100_224/feature_vector/4`."""
    if "inception_v3" in handle or "inception_resnet_v2" in handle:
        return 299
    sides = [int(each) for each in re.findall(r"(?<![0-9])([1-6]?[0-9]{2})(?![0-9])", handle)]
    plausible = [side for side in sides if 96 <= side <= 640 and side != 100]
    return plausible[-1] if plausible else _SIZE
