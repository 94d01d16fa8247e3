"""Networks of Keras Applications, frozen. Importing this module imports TensorFlow (seconds)."""

import os
from collections.abc import Callable
from pathlib import Path

# Nothing is computed here, so that what TensorFlow says of its kernels is of no use.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import tensorflow as tf
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.types_pb2 import DT_FLOAT
from tensorflow.python.framework.convert_to_constants import (
    convert_variables_to_constants_v2,
)
from tensorflow.python.grappler import tf_optimizer

from tensor_guess.config import BOTTLENECK, IMAGENET, NETWORK_INPUT
from tensor_guess.graph import PRODUCER

# name -> the network, and the layer whose output is the bottleneck
_NETWORKS: dict[str, tuple[Callable[..., keras.Model], str]] = {
    "inception_v3": (keras.applications.InceptionV3, "avg_pool"),
}


def freeze(name: str, size: int, weights: Path | None) -> GraphDef:
    """The frozen graph: NETWORK_INPUT [N, size, size, 3] -> BOTTLENECK [N, D], IMAGENET [N, 1000].

    `weights`: an .h5 file of Keras Applications; None gives random ones (seed 0), to measure with.
    """
    keras.utils.set_random_seed(0)
    make, layer = _NETWORKS[name]
    network = make(weights=None, include_top=True, input_shape=(size, size, 3))
    if weights:
        network.load_weights(weights)
    both = keras.Model(network.input, [network.get_layer(layer).output, network.output])
    spec = tf.TensorSpec((None, size, size, 3), tf.float32, name=NETWORK_INPUT)
    function = tf.function(lambda x: both(x, training=False)).get_concrete_function(spec)
    frozen = convert_variables_to_constants_v2(function)
    outputs = [tensor.op.name for tensor in frozen.outputs]
    graph = GraphDef.FromString(_folded(frozen.graph, outputs).SerializeToString())
    return _plain(graph, dict(zip((BOTTLENECK, IMAGENET), outputs, strict=True)))


def _folded(graph: tf.Graph, outputs: list[str]) -> tf.compat.v1.GraphDef:
    """The graph with its constants folded: batch normalisation goes into the kernels."""
    meta = tf.compat.v1.train.export_meta_graph(graph_def=graph.as_graph_def(), graph=graph)
    meta.collection_def["train_op"].node_list.value.extend(outputs)
    config = tf.compat.v1.ConfigProto()
    rewrites = config.graph_options.rewrite_options
    rewrites.optimizers.extend(["constfold", "dependency", "constfold", "pruning"])
    rewrites.min_graph_nodes = -1
    return tf_optimizer.OptimizeGraph(config, meta)


def _plain(graph: GraphDef, outputs: dict[str, str]) -> GraphDef:
    """The graph without what only TensorFlow's own bookkeeping needs, its outputs named."""
    graph.ClearField("library")
    graph.versions.Clear()
    graph.versions.producer = PRODUCER
    for node in graph.node:
        for key in [key for key in node.attr if key.startswith("_")]:
            del node.attr[key]
        kept = [each for each in node.input if not each.startswith("^")]
        del node.input[:]
        node.input.extend(kept)
    for name, output in outputs.items():
        node = graph.node.add(op="Identity", name=name, input=[output])
        node.attr["T"].CopyFrom(AttrValue(type=DT_FLOAT))
    return graph
