"""Parse, call one function, print."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from tensor_guess.commands import graphs as graph_commands
from tensor_guess.commands.options import (
    LEFT_OUT,
    PATH,
    Command,
    Finite,
    at_least,
    classifier,
    classifier_options,
)
from tensor_guess.config import FINAL_TENSOR, PRECISIONS, Training
from tensor_guess.errors import UserError, reason_of, shown
from tensor_guess.system import container

_DEFAULTS = Training()
_LARGEST_BATCH = 1_000_000
_Function = TypeVar("_Function", bound=Callable[..., Any])

# retrain.py's options for which there is nothing left to do, with what is said when one is given.
_NOTHING_TO_DO = {
    "--model-dir": "backbones are kept in the cache (TENSOR_GUESS_CACHE)",
    "--saved-model-dir": "no SavedModel is written; the frozen graph is the result",
    "--checkpoint-path": "training takes a second and needs no checkpoint",
    "--logging-verbosity": "everything is always said on stderr",
    "--flip-left-right": "pictures are not distorted; add flipped ones to the folder",
    "--random-crop": "pictures are not distorted",
    "--random-scale": "pictures are not distorted",
    "--random-brightness": "pictures are not distorted",
}
_FLAGS_WITHOUT_VALUE = {"--flip-left-right"}


@click.group(context_settings={"max_content_width": 100})
def cli() -> None:
    """Teach a picture classifier from a folder per category, and use it."""


def _nothing_to_do(context: click.Context, option: click.Parameter, value: Any) -> None:
    if value not in (None, False):
        name = option.opts[0]
        click.echo(f"{name} does nothing here: {_NOTHING_TO_DO[name]}", err=True)


def _classic_options(command: Any) -> Any:
    for name in _NOTHING_TO_DO:
        flag = name in _FLAGS_WITHOUT_VALUE
        command = click.option(
            name, is_flag=flag, expose_value=False, hidden=True, callback=_nothing_to_do
        )(command)
    return command


def _setting(
    *names_and_field: str, type: click.ParamType[Any], help: str
) -> Callable[[_Function], _Function]:
    """An option for a field of Training, the last of the names; its default stands there."""
    default = getattr(_DEFAULTS, names_and_field[-1])
    return click.option(*names_and_field, type=type, default=default, show_default=True, help=help)


@cli.command(cls=Command)
@click.argument("tf_files", type=PATH)
@_setting("--steps", "--how-many-training-steps", "steps", type=at_least(1), help="Training steps.")
@_setting(
    "--learning-rate",
    "learning_rate",
    type=Finite(min=0, min_open=True),
    help="How far each step goes.",
)
@_setting(
    "--train-batch-size",
    "train_batch_size",
    type=click.IntRange(1, _LARGEST_BATCH),
    help="Images in a step.",
)
@_setting(
    "--validation-batch-size",
    "validation_batch_size",
    type=click.IntRange(-1, _LARGEST_BATCH),
    help="Images in a look at the validation split; -1: all.",
)
@_setting(
    "--test-batch-size",
    "test_batch_size",
    type=at_least(-1),
    help="Images in the final test; -1: all.",
)
@_setting(
    "--testing-percentage",
    "testing_percentage",
    type=click.IntRange(0, 90),
    help="Percent of the images held out for the final test.",
)
@_setting(
    "--validation-percentage",
    "validation_percentage",
    type=click.IntRange(0, 90),
    help="Percent of the images held out to watch training.",
)
@_setting(
    "--eval-step-interval",
    "eval_step_interval",
    type=at_least(1),
    help="Steps between two looks at the accuracy.",
)
@_setting(
    "--seed",
    "seed",
    type=at_least(0),
    help="The same seed, pictures and options give the same graph.",
)
@click.option(
    "--backbone",
    "--architecture",
    "--tfhub-module",
    "--from",
    "backbone",
    help="The pretrained network: a name, a module or any frozen graph.  "
    "[default: the classifier's own, else inception_v3]",
)
@click.option(
    "--bottleneck-tensor-name",
    "bottleneck_tensor",
    help="Of a backbone that is a frozen graph.  [default: its last pooling layer]",
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default=PRECISIONS[0],
    show_default=True,
    help="bf16 is twice as fast where the CPU has it.",
)
@click.option(
    "--final-tensor-name",
    "final_tensor",
    default=FINAL_TENSOR,
    show_default=True,
    help="Name of the scores in the graph.",
)
@click.option("--offline", is_flag=True, help="Never use the network.")
@click.option("--image-dir", type=PATH, help="Category folders.  [default: TF_FILES/data]")
@click.option("--output-graph", type=PATH, help="[default: TF_FILES/retrained_graph.pb]")
@click.option("--output-labels", type=PATH, help="[default: TF_FILES/retrained_labels.txt]")
@click.option("--bottleneck-dir", type=PATH, help="[default: TF_FILES/bottlenecks]")
@click.option("--summaries-dir", type=PATH, help="Write TensorBoard summaries there.")
@click.option(
    "--intermediate-output-graphs-dir",
    "intermediate_dir",
    type=PATH,
    help="Write graphs there while training.",
)
@click.option(
    "--intermediate-store-frequency",
    "intermediate_frequency",
    type=at_least(0),
    default=0,
    show_default=True,
    help="Steps between two of those graphs; 0: none.",
)
@click.option(
    "--print-misclassified-test-images",
    "print_misclassified",
    is_flag=True,
    help="Name the test pictures that were guessed wrong.",
)
@_classic_options
def train(tf_files: Path, print_misclassified: bool, **given: Any) -> int:
    """Teach a classifier from TF_FILES/data/<category>/*.

    The results are TF_FILES/retrained_graph.pb and retrained_labels.txt.
    """
    from tensor_guess.training import train as training

    names = Training.__dataclass_fields__
    options = Training(**{name: given.pop(name) for name in names})
    if options.testing_percentage + options.validation_percentage > 90:
        raise click.UsageError(
            "--testing-percentage and --validation-percentage leave too little to train on; "
            "together at most 90"
        )
    result = training.train(training.Job(tf_files=tf_files, options=options, **given))
    if print_misclassified:
        click.echo("=== MISCLASSIFIED TEST IMAGES ===")
        for path, label in result.misclassified:
            click.echo(f"{shown(path):>70}  {label}")
    click.echo(f"Final test accuracy = {result.accuracy}")
    return LEFT_OUT if result.left_out else 0


@cli.command(cls=Command)
@classifier_options
@click.argument("image", type=click.Path(), nargs=-1)
@click.option("--image", "images", type=click.Path(), multiple=True, help="Another IMAGE.")
@click.option(
    "--top",
    "--num-top-predictions",
    "top",
    type=at_least(1),
    help="Labels to tell.  [default: all; imagenet: 5]",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def guess(
    image: tuple[str, ...], images: tuple[str, ...], top: int | None, as_json: bool, **named: Any
) -> int:
    """Name each IMAGE, a file or a URL: every label with its score, best first.

    TF_FILES is a classifier's folder, a frozen graph (also another program's), or the word
    imagenet: 1000 things that are known without training.
    """
    image += images
    if not image:
        raise click.MissingParameter(param_hint="'IMAGE...'", param_type="argument")
    which = classifier(**named)
    from tensor_guess.guessing import guess as guessing
    from tensor_guess.images import urls
    from tensor_guess.images.dataset import LeftOut

    left_out = 0
    with urls.fetched(image) as paths:
        for given, found in zip(image, guessing.guess(which, paths, top), strict=True):
            if isinstance(found, LeftOut):
                left_out += 1
                missed = urls.is_url(given) and not found.path.exists()
                reason = "could not be fetched" if missed else found.reason
                click.echo(f"left out {shown(urls.named(given))}: {reason}", err=True)
            else:
                click.echo(_json(given, found) if as_json else _block(given, found, len(image) > 1))
    if left_out == len(image):
        return UserError.exit_code
    return LEFT_OUT if left_out else 0


def _json(image: str, found: Any) -> str:
    best = {"label": found.label, "category": found.category, "score": found.score}
    return json.dumps({"image": image, **best, "scores": found.scores})


def _block(image: str, found: Any, one_of_many: bool) -> str:
    lines = [f"{shown(label)} (score = {score:.5f})" for label, score in found.scores.items()]
    return "\n".join([f"{shown(image)}:", *lines, ""] if one_of_many else lines)


@cli.command("classify-dir", cls=Command)
@classifier_options
@click.argument("src", type=PATH)
@click.argument("dest", type=PATH)
def classify_dir(src: Path, dest: Path, **named: Any) -> int:
    """Copy every picture in SRC to DEST as <category>-<score>.<ext>.

    TF_FILES is a classifier's folder, a frozen graph (also another program's), or the word
    imagenet.
    """
    which = classifier(**named)
    from tensor_guess.guessing import sort as sorting

    done = sorting.sort(which, src, dest)
    parts = [f"{done.copied} copied to {shown(dest)}"]
    parts += [f"{done.known} known already"] if done.known else []
    parts += [f"{len(done.left_out)} left out"] if done.left_out else []
    parts += [f"{done.hidden} hidden passed over"] if done.hidden else []
    click.echo(", ".join(parts))
    if done.left_out and not done.copied and not done.known:
        return UserError.exit_code
    return LEFT_OUT if done.left_out else 0


@cli.command(cls=Command)
@click.argument("backbone", nargs=-1, required=True)
def fetch(backbone: tuple[str, ...]) -> None:
    """Have each BACKBONE ready on this machine: downloaded, checked and frozen."""
    from tensor_guess.backbones import loading

    for name in backbone:
        loading.check_name(name)
    for name in backbone:
        click.echo(f"{name} {loading.load(name).sha256}")


@cli.command("backbones", cls=Command)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_backbones(as_json: bool) -> None:
    """List the pretrained networks, and which of them are on this machine."""
    from tensor_guess.backbones import loading
    from tensor_guess.backbones.catalogue import CATALOGUE

    rows = [
        {
            "name": name,
            "size": source.scaling.size,
            "bottleneck": source.bottleneck,
            "megabytes": source.megabytes,
            "licence": source.licence,
            "here": loading.is_here(name),
        }
        for name, source in CATALOGUE.items()
    ]
    if as_json:
        click.echo("\n".join(json.dumps(row) for row in rows))
        return
    line = "{:<18}  {:>6}  {:>10}  {:>8}  {:<12}  {}"
    click.echo(line.format("name", "pixels", "bottleneck", "download", "licence", "here"))
    for row in rows:
        size, download = f"{row['size']}", f"{row['megabytes']} MB"
        here = "yes" if row["here"] else "no"
        click.echo(
            line.format(row["name"], size, row["bottleneck"], download, row["licence"], here)
        )


@cli.command("fetch-images", cls=Command)
@click.argument("folder", type=PATH)
@click.argument("url", nargs=-1, required=True)
def fetch_images(folder: Path, url: tuple[str, ...]) -> int:
    """Download pictures to FOLDER; `guess` does it by itself for an IMAGE that is a URL."""
    from tensor_guess.images import urls

    count = urls.fetch(folder, url)
    click.echo(f"{count} of {len(url)} fetched")
    if not count:
        return UserError.exit_code
    return 0 if count == len(url) else LEFT_OUT


@cli.command("freeze-module", hidden=True)
@click.argument("folder", type=PATH)
@click.argument("size", type=int)
def freeze_module(folder: Path, size: int) -> None:
    """Write the frozen graph of a stranger's SavedModel to stdout; nothing else can be reached."""
    from tensor_guess.system import confinement

    confinement.confine([folder])
    from tensor_guess.backbones import saved_models
    from tensor_guess.graphs import graph

    sys.stdout.buffer.write(graph.serialise(saved_models.freeze(folder, size)))


for each in graph_commands.COMMANDS:
    cli.add_command(each)


def main() -> None:
    """The program: sys.argv in, exit code out; never a traceback for a user's mistake."""
    try:
        container.enter()
        sys.exit(cli.main(prog_name="tensor-guess", standalone_mode=False))
    except UserError as error:
        click.echo(f"tensor-guess: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OSError as error:
        # Wherever it happens: a folder that cannot be searched, a disk that fails.
        where = (
            f"could not use {shown(os.fsdecode(error.filename))}" if error.filename else "failed"
        )
        click.echo(f"tensor-guess: {where}: {reason_of(error)}", err=True)
        sys.exit(UserError.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
