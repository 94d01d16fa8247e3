"""How options are written, and how a classifier is named."""

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tensor_guess.commands.options import Command, at_least, classifier, classifier_options
from tensor_guess.graphs.files import Fed
from tensor_guess.guessing.loading import Given, Imagenet


@click.command(cls=Command)
@classifier_options
@click.option("--top-most-labels", type=at_least(1))
def show(top_most_labels: int, **named: Any) -> None:
    which = classifier(**named)
    click.echo(f"{which.path if isinstance(which, Given) else which} {top_most_labels}")


@given(st.lists(st.sampled_from("-_"), min_size=2, max_size=2))
def test_hyphens_and_underscores_are_the_same(marks: list[str]) -> None:
    option = f"--top{marks[0]}most{marks[1]}labels"
    assert CliRunner().invoke(show, ["folder", option, "3"]).output == "folder 3\n"


def test_imagenet_is_a_word_and_a_folder_of_that_name_a_path() -> None:
    words = CliRunner().invoke(show, ["imagenet", "--backbone", "vgg16"], standalone_mode=False)
    assert words.output == f"{Imagenet('vgg16', False)} None\n"
    assert CliRunner().invoke(show, ["./imagenet"]).output == "imagenet None\n"


@pytest.mark.parametrize("arguments", [["x", "--backbone", "vgg16"], ["x", "--top-most-labels=0"]])
def test_what_cannot_be_meant_is_wrong_usage(arguments: list[str]) -> None:
    assert CliRunner().invoke(show, arguments).exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["--graph", "g.pb", "--top-most-labels", "3"],
        ["--top_most_labels=3", "--graph=g.pb"],
        ["--top-most-labels", "3", "--graph", "g.pb"],
        ["g.pb", "--top-most-labels", "3"],
    ],
)
def test_a_graph_may_be_named_as_label_image_does(arguments: list[str]) -> None:
    assert CliRunner().invoke(show, arguments).output == "g.pb 3\n"


def test_what_is_said_of_a_graph_comes_along() -> None:
    said = "--labels l --input_height 3 --input_mean 0 --input_std 9 --input_layer i".split()
    found: list[Given] = []

    @click.command(cls=Command)
    @classifier_options
    def keep(**named: Any) -> None:
        found.append(classifier(**named))

    assert CliRunner().invoke(keep, ["g.pb", *said, "--output_layer=o"]).exit_code == 0
    assert found == [Given(Path("g.pb"), Path("l"), Fed("i", "o", 3, 0.0, 9.0))]


@pytest.mark.parametrize(
    "arguments", [["--graph"], ["g.pb", "--input-height=3", "--input-width=4"]]
)
def test_a_graph_that_cannot_be_meant_is_wrong_usage(arguments: list[str]) -> None:
    assert CliRunner().invoke(show, arguments).exit_code == 2
