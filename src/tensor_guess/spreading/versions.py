"""What a machine computes with: the same on all, or the numbers would not be."""

import hashlib
import platform
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import tensor_guess
from tensor_guess.spreading import optional

# What pixels and rows depend on, and what is on the wire.
_PACKAGES = (
    "cloudpickle",
    "dask",
    "distributed",
    "msgpack",
    "numpy",
    "openvino",
    "pi-heif",
    "pillow",
    "simplejpeg",
)
# What a machine may have of its own.
PROCESSOR, BF16 = "processor", "bf16"
Versions = Mapping[str, str]


@cache
def own() -> dict[str, str]:
    """Return what this machine has, by name: the program and its packages."""
    optional.require()
    found = {"tensor-guess": tensor_guess.__version__, "its code": _code()}
    found["Python"] = ".".join(map(str, sys.version_info[:2]))
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def with_processor() -> dict[str, str]:
    """Return the same, and what its processor is and can do."""
    import openvino

    from tensor_guess.graphs.network import has_bf16

    name = openvino.Core().get_property("CPU", "FULL_DEVICE_NAME")
    able = "yes" if has_bf16() else "no"
    return own() | {PROCESSOR: f"{name} ({platform.machine()})", BF16: able}


def difference(mine: Versions, theirs: Versions) -> str:
    """Return the first thing in which a worker differs, as the end of a sentence, or ""."""
    for name, value in mine.items():
        other = theirs.get(name, "none")
        if other == value:
            continue
        if name == "its code":
            return "has other code of the same tensor-guess"
        return f"has {name} {other}, and this machine has {value}"
    return ""


def mark(said: Versions) -> str:
    """Return the name of what tasks ask of a worker: only one with these versions has it."""
    what = [f"{name} {value}" for name, value in sorted(said.items())]
    return f"tensor-guess {hashlib.sha256(chr(10).join(what).encode()).hexdigest()[:16]}"


def _code() -> str:
    """Return a digest of the program's code: a clone may have moved on with the same version."""
    digest, root = hashlib.sha256(), Path(tensor_guess.__file__).parent
    for path in sorted(root.rglob("*.py")):
        data = path.read_bytes()
        name = path.relative_to(root)
        if name.parts != ("__main__.py",):  # only what pip installed has it there
            digest.update(f"{name} {len(data)}\n".encode() + data)
    return digest.hexdigest()[:16]
