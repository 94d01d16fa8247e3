"""The commands that bring what is not here: backbones, modules, classifiers; and list backbones."""

import json
import sys
from pathlib import Path

import click

from tensor_guess.commands.options import PATH, Command
from tensor_guess.config import ONNXRUNTIME_WEB, YUNET
from tensor_guess.received import addresses


@click.command(cls=Command)
@click.argument("backbone", nargs=-1, required=True)
def fetch(backbone: tuple[str, ...]) -> None:
    """Download, verify and freeze each BACKBONE.

    `yunet` is the network that finds faces (--detector yunet), `onnxruntime-web` is what runs a
    classifier in a page (export --format html).
    """
    from tensor_guess.backbones import loading
    from tensor_guess.exporting import onnxruntime_web
    from tensor_guess.faces import yunet

    others = {YUNET: yunet.fetch, ONNXRUNTIME_WEB: onnxruntime_web.fetch}
    for name in backbone:
        if name not in others:
            loading.check_name(name)
    for name in backbone:
        click.echo(f"{name} {others[name]() if name in others else loading.load(name).sha256}")


@click.command("fetch-classifier", cls=Command)
@click.argument("address", nargs=-1, required=True)
def fetch_classifier(address: tuple[str, ...]) -> None:
    """Download the classifier at each ADDRESS.

    It is downloaded anew if it was before. `guess` and the others download by themselves what is
    not here if TF_FILES is an address. `ADDRESS#sha256=...` stands for the very file that has this
    SHA-256.
    """
    for each in [addresses.parsed(text) for text in address]:
        click.echo(f"{each} {addresses.fetch(each).stem}")


@click.command("fetch-modules", cls=Command)
@click.argument("url", nargs=-1, required=True)
def fetch_modules(url: tuple[str, ...]) -> None:
    """Download TF Hub's module at each URL; load none.

    It goes where tensorflow_hub keeps modules: the folder TFHUB_CACHE_DIR. A module that was frozen
    already is not needed any more.
    """
    from tensor_guess.backbones import loading

    loading.fetch_modules(url)


@click.command("backbones", cls=Command)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def list_backbones(as_json: bool) -> None:
    """List the pretrained networks.

    The last column shows whether a network is on this machine already.
    """
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


@click.command("fetch-into", cls=Command, hidden=True)
@click.argument("folder", type=PATH)
@click.argument("url")
@click.argument("digest")
def fetch_into(folder: Path, url: str, digest: str) -> None:
    """Download a classifier into FOLDER, in a process that sees nothing else."""
    addresses.fetch_into(folder, addresses.Address(url, digest))


@click.command("freeze-module", hidden=True)
@click.argument("folder", type=PATH)
@click.argument("size", type=int)
def freeze_module(folder: Path, size: int) -> None:
    """Write the frozen graph of a stranger's SavedModel to stdout, after confining the process."""
    from tensor_guess.system import confinement

    confinement.confine([folder])
    from tensor_guess.backbones import saved_models
    from tensor_guess.graphs import graph

    sys.stdout.buffer.write(graph.serialise(saved_models.freeze(folder, size)))
