"""Blocks: where a network can be cut, and what --fine_tune changes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.compat.proto.types_pb2 import DT_FLOAT

from made import strangers
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.config import BOTTLENECK, NETWORK_INPUT
from tensor_guess.finetuning.blocks import Block, blocks_of
from tensor_guess.graphs.builder import Builder
from tensor_guess.graphs.foreign import UNDER, flavour_of, renamed
from tensor_guess.graphs.graph import cut, node_of
from tensor_guess.graphs.rewriting import rewritten

SIZE = 8


class Drawing:
    """A network of 1 x 1 convolutions on 4 channels, drawn node by node."""

    def __init__(self) -> None:
        self.builder = Builder()
        self.builder.placeholder(NETWORK_INPUT, DT_FLOAT, (-1, SIZE, SIZE, 4))
        self.count = 0

    def conv(self, x: str, kernel: str | None = None) -> str:
        self.count += 1
        k = kernel or self.builder.const(f"kernel{self.count}", np.ones((1, 1, 4, 4), np.float32))
        how = {"strides": (1, 1, 1, 1), "padding": "SAME"}
        product = self.builder.floats("Conv2D", f"conv{self.count}", (x, k), **how)
        bias = self.builder.const(f"bias{self.count}", np.ones(4, np.float32))
        return self.builder.floats("BiasAdd", f"sum{self.count}", (product, bias))

    def add(self, one: str, other: str) -> str:
        self.count += 1
        return self.builder.floats("AddV2", f"add{self.count}", (one, other))

    def blocks(self, last: str) -> list[Block]:
        self.builder.floats("Relu", BOTTLENECK, (last,))
        return blocks_of(list(self.builder.graph.node))


def test_in_a_chain_each_convolution_is_a_block() -> None:
    drawing = Drawing()
    first, second = drawing.conv(NETWORK_INPUT), drawing.conv("sum1")
    assert drawing.blocks(second) == [
        Block(NETWORK_INPUT, ("conv1", "sum1"), ("kernel1", "bias1")),
        Block(first, ("conv2", "sum2", BOTTLENECK), ("kernel2", "bias2")),
    ]


def test_what_branches_is_one_block() -> None:
    drawing = Drawing()
    start = drawing.conv(NETWORK_INPUT)
    end = drawing.add(drawing.conv(drawing.conv(start)), drawing.conv(start))
    blocks = drawing.blocks(drawing.conv(drawing.add(end, start)))
    assert [block.start for block in blocks] == [NETWORK_INPUT, "sum1", "add6"]
    assert blocks[1].weights == ("kernel2", "bias2", "kernel3", "bias3", "kernel4", "bias4")


def test_weights_that_blocks_share_are_not_trained() -> None:
    drawing = Drawing()
    first = drawing.conv(NETWORK_INPUT)
    blocks = drawing.blocks(drawing.conv(first, "kernel1"))
    assert [block.weights for block in blocks] == [("bias1",), ("bias2",)]


@given(st.lists(st.sampled_from(["conv", "skip", "branch"]), min_size=1, max_size=8))
def test_all_that_is_computed_after_a_cut_depends_on_one_tensor(shapes: list[str]) -> None:
    drawing, x = Drawing(), NETWORK_INPUT
    for shape in shapes:
        if shape == "conv":
            x = drawing.conv(x)
        elif shape == "skip":
            x = drawing.add(drawing.conv(x), x)
        else:
            x = drawing.add(drawing.conv(x), drawing.conv(drawing.conv(x)))
    blocks = drawing.blocks(x)
    assert len(blocks) == len(shapes)
    check_cuts(blocks, drawing.builder)
    weights = [name for block in blocks for name in block.weights]
    assert len(weights) == len(set(weights)) == sum("kernel" in name for name in weights) * 2


def check_cuts(blocks: list[Block], builder: Builder) -> None:
    nodes = {node.name: node for node in builder.graph.node}
    every = [NETWORK_INPUT, *(name for block in blocks for name in block.nodes)]
    assert sorted(every) == sorted(set(every))
    for block in blocks:
        later = every[every.index(block.start) + 1 :]
        taken = {node_of(each) for name in later for each in nodes[name].input} & set(every)
        assert taken - set(later) == {block.start}


def test_the_blocks_of_efficientnet_lite0_are_its_own(lite0: Backbone) -> None:
    builder = Builder()
    builder.graph.node.extend(cut(lite0.graph, lite0.scaling, BOTTLENECK))
    blocks = blocks_of(list(builder.graph.node))
    check_cuts(blocks, builder)
    # The stem and the first block, fifteen more, and the last convolution.
    assert len(blocks) == 17
    assert blocks[0].nodes[0] == "stem/conv"
    assert blocks[1].nodes[0] == "block_1/expand/conv"
    assert blocks[-2].weights == tuple(
        f"block_15/{part}/{kind}"
        for part in ("expand", "depthwise", "project")
        for kind in ("kernel", "bias")
    )
    assert blocks[-1].weights == ("head/kernel", "head/bias")


def test_weights_of_8_bits_are_trained_as_what_they_stand_for() -> None:
    graph = rewritten(strangers.made("mobilenet_quantized"))
    found = flavour_of(graph, "g.pb")
    nodes = cut(renamed(graph, found), found.scaling, f"{UNDER}{found.bottleneck}")
    assert all(block.weights for block in blocks_of(nodes))


def test_a_kernel_that_is_computed_is_not_trained() -> None:
    drawing = Drawing()
    ones = [drawing.builder.const(f"a{i}", np.ones((1, 1, 4, 4), np.float32)) for i in range(2)]
    kernel = drawing.builder.floats("Mul", "kernel", ones)
    (block,) = drawing.blocks(drawing.conv(NETWORK_INPUT, kernel))
    assert block.weights == ()
