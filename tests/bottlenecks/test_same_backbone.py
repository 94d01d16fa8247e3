"""An old run's bottlenecks are taken for a backbone's only where nothing speaks against it."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tensorboard.compat.proto.types_pb2 import DT_FLOAT

from made.strangers import made
from tensor_guess.backbones.backbone import Backbone, of_file, of_graph
from tensor_guess.bottlenecks.classic import Group, index, read
from tensor_guess.bottlenecks.extractor import Extractor
from tensor_guess.bottlenecks.same_backbone import ALIKE, alike, reason_against, reason_in_names
from tensor_guess.config import BF16, BOTTLENECK, BOTTLENECKS, GRAPH, NETWORK_INPUT
from tensor_guess.graphs.builder import Builder
from tensor_guess.graphs.graph import serialise
from tensor_guess.graphs.network import Network
from tensor_guess.images import encoded
from tensor_guess.images.pixels import pixels
from tensor_guess.images.scaling import Scaling

HANDLE = "https://tfhub.dev/google/small/1"
HUB = "https~tfhub.dev~google~small~1"


def stored(folder: Path, made_with: str, text: str) -> Group:
    (folder / "daisy").mkdir()
    (folder / "daisy" / (f"a.jpg_{made_with}.txt" if made_with else "a.jpg.txt")).write_text(text)
    found = index(folder)
    assert found
    return found.groups[0]


@pytest.fixture
def small(tmp_path: Path) -> Backbone:
    """Of the small MobileNet: 32 pixels, 6 channels, 6 numbers."""
    (tmp_path / "graph.pb").write_bytes(serialise(made("mobilenet")))
    return of_file(str(tmp_path / "graph.pb"), None)


SIX = "1,2,3,4,5,6"


@pytest.mark.parametrize(
    ("made_with", "text", "name", "said"),
    [
        ("mobilenet_0.1875_32", SIX, "graph.pb", ""),
        ("mobilenet_0.1875_32", "1,2", "graph.pb", "they have 2 numbers each, those of graph.pb 6"),
        ("mobilenet_0.1875_64", SIX, "graph.pb", "they are of 64 x 64 pixels, not 32 x 32"),
        ("mobilenet_0.1875_32", "no", "graph.pb", "all that were opened are damaged"),
        ("", SIX, "graph.pb", ""),
        ("", SIX, "inception_v3", "inception_v3 is another network"),
        ("inception_v3", SIX, "inception_v3", "inception_v3 is another network"),
    ],
)
def test_what_speaks_against_it_whatever_the_photos(
    tmp_path: Path, small: Backbone, made_with: str, text: str, name: str, said: str
) -> None:
    group, backbone = stored(tmp_path, made_with, text), replace(small, name=name)
    assert reason_against(group, Extractor(backbone)) == said


def test_bottlenecks_of_another_precision_are_not_taken(tmp_path: Path, small: Backbone) -> None:
    group = stored(tmp_path, "mobilenet_0.1875_32", SIX)
    said = reason_against(group, Extractor(small, BF16))
    assert said == "they were computed in float32, not bf16"


@pytest.mark.parametrize(
    ("made_with", "name", "said"),
    [
        ("mobilenet_0.1875_32", "graph.pb", ""),
        (HUB, HANDLE, ""),
        (
            HUB,
            "https://tfhub.dev/google/other/1",
            "nothing shows that https://.*/other/1 gave them",
        ),
        (HUB, "inception_v3", "nothing shows that inception_v3 gave them"),
        (HUB, "graph.pb", "their network took pixels in another range than graph.pb"),
        ("", "graph.pb", "their network took pixels in another range than graph.pb"),
        ("mobilenet_0.25_32", "graph.pb", "network has 8 channels, that of graph.pb 6"),
    ],
)
def test_what_speaks_against_it_where_there_are_no_photos(
    tmp_path: Path, small: Backbone, made_with: str, name: str, said: str
) -> None:
    group = stored(tmp_path, made_with, SIX)
    found = reason_in_names(group, replace(small, name=name))
    assert re.search(f"{said}$", found)
    assert bool(found) == bool(said)


def test_a_network_of_no_convolution_is_none_of_the_mobilenets(tmp_path: Path) -> None:
    builder = Builder()
    builder.placeholder(NETWORK_INPUT, DT_FLOAT, (-1, 2, 2, 3))
    to = builder.const("to", np.array([-1, 12], np.int32))
    builder.floats("Reshape", BOTTLENECK, (NETWORK_INPUT, to))
    backbone = of_graph("flat.pb", Scaling(2, 127.5, 127.5), builder.graph)
    assert Extractor(backbone).length == 12
    group = stored(tmp_path, "mobilenet_0.25_128", SIX)
    assert "8 channels, flat.pb has none" in reason_in_names(group, backbone)


@pytest.mark.slow
def test_photos_resized_otherwise_are_told_from_those_of_the_run(shared: Path) -> None:
    """The difference is at most 3e-6 of the run's own, at least 0.08 if resized as ours are."""
    old = shared / "classic_run_2017"
    backbone = of_file(str(old / GRAPH), None)
    photos = sorted((old / "photos").glob("*/*"))
    stored = old / BOTTLENECKS
    ending = "_mobilenet_0.25_128.txt"
    rows = [read(stored / each.parent.name / f"{each.name}{ending}")[1] for each in photos]
    far, same = {}, {}
    for classic in (True, False):
        fed = replace(backbone.scaling, classic=classic)
        network = Network(backbone.graph, fed, BOTTLENECK, "float32")
        fed_photos = [(None, pixels(encoded.read(photo), fed)) for photo in photos]
        own = list(network.run(fed_photos))
        far[classic] = [
            np.linalg.norm(row - each) / np.linalg.norm(row)
            for row, (_, each) in zip(rows, own, strict=True)
        ]
        same[classic] = [alike(row, each) for row, (_, each) in zip(rows, own, strict=True)]
    assert (all(same[True]), any(same[False])) == (True, False)
    assert max(far[True]) < ALIKE / 1000
    assert min(far[False]) > ALIKE
