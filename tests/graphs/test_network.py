"""Arrays in, arrays out: what OpenVINO computes is what the graph says."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.types_pb2 import DT_FLOAT

from tensor_guess.backbones.backbone import Backbone
from tensor_guess.config import BOTTLENECK, NETWORK_INPUT
from tensor_guess.errors import UserError
from tensor_guess.graphs.builder import Builder
from tensor_guess.graphs.graph import array, cut
from tensor_guess.graphs.network import Network, has_bf16
from tensor_guess.images.scaling import Scaling


def pictures(count: int, size: int) -> list[NDArray[np.uint8]]:
    random = np.random.default_rng(3)
    return list(random.integers(0, 256, (count, size, size, 3), np.uint8))


def by_hand(backbone: Backbone, image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The tiny backbone in plain numpy: SAME convolution of stride 2, ReLU, mean."""
    kernel = array(backbone.graph, "kernel")
    assert kernel is not None
    scaled = (image.astype(np.float64) - backbone.scaling.mean) / backbone.scaling.std
    padded = np.pad(scaled, ((1, 2), (1, 2), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(0, 1))[::2, ::2]
    convolved = np.einsum("abcij,ijcd->abd", windows, kernel.astype(np.float64))
    mean: NDArray[np.float64] = np.maximum(convolved, 0).mean((0, 1))
    return mean


@pytest.mark.parametrize("few", [True, False])
def test_the_numbers_are_those_of_the_graph(tiny: Backbone, few: bool) -> None:
    network = Network(tiny.graph, tiny.scaling, BOTTLENECK, "float32", few)
    images = pictures(5, 16)
    found = dict(network.run(enumerate(images)))
    for n, image in enumerate(images):
        np.testing.assert_allclose(found[n], by_hand(tiny, image), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8, 37])
def test_every_item_comes_back_once_and_in_order(tiny: Backbone, count: int) -> None:
    network = Network(tiny.graph, tiny.scaling, BOTTLENECK, "float32")
    pairs = [(f"item {n}", image) for n, image in enumerate(pictures(count, 16))]
    found = list(network.run(iter(pairs)))
    assert [item for item, _ in found] == [item for item, _ in pairs]
    assert all(row.shape == (12,) and row.dtype == np.float32 for _, row in found)


@pytest.mark.slow
def test_an_image_gives_the_same_bytes_whatever_its_company(lite0: Backbone) -> None:
    network = Network(lite0.graph, lite0.scaling, BOTTLENECK, "float32")
    images = pictures(10, 224)
    together = [row.tobytes() for _, row in network.run((None, each) for each in images)]
    alone = [row.tobytes() for each in images for _, row in network.run([(None, each)])]
    backwards = [row.tobytes() for _, row in network.run((None, each) for each in images[::-1])]
    assert together == alone == backwards[::-1]


def test_results_stay_as_they_were_given(tiny: Backbone) -> None:
    network = Network(tiny.graph, tiny.scaling, BOTTLENECK, "float32")
    images = pictures(40, 16)
    rows, copies = [], []
    for _, row in network.run(enumerate(images)):
        rows.append(row)
        copies.append(row.copy())
    np.testing.assert_array_equal(rows, copies)


def test_a_run_that_was_given_up_does_not_spoil_the_next(tiny: Backbone) -> None:
    network = Network(tiny.graph, tiny.scaling, BOTTLENECK, "float32")
    images = pictures(40, 16)
    whole = [row.tobytes() for _, row in network.run(enumerate(images))]

    def broken() -> Iterator[tuple[int, NDArray[np.uint8]]]:
        yield from enumerate(images[:9])
        raise ZeroDivisionError

    for _ in range(5):
        next(network.run(enumerate(images)))
        with pytest.raises(ZeroDivisionError):
            list(network.run(broken()))
        assert [row.tobytes() for _, row in network.run(enumerate(images))] == whole


def test_images_are_taken_as_they_are_needed(tiny: Backbone) -> None:
    network = Network(tiny.graph, tiny.scaling, BOTTLENECK, "float32")
    image, taken = pictures(1, 16)[0], []

    def source() -> Iterator[tuple[int, NDArray[np.uint8]]]:
        for n in range(10_000):
            taken.append(n)
            yield n, image

    for n, _ in network.run(source()):
        if n == 100:
            break
    assert len(taken) < 500


def test_bf16_is_near_float32(lite0: Backbone) -> None:
    if not has_bf16():
        pytest.skip("this CPU does not compute in bf16")
    images = pictures(4, 224)
    rows = {
        precision: np.stack(
            [
                row
                for _, row in Network(lite0.graph, lite0.scaling, BOTTLENECK, precision).run(
                    enumerate(images)
                )
            ]
        )
        for precision in ("float32", "bf16")
    }
    exact, rough = rows["float32"], rows["bf16"]
    assert not np.array_equal(exact, rough)
    cosine = (exact * rough).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(rough, axis=1)
    assert cosine.min() > 0.99


def odd(op: str, *inputs: str) -> GraphDef:
    builder = Builder()
    builder.placeholder(NETWORK_INPUT, DT_FLOAT, (-1, 16, 16, 3))
    builder.const("c", np.ones((3, 5), np.float32))
    builder.floats(op, BOTTLENECK, inputs)
    return builder.graph


UNUSABLE = {
    "an op that OpenVINO does not know": odd("BiasAddV1", NETWORK_INPUT, "c"),
    "shapes that do not fit": odd("Conv2D", NETWORK_INPUT, "c"),
    "too few inputs": odd("AddV2", NETWORK_INPUT),
}
NO_ROWS = {
    "no such output": GraphDef(
        node=cut(odd("Identity", NETWORK_INPUT), Scaling(16, 127.5, 127.5), "nothing")
    ),
    "only a constant": odd("Identity", "c"),
    "a constant made of constants": odd("MatMul", "c", "c"),
}


@pytest.mark.parametrize("graph", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_a_graph_that_cannot_be_compiled_is_said(graph: GraphDef) -> None:
    with pytest.raises(
        UserError, match=r"the graph (is refused|cannot be converted for this CPU): "
    ) as refused:
        Network(graph, Scaling(16, 127.5, 127.5), BOTTLENECK, "float32")
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("graph", NO_ROWS.values(), ids=NO_ROWS.keys())
def test_a_result_that_does_not_come_of_the_pictures_is_refused(graph: GraphDef) -> None:
    with pytest.raises(
        UserError,
        match=r"cannot be used: bottleneck is .*not one row|cannot be converted|is unknown",
    ):
        Network(graph, Scaling(16, 127.5, 127.5), BOTTLENECK, "float32")
