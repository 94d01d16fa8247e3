"""What all workers of a job read in a folder that they share: the network's recipe, what is known.

The files are also the proof that a worker sees the folder, and not another one of that name.
"""

import hashlib
import os
import secrets
import shutil
import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from tensor_guess.config import HIDDEN, TEMPORARY
from tensor_guess.errors import Unreadable, UserError, shown
from tensor_guess.graphs import graph as graphs
from tensor_guess.graphs.network import Network, Recipe
from tensor_guess.images import encoded
from tensor_guess.images.scaling import Scaling
from tensor_guess.stores import s3, uploads
from tensor_guess.stores.paths import StorePath, location
from tensor_guess.system import reading
from tensor_guess.system.durable import ABANDONED_SECONDS, make_folder, publish, sweep

_GRAPH, _KNOWN = "graph.pb", "known"
_KEY = 32  # bytes of a SHA-256
_MOST = 1 << 34  # bytes of a file


@dataclass(frozen=True)
class Job:
    """What is to be found in pictures: plain values and paths, which are the same on all machines.

    `graph`, `known`: files, each with its SHA-256; the second has the keys of what need not be
    computed, sorted. `witness`: a picture and its key, if there is any. `inside`: the folder that
    pictures must be in. `faces`: see `shots.cropping`.
    """

    graph: tuple[Path, str]
    known: tuple[Path, str]
    scaling: Scaling
    output: str
    precision: str
    width: int | None
    witness: tuple[Path, bytes] | None = None
    inside: Path | None = None
    faces: str | None = None

    def plain(self) -> dict[str, Any]:
        """Return the same as plain values, for JSON."""
        found = asdict(self)
        for name in ("graph", "known"):
            found[name] = [str(found[name][0]), found[name][1]]
        if self.witness:
            found["witness"] = [str(self.witness[0]), self.witness[1].hex()]
        found["inside"] = None if self.inside is None else str(self.inside)
        return found

    @classmethod
    def of_plain(cls, said: dict[str, Any]) -> Self:
        """Return the job that `plain` made this of."""
        files = {name: (location(said[name][0]), said[name][1]) for name in ("graph", "known")}
        at, key = said["witness"] or ("", "")
        witness = (location(at), bytes.fromhex(key)) if at else None
        inside = None if said["inside"] is None else location(said["inside"])
        more = {"witness": witness, "inside": inside, "scaling": Scaling(**said["scaling"])}
        return cls(**{**said, **files, **more})


@contextmanager
def shared(
    folder: Path,
    recipe: Recipe,
    known: Iterable[bytes],
    *,
    pictures: Iterable[Path] = (),
    inside: Path | None = None,
    faces: str | None = None,
) -> Iterator[Job]:
    """Yield the job, whose files are in `folder` until the block ends.

    `pictures`: some of them, of which one becomes the witness. Raise UserError if the system
    refuses.
    """
    make_folder(folder)
    sweep(folder)
    if isinstance(folder, StorePath):
        _sweep(folder)
    own = folder.absolute() / f"{HIDDEN}{secrets.token_hex(8)}{TEMPORARY}"
    make_folder(own)
    try:
        # The graph alone could be that of another run: what is random makes it a proof.
        nonce = secrets.token_bytes(_KEY)
        keys = b"".join([nonce, *sorted(known)])
        files = {_GRAPH: graphs.serialise(recipe.graph), _KNOWN: keys}
        for name, data in files.items():
            _put(own / name, data)
        said = {
            name: (own / name, hashlib.sha256(data).hexdigest()) for name, data in files.items()
        }
        yield Job(
            said[_GRAPH],
            said[_KNOWN],
            recipe.scaling,
            recipe.output,
            recipe.precision,
            recipe.width,
            _witness(pictures),
            inside,
            faces,
        )
    finally:
        _remove(own)


def _put(path: Path, data: bytes) -> None:
    if isinstance(path, StorePath):
        uploads.put(path, data)
    else:
        publish(path, data)


def _sweep(folder: StorePath) -> None:
    """Remove what killed runs left in a store at least a day ago."""
    with suppress(OSError):
        for page in s3.pages((folder / HIDDEN).object):
            for prefix in page.prefixes:
                for each in folder.joinpath(prefix.rstrip("/").rpartition("/")[2]).iterdir():
                    if time.time() - each.stat().st_mtime > ABANDONED_SECONDS:
                        s3.remove(each.object)


def _remove(own: Path) -> None:
    """Remove the job's files; what cannot be removed does no harm."""
    if not isinstance(own, StorePath):
        shutil.rmtree(own, ignore_errors=True)
        return
    for name in (_GRAPH, _KNOWN):
        with suppress(OSError, UserError):
            s3.remove((own / name).object)


def _witness(pictures: Iterable[Path]) -> tuple[Path, bytes] | None:
    for path in pictures:
        try:
            return path.absolute(), encoded.read(path).key
        except Unreadable:
            continue
    return None


# --- on a worker


class Known:
    """The keys of what need not be computed."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys

    def __contains__(self, key: bytes) -> bool:
        count = len(self._keys) // _KEY
        at = bisect_left(range(1, count), key, key=self._key) + 1
        return at < count and self._key(at) == key

    def _key(self, number: int) -> bytes:
        return self._keys[number * _KEY : (number + 1) * _KEY]


def read(job: Job) -> tuple[Network, Known]:
    """Return the network, compiled, and what is known.

    Raise UserError if this machine does not see what the job's client sees.
    """
    graph, known = (_read(*each) for each in (job.graph, job.known))
    if job.witness:
        path, key = job.witness
        try:
            found = encoded.read(path, inside=job.inside).key
        except Unreadable as error:
            raise _unseen(path, str(error)) from error
        if found != key:
            raise _unseen(path, "is another picture there")
    recipe = Recipe(
        graphs.parse(graph, shown(job.graph[0])),
        job.scaling,
        job.output,
        job.precision,
        job.width,
    )
    return recipe.network(), Known(known)


def _read(path: Path, digest: str) -> bytes:
    try:
        data = reading.read(path, _MOST, follow=False)
    except (Unreadable, UserError) as error:
        raise _unseen(path, str(error)) from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise _unseen(path, "is another file there")
    return data


def _unseen(path: Path, reason: str) -> UserError:
    folder = path.parent.parent if path.name in (_GRAPH, _KNOWN) else path.parent
    how = "mount it there under the same path"
    if isinstance(folder, StorePath):
        how = "set the same AWS_* variables there"
    return UserError(
        f"the worker on {os.uname().nodename} does not see {shown(folder)} as this machine does "
        f"({shown(path)} {reason}); {how}"
    )
