"""What commands share: how options are written, and how a classifier is named."""

from pathlib import Path
from typing import Any

import click

BUILTIN = "imagenet"  # the word; ./imagenet is a folder of that name
LEFT_OUT = 3  # the exit code: done, but some files were left out
PATH = click.Path(path_type=Path)


class Command(click.Command):
    """A command whose options may be written with underscores too, as `retrain.py` did."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.context_settings.update(
            token_normalize_func=lambda token: token.replace("_", "-"), max_content_width=100
        )


class ClassifierPath(click.Path):
    """A path; or the word `imagenet`, which comes as None."""

    def convert(self, value: Any, *others: Any) -> Any:
        return None if value == BUILTIN else super().convert(value, *others)


def at_least(lowest: int) -> click.IntRange:
    """An integer from `lowest` on."""
    return click.IntRange(min=lowest)


def classifier_options(command: Any) -> Any:
    """The command with TF_FILES, and what says which network `imagenet` is."""
    for decorate in (
        click.option("--offline", is_flag=True, help="imagenet: never use the network."),
        click.option(
            "--backbone", help="imagenet: the pretrained network.  [default: inception_v3]"
        ),
        click.argument("tf_files", type=ClassifierPath(path_type=Path)),
    ):
        command = decorate(command)
    return command


def classifier(tf_files: Path | None, backbone: str | None, offline: bool) -> Any:
    """The classifier that the options name: a path, or the built-in one."""
    if tf_files is None:
        from tensor_guess.classifier import Imagenet

        return Imagenet(backbone, offline)
    if backbone:
        raise click.UsageError(
            f"--backbone is for {BUILTIN}: a trained classifier has its own; "
            "`train --backbone` makes one with another"
        )
    return tf_files
