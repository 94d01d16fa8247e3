"""ONNX Runtime for browsers, as npm has it: fetched once, then kept, and checked at each use."""

import hashlib
import io
import os
import re
import shutil
import subprocess
import tarfile
from contextlib import suppress
from dataclasses import dataclass

from tensor_guess.config import ONNXRUNTIME_WEB, cache_folder
from tensor_guess.errors import Unreadable, UserError
from tensor_guess.system import download, reading
from tensor_guess.system.durable import check_writable, make_folder

VERSION = "1.30.0"
_SHA256 = "d2228df7e4616bc3348bf504ee888f3bec43789a273f0a63f3e68d203ce3bf71"
_MOST_BYTES = 40_000_000
# Where the script leaves its exports.
GLOBAL = "onnxruntime"
# The smallest of its builds: for processors only, in one file besides the program.
_SCRIPT = "package/dist/ort.wasm.bundle.min.mjs"
_PROGRAM = "package/dist/ort-wasm-simd-threaded.wasm"
# What the script ends with: `export{a as InferenceSession,b as Tensor};`
_EXPORTS = re.compile(r"\bexport\{([^{}]*)\};")
_SECONDS = 30


@dataclass(frozen=True)
class Runtime:
    """The script, which leaves its exports in a global variable, GLOBAL, and the WebAssembly."""

    script: str
    program: bytes


def fetch() -> str:
    """Download the package to where it is kept, if it is not there; return its SHA-256.

    Raise UserError as `download.fetch` does, and if no registry is known.
    """
    _package()
    return _SHA256


def load() -> Runtime:
    """Return what is needed of the package, which is fetched if it is not here.

    Raise UserError as `fetch` does.
    """
    # Nothing else has this digest, so what is in it need not be checked.
    with tarfile.open(fileobj=io.BytesIO(_package())) as archive:
        script, program = (_member(archive, name) for name in (_SCRIPT, _PROGRAM))
    return Runtime(_as_global(script.decode()), program)


def _package() -> bytes:
    name = f"{ONNXRUNTIME_WEB}-{VERSION}.tgz"
    path = cache_folder() / "npm" / name
    try:
        data = reading.read(path, _MOST_BYTES)
    except Unreadable:
        data = b""  # it is fetched, or that says why it cannot be
    if hashlib.sha256(data).hexdigest() == _SHA256:
        return data
    make_folder(path.parent)
    check_writable(path.parent)
    url = f"{_registry().rstrip('/')}/{ONNXRUNTIME_WEB}/-/{name}"
    return download.fetch(url, path, limit=_MOST_BYTES, digest=f"sha256:{_SHA256}")


def _registry() -> str:
    """Return the address of the registry that was set up on this machine, as npm finds it.

    Raise UserError if there is no npm that could tell.
    """
    for name, value in os.environ.items():
        if name.lower() == "npm_config_registry" and value:
            return value
    npm = shutil.which("npm")  # it knows its own files, if it is here
    if npm:
        with suppress(OSError, subprocess.TimeoutExpired):
            done = subprocess.run(
                [npm, "config", "get", "registry"], cwd="/", stdin=subprocess.DEVNULL,
                capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False,
            )  # fmt: skip
            if done.returncode == 0 and done.stdout.startswith("http"):
                return done.stdout.strip()
    raise UserError(
        f"{ONNXRUNTIME_WEB} comes from npm's registry, and npm is not here to say where that is: "
        "install npm, or set npm_config_registry to its address"
    )


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file
    return file.read()


def _as_global(script: str) -> str:
    """Return the module as a script in a page: there, one module cannot import another."""
    start, names = _EXPORTS.split(script)[:2]
    pairs = (each.split(" as ") for each in names.split(","))
    found = ",".join(f"{public}:{own}" for own, public in pairs)
    return f"{start}globalThis.{GLOBAL}={{{found}}};"
