"""What several commands share: the form of options, and how to name a classifier."""

import os
import platform
import re
import time
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import click
from click.core import ParameterSource

from tensor_guess import __version__
from tensor_guess.config import (
    DEFAULT_BACKBONES,
    DETECTORS,
    FINAL_TENSOR,
    HAAR,
    PRECISIONS,
    YUNET,
    cache_folder,
)
from tensor_guess.errors import UserError, counted, shown
from tensor_guess.received import addresses
from tensor_guess.received.addresses import Address
from tensor_guess.stores import paths
from tensor_guess.system import progress
from tensor_guess.system.reading import is_url

_Function = TypeVar("_Function", bound=Callable[..., Any])

BUILTIN = "imagenet"  # as a word; ./imagenet is a folder of that name
LEFT_OUT = 3  # exit code: done, but some files were left out
# Of a head: more would fill the memory, and no picture classifier is known to gain by it.
_MOST_LAYERS, _WIDEST = 5, 8192


class _Formatter(click.HelpFormatter):
    def write_heading(self, heading: str) -> None:
        super().write_heading(click.style(heading, bold=True))


class Context(click.Context):
    """A context whose help has bold headings on a terminal."""

    formatter_class = _Formatter


class Command(click.Command):
    """A command that can be quiet or verbose.

    Its options may also be written with underscores, as in `retrain.py`.
    """

    context_class = Context

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.context_settings.update(
            token_normalize_func=lambda token: token.replace("_", "-"), max_content_width=100
        )
        self.params += [
            _voice(progress.Voice.QUIET, "Print results, warnings and errors only."),
            _voice(progress.Voice.VERBOSE, "Print more about what is done, and how long it takes."),
        ]

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; `--graph G` is another way to write TF_FILES."""
        progress.speak(progress.Voice.USUAL)
        if any(option.name == "graph" for option in self.params):
            args = _graph_first(args)
        return super().parse_args(context, args)

    def invoke(self, context: click.Context) -> Any:
        """Do what the command does; if verbose, say by what, and how long it took."""
        if progress.voice() is not progress.Voice.VERBOSE:
            return super().invoke(context)
        progress.detail(
            f"tensor-guess {__version__}, Python {platform.python_version()}, "
            f"{platform.system()} {platform.machine()}, {counted(os.cpu_count() or 1, 'processor')}"
        )
        with suppress(UserError):
            progress.detail(f"cache: {shown(cache_folder())}")
        found = super().invoke(context)
        progress.detail(f"took {time.monotonic() - progress.started():.2f} s from the start")
        return found


def _voice(voice: progress.Voice, what: str) -> click.Option:
    def chosen(context: click.Context, option: click.Parameter, given: bool) -> None:
        if given and progress.voice() is not progress.Voice.USUAL:
            raise click.UsageError("--quiet and --verbose do not go together", context)
        if given:
            progress.speak(voice)

    return click.Option(
        [str(voice.value)], is_flag=True, expose_value=False, callback=chosen, help=what
    )


class FilePath(click.Path):
    """A path of this machine; `stores`: or a folder in a store, by its URL."""

    def __init__(self, *, stores: bool = False) -> None:
        super().__init__(path_type=Path)
        self._stores = stores

    def convert(self, value: Any, *others: Any) -> Any:
        if not isinstance(value, str) or not is_url(value):
            return super().convert(value, *others)
        if not self._stores:
            raise click.UsageError(
                "a folder's URL is taken only for SRC and DEST of classify-dir, for --image-dir of "
                "train and for worker; name a file or folder of this machine",
                others[1] if len(others) > 1 else None,
            )
        return paths.parsed(value)


PATH, PATH_OR_STORE = FilePath(), FilePath(stores=True)


class ClassifierPath(click.Path):
    """A path, an address (which is converted to Address), or the word `imagenet` (to None)."""

    def convert(self, value: Any, *others: Any) -> Any:
        if value == BUILTIN:
            return None
        if isinstance(value, str) and is_url(value):
            return addresses.parsed(value)
        return super().convert(value, *others)


def brought(tf_files: Path | Address, *, offline: bool = False) -> Path:
    """Return the path; of an address, that of what was fetched from there, now or before."""
    if isinstance(tf_files, Address):
        return addresses.brought(tf_files, offline=offline)
    return tf_files


class Finite(click.FloatRange):
    """A number in the range, but neither `nan` nor `inf`."""

    def convert(self, value: Any, *others: Any) -> Any:
        found = super().convert(value, *others)
        return found if isfinite(found) else self.fail(f"{value} is no finite number", *others)


# What --fine-tune takes instead of a number.
ALL = "all"


class Widths(click.ParamType[Any]):
    """Widths of layers, separated by commas; converted to a tuple."""

    name = "widths"

    def convert(self, value: Any, *others: Any) -> Any:
        if isinstance(value, tuple):
            return value
        parts = value.split(",")
        if len(parts) > _MOST_LAYERS:
            self.fail(f"{len(parts)} layers are too many; at most {_MOST_LAYERS}", *others)
        return tuple(click.IntRange(1, _WIDEST).convert(part, *others) for part in parts)


class Blocks(click.ParamType[Any]):
    """How many of the last blocks, or ALL; converted to a number, or left as ALL."""

    name = f"n|{ALL}"

    def convert(self, value: Any, *others: Any) -> Any:
        return value if value == ALL else click.IntRange(1).convert(value, *others)


class MinScore(click.ParamType[Any]):
    """A score from 0 to 1, or CATEGORY=SCORE; converted to a pair whose first may be None."""

    name = "[category=]score"

    def convert(self, value: Any, *others: Any) -> Any:
        if isinstance(value, tuple):
            return value
        category, equals, score = value.rpartition("=")
        return category if equals else None, Finite(0, 1).convert(score, *others)


class Coordinates(click.ParamType[Any]):
    """Latitude and longitude in degrees, separated by a comma; converted to a pair."""

    name = "latitude,longitude"

    def convert(self, value: Any, *others: Any) -> Any:
        if isinstance(value, tuple):
            return value
        latitude, comma, longitude = value.partition(",")
        if not comma:
            self.fail(f"{value!r} is no place such as 50.9413,6.9583", *others)
        return (
            Finite(-90, 90).convert(latitude.strip(), *others),
            Finite(-180, 180).convert(longitude.strip(), *others),
        )


class Duration(click.ParamType[Any]):
    """A time such as `1s`, `500ms` or `2m`, more than 0; converted to seconds, exactly."""

    name = "time"
    _units: ClassVar = {"ms": Fraction(1, 1000), "s": Fraction(1), "m": Fraction(60)}

    def convert(self, value: Any, *others: Any) -> Any:
        if isinstance(value, Fraction):
            return value
        found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m)", value)
        seconds = Fraction(found[1]) * self._units[found[2]] if found else Fraction(0)
        return seconds or self.fail(f"{value!r} is no time such as 1s, 500ms or 2m", *others)


def at_least(lowest: int) -> click.IntRange:
    """Return the type of an integer that is at least `lowest`."""
    return click.IntRange(min=lowest)


min_score_option = click.option(
    "--min-score",
    "min_scores",
    type=MinScore(),
    multiple=True,
    help="Least score of a category, or of all, below which a guess is unsure.",
)


class Labels(click.ParamType[Any]):
    """Categories or labels, separated by commas; converted to a tuple."""

    name = "category,..."

    def convert(self, value: Any, *others: Any) -> Any:
        if isinstance(value, tuple):
            return value
        found = tuple(each.strip() for each in value.split(","))
        return found if all(found) else self.fail(f"{value!r} has an empty name in it", *others)


only_option = click.option(
    "--only",
    type=Labels(),
    default=(),
    help="Guess among these categories only; their scores are made to add up to 1.",
)


def check_only(only: tuple[str, ...], both: bool) -> None:
    """Raise UsageError if two things are asked for among some categories."""
    if only and both:
        raise click.UsageError("--only is for one thing in a picture: not for --both")


detector_option = click.option(
    "--detector",
    type=click.Choice(DETECTORS),
    default=HAAR,
    show_default=True,
    help=f"What finds faces: OpenCV's cascade, or a network (`fetch {YUNET}` brings it).",
)


def face_options(command: _Function) -> _Function:
    """Return the command with --face and --detector; `detector_of` reads them."""
    face = click.option(
        "--face",
        is_flag=True,
        help="Look only at the largest face; leave out pictures without one.",
    )
    return face(detector_option(command))


def detector_of(face: bool, detector: str) -> str | None:
    """Return what finds faces; None if they are not looked for. Raise UsageError if that is odd."""
    source = click.get_current_context().get_parameter_source("detector")
    if not face and source is not ParameterSource.DEFAULT:
        raise click.UsageError("--detector says how faces are found; give --face too")
    return detector if face else None


def besides_options(command: Any) -> Any:
    """Add the options that ask whether a picture is unknown, and whether it shows two things."""
    for decorate in (
        click.option("--both", is_flag=True, help="Say if two categories are side by side in one."),
        click.option("--unknown", is_flag=True, help="Say if one is like nothing in training."),
    ):
        command = decorate(command)
    return command


def asked(unknown: bool, both: bool) -> Any:
    """Return what these options ask for."""
    from tensor_guess.guessing.besides import Besides

    return Besides(unknown, both)


tls_option = click.option(
    "--tls", type=PATH, help="For tls://: a folder with ca.pem, cert.pem and key.pem."
)


def spread_options(command: _Function) -> _Function:
    """Return the command with the options that name other machines; `machines_of` reads them."""
    workers = click.option(
        "--workers",
        type=click.IntRange(1, 1000),
        help="Compute in so many processes on this machine, as --scheduler does on others.",
    )
    scheduler = click.option(
        "--scheduler",
        help="Have the workers of this Dask scheduler compute, as in tcp://host:8786.",
    )
    return scheduler(workers(tls_option(command)))


def machines_of(scheduler: str | None, workers: int | None, tls: Path | None) -> Any:
    """Return the machines that are to compute; None for this process alone.

    Raise UsageError if the options make no sense together.
    """
    if scheduler and workers:
        raise click.UsageError("--scheduler and --workers do not go together")
    if tls and not scheduler:
        raise click.UsageError("--tls is for --scheduler; give it too")
    if not scheduler and not workers:
        return None
    from tensor_guess.spreading.machines import Machines

    return Machines(scheduler or "", workers or 0, tls)


labels_option = click.option(
    "--labels", type=PATH, help="Labels file of another program's graph.  [default: beside it]"
)


def graph_options(command: Any) -> Any:
    """Add TF_FILES to the command, and the options about another program's graph."""
    pixels = click.IntRange(min=1)
    for decorate in (
        click.option("--output-layer", help=f"Tensor with the scores.  [default: {FINAL_TENSOR}]"),
        click.option("--input-layer", help="Tensor to feed the images to."),
        click.option("--input-std", type=float, help="Pixels are fed as (x - mean) / std."),
        click.option("--input-mean", type=float, help="Pixels are fed as (x - mean) / std."),
        click.option(
            "--input-width", type=pixels, help="Width of the images; the same as the height."
        ),
        click.option("--input-height", type=pixels, help="Height of the images, in pixels."),
        labels_option,
        click.option(
            "--graph", type=PATH, expose_value=False, help="Same as TF_FILES (from label_image)."
        ),
        click.argument("tf_files", type=ClassifierPath(path_type=Path)),
    ):
        command = decorate(command)
    return command


