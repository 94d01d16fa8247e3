"""A frozen graph, compiled by OpenVINO: images in, float32 vectors out."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from math import prod
from typing import Any, TypeVar

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino.preprocess import PrePostProcessor
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef

from tensor_guess.config import BF16
from tensor_guess.errors import UserError, lacks_memory, shown, words_of
from tensor_guess.graphs import shapes
from tensor_guess.graphs.conversion import convert
from tensor_guess.graphs.graph import cut
from tensor_guess.images.pixels import Pixels
from tensor_guess.images.scaling import Scaling

# Images a request computes at once; how many hardly matters (docs/design.md).
BATCH = 4
# Below this many images, compiling for one at a time is done sooner.
FEW = 8

Item = TypeVar("Item")


class Network:
    """Images [S, S, 3] (see `preprocessing`) -> the vector at `output`, on all cores.

    `precision` is float32 or bf16; bf16 falls back to float32 where the CPU does not have it.
    `few`: only a handful of images will come. `width`: how many numbers the vector must have.
    Raises UserError if the graph cannot be computed so.
    """

    def __init__(
        self,
        graph: GraphDef,
        scaling: Scaling,
        output: str,
        precision: str,
        few: bool = False,
        width: int | None = None,
    ) -> None:
        self.scaling = scaling
        nodes = cut(graph, scaling, output)
        check_row(nodes, output, width)
        model = _convert(nodes, scaling, output, 1 if few else BATCH)
        self._batch = model.input().get_partial_shape()[0].get_length()
        few = self._batch == 1  # or what it computes is large
        with _computing():
            self._compiled = ov.Core().compile_model(
                model,
                "CPU",
                {
                    "PERFORMANCE_HINT": "LATENCY" if few else "THROUGHPUT",
                    # The default is whatever the CPU likes best, bf16 included.
                    "INFERENCE_PRECISION_HINT": "bf16" if precision == BF16 else "f32",
                },
            )
            count = self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
            self._idle = deque(self._compiled.create_infer_request() for _ in range(count))

    def run(
        self, pairs: Iterable[tuple[Item, Pixels]]
    ) -> Iterator[tuple[Item, NDArray[np.float32]]]:
        """Each item with the vector of its image, in order; several are computed at a time."""
        flying: deque[tuple[Any, list[Item]]] = deque()
        source = iter(pairs)
        try:
            while batch := list(islice(source, self._batch)):
                if not self._idle:
                    yield from self._landed(*flying.popleft())
                request, items = self._idle.popleft(), [item for item, _ in batch]
                images = [image for _, image in batch]
                # Always a whole batch: the same kernels, so the same numbers, for every image.
                images += [images[-1]] * (self._batch - len(images))
                request.start_async({0: np.stack(images)})
                flying.append((request, items))
            while flying:
                yield from self._landed(*flying.popleft())
        finally:  # a run that was given up leaves the network ready for the next
            for request, _ in flying:
                request.wait()
                self._idle.append(request)

    def _landed(
        self, request: Any, items: list[Item]
    ) -> Iterator[tuple[Item, NDArray[np.float32]]]:
        with _computing():
            request.wait()
            vectors = request.get_output_tensor(0).data.reshape(self._batch, -1).copy()
        self._idle.append(request)
        if not np.isfinite(vectors).all():
            raise UserError(
                "the graph cannot be used: it gives scores that are no numbers, so its weights are "
                "damaged; get it again or train again"
            )
        yield from zip(items, vectors, strict=False)


def check_row(nodes: Sequence[NodeDef], output: str, width: int | None = None) -> None:
    """Raise UserError where `output` is not one row an image, of `width` numbers if that is given.

    This is what holds a record against its graph: as many scores as there are labels.
    """
    shape = shapes.check(nodes).get(output)
    if shape is None or len(shape) < 2 or shape[0] != 1 or prod(shape) != (width or prod(shape)):
        said = "not there" if shape is None else f"{list(shape)}"
        wanted = f" of {width} numbers" if width else ""
        raise UserError(
            f"the graph cannot be used: {shown(output)} is {said}, not one row an image{wanted}; "
            "get it again or train again"
        )


@contextmanager
def _computing() -> Iterator[None]:
    """What OpenVINO cannot do is one sentence."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        reason = "there is not enough memory" if lacks_memory(error) else words_of(error)
        raise UserError(f"the graph cannot be computed: {reason}") from error


def has_bf16() -> bool:
    """Whether this CPU computes in bf16 itself."""
    return "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _convert(nodes: Sequence[NodeDef], scaling: Scaling, output: str, batch: int) -> ov.Model:
    """The nodes from the network's input to `output`, fed pixels and scaling itself."""
    model = convert(nodes, [batch, scaling.size, scaling.size, 3])
    fed = model.input().get_partial_shape()[0]
    rows = [each.partial_shape[0] for each in model.outputs if f"{output}:0" in each.names]
    if rows != [fed] or len(model.outputs) > 1:
        raise UserError(f"the graph cannot be used: {shown(output)} is not one row an image")
    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(ov.Type.f32 if scaling.classic else ov.Type.u8)
    before = steps.input().preprocess().convert_element_type(ov.Type.f32)
    before.mean(float(scaling.mean)).scale(float(scaling.std))
    return steps.build()
