"""How options are written, and how a classifier is named."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tensor_guess.classifier import Imagenet
from tensor_guess.options import Command, at_least, classifier, classifier_options


@click.command(cls=Command)
@classifier_options
@click.option("--top-most-labels", type=at_least(1))
def show(tf_files: Path | None, backbone: str | None, offline: bool, top_most_labels: int) -> None:
    click.echo(f"{classifier(tf_files, backbone, offline)} {top_most_labels}")


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
