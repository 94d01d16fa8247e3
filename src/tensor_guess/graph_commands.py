"""The commands about graphs: share a classifier, verify what was shared."""

from pathlib import Path

import click

from tensor_guess.errors import WrongUsage, shown
from tensor_guess.options import BUILTIN, PATH, ClassifierPath, Command


@click.command(cls=Command)
@click.argument("tf_files", type=ClassifierPath(path_type=Path))
@click.argument("out", type=PATH)
@click.option("--intended-use", help="What it is for; on the model card.")
@click.option("--licence", help="Under which others may use it; on the model card.")
def share(tf_files: Path | None, out: Path, intended_use: str | None, licence: str | None) -> None:
    """Write the classifier TF_FILES to OUT, a zip to hand on.

    In it are graph, labels, record, a model card, digests, and a self-test of pictures that are
    drawn, never yours. `tensor-guess verify` checks it.
    """
    if tf_files is None:
        raise WrongUsage(f"{BUILTIN} is built in: everybody has it; ./{BUILTIN} is a folder's name")
    from tensor_guess import sharing
    from tensor_guess.model_card import Author

    size = sharing.share(tf_files, out, Author(intended_use, licence))
    click.echo(f"{shown(out)}: {size / 1e6:.1f} MB")


@click.command(cls=Command)
@click.argument("zip", type=PATH)
def verify(zip: Path) -> None:
    """Check a zip that `share` wrote: digests, graph, labels, self-test; nothing is unpacked."""
    from tensor_guess import sharing

    held = sharing.verify(zip)
    click.echo(f"labels: {', '.join(map(shown, held.labels))}")
    click.echo(f"digests: {held.digests} of {held.digests}")
    click.echo(f"self-test: {held.vectors} of {held.vectors}, worst difference {held.worst:.7f}")


COMMANDS = (share, verify)
