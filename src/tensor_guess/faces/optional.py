"""OpenCV and PyAV, which few need: the launcher installs them with the first command that does."""

import importlib
import importlib.util
import sys
from pathlib import Path
from threading import RLock

from tensor_guess.config import INSTALLED
from tensor_guess.errors import UserError

_PACKAGES = ("av", "cv2")
# OpenCV puts another module in its own place while it is imported, which no other thread may see.
importing = RLock()


def require() -> None:
    """Make both importable. Raise UserError if they are not installed."""
    folder = str(Path(sys.prefix) / "faces")  # src/launcher/local.bash and the Dockerfile make it
    with importing:
        if folder not in sys.path:
            sys.path.append(folder)
            importlib.invalidate_caches()
        there = all(map(importlib.util.find_spec, _PACKAGES))
    if not there:
        how = "run `pip install 'tensor-guess[faces]'`"
        if not INSTALLED:
            how = (
                "run ./tensor-guess without TENSOR_GUESS_IMAGE, which installs them, or build that "
                "image with --build-arg FACES=1"
            )
        raise UserError(f"faces and videos need OpenCV and PyAV, which are not here; {how}")
