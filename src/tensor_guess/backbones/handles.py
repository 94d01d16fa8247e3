"""Handles: names of backbones outside the catalogue, such as a URL, a module's folder, a graph."""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

from tensor_guess.errors import WrongUsage, shown
from tensor_guess.graphs.files import find_graph
from tensor_guess.received import addresses
from tensor_guess.system import download
from tensor_guess.system.reading import is_url

ARCHIVES = (".tar.gz", ".tgz")
# Used if a module accepts images of any size and its name does not state one.
_SIZE = 224


def is_handle(name: str) -> bool:
    """Return whether it is a URL or a path, and not the name of a backbone in the catalogue."""
    return "/" in name or name.endswith((".pb", ".zip", *ARCHIVES)) or os.path.isdir(name)


def check_handle(handle: str) -> None:
    """Raise WrongUsage if it is neither an existing path nor a usable URL."""
    if addresses.is_classifier(handle):
        addresses.parsed(handle)
    elif is_url(handle):
        download.check(handle)
    else:
        is_graph(handle)


def recorded(handle: str) -> str:
    """Return the handle as it may be recorded: a URL without its query, which may contain a key.

    Of a classifier, its #fragment goes too.
    """
    return re.split("[?#]", handle)[0] if is_url(handle) else handle


def is_local(name: str) -> bool:
    """Return whether it is a path, which needs no internet."""
    return is_handle(name) and not is_url(name)


def is_graph(name: str) -> bool:
    """Return whether it is the path of a frozen graph, which is read each time and never kept.

    Raise WrongUsage if it is a path where nothing exists.
    """
    if not is_local(name):
        return False
    if not os.path.exists(name):
        raise WrongUsage(f"there is no backbone {shown(name)}: no such file or folder")
    if os.path.isfile(name):
        return not name.endswith(ARCHIVES)
    module = os.path.exists(os.path.join(name, "saved_model.pb"))
    return not module and find_graph(Path(name)) is not None


def size_of(handle: str) -> int:
    """Return the input's side from the module's name: `mobilenet_v2_100_224/feature_vector/4`."""
    if "inception_v3" in handle or "inception_resnet_v2" in handle:
        return 299
    name = urlsplit(handle).path if is_url(handle) else handle  # a host has numbers too
    sides = [int(each) for each in re.findall(r"(?<![0-9])([1-6]?[0-9]{2})(?![0-9])", name)]
    plausible = [side for side in sides if 96 <= side <= 640 and side != 100]
    return plausible[-1] if plausible else _SIZE
