"""A frozen graph, compiled by OpenVINO: images in, float32 vectors out."""

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from math import prod
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from tensor_guess.config import BF16, FLOAT32
from tensor_guess.errors import UserError, lacks_memory, words_of
from tensor_guess.graphs.files import Record
from tensor_guess.images.scaling import Scaling
from tensor_guess.system import progress

if TYPE_CHECKING:
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    from tensor_guess.images.pixels import Pixels

# Images that a request computes together; how many hardly matters (docs/design.md).
BATCH = 4

Item = TypeVar("Item")


class Network:
    """Images [S, S, 3] (see `images.pixels`) -> the vector at `output`, on all cores.

    `precision` is float32 or bf16; bf16 falls back to float32 if the CPU does not have it.
    `few`: only a handful of images will come. `singly`: they come one by one, and several are
    computed at a time. `width`: how many numbers the vector must have. Raise UserError if the graph
    cannot be computed like this.

    `is_large`: whether it takes one image at a time, since several would need too much memory.
    """

    is_large = False
    _blob: ov.Tensor  # OpenVINO may go on reading the one it was given

    def __init__(
        self,
        graph: "GraphDef",
        scaling: Scaling,
        output: str,
        precision: str,
        few: bool = False,
        width: int | None = None,
        *,
        singly: bool = False,
    ) -> None:
        # A network that was kept does not need what reads graphs.
        from tensor_guess.graphs.conversion import model_of

        model = model_of(graph, scaling, output, 1 if few else BATCH, width)
        batch = model.input().get_partial_shape()[0].get_length()
        self.is_large = batch == 1 and not few
        how = _how(batch, precision)
        if singly and not self.is_large:
            model = model_of(graph, scaling, output, 1, width)
        with _computing():
            self._start(ov.Core().compile_model(model, "CPU", how), scaling)

    @classmethod
    def of_blob(
        cls, blob: memoryview, scaling: Scaling, precision: str, batch: int, width: int
    ) -> Self:
        """Return the network that `blob` was made from, by the same OpenVINO on the same processor.

        Raise RuntimeError if the blob is not of such a network.
        """
        network = cls.__new__(cls)
        network._blob = ov.Tensor(np.frombuffer(blob, np.uint8), shared_memory=True)
        how = _how(batch, precision)
        network._start(ov.Core().import_model(network._blob, "CPU", how), scaling)
        fed, given = network._compiled.inputs, network._compiled.outputs
        if (
            [list(each.shape) for each in fed] != [[batch, scaling.size, scaling.size, 3]]
            or [each.shape[0] for each in given] != [batch]
            or prod(given[0].shape) != batch * width
        ):
            raise RuntimeError("it is another network")
        return network

    def blob(self) -> memoryview:
        """Return the bytes for `of_blob`. Raise RuntimeError or MemoryError if that fails."""
        found: memoryview = self._compiled.export_model().getbuffer()
        return found

    @property
    def batch(self) -> int:
        """Return how many images a request computes together."""
        return self._batch

    @property
    def at_once(self) -> int:
        """Return how many images are computed at a time."""
        return self._batch * self._requests

    def _start(self, compiled: ov.CompiledModel, scaling: Scaling) -> None:
        self.scaling, self._compiled = scaling, compiled
        self._batch = int(compiled.inputs[0].shape[0])
        count = int(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._idle = deque(compiled.create_infer_request() for _ in range(count))
        self._requests = count

    def run(
        self, pairs: Iterable[tuple[Item, "Pixels"]]
    ) -> Iterator[tuple[Item, NDArray[np.float32]]]:
        """Yield each item with its image's vector, in order; several are computed at a time."""
        flying: deque[tuple[Any, list[Item]]] = deque()
        source = iter(pairs)
        try:
            while batch := list(islice(source, self._batch)):
                if not self._idle:
                    yield from self._landed(*flying.popleft())
                request, items = self._idle.popleft(), [item for item, _ in batch]
                images = [image for _, image in batch]
                # Always a full batch, so that the same kernels give every image the same numbers.
                images += [images[-1]] * (self._batch - len(images))
                request.start_async({0: np.stack(images)})
                flying.append((request, items))
            while flying:
                yield from self._landed(*flying.popleft())
        finally:  # even if this run was given up, the network is ready for the next
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


@dataclass(frozen=True, eq=False)
class Recipe:
    """What a network is made from; see Network."""

    graph: "GraphDef"
    scaling: Scaling
    output: str
    precision: str
    width: int | None = None

    def network(self, few: bool = False, *, singly: bool = False) -> Network:
        """Return the network, compiled. Raise UserError if the graph cannot be computed."""
        how = self.graph, self.scaling, self.output, self.precision, few, self.width
        return Network(*how, singly=singly)


@contextmanager
def _computing() -> Iterator[None]:
    """Turn OpenVINO's errors into a UserError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        reason = "there is not enough memory" if lacks_memory(error) else words_of(error)
        raise UserError(f"the graph cannot be computed: {reason}") from error


def has_bf16() -> bool:
    """Return whether this CPU has instructions for bf16."""
    return "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def precision_of(record: Record, asked: str | None = None) -> str:
    """Return the precision that is asked for, else the record's own; bf16 only if the CPU has it.

    If the CPU does not have it, report that.
    """
    precision = asked or record.precision
    if precision == BF16 and not has_bf16():
        asking = "asked for" if asked else "trained in"
        progress.warn(f"{asking} bf16, which this CPU does not have; computing in float32")
        return FLOAT32
    return precision


def runtime() -> list[str]:
    """Return what a blob depends on: OpenVINO's version, the processor and its capabilities."""
    core = ov.Core()
    able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return [ov.get_version(), core.get_property("CPU", "FULL_DEVICE_NAME"), *able]


def _how(batch: int, precision: str) -> dict[str, str]:
    return {
        "PERFORMANCE_HINT": "LATENCY" if batch == 1 else "THROUGHPUT",
        # The default is whatever is fastest on the CPU, even bf16.
        "INFERENCE_PRECISION_HINT": "bf16" if precision == BF16 else "f32",
    }
