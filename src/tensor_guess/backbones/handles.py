"""The names of backbones that are not in the catalogue: a URL, a module's folder, a graph."""

import os
import re
from pathlib import Path

from tensor_guess.errors import WrongUsage, shown
from tensor_guess.graphs.files import find_graph
from tensor_guess.system import download

ARCHIVES = (".tar.gz", ".tgz")
# Where a module takes images of any size and its name does not say one.
_SIZE = 224


def is_handle(name: str) -> bool:
    """Whether it is a URL or a path, and not the name of a backbone in the catalogue."""
    return "/" in name or name.endswith((".pb", *ARCHIVES)) or os.path.isdir(name)


def check_handle(handle: str) -> None:
    """Raise WrongUsage where it is no path that is there, and no address that can be asked."""
    if is_url(handle):
        download.check(handle)
    else:
        is_graph(handle)


def recorded(handle: str) -> str:
    """The handle as it is written down: a URL without its query, which may hold a key."""
    return re.split("[?#]", handle)[0] if is_url(handle) else handle


def is_local(name: str) -> bool:
    """Whether it is a path, for which no network is needed."""
    return is_handle(name) and not is_url(name)


def is_graph(name: str) -> bool:
    """Whether it is the path of a frozen graph: read anew each time, as nothing is to be frozen."""
    if not is_local(name):
        return False
    if not os.path.exists(name):
        raise WrongUsage(f"there is no backbone {shown(name)}: no such file or folder")
    if os.path.isfile(name):
        return not name.endswith(ARCHIVES)
    module = os.path.exists(os.path.join(name, "saved_model.pb"))
    return not module and find_graph(Path(name)) is not None


def is_url(handle: str) -> bool:
    """Whether it is an address, and no path."""
    return "://" in handle


def size_of(handle: str) -> int:
    """The input's side as the module's name says it: `mobilenet_v2_100_224/feature_vector/4`."""
    if "inception_v3" in handle or "inception_resnet_v2" in handle:
        return 299
    sides = [int(each) for each in re.findall(r"(?<![0-9])([1-6]?[0-9]{2})(?![0-9])", handle)]
    plausible = [side for side in sides if 96 <= side <= 640 and side != 100]
    return plausible[-1] if plausible else _SIZE
