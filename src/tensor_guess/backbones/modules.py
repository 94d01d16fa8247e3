"""Download, unpack and freeze modules of TF Hub, and SavedModels.

A module is a stranger's program. It is downloaded and unpacked here. A process that can reach
neither the internet nor files loads and freezes it, and the result is checked op by op.
"""

import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from tensorboard.compat.proto.graph_pb2 import GraphDef

from tensor_guess.backbones import handles, unpacking
from tensor_guess.backbones.backbone import check_backbone, sides_of
from tensor_guess.config import cache_folder
from tensor_guess.errors import Unreadable, UserError, WrongUsage, reason_of, shown
from tensor_guess.graphs import graph as graphs
from tensor_guess.graphs.graph import parse
from tensor_guess.images.scaling import Scaling
from tensor_guess.system import apart, archive, download, durable, reading, scratch
from tensor_guess.system.durable import make_folder
from tensor_guess.system.reading import is_url

SECONDS = 600
# TF Hub's common signatures expect pixels from 0 to 1.
_HUB_RANGE = (0.0, 255.0)


def key_of(handle: str) -> str:
    """Return the key that a module is kept under: from a URL's text, or from a file's content."""
    digest = hashlib.sha256(handle.encode(errors="surrogateescape"))
    if not is_url(handle):
        root, name = Path(handle), shown(handle)
        digest = hashlib.sha256(str(handles.size_of(handle)).encode())
        for path in _files(root, name) if root.is_dir() else [root]:
            try:
                content = reading.sha256(path, unpacking.MAX_BYTES, follow=path == root)
            except Unreadable as error:
                raise UserError(f"could not read {shown(path)}: {error}") from error
            digest.update(bytes(path.relative_to(root)) + b"\0" + content)
    return f"handle-{digest.hexdigest()[:32]}"


def scaling_of(module: GraphDef) -> Scaling:
    """Return a frozen module's input: its own size, and the range of TF Hub's common signatures."""
    return Scaling(sides_of(module)[1], *_HUB_RANGE)


def freeze(handle: str) -> GraphDef:
    """Return the frozen graph of a module, from NETWORK_INPUT to BOTTLENECK, checked op by op.

    Raise UserError if that fails. Nothing is left behind but what `keep` keeps.
    """
    with _folder(handle) as folder:
        size = sum(path.stat().st_size for path in _files(folder, shown(handle)))
        graph = _frozen_apart(folder, handle, min(graphs.MAX_BYTES, archive.most(size)))
    check_backbone(graph, shown(handle))
    return graph


def check_kept(url: str) -> None:
    """Raise WrongUsage if it is no URL, or if there is no folder to keep the module in."""
    if not is_url(url):
        raise WrongUsage(f"{shown(url)} is no URL of a module")
    handles.check_handle(url)
    if _kept(url) is None:
        raise WrongUsage("TFHUB_CACHE_DIR names no folder; set it to the one for modules")


def keep(url: str) -> None:
    """Download the module to where tensorflow_hub keeps it, unless it is there; load nothing.

    That is a folder in TFHUB_CACHE_DIR, beside its descriptor. Raise UserError if it cannot be
    downloaded or written, or is no module; nothing is left behind then.
    """
    kept = _kept(url)
    if kept is None or _is_filled(kept):
        return
    durable.sweep(kept.parent)
    with durable.draft(kept) as made:
        module = _fetched(url, made)
        _files(module, shown(url))
        try:
            durable.publish_made(module, kept)
        except UserError:
            if not _is_filled(kept):  # by another run, or by tensorflow_hub
                raise
    said = (
        f"Module: {handles.recorded(url)}\nDownload Time: {datetime.now()}\n"
        f"Downloader Hostname: {socket.gethostname()} (PID:{os.getpid()})"
    )
    durable.publish(kept.with_name(f"{kept.name}.descriptor.txt"), said.encode())


def _files(folder: Path, name: str) -> list[Path]:
    """Return the files in a module's folder, sorted; it may contain only what an archive may.

    Raise UserError if it is not a module, contains a link or device, has too many files or bytes,
    or cannot be read.
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


@contextmanager
def _folder(handle: str) -> Iterator[Path]:
    """Yield the module's folder: as given, as tensorflow_hub keeps it, or unpacked for now."""
    kept = _kept(handle) if is_url(handle) else None
    if kept and os.access(kept.parent, os.W_OK):
        keep(handle)
    if kept and _is_filled(kept):
        yield kept
    elif not is_url(handle) and os.path.isdir(handle):
        yield Path(handle)
    else:
        with scratch.folder() as place:
            yield _fetched(handle, place)


def _kept(url: str) -> Path | None:
    """Return where tensorflow_hub keeps the module: in a folder with the SHA-1 of its URL."""
    place = os.environ.get("TFHUB_CACHE_DIR")
    digest = hashlib.sha1(url.encode(errors="surrogateescape"), usedforsecurity=False)
    return Path(place, digest.hexdigest()) if place and os.path.isdir(place) else None


def _is_filled(folder: Path) -> bool:
    """Return whether there is a module, as tensorflow_hub sees it."""
    try:
        return any(folder.iterdir())
    except OSError:
        return False


def _fetched(handle: str, place: Path) -> Path:
    """Unpack the module below `place`, after downloading it if it is a URL; return its folder."""
    if not is_url(handle):
        return _unpacked(Path(handle), place, shown(handle))
    downloads = cache_folder() / "downloads"
    make_folder(downloads)
    downloaded = downloads / f"{key_of(handle)}.tar.gz"
    download.fetch(_compressed(handle), downloaded, limit=unpacking.MAX_BYTES)
    try:
        return _unpacked(downloaded, place, shown(handle))
    finally:
        downloaded.unlink(missing_ok=True)


def _compressed(handle: str) -> str:
    """Return the URL of the archive, which hosts of TF Hub modules serve for this query."""
    parts = urlsplit(handle)
    if parts.path.endswith(handles.ARCHIVES) or parts.query:
        return handle
    return urlunsplit(parts._replace(query="tf-hub-format=compressed"))


def _unpacked(path: Path, folder: Path, name: str) -> Path:
    """Unpack the archive at `path` below `folder`, and return the module's folder."""
    unpacking.unpack(path, folder, name)
    found = sorted(folder.rglob("saved_model.pb"), key=lambda path: len(path.parts))
    return found[0].parent if found else folder


def _frozen_apart(folder: Path, handle: str, most: int) -> GraphDef:
    """Return the module's graph, at most `most` bytes, from a process that sees only its folder."""
    command = ["freeze-module", str(folder.resolve()), str(handles.size_of(handle))]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        done = apart.run(command, Path("/"), seconds=SECONDS, most=most, environ=quiet)
    except apart.Failed as error:
        raise UserError(f"{shown(handle)} cannot be used: {error}") from error
    if done.code:
        said = done.said.decode(errors="replace").strip().splitlines() or ["it was killed"]
        reason = said[-1].removeprefix("tensor-guess: ")
        raise UserError(f"{shown(handle)} cannot be used: {shown(reason)}")
    return parse(done.output, shown(handle))
