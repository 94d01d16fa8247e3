"""TensorFlow 1.15 can read what we write: nothing in it that its op definitions do not have."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.op_def_pb2 import OpList
from tensorboard.compat.proto.types_pb2 import DT_FLOAT, DT_INT32

import list_tf1_ops
from made.graphs import copy_of, head_for, record_for
from tensor_guess.backbones.backbone import Backbone, of_graph
from tensor_guess.config import FITS, NETWORK_INPUT
from tensor_guess.errors import UserError
from tensor_guess.graphs.allowed import ALLOWED_OPS
from tensor_guess.graphs.builder import Builder
from tensor_guess.graphs.graph import serialise
from tensor_guess.graphs.network import Network
from tensor_guess.graphs.own import with_head
from tensor_guess.graphs.tf1_ops import attributes, plain
from tensor_guess.images.scaling import Scaling

NO_PADDINGS = AttrValue(list=AttrValue.ListValue())


def node(op: str, **said: Any) -> NodeDef:
    builder = Builder()
    builder.floats(op, "x", ("a", "b"), **said)
    return builder.graph.node[0]


def test_the_list_has_every_op_and_the_page_shows_it() -> None:
    assert set(attributes()) == ALLOWED_OPS
    lines = list_tf1_ops.LIST.read_text("utf-8").splitlines()
    assert list_tf1_ops.PAGE.read_text("utf-8") == list_tf1_ops.page(lines)


def test_the_list_is_read_out_of_a_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel = tmp_path / "x.whl"
    for name in ("LIST", "PAGE"):
        monkeypatch.setattr(list_tf1_ops, name, tmp_path / name)
    monkeypatch.setattr(list_tf1_ops, "ALLOWED_OPS", {"LRN", "NoOp", "Conv2D"})
    ops = OpList()
    ops.op.add(name="NoOp")
    lrn = ops.op.add(name="LRN")
    lrn.attr.add(name="beta", type="float", default_value=AttrValue(f=0.1))
    lrn.attr.add(name="T", type="type", default_value=AttrValue(type=DT_FLOAT))
    conv = ops.op.add(name="Conv2D")
    conv.attr.add(name="strides", type="list(int)")
    ones = AttrValue(list=AttrValue.ListValue(i=[1, 1]))
    conv.attr.add(name="dilations", type="list(int)", default_value=ones)
    ops.op.add(name="Other")
    with zipfile.ZipFile(wheel, "w") as files:
        text = f"def _InitOpDefLibrary(x): ...\n_lib = _InitOpDefLibrary({ops.SerializeToString()})"
        files.writestr("tensorflow_core/python/ops/gen_nn_ops.py", text)
    list_tf1_ops.main(wheel)
    assert (tmp_path / "LIST").read_text().splitlines() == [
        "Conv2D strides list(int)",
        "Conv2D dilations list(int) [1, 1]",
        "LRN beta float 0.1",
        'LRN T type "DT_FLOAT"',
        "NoOp",
    ]
    assert "| LRN | beta | float | 0.1 |\n" in (tmp_path / "PAGE").read_text()
    monkeypatch.setattr(list_tf1_ops, "ALLOWED_OPS", {"Relu6"})
    with pytest.raises(SystemExit, match="does not define Relu6"):
        list_tf1_ops.main(wheel)


SPARE: list[tuple[str, dict[str, Any], set[str]]] = [
    ("MatMul", {"transpose_a": False, "transpose_b": True, "grad_a": True}, {"T", "transpose_b"}),
    ("Mean", {"Tidx": AttrValue(type=DT_INT32), "_output_shapes": 1}, {"T"}),
    ("FusedBatchNorm", {"is_training": False, "epsilon": 1e-4, "exponential_avg_factor": 0.9},
     {"T", "is_training"}),
    ("Conv2D", {"strides": (1, 2, 2, 1), "padding": "SAME", "dilations": (1, 1, 1, 1),
                "explicit_paddings": NO_PADDINGS, "data_format": "NHWC", "use_cudnn_on_gpu": True},
     {"T", "strides", "padding"}),
    ("DepthwiseConv2dNative", {"strides": (1, 1, 1, 1), "padding": "SAME",
                               "dilations": (1, 2, 2, 1), "explicit_paddings": NO_PADDINGS},
     {"T", "strides", "padding", "dilations"}),
    ("LRN", {"alpha": 1.0, "beta": 0.75}, {"beta"}),
]  # fmt: skip


@pytest.mark.parametrize(("op", "said", "kept"), SPARE, ids=[op for op, _, _ in SPARE])
def test_what_goes_without_saying_is_left_out(
    op: str, said: dict[str, Any], kept: set[str]
) -> None:
    given = node(op, **said)
    before = given.SerializeToString(deterministic=True)
    given.device = "/device:GPU:0"
    found = plain(given)
    assert set(found.attr) == kept
    assert not found.device
    assert (found.name, found.op, list(found.input)) == ("x", op, ["a", "b"])
    assert all(found.attr[key] == given.attr[key] for key in kept)
    assert plain(found) is found
    given.device = ""
    assert given.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (node("MaxPool", ksize=(1, 2, 2, 1), strides=(1, 2, 2, 1), padding="EXPLICIT",
              explicit_paddings=(0, 0, 1, 1, 1, 1, 0, 0)), "explicit_paddings"),
        (node("Relu", negative_slope=0.5), "negative_slope"),
        (node("Relu", **{"a\n": True}), r"'a\n'"),
        (node("Conv2D", padding="SAME"), "lacks strides"),
        (NodeDef(name="x", op="Softmax"), "lacks T"),
    ],
    ids=lambda each: each if isinstance(each, str) else each.op,
)  # fmt: skip
def test_what_tensorflow_1_could_not_compute_is_refused(given: NodeDef, what: str) -> None:
    with pytest.raises(UserError) as error:
        plain(given)
    assert what in str(error.value)
    assert str(error.value).isprintable()


def noisy(graph: GraphDef) -> GraphDef:
    """The graph as TensorFlow 2 would have written it: every default said, and its own notes."""
    copy = copy_of(graph)
    for each in copy.node:
        for name, default in attributes()[each.op].items():
            if default is not None and name not in each.attr:
                each.attr[name].CopyFrom(default)
        each.attr["_output_shapes"].list.SetInParent()
        each.device = "/device:CPU:0"
        if each.op == "Conv2D":
            each.experimental_debug_info.original_node_names.append("before")
    return copy


def test_a_backbone_is_the_same_one_in_a_classifier_and_however_it_was_written(
    tiny: Backbone,
) -> None:
    loud = of_graph("x", tiny.scaling, noisy(tiny.graph))
    graph = with_head(loud.graph, head_for(12), record_for(tiny))
    assert serialise(graph) == serialise(with_head(tiny.graph, head_for(12), record_for(tiny)))
    assert loud.sha256 == of_graph("x", tiny.scaling, tiny.graph).sha256
    assert loud.sha256 == of_graph("x", tiny.scaling, graph).sha256


@pytest.mark.parametrize("fit", FITS)
def test_a_classifier_s_graph_says_nothing_that_goes_without_saying(
    tiny: Backbone, fit: str
) -> None:
    graph = with_head(noisy(tiny.graph), head_for(12), record_for(tiny.fitted(fit)))
    kept = [each.name for each in graph.node if set(plain(each).attr) != set(each.attr)]
    assert kept == []
    assert graph.versions.producer == 134
    assert not graph.versions.min_consumer


def test_openvino_takes_the_same_defaults() -> None:
    random, builder = np.random.default_rng(0), Builder()
    builder.placeholder(NETWORK_INPUT, DT_FLOAT, (-1, 16, 16, 3))
    kernels = [
        builder.const(f"kernel{k}", random.normal(size=(3, 3, *sides)).astype(np.float32))
        for k, sides in enumerate([(3, 4), (4, 1)])
    ]
    square, step = {"ksize": (1, 2, 2, 1), "strides": (1, 1, 1, 1)}, (1, 1, 1, 1)
    x = builder.floats("Conv2D", "conv", (NETWORK_INPUT, kernels[0]), strides=step, padding="SAME")
    deep = {"strides": step, "padding": "SAME"}
    x = builder.floats("DepthwiseConv2dNative", "deep", (x, kernels[1]), **deep)
    parts = [builder.const(f"n{i}", random.random(4).astype(np.float32)) for i in range(4)]
    x = builder.floats("FusedBatchNorm", "norm", (x, *parts), is_training=False)
    x = builder.floats("LeakyRelu", "leaky", (x,))
    x = builder.op("LRN", "lrn", (x,))
    x = builder.op("FakeQuantWithMinMaxArgs", "fake", (x,))
    x = builder.floats("MaxPool", "max", (x,), padding="SAME", **square)
    x = builder.floats("AvgPool", "avg", (x,), padding="SAME", **square)
    size = builder.const("size", np.array([5, 5], np.int32))
    x = builder.floats("ResizeBilinear", "resize", (x, size))
    axes = builder.const("axes", np.array([1, 2], np.int32))
    x = builder.floats("Mean", "mean", (x, axes))
    weights = builder.const("weights", random.normal(size=(4, 3)).astype(np.float32))
    builder.floats("MatMul", "out", (x, weights))
    short = GraphDef(node=map(plain, builder.graph.node))
    image = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    said, left_out = (
        next(Network(graph, Scaling(16, 0, 255), "out", "float32", few=True).run([("", image)]))[1]
        for graph in (noisy(short), short)
    )
    assert np.ptp(said) > 1e-3
    np.testing.assert_array_equal(left_out, said)
