"""A frozen graph, compiled by OpenVINO: images in, float32 vectors out."""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino.preprocess import PrePostProcessor
from tensorboard.compat.proto.graph_pb2 import GraphDef

from tensor_guess import shapes
from tensor_guess.conversion import convert
from tensor_guess.errors import UserError, shown
from tensor_guess.graph import Scaling, cut
from tensor_guess.preprocessing import Pixels

# Images a request computes at once; how many hardly matters (docs/design.md).
BATCH = 4
# Below this many images, compiling for one at a time is done sooner.
FEW = 8

Item = TypeVar("Item")


class Network:
    """Images [S, S, 3] (see `preprocessing`) -> the vector at `output`, on all cores.

    `precision` is float32 or bf16; bf16 falls back to float32 where the CPU does not have it.
    `few`: only a handful of images will come.
    """

    def __init__(
        self, graph: GraphDef, scaling: Scaling, output: str, precision: str, few: bool = False
    ) -> None:
        self.scaling = scaling
        self._batch = 1 if few else BATCH
        core = ov.Core()
        self._compiled = core.compile_model(
            _convert(graph, scaling, output, self._batch),
            "CPU",
            {
                "PERFORMANCE_HINT": "LATENCY" if few else "THROUGHPUT",
                # The default is whatever the CPU likes best, bf16 included.
                "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
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
        request.wait()
        vectors = request.get_output_tensor(0).data.reshape(self._batch, -1).copy()
        self._idle.append(request)
        yield from zip(items, vectors, strict=False)


def has_bf16() -> bool:
    """Whether this CPU computes in bf16 itself."""
    return "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _convert(graph: GraphDef, scaling: Scaling, output: str, batch: int) -> ov.Model:
    """The part of the graph from the network's input to `output`, fed pixels and scaling itself."""
    nodes = cut(graph, scaling, output)
    shapes.check(nodes)
    model = convert(nodes, [batch, scaling.size, scaling.size, 3])
    rows = [each.partial_shape[0] for each in model.outputs if f"{output}:0" in each.names]
    if rows != [batch] or len(model.outputs) > 1:
        raise UserError(f"the graph cannot be used: {shown(output)} is not one row an image")
    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(ov.Type.f32 if scaling.classic else ov.Type.u8)
    fed = steps.input().preprocess().convert_element_type(ov.Type.f32)
    fed.mean(float(scaling.mean)).scale(float(scaling.std))
    return steps.build()
