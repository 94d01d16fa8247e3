"""Turn a TensorFlow function into a frozen graph, and back. Importing this imports TensorFlow."""

import os
from collections.abc import Callable, Sequence
from typing import Any

# Nothing is computed here, so TensorFlow's messages about its kernels do not matter.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import tensorflow as tf
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.types_pb2 import DT_FLOAT
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
from tensorflow.python.grappler import tf_optimizer

from tensor_guess.config import NETWORK_INPUT
from tensor_guess.graphs.builder import PRODUCER
from tensor_guess.graphs.graph import serialise


def frozen(function: Callable[[Any], Any], size: int, names: Sequence[str]) -> GraphDef:
    """Return the graph of `function`: NETWORK_INPUT [N, size, size, 3] -> its outputs, as `names`.

    Variables become constants, and constants are folded (batch normalisation into the kernels).
    """
    spec = tf.TensorSpec((None, size, size, 3), tf.float32, name=NETWORK_INPUT)
    # Autograph, which converts Python's own ifs and loops, would write files and is not needed.
    traced = tf.function(function, autograph=False).get_concrete_function(spec)
    fixed = convert_variables_to_constants_v2(traced)
    outputs = [tensor.op.name for tensor in fixed.outputs]
    graph = GraphDef.FromString(_folded(fixed.graph, outputs).SerializeToString())
    return _plain(graph, dict(zip(names, outputs, strict=True)))


def thawed(graph: GraphDef, size: int, start: str, end: str) -> Any:
    """Return the graph as a function of one argument called `start` [N, size, size, 3].

    The function returns a dictionary of one tensor, called `end`. Both are nodes of the graph.
    """
    proto = tf.compat.v1.GraphDef.FromString(serialise(graph))

    def function(images: Any) -> Any:
        fed = {f"{start}:0": images}
        return {end: tf.graph_util.import_graph_def(proto, fed, [f"{end}:0"], name="")[0]}

    spec = tf.TensorSpec((None, size, size, 3), tf.float32, name=start)
    return tf.function(function, input_signature=[spec])


def _folded(graph: tf.Graph, outputs: list[str]) -> tf.compat.v1.GraphDef:
    meta = tf.compat.v1.train.export_meta_graph(graph_def=graph.as_graph_def(), graph=graph)
    meta.collection_def["train_op"].node_list.value.extend(outputs)
    config = tf.compat.v1.ConfigProto()
    rewrites = config.graph_options.rewrite_options
    rewrites.optimizers.extend(["constfold", "dependency", "constfold", "pruning"])
    rewrites.min_graph_nodes = -1
    return tf_optimizer.OptimizeGraph(config, meta)


def _plain(graph: GraphDef, outputs: dict[str, str]) -> GraphDef:
    graph.ClearField("library")
    graph.versions.Clear()
    graph.versions.producer = PRODUCER
    for node in graph.node:
        kept = [each for each in node.input if not each.startswith("^")]
        del node.input[:]
        node.input.extend(kept)
    for name, output in outputs.items():
        node = graph.node.add(op="Identity", name=name, input=[output])
        node.attr["T"].CopyFrom(AttrValue(type=DT_FLOAT))
    return graph
