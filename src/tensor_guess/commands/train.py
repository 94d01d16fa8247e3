"""The command that trains a classifier."""

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from tensor_guess.commands.options import (
    ALL,
    LEFT_OUT,
    PATH,
    PATH_OR_STORE,
    Blocks,
    Command,
    Duration,
    Finite,
    Widths,
    at_least,
    machines_of,
    spread_options,
)
from tensor_guess.config import (
    AUGMENT,
    BF16,
    BOTTLENECKS,
    DATA,
    DEFAULT_BACKBONES,
    FINAL_TENSOR,
    FITS,
    FLOAT32,
    GRAPH,
    HIDDEN_EPOCHS,
    HIDDEN_RATE,
    LABELS,
    MOST_HELD_OUT,
    PRECISIONS,
    REPORT,
    SQUEEZE,
    Augmentation,
    FineTuning,
    Training,
)
from tensor_guess.errors import counted, shown
from tensor_guess.system import progress

if TYPE_CHECKING:
    from tensor_guess.sorting.learn import Learned
    from tensor_guess.training.train import Job

_DEFAULTS = Training()
_TUNING = FineTuning(None)
_LARGEST_BATCH = 1_000_000
_PERCENT, _SHARE = click.IntRange(0, 100), Finite(0, 0.9)
_Function = TypeVar("_Function", bound=Callable[..., Any])

# What --auto chooses, and what is written as one training goes on.
_CHOSEN = {
    *(each.name for each in fields(Augmentation)),
    *("augment", "blocks", "tuning_epochs", "tuning_rate", "fit", "hidden", "dropout", "steps"),
    *("epochs", "summaries_dir", "intermediate_dir", "intermediate_frequency"),
}

# Options of retrain.py that have no effect here, with the message to print if one is given.
_NOTHING_TO_DO = {
    "--model-dir": "backbones are kept in the cache (TENSOR_GUESS_CACHE)",
    "--saved-model-dir": "no SavedModel is written; the frozen graph is the result",
    "--checkpoint-path": "training takes a second and needs no checkpoint",
    "--logging-verbosity": "everything is always said on stderr",
}


def _nothing_to_do(context: click.Context, option: click.Parameter, value: Any) -> None:
    if value is not None:
        name = option.opts[0]
        progress.warn(f"{name} does nothing here: {_NOTHING_TO_DO[name]}")


def _classic_options(command: Any) -> Any:
    for name in _NOTHING_TO_DO:
        command = click.option(name, expose_value=False, hidden=True, callback=_nothing_to_do)(
            command
        )
    return command


def _setting(
    *names_and_field: str, type: click.ParamType[Any], help: str
) -> Callable[[_Function], _Function]:
    """Return an option for a field of Training, the last of the names, with the field's default."""
    default = getattr(_DEFAULTS, names_and_field[-1])
    return click.option(*names_and_field, type=type, default=default, show_default=True, help=help)


def _distortion(
    name: str, field: str, type: click.ParamType[Any] | None, help: str, show: bool = False
) -> Callable[[_Function], _Function]:
    """Return an option for a field of Augmentation; without a type, it is a flag."""
    said = getattr(AUGMENT, field)
    note = f"  [default: {said}]" if show else f"  [--augment: {said}]" if said else ""
    kind: dict[str, Any] = {"is_flag": True} if type is None else {"type": type}
    return click.option(name, field, default=None, help=help + note, **kind)


