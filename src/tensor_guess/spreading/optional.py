"""Dask, which few need: the launcher installs it with the first command that does."""

import logging
import warnings

from tensor_guess.system import packages

_PACKAGES = ("cryptography", "dask", "distributed")


def require() -> None:
    """Make Dask importable, and keep it from talking. Raise UserError if it is not installed."""
    packages.require("many", _PACKAGES, "many machines need Dask")
    import distributed  # noqa: F401  # sets up loggers of its own

    # What matters is said in a sentence; Dask logs it with tracebacks.
    for name in ("tornado.application", *logging.root.manager.loggerDict):
        if name.startswith(("distributed", "tornado")):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"(distributed|dask|tornado)\.")
