"""Judge by names, lengths and numbers whether a backbone computed an old run's bottlenecks."""

import numpy as np
from numpy.typing import NDArray

from tensor_guess.backbones.backbone import Backbone
from tensor_guess.backbones.catalogue import CATALOGUE
from tensor_guess.bottlenecks.classic import Group
from tensor_guess.bottlenecks.extractor import Extractor
from tensor_guess.config import BOTTLENECK, FLOAT32, SQUEEZE
from tensor_guess.errors import shown
from tensor_guess.graphs import shapes
from tensor_guess.graphs.foreign import mean_and_std
from tensor_guess.graphs.graph import cut

# Two bottlenecks of a photo are alike if the length of their difference is at most this fraction of
# the first one's length (docs/design.md, Measured).
ALIKE = 0.05


def alike(one: NDArray[np.float32], other: NDArray[np.float32]) -> bool:
    """Return whether two bottlenecks [D] of one photo come from the same network."""
    return bool(np.linalg.norm(one - other) <= ALIKE * np.linalg.norm(one))


def reason_against(group: Group, extractor: Extractor) -> str:
    """Return why, judging without photos, the group cannot be this extractor's, or ""."""
    backbone, length = extractor.backbone, extractor.length
    found, size = group.length(), backbone.scaling.size
    if found is None:
        return "all that were opened are damaged"
    if found != length:
        return f"they have {found} numbers each, those of {shown(backbone.name)} {length}"
    if group.size not in (None, size):
        return f"they are of {group.size} x {group.size} pixels, not {size} x {size}"
    if group.is_inception_2015 and backbone.name in CATALOGUE:
        return f"{backbone.name} is another network"
    if backbone.scaling.fit != SQUEEZE:
        return f"they are of squeezed pictures, not of --fit {backbone.scaling.fit}"
    if extractor.precision != FLOAT32:
        return f"they were computed in {FLOAT32}, not {extractor.precision}"
    return ""


def reason_in_names(group: Group, backbone: Backbone) -> str:
    """Return why the names of the group's files speak against this backbone, or ""."""
    if group.is_of(backbone.name):
        return ""
    name, scaling = shown(backbone.name), backbone.scaling
    if backbone.name in CATALOGUE or "://" in backbone.name:
        return f"nothing shows that {name} gave them"
    if mean_and_std(group.input) != (scaling.mean, scaling.std):
        return f"their network took pixels in another range than {name}"
    nodes = cut(backbone.graph, scaling, BOTTLENECK)
    first = next((node.name for node in nodes if node.op == "Conv2D"), None)
    width = shapes.check(nodes)[first][-1] if first else None
    if group.channels not in (None, width):
        own = f"that of {name} {width}" if width else f"{name} has none"
        return f"the first layer of their network has {group.channels} channels, {own}"
    return ""