@click.command(cls=Command)
@click.argument("tf_files", type=PATH)
@_setting("--steps", "--how-many-training-steps", "steps", type=at_least(1), help="Training steps.")
@_setting(
    "--epochs",
    "epochs",
    type=at_least(1),
    help="In place of --steps: how many times the training pictures are gone through.",
)
@click.option(
    "--learning-rate",
    "learning_rate",
    type=Finite(min=0, min_open=True),
    help=f"Size of each step.  [default: {_DEFAULTS.learning_rate:g}; with --head {HIDDEN_RATE:g}]",
)
@click.option(
    "--head",
    "hidden",
    type=Widths(),
    default=(),
    help="Widths of hidden layers before the softmax, as in 1024,1024,512.  [default: none]",
)
@_setting(
    "--dropout",
    "dropout",
    type=Finite(min=0, max=1, max_open=True),
    help="With --head: the share of a layer's outputs that a step leaves out.",
)
@_setting(
    "--train-batch-size",
    "train_batch_size",
    type=click.IntRange(1, _LARGEST_BATCH),
    help="Images per step.",
)
@_setting(
    "--validation-batch-size",
    "validation_batch_size",
    type=click.IntRange(-1, _LARGEST_BATCH),
    help="Validation images per evaluation; -1 for all.",
)
@_setting(
    "--test-batch-size",
    "test_batch_size",
    type=at_least(-1),
    help="Images in the final test; -1 for all.",
)
@_setting(
    "--testing-percentage",
    "testing_percentage",
    type=click.IntRange(0, MOST_HELD_OUT),
    help="Percent of the images held out for the final test.",
)
@_setting(
    "--validation-percentage",
    "validation_percentage",
    type=click.IntRange(0, MOST_HELD_OUT),
    help="Percent of the images held out to watch training.",
)
@_setting(
    "--eval-step-interval",
    "eval_step_interval",
    type=at_least(1),
    help="Steps between evaluations.",
)
@_setting(
    "--seed",
    "seed",
    type=at_least(0),
    help="Seed of all random draws; the same seed gives the same graph.",
)
@click.option(
    "--augment",
    is_flag=True,
    help="Train on versions of each picture too: mirrored, turned, zoomed, shifted, brighter.",
)
@_distortion("--flip-left-right", "flip", None, "Mirror half of the versions.")
@_distortion("--random-crop", "crop", _PERCENT, "Margin to cut off, in percent.")
@_distortion("--random-scale", "scale", _PERCENT, "Most by which to enlarge, in percent.")
@_distortion("--random-brightness", "brightness", _PERCENT, "Most change, in percent.")
@_distortion("--rotation", "rotation", Finite(0, 180), "Most degrees to turn.")
@_distortion("--shear", "shear", Finite(0, 60), "Most degrees to shear.")
@_distortion("--zoom", "zoom", _SHARE, "Most zoom in or out, from 0 to 0.9.")
@_distortion("--shift", "shift", _SHARE, "Most shift, in sides of the picture.")
@_distortion("--versions", "versions", click.IntRange(1, 100), "Versions of each picture.", True)
@click.option(
    "--fine-tune",
    "blocks",
    type=Blocks(),
    help="Train the last N blocks of the backbone too, or all. `inspect --layers` lists them.",
)
@click.option(
    "--fine-tune-epochs",
    "tuning_epochs",
    type=at_least(1),
    help=f"Most epochs of that.  [default: {_TUNING.epochs}]",
)
@click.option(
    "--fine-tune-rate",
    "tuning_rate",
    type=Finite(min=0, min_open=True),
    help=f"Its highest learning rate.  [default: {_TUNING.learning_rate:g}]",
)
@click.option(
    "--auto",
    is_flag=True,
    help="Try several ways, keep the best: fits, versions and, if there is time, fine-tuning.",
)
@click.option(
    "--time-budget",
    type=Duration(),
    default="10m",
    show_default=True,
    help="With --auto: how long it may take, as in 90s or 10m.",
)
@click.option(
    "--backbone",
    "--architecture",
    "--tfhub-module",
    "--from",
    "backbone",
    help="The pretrained network: a name, a module or any frozen graph.  "
    f"[default: the classifier's own, else {DEFAULT_BACKBONES[0]}]",
)
@click.option(
    "--bottleneck-tensor-name",
    "bottleneck_tensor",
    help="Bottleneck of a frozen graph.  [default: its last pooling layer]",
)
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default=FLOAT32,
    show_default=True,
    help=f"{BF16} is twice as fast if the CPU supports it.",
)
@click.option(
    "--fit",
    type=click.Choice(FITS),
    default=SQUEEZE,
    show_default=True,
    help="How a picture becomes square: squeezed, its middle cut out, or all of it with borders.",
)
@click.option(
    "--final-tensor-name",
    "final_tensor",
    default=FINAL_TENSOR,
    show_default=True,
    help="Name of the scores' tensor in the graph.",
)
@click.option("--offline", is_flag=True, help="Never use the internet.")
@click.option(
    "--image-dir", type=PATH_OR_STORE, help=f"Category folders.  [default: TF_FILES/{DATA}]"
)
@click.option("--output-graph", type=PATH, help=f"[default: TF_FILES/{GRAPH}]")
@click.option("--output-labels", type=PATH, help=f"[default: TF_FILES/{LABELS}]")
@click.option("--bottleneck-dir", type=PATH, help=f"[default: TF_FILES/{BOTTLENECKS}]")
@click.option("--summaries-dir", type=PATH, help="Folder for TensorBoard summaries.")
@click.option(
    "--intermediate-output-graphs-dir",
    "intermediate_dir",
    type=PATH,
    help="Folder for intermediate graphs.",
)
@click.option(
    "--intermediate-store-frequency",
    "intermediate_frequency",
    type=at_least(0),
    default=0,
    show_default=True,
    help="Steps between intermediate graphs; 0 for none.",
)
@click.option(
    "--report/--no-report", default=True, help=f"Write a page about the result, {REPORT}."
)
@click.option(
    "--learn",
    type=PATH,
    help="First copy what was corrected in this folder, which classify-dir sorted, into "
    f"TF_FILES/{DATA}.",
)
@click.option(
    "--print-misclassified-test-images",
    "print_misclassified",
    is_flag=True,
    help="List the test pictures that were guessed wrong.",
)
@spread_options
@_classic_options
def train(
    tf_files: Path,
    learn: Path | None,
    print_misclassified: bool,
    auto: bool,
    time_budget: Any,
    **given: Any,
) -> int:
    """Train a classifier on TF_FILES/data/<category>/*.

    The results are TF_FILES/retrained_graph.pb and retrained_labels.txt.
    """
    from tensor_guess.training import train as training

    _check_auto(auto)
    names = Training.__dataclass_fields__
    given["augmentation"] = _augmentation(given)
    given["fine_tuning"] = _fine_tuning(given)
    given["machines"] = machines_of(given.pop("scheduler"), given.pop("workers"), given.pop("tls"))
    options = _defaulted(Training(**{name: given.pop(name) for name in names}))
    if options.testing_percentage + options.validation_percentage > MOST_HELD_OUT:
        raise click.UsageError(
            "--testing-percentage and --validation-percentage leave too little to train on; "
            f"together at most {MOST_HELD_OUT}"
        )
    job = training.Job(tf_files=tf_files, options=options, **given)
    left_out = _learn(job, learn) if learn else False
    if auto:
        from tensor_guess.training.auto import train_best

        result = train_best(job, float(time_budget))
    else:
        result = training.train(job)
    if print_misclassified:
        click.echo("=== MISCLASSIFIED TEST IMAGES ===")
        for path, label in result.misclassified:
            click.echo(f"{shown(path):>70}  {label}")
    click.echo(f"Final test accuracy = {result.accuracy}")
    return LEFT_OUT if result.left_out or left_out else 0


