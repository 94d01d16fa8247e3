"""The command that studies why a picture gets its label."""

from pathlib import Path
from typing import Any

import click

from tensor_guess.commands.options import PATH, Command, classifier, classifier_options
from tensor_guess.errors import UserError, shown


@click.command(cls=Command)
@classifier_options
@click.argument("picture", type=click.Path())
@click.argument("out", type=PATH)
def study(picture: str, out: Path, precision: str | None, **named: Any) -> None:
    """Write OUT, a page on why PICTURE gets its label.

    Patches are blurred and whitened, to find which matter and how small a change turns the answer;
    the ground is made white; and the nearest training pictures of the two best labels are shown.
    """
    which = classifier(**named)
    from tensor_guess.explaining import study as studying
    from tensor_guess.images import urls

    studying.check(out, which)
    with urls.fetched((picture,)) as paths:
        if urls.is_url(picture) and not paths[0].exists():
            raise UserError(f"{shown(urls.named(picture))} could not be fetched")
        findings = studying.study(which, paths[0], out, precision)
    for finding in findings:
        click.echo(finding)
