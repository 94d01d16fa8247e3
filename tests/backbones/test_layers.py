"""A network's layers are listed as a person would name them, and no parameter is lost."""

import numpy as np
import pytest
from tensorboard.compat.proto.types_pb2 import DT_FLOAT

from made.strangers import INPUTS, made
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.backbones.layers import Layer, layers_of
from tensor_guess.config import BOTTLENECK, NETWORK_INPUT
from tensor_guess.errors import UserError
from tensor_guess.graphs import foreign
from tensor_guess.graphs.builder import Builder
from tensor_guess.graphs.foreign import UNDER
from tensor_guess.graphs.graph import cut, values


def listed(flavour: str) -> list[Layer]:
    graph = made(flavour)
    found = foreign.flavour_of(graph, flavour)
    nodes = foreign.renamed(graph, found)
    return layers_of(cut(nodes, found.scaling, f"{UNDER}{found.output}"))


def test_a_small_backbone(tiny: Backbone) -> None:
    assert layers_of(cut(tiny.graph, tiny.scaling, BOTTLENECK)) == [
        Layer(NETWORK_INPUT, "input", (16, 16, 3), 0),
        Layer("conv", "convolution", (8, 8, 12), 5 * 5 * 3 * 12),
        Layer("relu", "ReLU", (8, 8, 12), 0),
        Layer(BOTTLENECK, "global average pooling", (12,), 0),
    ]


def test_a_bias_is_part_of_its_layer_and_all_weights_are_counted(lite0: Backbone) -> None:
    nodes = cut(lite0.graph, lite0.scaling, BOTTLENECK)
    found = layers_of(nodes)
    assert found[1] == Layer("stem/conv", "convolution", (112, 112, 32), 3 * 3 * 3 * 32 + 32)
    kinds = [each.type for each in found]
    assert kinds.count("depthwise convolution") == 16
    assert {each.type for each in found if each.parameters} == {
        "convolution",
        "depthwise convolution",
    }
    stored = (values(n.attr["value"].tensor) for n in nodes if n.op == "Const")
    sizes = [each.size for each in stored if each is not None and each.dtype == np.float32]
    assert sum(each.parameters for each in found) == sum(sizes)


@pytest.mark.parametrize("flavour", INPUTS)
def test_other_programs_graphs_end_in_their_head(flavour: str) -> None:
    found = listed(flavour)
    assert [each.type for each in found[-2:]] == ["fully connected", "softmax"]
    width = {"inception_2015": 12, "hub": 8}.get(flavour, 6)
    assert found[-2].parameters == 3 * (width + 1)
    assert found[-1].shape == (3,)


def test_a_branched_network() -> None:
    kinds = [each.type for each in listed("inception_2015")]
    assert kinds == [
        "input",
        *["convolution", "batch normalisation", "ReLU"] * 2,
        "concatenation",
        "average pooling",
        "fully connected",
        "softmax",
    ]


def test_what_is_multiplied_and_shifted_by_channel_is_a_batch_normalisation() -> None:
    builder = started()
    scale = builder.const("scale", np.ones(3, np.float32))
    shift = builder.const("shift", np.ones(3, np.float32))
    builder.floats("Mul", "mul", (NETWORK_INPUT, scale))
    builder.floats("AddV2", "add", ("mul", shift))
    half = builder.const("half", np.float32(0.5))
    builder.floats("Mul", "halved", ("add", half))
    builder.floats("AddV2", "sum", ("halved", "add"))
    builder.floats("Mul", "scaled", ("sum", scale))
    assert layers_of(builder.graph.node) == [
        Layer(NETWORK_INPUT, "input", (4, 4, 3), 0),
        Layer("mul", "batch normalisation", (4, 4, 3), 6),
        Layer("sum", "addition", (4, 4, 3), 0),
        # Its weights are those of a layer above, and are not counted again.
    ]


def test_a_graph_of_unknown_shapes_is_refused() -> None:
    builder = started()
    builder.op("Nonsense", "x", (NETWORK_INPUT,))
    with pytest.raises(UserError, match="is unknown"):
        layers_of(builder.graph.node)


def started() -> Builder:
    builder = Builder()
    builder.placeholder(NETWORK_INPUT, DT_FLOAT, (-1, 4, 4, 3))
    return builder
