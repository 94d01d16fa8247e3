"""The model card says what is known, invents nothing, and shows strangers' names as they are."""

import re
from dataclasses import replace

import pytest

from made.graphs import record_for
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.backbones.catalogue import CATALOGUE
from tensor_guess.evaluation.story import Story
from tensor_guess.graphs.files import Record
from tensor_guess.sharing import card as model_card
from tensor_guess.sharing.card import Author

DIGEST = "d" * 64
STORY = Story(
    counts={
        name: {"training": 80, "validation": 9, "testing": 11}
        for name in ("darth_vader", "elsa", "東京")
    },
    confusion=((9, 1, 0), (0, 10, 0), (2, 3, 5)),
    near_copies=2,
    data_sha256="a" * 64,
    version="1.2.3",
)
AUTHOR = Author("telling two films apart", "CC-BY-4.0")


@pytest.fixture
def record(tiny: Backbone) -> Record:
    return record_for(tiny)


def test_everything_that_is_known_is_said(record: Record) -> None:
    card = model_card.written(record, DIGEST, STORY, AUTHOR)
    for said in (
        "A picture classifier of 3 labels.",
        "- Intended use: telling two films apart\n",
        "- Licence of the classifier: CC-BY-4.0\n",
        f"- Backbone: tiny, SHA-256 {record.backbone_sha256}\n",
        "- Licence of the backbone: not known\n",
        "- Made by: tensor-guess 1.2.3\n",
        f"SHA-256 {DIGEST}\n",
        "- Accuracy on the testing split: 80.0% (N=30, 95% interval 62.7% to 90.5%)\n",
        "near copies of training pictures: 2\n",
        "- Thresholds: elsa: 0.5\n",
        "\n| label | training | validation | testing | tested | right | mistaken for |\n",
        "\n| darth vader | 80 | 9 | 11 | 10 | 9 | elsa (1) |\n",
        "\n| elsa | 80 | 9 | 11 | 10 | 10 |  |\n",
        # Neither "東京" is lost nor what was taken for two others.
        "\n| 東京 | 80 | 9 | 11 | 10 | 5 | darth vader (2), elsa (3) |\n",
        f"Hash of the data: {'a' * 64} ",
        "RGB pictures of 16 x 16, resized by antialiased bilinear interpolation, with each ",
        "value scaled as (value - 127.5) / 127.5. It computes in float32, and ",
    ):
        assert said in card
    assert card == model_card.written(record, DIGEST, STORY, AUTHOR)
    assert "ottlenecks" not in card


def test_of_bottlenecks_it_is_said_what_they_reveal(record: Record) -> None:
    card = model_card.written(record, DIGEST, STORY, AUTHOR, 1)
    assert "\n`bottlenecks.npy` has the bottlenecks of 1 picture, so that" in card
    assert model_card.REVEALED in card


@pytest.mark.parametrize(
    ("fit", "said"),
    [
        ("crop", "16 x 16, cropped to the central square and resized by antialiased"),
        ("pad", "16 x 16, padded to a square with grey (127) and resized by antialiased"),
    ],
)
def test_how_pictures_become_square_is_said(record: Record, fit: str, said: str) -> None:
    record = replace(record, scaling=record.scaling.fitted(fit))
    assert said in model_card.written(record, DIGEST, STORY, AUTHOR)


def test_what_is_not_known_is_said_to_be_so(record: Record) -> None:
    classic = replace(record.scaling, classic=True)
    record = replace(record, thresholds={}, backbone_sha256="", scaling=classic)
    card = model_card.written(record, DIGEST, Story(), Author())
    assert "resized as `retrain.py` did" in card
    for said in (
        "Intended use: not stated by its author\n",
        "Licence of the classifier: not stated by its author\n",
        "Backbone: tiny, SHA-256 not known\n",
        "Made by: not known\n",
        "Accuracy on the testing split: not known\n",
        "near copies of training pictures: not known\n",
        "Thresholds: none set\n",
        f"\n| elsa {'| not known ' * 6}|\n",
        "Hash of the data: not known ",
    ):
        assert said in card
    assert "None" not in card
    assert "%" not in card


def test_no_test_pictures_are_no_accuracy(record: Record) -> None:
    story = replace(STORY, confusion=((0, 0, 0),) * 3)
    assert "split: unknown (N=0)" in model_card.written(record, DIGEST, story, AUTHOR)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "vgg16", "resnet50_v2"])
def test_the_licence_of_a_known_backbone_is_said(record: Record, name: str) -> None:
    card = model_card.written(replace(record, backbone=name), DIGEST, STORY, AUTHOR)
    assert f"backbone: {CATALOGUE[name].licence} (of the backbone of that name)" in card


HOSTILE = [
    "<script>alert(1)</script>",
    "[click](javascript:alert)",
    "![x](http://evil.example/x.png)",
    "a | b | c",
    "`code` *bold* _it_ ~no~",
    "see https://evil.example and www.evil.example or me@evil.example",
    "two\nlines\n\n# Heading\n\n| a |\n",
    "\x1b[31mred\x1b[0m",
    "\u202eright to left",
    "&lt;b&gt;",
    "\\",
    "\udcff",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_strangers_texts_do_nothing(record: Record, text: str) -> None:
    record = replace(
        record,
        labels=(text, "elsa", "東京"),
        backbone=text,
        backbone_sha256=text,
        thresholds={text: 0.5},
    )
    story = replace(STORY, data_sha256=text, version=text)
    card = model_card.written(record, DIGEST, story, Author(text, text))
    plain = model_card.written(
        replace(record, labels=("x", "elsa", "東京"), backbone="x", backbone_sha256="x",
                thresholds={"x": 0.5}),
        DIGEST, replace(story, data_sha256="x", version="x"), Author("x", "x"),
    )  # fmt: skip
    assert len(card.splitlines()) == len(plain.splitlines())
    for line, other in zip(card.splitlines(), plain.splitlines(), strict=True):
        assert line.isprintable()
        # What Markdown acts on is escaped: without what is, the card has no more of it than before.
        shown = re.sub(r"\\[\W_]|&(amp|lt|gt);|`<SHA.*label>`", "", line)
        for mark in "<>[]*_~@|":
            clean = re.sub(r"\\[\W_]|`<SHA.*label>`", "", other)
            assert shown.count(mark) == clean.count(mark), (mark, line)
        assert not re.search(r"https?://|www\.", shown)
    card.encode()
