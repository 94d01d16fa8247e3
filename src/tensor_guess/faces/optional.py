"""OpenCV and PyAV, which few need: the launcher installs them with the first command that does."""

from threading import RLock

from tensor_guess.system import packages

_PACKAGES = ("av", "cv2")
# OpenCV puts another module in its own place while it is imported, which no other thread may see.
importing = RLock()


def require() -> None:
    """Make both importable. Raise UserError if they are not installed."""
    with importing:
        packages.require("faces", _PACKAGES, "faces and videos need OpenCV and PyAV")
