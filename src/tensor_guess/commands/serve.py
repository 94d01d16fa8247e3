"""The command that answers guesses over HTTP."""

from ipaddress import ip_address
from pathlib import Path
from typing import Any

import click

from tensor_guess.commands.options import (
    PATH,
    Command,
    asked,
    besides_options,
    check_only,
    classifier,
    classifier_options,
    min_score_option,
    only_option,
)
from tensor_guess.config import HOST, PORT
from tensor_guess.errors import UserError


class Address(click.ParamType[Any]):
    """An IP address of this machine, or `localhost`."""

    name = "address"

    def convert(self, value: Any, *others: Any) -> Any:
        try:
            return value if value == "localhost" else str(ip_address(value))
        except ValueError:
            return self.fail(f"{value!r} is no address such as 192.168.1.5 or 0.0.0.0", *others)


@click.command(cls=Command)
@classifier_options
@click.option(
    "--port", type=click.IntRange(1, 65535), default=PORT, show_default=True, help="Port to use."
)
@click.option(
    "--host",
    type=Address(),
    default=HOST,
    show_default=True,
    help="Address to listen at; any but this machine's own needs --token-file.",
)
@click.option("--token-file", type=PATH, help="File with a word that each client must know.")
@click.option(
    "--allowed-host",
    "names",
    multiple=True,
    metavar="NAME",
    help="Another name by which clients call this machine.",
)
@only_option
@min_score_option
@besides_options
def serve(
    port: int,
    host: str,
    token_file: Path | None,
    names: tuple[str, ...],
    min_scores: tuple[Any, ...],
    precision: str | None,
    unknown: bool,
    both: bool,
    **named: Any,
) -> int:
    """Answer guesses over HTTP, until Ctrl-C.

    Open its address in a browser, or POST a picture to /v1/guess. Clients of TensorFlow Serving's
    REST and of PhotoPrism's vision service work too; /openapi.json describes all. A graph that
    training replaces is taken without a pause. TF_FILES is a classifier's folder, a frozen graph
    (also another program's), a zip that `share` wrote, the address of a graph or zip, or the word
    imagenet.
    """
    check_only(named["only"], both)
    which = classifier(**named)
    try:
        from tensor_guess.serving import serve as serving
        from tensor_guess.serving.served import Asked
    except ModuleNotFoundError as error:
        raise UserError(
            f"serving needs {error.name}, which is not here; run "
            "`pip install 'tensor-guess[serve]'`"
        ) from error
    token = serving.token_in(token_file) if token_file else None
    where = serving.Where(host, port, names, token)
    return 128 + serving.serve(Asked(which, precision, min_scores, asked(unknown, both)), where)
