"""The commands that label pictures: guess, and fetch-images for pictures given as URLs."""

import json
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import click

from tensor_guess.commands.options import (
    BUILTIN,
    LEFT_OUT,
    PATH,
    Command,
    Duration,
    asked,
    at_least,
    besides_options,
    check_only,
    classifier,
    classifier_options,
    detector_of,
    face_options,
    min_score_option,
    only_option,
)
from tensor_guess.config import IMAGENET_TOP
from tensor_guess.errors import UserError, shown
from tensor_guess.system import progress
from tensor_guess.system.reading import is_url


@click.command(cls=Command)
@classifier_options
@click.argument("image", type=click.Path(), nargs=-1)
@click.option("--image", "images", type=click.Path(), multiple=True, help="Another IMAGE.")
@click.option(
    "--top",
    "--num-top-predictions",
    "top",
    type=at_least(1),
    help=f"Labels to print.  [default: all; {BUILTIN}: {IMAGENET_TOP}]",
)
@only_option
@min_score_option
@click.option("--explain", "out", type=PATH, help="PNG to write, which shows why (one IMAGE only).")
@besides_options
@face_options
@click.option(
    "--every", type=Duration(), help="Time between the frames of a video to guess, such as 1s."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def guess(
    image: tuple[str, ...],
    images: tuple[str, ...],
    top: int | None,
    min_scores: tuple[Any, ...],
    out: Path | None,
    as_json: bool,
    precision: str | None,
    unknown: bool,
    both: bool,
    face: bool,
    detector: str,
    every: Fraction | None,
    **named: Any,
) -> int:
    """Print each IMAGE's labels with their scores, best first.

    IMAGE is a file or a URL; with --every, also a video's file. TF_FILES is a classifier's folder,
    a frozen graph (also another program's), a zip that `share` wrote, the address of a graph or
    zip, or the word imagenet: 1000 things that are known without training.
    """
    image += images
    if not image:
        raise click.MissingParameter(param_hint="'IMAGE...'", param_type="argument")
    if out and len(image) > 1:
        raise click.UsageError("--explain is for one IMAGE")
    if out and (face or every):
        raise click.UsageError("--explain is for a whole picture: not for --face or --every")
    check_only(named["only"], both)
    if out and named["only"]:
        raise click.UsageError("--explain is for the best of all labels: not for --only")
    faces_by = detector_of(face, detector)
    which = classifier(**named)
    from tensor_guess.guessing import guess as guessing
    from tensor_guess.images import urls
    from tensor_guess.images.files import LeftOut

    if out:
        from tensor_guess.explaining import explain

        explain.check(out, which)
    printed = left_out = 0
    with urls.fetched(image) as paths:
        guesses = guessing.guess(
            which,
            paths,
            top,
            precision,
            min_scores,
            asked(unknown, both),
            faces=faces_by,
            every=every,
        )
        for given, found in _named(image, paths, guesses, every):
            if isinstance(found, LeftOut):
                left_out += 1
                missed = is_url(given) and not found.path.exists()
                reason = "could not be fetched" if missed else found.reason
                progress.warn(f"left out {shown(urls.named(given))}: {reason}")
                continue
            printed += 1
            if as_json:
                click.echo(_json(given, found, bool(min_scores), both))
            else:
                click.echo(_block(given, found, len(image) > 1 or every is not None))
        if out and not left_out:
            for line in explain.explain(which, paths[0], out, precision):
                click.echo(line, err=True)
    if not printed:
        return UserError.exit_code
    return LEFT_OUT if left_out else 0


@click.command("fetch-images", cls=Command)
@click.argument("folder", type=PATH)
@click.argument("url", nargs=-1, required=True)
def fetch_images(folder: Path, url: tuple[str, ...]) -> int:
    """Download pictures to FOLDER.

    `guess` does this by itself if an IMAGE is a URL.
    """
    from tensor_guess.images import urls

    count = urls.fetch(folder, url)
    click.echo(f"{count} of {len(url)} fetched")
    if not count:
        return UserError.exit_code
    return 0 if count == len(url) else LEFT_OUT


def _named(
    image: Sequence[str], paths: Sequence[Path], guesses: Iterable[Any], every: Fraction | None
) -> Iterator[tuple[str, Any]]:
    """Yield each guess after the name that was given for its path; a video has several."""
    if every is None:
        yield from zip(image, guesses, strict=True)
        return
    names = dict(zip(paths, image, strict=True))
    yield from ((names[found.path], found) for found in guesses)


def _json(image: str, found: Any, say_unsure: bool, say_both: bool) -> str:
    when = {} if found.seconds is None else {"seconds": float(found.seconds)}
    facts = found.facts(say_unsure=say_unsure, say_both=say_both)
    return json.dumps({"image": image, **when, **facts})


def _block(image: str, found: Any, one_of_many: bool) -> str:
    lines = [f"{shown(label)} (score = {score:.5f})" for label, score in found.scores.items()]
    lines[0] = click.style(lines[0], fg="green", bold=True)
    remarks = []
    if found.unknown:
        remarks.append("unknown: like nothing it was trained on")
    if found.both:
        remarks.append(f"both: {' and '.join(map(shown, found.both))}")
    if found.unsure:
        remarks.append(f"unsure: {shown(found.label)} is below its --min-score {found.min_score}")
    lines[:0] = [click.style(remark, fg="yellow") for remark in remarks]
    if found.seconds is not None:
        from tensor_guess.faces.video import clock

        image = f"{image} {clock(found.seconds)}"
    return "\n".join([f"{shown(image)}:", *lines, ""] if one_of_many else lines)
