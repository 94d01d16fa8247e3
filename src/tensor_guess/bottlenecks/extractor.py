"""The extractor turns images into rows: a backbone, computed in one precision."""

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property

from tensor_guess.backbones.backbone import Backbone
from tensor_guess.config import BOTTLENECK, FLOAT32
from tensor_guess.graphs import shapes
from tensor_guess.graphs.graph import cut
from tensor_guess.graphs.network import Network, Recipe

# Increase this whenever the same image is resized to different pixels.
PREPROCESSING = 1


@dataclass(frozen=True)
class Extractor:
    """A backbone and its precision: all that a row depends on, besides the image."""

    backbone: Backbone
    precision: str = FLOAT32

    @cached_property
    def fingerprint(self) -> str:
        """Return the name of the folder for its rows: 32 hexadecimal digits."""
        what = {
            "backbone": self.backbone.sha256,
            "scaling": self.backbone.scaling.plain(),
            "precision": self.precision,
            "preprocessing": PREPROCESSING,
        }
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:32]

    @cached_property
    def length(self) -> int:
        """Return how many numbers a bottleneck has."""
        nodes = cut(self.backbone.graph, self.backbone.scaling, BOTTLENECK)
        return shapes.check(nodes)[BOTTLENECK][-1]

    def classic(self) -> "Extractor":
        """Return the extractor that is fed images as `retrain.py` resized them."""
        scaling = replace(self.backbone.scaling, classic=True)
        return replace(self, backbone=replace(self.backbone, scaling=scaling))

    def network(self) -> Network:
        """Compile the network, from pixels to bottlenecks. It takes seconds and much memory."""
        return self.recipe().network()

    def recipe(self) -> Recipe:
        """Return what the network is made from."""
        backbone = self.backbone
        return Recipe(backbone.graph, backbone.scaling, BOTTLENECK, self.precision)
