"""What runs a classifier in a page: the copy that this machine's user has fetched."""

import shutil
from pathlib import Path

import pytest

from tensor_guess.config import ONNXRUNTIME_WEB, cache_folder
from tensor_guess.exporting.onnxruntime_web import VERSION

# Taken when tests are collected, as each test has a cache of its own then. `./test.sh` fetches it.
_NAME = f"npm/{ONNXRUNTIME_WEB}-{VERSION}.tgz"
_KEPT = cache_folder() / _NAME


def fetched(cache: Path) -> None:
    """Give the cache the package; the test is skipped if it is not on this machine."""
    if not _KEPT.exists():
        pytest.skip(f"{_KEPT} is absent: `tensor-guess fetch {ONNXRUNTIME_WEB}` brings it")
    (cache / "npm").mkdir(parents=True, exist_ok=True)
    shutil.copy(_KEPT, cache / _NAME)