def _learn(job: "Job", folder: Path) -> bool:
    """Learn what was corrected, and print it; return whether anything was left out."""
    if job.image_dir:
        raise click.UsageError(
            f"--learn copies pictures into TF_FILES/{DATA}, which --image-dir replaces"
        )
    from tensor_guess.sorting import learn as learning

    done = learning.learn(job.tf_files, folder)
    for line in _learned(done, folder):
        click.echo(line)
    if done.counts and (before := learning.accuracy_of(job.outputs.graph)):
        click.echo(f"accuracy before, without these pictures = {before}")
    return bool(done.left_out)


def _learned(done: "Learned", folder: Path) -> Iterator[str]:
    """Yield what was learned, a line for each category, and what was not."""
    known = f", {done.known} known already" if done.known else ""
    if done.counts:
        yield f"{counted(done.counts.total(), 'picture')} learned from {shown(folder)}{known}"
    else:
        yield f"nothing new to learn from {shown(folder)}{known}"
    for name, count in sorted(done.counts.items()):
        yield f"{shown(name)} +{count}" + (" (new category)" if name in done.new else "")
    for name, count in sorted(done.strange.items()):
        pictures = counted(count, "picture")
        yield f"not learned: {pictures} of {shown(name)} that no run of classify-dir brought there"


def _check_auto(auto: bool) -> None:
    """Raise UsageError if options are given that --auto chooses, or its own without it."""
    context = click.get_current_context()
    given = {
        option.name: option.opts[0]
        for option in context.command.params
        if context.get_parameter_source(option.name or "") is not ParameterSource.DEFAULT
    }
    if not auto and "time_budget" in given:
        raise click.UsageError("--time-budget is for --auto; give --auto too")
    chosen = [name for key, name in given.items() if key in _CHOSEN]
    if auto and chosen:
        raise click.UsageError(f"--auto does not go with {chosen[0]}; give one of them")


def _augmentation(given: dict[str, Any]) -> Augmentation | None:
    """Take the options of it out of those given, and return it; None if none is meant."""
    start = AUGMENT if given.pop("augment") else Augmentation()
    told = {name: given.pop(name) for name in Augmentation.__dataclass_fields__}
    found = replace(start, **{name: value for name, value in told.items() if value is not None})
    return None if replace(found, versions=start.versions) == Augmentation() else found


def _fine_tuning(given: dict[str, Any]) -> FineTuning | None:
    """Take the options of it out of those given, and return it; None if none is meant."""
    blocks, epochs, rate = (given.pop(each) for each in ("blocks", "tuning_epochs", "tuning_rate"))
    if blocks is None:
        if epochs or rate:
            raise click.UsageError(
                "--fine-tune-epochs and --fine-tune-rate say how to fine-tune; give --fine-tune too"
            )
        return None
    count = None if blocks == ALL else blocks
    return FineTuning(count, epochs or _TUNING.epochs, rate or _TUNING.learning_rate)


def _defaulted(options: Training) -> Training:
    """Return the options, with the defaults that depend on others."""
    context = click.get_current_context()
    steps = context.get_parameter_source("steps") is not ParameterSource.DEFAULT
    if steps and options.epochs:
        raise click.UsageError("--steps and --epochs say the same; give one of them")
    if options.hidden and not steps and not options.epochs:
        options = replace(options, epochs=HIDDEN_EPOCHS)
    if options.learning_rate is None:
        rate = HIDDEN_RATE if options.hidden else _DEFAULTS.learning_rate
        options = replace(options, learning_rate=rate)
    return options


@click.command("fine-tune", hidden=True)
@click.argument("folder", type=PATH)
def fine_tune(folder: Path) -> int:
    """Do the task in FOLDER, in a process that sees nothing else."""
    from tensor_guess.finetuning import task
    from tensor_guess.system import confinement

    with progress.silence():  # TensorFlow talks about its kernels
        confinement.see_only(folder)
        from tensor_guess.finetuning import tuning

    try:
        tuning.tune(folder)
    except MemoryError:
        return task.NO_MEMORY
    except progress.OutOfTime:
        return task.NO_TIME
    return 0
