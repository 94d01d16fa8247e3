"""Small hub modules, made by TensorFlow; run as a program: modules.py FOLDER."""

import sys
from pathlib import Path
from typing import Any

import tensorflow as tf

SIZE = 64


class Module(tf.Module):  # type: ignore[misc]  # TensorFlow ships no types
    """Images -> vectors, as a TF 2 SavedModel."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = tf.Variable(tf.random.stateless_normal((3, 3, 3, 8), (1, 2)))

    def vectors(self, images: tf.Tensor) -> tf.Tensor:
        """[N, 8] of [N, H, W, 3]."""
        return tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(images, self.kernel, 2, "SAME")), [1, 2])


class Called(Module):
    """The same as TF Hub's modules of TF 2: it is called, and trains differently."""

    @tf.function  # type: ignore[untyped-decorator]
    def __call__(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """[N, 8] of [N, H, W, 3]; in training something else."""
        vectors = self.vectors(inputs)
        return -vectors if training else vectors


class Program(tf.saved_model.experimental.TrackableResource):  # type: ignore[misc]
    """What a module does as soon as it is loaded: it writes to stdout without end."""

    def __init__(self) -> None:
        super().__init__()
        self._resource_handle = self._create_resource()

    def _create_resource(self) -> Any:
        return tf.raw_ops.MutableHashTableV2(key_dtype=tf.int64, value_dtype=tf.int64)

    def _initialize(self) -> None:
        if not tf.executing_eagerly():
            tf.while_loop(lambda i: i >= 0, self._write, [tf.constant(0)])

    @staticmethod
    def _write(number: tf.Tensor) -> list[tf.Tensor]:
        said = tf.raw_ops.PrintV2(input=tf.constant("x" * 10_000), output_stream="stdout")
        with tf.control_dependencies([said]):
            return [tf.identity(number)]


def save(kind: str, folder: str) -> None:
    """Write a SavedModel of that kind to the folder."""
    if kind in ("tf1", "tf1_hub"):
        return save_tf1(folder, hub=kind == "tf1_hub")
    if kind in ("called", "trains"):
        return save_called(folder, (True, False) if kind == "called" else (True,))
    module = Module()
    if kind == "floods":
        module.program = Program()
    functions: dict[str, Any] = {
        "tf2": module.vectors,
        "any_size": module.vectors,
        "map": lambda images: tf.nn.conv2d(images, module.kernel, 2, "SAME"),
        "floods": module.vectors,
        "writes": lambda images: _writing(module.vectors(images)),
        "text": lambda images: tf.strings.length(images),
    }
    side = None if kind == "any_size" else SIZE
    dtype = tf.string if kind == "text" else tf.float32
    shape = (None,) if kind == "text" else (None, side, side, 3)
    signature = tf.function(functions[kind]).get_concrete_function(
        tf.TensorSpec(shape, dtype, name="images")
    )
    tf.saved_model.save(module, folder, signatures={"serving_default": signature})
    return None


def save_called(folder: str, training: tuple[bool, ...]) -> None:
    """Write a module of TF 2 that has no signature, only `__call__`, for images of any size."""
    module = Called()
    for each in training:
        module.__call__.get_concrete_function(tf.TensorSpec((None, None, None, 3)), each)
    tf.saved_model.save(module, folder)


def save_tf1(folder: str, *, hub: bool) -> None:
    """Write a module of TF 1: without tags; as a hub's with another for training, tagged so."""
    v1 = tf.compat.v1
    builder = v1.saved_model.Builder(folder)
    for tags in ([], ["train"]) if hub else ([],):
        with tf.Graph().as_default(), v1.Session() as session:
            images = v1.placeholder(tf.float32, (None, SIZE, SIZE, 3))
            kernel = v1.get_variable("kernel", (3, 3, 3, 8))
            vectors = tf.reduce_mean(tf.nn.relu(tf.nn.conv2d(images, kernel, 2, "SAME")), [1, 2])
            outputs = {"default": -vectors if tags else vectors}
            signature = v1.saved_model.predict_signature_def({"images": images}, outputs)
            if tags:
                builder.add_meta_graph(tags, {"default": signature})
            else:
                session.run(v1.global_variables_initializer())
                builder.add_meta_graph_and_variables(session, tags, {"default": signature})
    builder.save()
    if hub:
        # ModuleDef: its format is FORMAT_V3 (tensorflow_hub/module_def.proto).
        Path(folder, "tfhub_module.pb").write_bytes(b"\x08\x03")


def _writing(vectors: tf.Tensor) -> tf.Tensor:
    length = tf.strings.length(tf.io.read_file("/etc/hostname"))
    return vectors + tf.cast(length, tf.float32)


if __name__ == "__main__":
    for each in (
        *("tf1", "tf1_hub", "tf2", "called", "trains"),
        *("any_size", "map", "writes", "floods", "text"),
    ):
        save(each, f"{sys.argv[1]}/{each}")
