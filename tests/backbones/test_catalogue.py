"""The catalogue says what Keras says, and a name that it does not have is answered with one."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from tensor_guess.backbones.catalogue import CATALOGUE, KerasWeights, PackagedWeights, find
from tensor_guess.errors import WrongUsage

TUTORIALS = """
    inception_v3 efficientnet_lite0 efficientnet_lite1 efficientnet_lite2 mobilenet_v1 mobilenet_v2
    mobilenet_v3_large vgg16 resnet50_v2 efficientnet_v2_b0
""".split()


def test_every_network_of_the_tutorials_is_there() -> None:
    for name in TUTORIALS:
        assert find(name) == (name, CATALOGUE[name])


@pytest.mark.parametrize("size", [224, 192, 160, 128])
@pytest.mark.parametrize("width", ["1.0", "0.75", "0.50", "0.25"])
def test_every_architecture_of_retrain_is_there(width: str, size: int) -> None:
    name = f"mobilenet_{width}_{size}"
    found, source = find(name)
    assert found == ("mobilenet_v1" if name == "mobilenet_1.0_224" else name)
    assert (source.scaling.size, source.bottleneck) == (size, 1024 * float(width))
    with pytest.raises(WrongUsage, match=f"use {name}"):
        find(f"{name}_quantized")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mobilenet_v4", "did you mean mobilenet_v"),
        ("inceptionv3", "did you mean inception_v3?"),
        ("resnet50", "did you mean resnet50_v2?"),
        ("", "`tensor-guess backbones` lists them"),
        ("yolo\n", "'yolo.*lists them"),
        ("bert_quantized", "no backbone bert_quantized"),
    ],
)
def test_another_name_is_wrong_usage(name: str, said: str) -> None:
    with pytest.raises(WrongUsage, match=said) as refused:
        find(name)
    assert str(refused.value).isprintable()


@pytest.mark.tensorflow
def test_digests_and_files_are_those_of_the_installed_keras() -> None:
    keras = find_spec("keras")
    assert keras
    assert keras.origin
    folder = Path(keras.origin).parent / "src/applications"
    sources = {path.stem: path.read_text("utf-8") for path in folder.glob("*.py")}
    for name, source in CATALOGUE.items():
        weights = source.weights
        if isinstance(weights, PackagedWeights):
            continue
        *_, place, file = weights.url.split("/")
        module = next(text for text in sources.values() if f"{place}/" in text)
        assert file.endswith(".h5")
        if weights.digest:
            assert f'"{weights.digest.removeprefix("md5:")}"' in module, name
        else:
            assert "file_hash" not in module, f"Keras has a digest for {name} now"


def test_what_is_downloaded_comes_over_https_or_has_a_digest() -> None:
    for source in CATALOGUE.values():
        if isinstance(source.weights, KerasWeights):
            assert source.weights.url.startswith("https://")
        else:
            assert source.weights.digest.startswith("sha256:")
            assert "==" in source.weights.package
