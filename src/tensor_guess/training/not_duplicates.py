"""Remember which pictures the user said are no duplicates: TF_FILES/not_duplicates.json."""

import json
import os
import re
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

from tensor_guess.config import NOT_DUPLICATES
from tensor_guess.errors import Unreadable, UserError, WrongUsage, shown
from tensor_guess.images import encoded
from tensor_guess.system import reading
from tensor_guess.system.durable import publish

_MAX_BYTES = 500_000_000  # three million pairs
_SHA256 = re.compile("[0-9a-f]{64}")

Pairs = frozenset[frozenset[bytes]]


def read(tf_files: Path) -> Pairs:
    """Return the pairs of keys (SHA-256) of pictures that are no duplicates.

    Raise UserError if the file is damaged or cannot be read.
    """
    path = tf_files / NOT_DUPLICATES
    if not os.path.lexists(path):
        return frozenset()
    try:
        pairs = json.loads(reading.read(path, _MAX_BYTES, follow=False))["not_duplicates"]
        return frozenset(frozenset(_key(each) for each in pair) for pair in pairs)
    except Unreadable as error:
        raise UserError(f"could not read {shown(path)}: {error}") from error
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        raise UserError(f"{shown(path)} is damaged; remove it or move it away") from error


def add(tf_files: Path, pictures: Iterable[Path]) -> int:
    """Remember that none of the pictures is a duplicate of another; return how many pairs are new.

    Raise WrongUsage if two of them are the same file, byte by byte, or if one cannot be read.
    """
    known, paths = read(tf_files), dict[bytes, Path]()
    for path in pictures:
        try:
            key = encoded.read(path).key
        except Unreadable as error:
            raise WrongUsage(f"{shown(path)} {error}") from error
        twin = paths.setdefault(key, path)
        if twin is not path:
            raise WrongUsage(f"{shown(twin)} and {shown(path)} are the same, byte by byte")
    if len(paths) < 2:
        raise WrongUsage("name two or more pictures that are no duplicates of each other")
    pairs = known | {frozenset(pair) for pair in combinations(paths, 2)}
    lines = sorted(sorted(key.hex() for key in pair) for pair in pairs)
    data = json.dumps({"not_duplicates": lines}, indent=1) + "\n"
    publish(tf_files / NOT_DUPLICATES, data.encode())
    return len(pairs) - len(known)


def _key(text: object) -> bytes:
    if not isinstance(text, str) or not _SHA256.fullmatch(text):
        raise ValueError
    return bytes.fromhex(text)