def classifier_options(command: Any) -> Any:
    """Add what `graph_options` adds, and the options for `imagenet`'s network and the precision."""
    for decorate in (
        click.option("--offline", is_flag=True, help=f"{BUILTIN}: never use the internet."),
        click.option(
            "--backbone",
            help=f"{BUILTIN}: the pretrained network.  [default: {DEFAULT_BACKBONES[0]}]",
        ),
        click.option(
            "--precision",
            type=click.Choice(PRECISIONS),
            help="Precision to compute in.  [default: the classifier's own]",
        ),
        graph_options,
    ):
        command = decorate(command)
    return command


def classifier(
    tf_files: Path | Address | None,
    *,
    backbone: str | None = None,
    offline: bool = False,
    only: tuple[str, ...] = (),
    **said: Any,
) -> Any:
    """Return the classifier that the options name: the built-in one, or a path with settings.

    One that is named by its address is fetched.
    """
    if tf_files is None:
        from tensor_guess.guessing.loading import Imagenet

        return Imagenet(backbone, offline, only)
    if backbone:
        raise click.UsageError(
            f"--backbone is for {BUILTIN}: a trained classifier has its own; "
            "`train --backbone` makes one with another"
        )
    from tensor_guess.graphs.files import Fed
    from tensor_guess.guessing.loading import Given

    height, width = said["input_height"], said["input_width"]
    if height and width and height != width:
        raise click.UsageError(f"images of {width} x {height} pixels: only square ones are fed")
    fed = Fed(
        said["input_layer"],
        said["output_layer"],
        height or width,
        said["input_mean"],
        said["input_std"],
    )
    address = str(tf_files) if isinstance(tf_files, Address) else ""
    return Given(brought(tf_files, offline=offline), said["labels"], fed, only, address)


def _graph_first(args: list[str]) -> list[str]:
    """Return the arguments with the value of `--graph`, if it is given, moved to the front."""
    for i, each in enumerate(args):
        name, equals, value = each.partition("=")
        if each == "--":
            break
        if name == "--graph" and equals:
            return [value, *args[:i], *args[i + 1 :]]
        if name == "--graph" and i + 1 < len(args):
            return [args[i + 1], *args[:i], *args[i + 2 :]]
    return args
