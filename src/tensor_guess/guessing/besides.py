"""What a guess may ask of the network besides scores: likeness to what is known, scores by place.

One pass over the image gives all, side by side in one vector, so that a network that was kept in
the cache gives them too.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from tensor_guess.errors import UserError

# A network that was kept does not need what reads graphs.
if TYPE_CHECKING:
    from tensor_guess.graphs.classifier import Classifier
    from tensor_guess.graphs.network import Recipe

Floats = NDArray[np.float32]

TRAIN_AGAIN = (
    "has no threshold for unknown pictures: graphs of older versions and of other programs have "
    "none; train again"
)


@dataclass(frozen=True)
class Besides:
    """What is asked for: whether a picture is `unknown`, whether it shows `both` of two things."""

    unknown: bool = False
    both: bool = False

    def __bool__(self) -> bool:
        return self.unknown or self.both


NOTHING = Besides()


@dataclass(frozen=True)
class Layout:
    """How a network's vector is divided: K scores, cosines with `familiar` things, a map [H, W, K].

    `familiar`: how many cosines, of which the first K are the categories'. `places`: (H, W).
    `biases`: the head's, [K], which are in the map; () without one.
    """

    classes: int
    familiar: int = 0
    places: tuple[int, int] = (0, 0)
    biases: tuple[float, ...] = ()

    @classmethod
    def of_json(cls, said: Any) -> Self:
        """Return the layout in parsed JSON. Raise KeyError, TypeError or ValueError otherwise."""
        height, width = said["places"]
        found = cls(said["classes"], said["familiar"], (height, width), tuple(said["biases"]))
        if not all(type(each) is int for each in (found.classes, found.familiar, height, width)):
            raise TypeError
        if not all(type(each) is float for each in found.biases):
            raise TypeError
        if len(found.biases) != (found.classes if height * width else 0):
            raise ValueError("it has other biases than labels")
        return found

    @property
    def width(self) -> int:
        """Return how many numbers the vector has."""
        return self.classes + self.familiar + self.classes * self.places[0] * self.places[1]

    def scores(self, row: Floats) -> Floats:
        """Return the scores [K] in the vector."""
        return row[: self.classes]

    def cosines(self, row: Floats) -> tuple[Floats, Floats]:
        """Return the cosines with the categories' middles [1, K] and training pictures [1, N]."""
        found = row[None, self.classes : self.classes + self.familiar]
        return found[:, : self.classes], found[:, self.classes :]

    def logits(self, row: Floats) -> Floats:
        """Return the logits at each place [H, W, K]."""
        return row[self.classes + self.familiar :].reshape(*self.places, self.classes)

    def products(self, row: Floats) -> Floats:
        """Return the map's features times the head's weights, at each place [H, W, K]."""
        return self.logits(row) - np.array(self.biases, np.float32)


def recipe(known: "Classifier", precision: str | None, besides: Besides) -> tuple["Recipe", Layout]:
    """Return the recipe of a network that gives what is asked for, and how its vector is divided.

    Raise UserError if the classifier cannot give it.
    """
    record = known.record
    if not besides:
        return known.recipe(precision), Layout(len(record.labels))
    from tensor_guess.bottlenecks.inside import Parts, joined
    from tensor_guess.evaluation.unknown import unpacked
    from tensor_guess.graphs.builder import Builder
    from tensor_guess.graphs.network import Recipe, precision_of
    from tensor_guess.graphs.own import familiar_of

    parts = Parts(known)
    builder = Builder()
    builder.graph.node.extend(known.graph.node)
    wanted: dict[str, tuple[int, ...]] = {record.final_tensor: parts.sizes[record.final_tensor]}
    count, places = 0, (0, 0)
    biases: tuple[float, ...] = ()
    if besides.unknown:
        packed = familiar_of(known.graph, len(record.labels), parts.head.width)
        count = len(packed)
        wanted[_cosines(builder, parts.bottleneck, unpacked(packed))] = (1, count)
    if besides.both:
        if parts.map is None:
            raise UserError(
                "the classifier cannot do --both: its network has no map of the picture's places"
            )
        height, width = parts.sizes[parts.map][1:3]
        places, biases = (height, width), tuple(map(float, parts.head.biases))
        shape = (1, height, width, len(record.labels))
        wanted[_logits(builder, parts.map, parts.head.weights, parts.head.biases)] = shape
    layout = Layout(len(record.labels), count, places, biases)
    graph, output = joined(builder.graph, wanted)
    how = record.scaling, output, precision_of(record, precision)
    return Recipe(graph, *how, width=layout.width), layout


def _cosines(builder: Any, bottleneck: str, units: Floats) -> str:
    """Add the cosines of the bottleneck [N, D] with `units` [M, D]; return the node's name."""
    from tensor_guess.graphs.builder import INT32

    name, width = "tensor_guess/cosines", units.shape[1]
    flat = builder.const(f"{name}/flat", np.array([-1, width], np.int32))
    rows = builder.floats("Reshape", f"{name}/rows", (bottleneck, flat), Tshape=INT32)
    squares = builder.floats("Square", f"{name}/squares", (rows,))
    axis = builder.const(f"{name}/axis", np.array([1], np.int32))
    mean = builder.floats("Mean", f"{name}/mean", (squares, axis), keep_dims=True, Tidx=INT32)
    least = builder.const(f"{name}/least", np.float32(1e-20))
    length = builder.floats("Maximum", f"{name}/positive", (mean, least))
    factor = builder.floats("Rsqrt", f"{name}/factor", (length,))
    level = builder.floats("Mul", f"{name}/level", (rows, factor))
    others = builder.const(
        f"{name}/others", np.ascontiguousarray(units.T / np.float32(np.sqrt(width)))
    )
    found: str = builder.floats("MatMul", name, (level, others))
    return found


def _logits(builder: Any, map_: str, weights: Floats, biases: Floats) -> str:
    """Add the head, applied at each place of the map [N, H, W, D]; return the node's name."""
    name = "tensor_guess/places"
    kernel = builder.const(f"{name}/kernel", weights[None, None])
    product = builder.floats(
        "Conv2D", f"{name}/product", (map_, kernel), strides=(1, 1, 1, 1), padding="VALID"
    )
    added = builder.const(f"{name}/biases", biases)
    found: str = builder.floats("BiasAdd", name, (product, added))
    return found
