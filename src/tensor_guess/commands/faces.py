"""The command that collects the faces of a person."""

from pathlib import Path

import click

from tensor_guess.commands.options import LEFT_OUT, PATH, Command, at_least, detector_option
from tensor_guess.errors import counted, shown

_COUNT = 200


@click.command("collect-faces", cls=Command)
@click.argument("tf_files", type=PATH)
@click.argument("category")
@click.argument("source", type=PATH)
@click.option(
    "--count", type=at_least(1), default=_COUNT, show_default=True, help="Faces to collect at most."
)
@click.option(
    "--test-count",
    type=at_least(0),
    default=0,
    show_default=True,
    help="Faces to collect after those, for `evaluate`.",
)
@click.option(
    "--test-dir", type=PATH, help="Folder for those, in CATEGORY there.  [default: TF_FILES/test]"
)
@click.option("--largest", is_flag=True, help="Of several faces in a picture, take the largest.")
@click.option("--all", "every_face", is_flag=True, help="Of several faces in a picture, take all.")
@detector_option
def collect_faces(
    tf_files: Path,
    category: str,
    source: Path,
    count: int,
    test_count: int,
    test_dir: Path | None,
    largest: bool,
    every_face: bool,
    detector: str,
) -> int:
    """Write the faces in SOURCE to TF_FILES/data/CATEGORY.

    They become 001.jpg, 002.jpg and so on. SOURCE is a folder of pictures, a video, or a camera
    such as /dev/video0. Pictures with more than one face are passed over, so that two people are
    not mixed, unless --largest or --all says which to take. So are blurred faces, and those that
    look the same as one before.
    """
    if largest and every_face:
        raise click.UsageError("--largest and --all exclude each other")
    from tensor_guess.faces.collect import REASONS, Which, collect

    which = Which.LARGEST if largest else Which.ALL if every_face else Which.NONE
    done = collect(
        tf_files,
        category,
        source,
        count=count,
        test_count=test_count,
        test_dir=test_dir,
        which=which,
        detector=detector,
    )
    click.echo(f"{counted(done.training, 'face')} written to {shown(tf_files / 'data' / category)}")
    if test_count:
        folder = (test_dir or tf_files / "test") / category
        click.echo(f"{counted(done.testing, 'face')} written to {shown(folder)}, for testing")
    rows = [("pictures looked at", done.looked)]
    rows += [(reason, done.passed_over[reason]) for reason in REASONS]
    for name, number in (*rows, ("left out", len(done.left_out))):
        if number:
            click.echo(f"  {name:18} {number:6}")
    return LEFT_OUT if done.left_out else 0
