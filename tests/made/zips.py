"""The files in a shared zip, and zips of others."""

import zipfile
from hashlib import sha256
from pathlib import Path

from tensor_guess.config import SUMS
from tensor_guess.system import archive

Members = dict[str, bytes]


def members_of(path: Path) -> Members:
    with zipfile.ZipFile(path) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def packed(members: Members, *, summed: bool = True) -> bytes:
    """A zip of these; `summed`: with the digests that they have now."""
    if summed:
        others = [name for name in members if name != SUMS]
        lines = [f"{sha256(members[name]).hexdigest()}  {name}\n" for name in others]
        members = {SUMS: "".join(lines).encode()} | {name: members[name] for name in others}
    return archive.written(members)
