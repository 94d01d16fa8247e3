"""Compiled networks, kept for graphs that were checked and used before.

<cache>/networks/<key> contains the digest of all that follows, a line of JSON, zeros up to a whole
page, and OpenVINO's model. The key is the digest of everything that determines the model: the
graph's bytes, how it is used, our own code and the processor. A file is used only if it belongs to
this user and nobody else has access to it.
"""

import hashlib
import json
import mmap
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tensor_guess import __version__, bottlenecks, graphs
from tensor_guess.config import cache_folder
from tensor_guess.errors import Unreadable, UserError
from tensor_guess.images import scaling
from tensor_guess.system import durable, reading

# Bytes of all kept networks together; the most recently used stay. One takes as much as its graph:
# VGG16's 0.55 GB.
MAX_BYTES = 1_000_000_000

_DIGEST = 64
_PAGE = 4096  # OpenVINO wants its weights aligned
_OTHER_CODE = (
    Path(scaling.__file__),
    Path(bottlenecks.__file__).with_name("inside.py"),
    Path(__file__).with_name("besides.py"),
)
_OTHERS = 0o077  # the permissions of everyone but the owner


@dataclass(frozen=True)
class Kept:
    """A kept network: what was recorded about it, and OpenVINO's bytes."""

    said: dict[str, Any]
    blob: memoryview


def folder() -> Path:
    """Return the folder of networks. Raise UserError as `cache_folder` does."""
    return cache_folder() / "networks"


def key(digest: str, *used: object) -> str:
    """Return the key of a graph's network, from the graph's SHA-256 and how it is `used`."""
    whole = [digest, [repr(each) for each in used], __version__, _code(), _processor()]
    return hashlib.sha256(json.dumps(whole).encode()).hexdigest()


def find(key: str) -> Kept | None:
    """Return what is kept under `key`, or None if that is missing, damaged or not this user's."""
    try:
        path = folder() / key
        with reading.opened(path, follow=False) as file:
            status = os.fstat(file.fileno())
            if status.st_uid != os.geteuid() or status.st_mode & _OTHERS:
                return None
            if not _DIGEST < status.st_size <= MAX_BYTES:
                return None
            # Private memory: what was checked is what is used. It starts on a page, so OpenVINO
            # need not copy it.
            pages = mmap.mmap(-1, status.st_size)
            data = memoryview(pages)
            if file.readinto(data) != len(data):
                return None
        if hashlib.sha256(data[_DIGEST:]).hexdigest().encode() != data[:_DIGEST]:
            return None
        end = pages.find(b"\n", _DIGEST)
        said = json.loads(pages[_DIGEST:end])
        if not isinstance(said, dict) or said.get("key") != key:
            return None
    except (OSError, RecursionError, Unreadable, UserError, ValueError):
        return None
    with suppress(OSError):
        os.utime(path)
    return Kept(said, data[_whole_pages(end + 1) :])


def keep(key: str, said: dict[str, Any], blob: memoryview) -> None:
    """Keep a network for next time, if possible; remove those used longest ago.

    Raise nothing: the program also works if the cache is full or not writable.
    """
    line = json.dumps({"key": key, **said}).encode() + b"\n"
    end = _DIGEST + len(line)
    line += bytes(_whole_pages(end) - end)
    if _DIGEST + len(line) + len(blob) > MAX_BYTES:
        return
    digest = hashlib.sha256(line)
    digest.update(blob)
    with suppress(OSError, UserError):
        data = digest.hexdigest().encode(), line, blob
        durable.publish(folder() / key, data, private=True)
        durable.sweep(folder())
        _bound()


def can_keep() -> bool:
    """Return whether there is a lasting cache; a container may have none."""
    try:
        # A cache folder that does not exist yet might not outlive this process.
        if cache_folder().is_dir():
            folder().mkdir(mode=0o700, exist_ok=True)
        return os.access(folder(), os.W_OK)
    except (OSError, UserError):
        return False


def _whole_pages(size: int) -> int:
    return -(-size // _PAGE) * _PAGE


def _bound() -> None:
    """Remove the networks used longest ago until the rest take at most MAX_BYTES."""
    entries = []
    for each in os.scandir(folder()):
        with suppress(FileNotFoundError):  # another run may remove them too
            status = each.stat(follow_symlinks=False)
            entries.append((status.st_mtime_ns, status.st_size, each.path))
    total = 0
    for _, size, path in sorted(entries, reverse=True):
        total += size
        if total > MAX_BYTES:
            with suppress(FileNotFoundError):
                os.unlink(path)


@cache
def _code() -> str:
    """Return the digest of the code that reads, checks and converts a graph.

    If that code changes, kept networks are no longer used.
    """
    digest = hashlib.sha256()
    for path in (*sorted(Path(graphs.__file__).parent.glob("*.py")), *_OTHER_CODE):
        data = path.read_bytes()
        digest.update(f"{path.name} {len(data)}\n".encode() + data)
    return digest.hexdigest()


@cache
def _processor() -> list[str]:
    """Return what identifies the processor, and how many of them this process may use."""
    found = [os.uname().machine, str(os.cpu_count())]
    if hasattr(os, "sched_getaffinity"):
        found.append(str(len(os.sched_getaffinity(0))))
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        # The first processor stands for all: listing a hundred takes the system long.
        for line in file:
            if line.startswith(("model name", "flags", "Features", "CPU part")):
                found.append(line)
            elif not line.strip():
                break
    return found
