"""The commands about graphs: inspect one; share, verify, merge or export classifiers."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from tensor_guess.commands.options import (
    BUILTIN,
    LEFT_OUT,
    PATH,
    ClassifierPath,
    Command,
    brought,
    classifier,
    graph_options,
    labels_option,
)
from tensor_guess.config import DATA, EXPORTS
from tensor_guess.errors import UserError, WrongUsage, counted, shown
from tensor_guess.received.addresses import Address


@click.command(cls=Command)
@graph_options
@click.option("--layers", is_flag=True, help="List the layers instead.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def inspect(tf_files: Path | Address | None, layers: bool, as_json: bool, **said: Any) -> int:
    """Show what is in a frozen graph, without running it.

    The graph may be from any program. The output lists its ops, inputs and outputs, how pictures
    are fed to it, its bottleneck, head and labels, and why it would be refused (then the exit code
    is 1). TF_FILES is a classifier's folder or a graph; with --layers, it may be the name of a
    backbone too.
    """
    from tensor_guess.guessing import inspect as inspection

    # Here `imagenet` means a folder of that name, because the built-in classifier is not a file.
    given = classifier(tf_files or Path("imagenet"), **said)
    if layers:
        listed = inspection.list_layers(given)
        lines = [json.dumps(asdict(listed))] if as_json else _table(listed)
        click.echo("\n".join(lines))
        return 0
    found = inspection.inspect(given)
    if as_json:
        click.echo(json.dumps(asdict(found)))
    else:
        click.echo("\n".join(_lines(found)))
    return UserError.exit_code if found.refused else 0


@click.command(cls=Command)
@click.argument("tf_files", type=ClassifierPath(path_type=Path))
@click.argument("out", type=PATH)
@labels_option
@click.option("--intended-use", help="Intended use to state on the model card.")
@click.option("--licence", help="Licence to state on the model card.")
@click.option(
    "--with-bottlenecks",
    is_flag=True,
    help=f"Add a bottleneck of each picture in TF_FILES/{DATA}, for `merge`; it reveals something "
    "of the picture.",
)
def share(
    tf_files: Path | Address | None,
    out: Path,
    labels: Path | None,
    intended_use: str | None,
    licence: str | None,
    with_bottlenecks: bool,
) -> None:
    """Write the classifier TF_FILES to OUT, a zip to share.

    It contains the graph, labels, record, a model card, digests, and a self-test with generated
    pictures, never yours. `tensor-guess verify` checks it. With bottlenecks, `tensor-guess merge`
    joins it with others.
    """
    if tf_files is None:
        raise _is_built_in()
    from tensor_guess.sharing import share as sharing
    from tensor_guess.sharing.card import Author

    author = Author(intended_use, licence)
    known = brought(tf_files)
    size = sharing.share(known, out, author, labels, with_bottlenecks=with_bottlenecks)
    click.echo(f"{shown(out)}: {size / 1e6:.1f} MB")


@click.command(cls=Command)
@click.argument("zip", type=PATH)
def verify(zip: Path) -> None:
    """Check a zip that `share` wrote.

    It checks the digests, the graph, the labels, the self-test and the bottlenecks, if there are
    any. No file is unpacked.
    """
    from tensor_guess.sharing import share as sharing

    held = sharing.verify(zip)
    click.echo(f"labels: {', '.join(map(shown, held.labels))}")
    click.echo(f"digests: {held.digests} of {held.digests}")
    click.echo(f"self-test: {held.vectors} of {held.vectors}, worst difference {held.worst:.7f}")
    if held.pictures is not None:
        click.echo(f"bottlenecks: {counted(held.pictures, 'picture')}")


@click.command(cls=Command)
@click.argument("zip", type=PATH, nargs=-1, required=True)
@click.argument("out", type=PATH)
def merge(zip: tuple[Path, ...], out: Path) -> int:
    """Join shared classifiers, without their pictures.

    It trains on their bottlenecks. Each ZIP was shared with --with-bottlenecks, and all have the
    same backbone. OUT becomes a classifier's folder with the categories of all: its graph is the
    one that training on all their pictures would make.
    """
    from tensor_guess.sharing import merge as merging

    result = merging.merge(zip, out)
    click.echo(f"Final test accuracy = {result.accuracy}")
    return LEFT_OUT if result.left_out else 0


def _lines(found: Any) -> Iterator[str]:
    yield f"graph: {shown(found.path)} ({found.bytes / 1e6:.1f} MB, SHA-256 {found.sha256})"
    yield f"made by: {shown(found.made_by)}"
    yield "ops: " + ", ".join(f"{shown(op)} {count}" for op, count in found.ops.items())
    yield "inputs: " + (", ".join(found.inputs) or "none")
    yield "outputs: " + (", ".join(found.outputs) or "none")
    if found.fed:
        how = "decoded and resized as retrain.py did" if found.fed.classic else "antialiased"
        how += f", {found.fed.how}" if found.fed.how else ""
        yield (
            f"fed: {shown(found.fed_to)}:0, {found.fed.size} x {found.fed.size} pixels, "
            f"(x - {found.fed.mean:g}) / {found.fed.std:g}, {how}"
        )
    if found.head:
        yield f"bottleneck: {shown(found.bottleneck)}:0, {found.head[0]} numbers"
        yield f"head: {found.head[0]} x {found.head[1]}"
    if found.labels:
        more = f" and {len(found.labels) - 10} more" if len(found.labels) > 10 else ""
        yield "labels: " + "; ".join(shown(label) for label in found.labels[:10]) + more
    for reason in found.refused or ["nothing"]:
        yield f"refused: {reason}"


def _table(listed: Any) -> Iterator[str]:
    """Yield the layers as a table, and how many there are."""
    rows = [("name", "type", "shape", "parameters", "block")] + [
        (
            shown(each.name),
            each.type,
            " x ".join(map(str, each.shape)),
            str(each.parameters or ""),
            str(each.block or ""),
        )
        for each in listed.layers
    ]
    name, kind, shape = (min(80, max(len(row[i]) for row in rows)) for i in range(3))
    for row in rows:
        line = f"{row[0]:<{name}}  {row[1]:<{kind}}  {row[2]:<{shape}}  {row[3]:>10}  {row[4]:>5}"
        yield line.rstrip()
    if listed.count > len(listed.layers):
        yield f"... and {listed.count - len(listed.layers)} more"
    yield f"{counted(listed.count, 'layer')}, {counted(listed.parameters, 'parameter')}"


@click.command(cls=Command)
@graph_options
@click.argument("dest", type=PATH)
@click.option(
    "--format", "form", type=click.Choice(EXPORTS), required=True, help="The format to write."
)
@click.option("--quantize", is_flag=True, help="Compute in 8 bits (tflite only).")
@click.option("--pictures", type=PATH, help=f"Pictures to compare on.  [default: TF_FILES/{DATA}]")
def export(
    tf_files: Path | Address | None,
    dest: Path,
    form: str,
    quantize: bool,
    pictures: Path | None,
    **said: Any,
) -> None:
    """Write a classifier for another runtime.

    The classifier TF_FILES is written to DEST only if it gives the same scores there. DEST
    becomes a file (tflite, onnx, html) or a folder (the others). It is loaded in its own runtime
    and compared on 20 pictures. In 8 bits, its accuracy is measured instead. As html, it is a
    page that classifies pictures in a browser, offline.
    """
    if tf_files is None:
        raise _is_built_in()
    from tensor_guess.exporting import export as exporting

    which = classifier(tf_files, **said)
    done = exporting.export(exporting.Job(which, dest, form, quantize, pictures))
    click.echo(f"{shown(dest)}: {done.count} pictures, worst difference {done.worst:.7f}")
    if done.accuracy:
        click.echo(f"accuracy in 32 bits: {done.accuracy[0]}")
        click.echo(f"accuracy in 8 bits: {done.accuracy[1]}")


def _is_built_in() -> WrongUsage:
    return WrongUsage(f"{BUILTIN} is built in: everybody has it; ./{BUILTIN} is a folder's name")
