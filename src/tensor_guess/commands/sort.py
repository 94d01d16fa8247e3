"""The commands that sort a folder of pictures, and undo that."""

import json
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from tensor_guess.commands.options import (
    LEFT_OUT,
    PATH,
    PATH_OR_STORE,
    Command,
    Coordinates,
    Duration,
    asked,
    besides_options,
    check_only,
    classifier,
    classifier_options,
    detector_of,
    face_options,
    machines_of,
    min_score_option,
    only_option,
    spread_options,
)
from tensor_guess.config import (
    CAMTRAP_DP,
    COPY,
    LAYOUTS,
    LINK,
    MOVE,
    RESULTS,
    REVIEW,
    SETTLED_SECONDS,
    SYMLINK,
    TIMELAPSE,
    TIMELAPSE_JSON,
)
from tensor_guess.errors import UserError, counted, shown
from tensor_guess.stores.paths import StorePath
from tensor_guess.system import progress

if TYPE_CHECKING:
    from tensor_guess.guessing.guess import Guess
    from tensor_guess.images.files import LeftOut
    from tensor_guess.sorting.apply import Told
    from tensor_guess.sorting.manifest import Entry
    from tensor_guess.sorting.sort import Sorted

_ONLY_TAG = "--tag copies and moves nothing: it takes no DEST, and none of the options for that"
_DONE = {COPY: "copied to", MOVE: "moved to", LINK: "hard-linked in", SYMLINK: "linked in"}


@click.command("classify-dir", cls=Command)
@classifier_options
@click.argument("src", type=PATH_OR_STORE)
@click.argument("dest", type=PATH_OR_STORE, required=False)
@click.option(
    "--tag", is_flag=True, help="Without DEST: write labels into XMP files beside SRC's pictures."
)
@click.option(
    "--layout",
    type=click.Choice(LAYOUTS),
    default=LAYOUTS[0],
    help="DEST/<category>-<score>.<ext>, or DEST/<category>/<original name>.  [default: flat]",
)
@click.option("--move", is_flag=True, help="Move the pictures out of SRC instead of copying them.")
@click.option("--link", is_flag=True, help="Make hard links: no second copy on the same disk.")
@click.option("--symlink", is_flag=True, help="Make symbolic links to the pictures in SRC.")
@click.option("--keep-tree", is_flag=True, help="Make the folders below SRC in DEST too.")
@only_option
@min_score_option
@besides_options
@face_options
@click.option(
    "--burst",
    type=Duration(),
    help="Sort shots as one if each was taken within this time of the one before, as in 60s.",
)
@click.option(
    "--results",
    type=click.Choice(RESULTS),
    multiple=True,
    help=f"Also write DEST/{TIMELAPSE_JSON}, or a Camtrap DP package in DEST, for researchers.",
)
@click.option(
    "--location",
    type=Coordinates(),
    help=f"With {CAMTRAP_DP}: where the camera stood, as in 50.9413,6.9583.",
)
@spread_options
@click.option("--watch", is_flag=True, help="Sort what arrives in SRC, until stopped (Ctrl-C).")
@click.option(
    "--settle",
    type=Duration(),
    default=f"{SETTLED_SECONDS}s",
    show_default=True,
    help="--watch: a file is complete if it has not changed for this long.",
)
@click.option("--dry-run", is_flag=True, help="Print what would be done, and touch nothing.")
@click.option("--csv", "csv_file", type=PATH, help="New file for a line per picture in DEST.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def classify_dir(
    src: Path,
    dest: Path | None,
    tag: bool,
    layout: str,
    move: bool,
    link: bool,
    symlink: bool,
    keep_tree: bool,
    precision: str | None,
    min_scores: tuple[Any, ...],
    unknown: bool,
    both: bool,
    face: bool,
    detector: str,
    burst: Any,
    results: tuple[str, ...],
    location: Any,
    scheduler: str | None,
    workers: int | None,
    tls: Path | None,
    watch: bool,
    settle: Fraction,
    dry_run: bool,
    csv_file: Path | None,
    as_json: bool,
    **named: Any,
) -> int:
    """Sort copies of all pictures in SRC into DEST.

    With --move, --link or --symlink, there are no copies; undo takes all back.
    Each copy is named <category>-<score>.<ext>; with --layout folders, <category>/<original name>.
    What goes with a picture (live photo's video, RAW file, .xmp, .aae) goes with it.
    Those below --min-score, and with --both those that show two categories, go into DEST/review.
    With --unknown, those like nothing in training are in the category unknown.
    With --tag, nothing is copied or moved: photo.jpg.xmp gets the label as a keyword.
    SRC and DEST may be in an object store, as in s3://bucket/folder; AWS_* variables say who asks.
    TF_FILES is a classifier's folder, a frozen graph (also another program's), a zip
    that `share` wrote, the address of a graph or zip, or the word imagenet.
    """
    faces_by = detector_of(face, detector)
    check_only(named["only"], both)
    which = classifier(**named)
    ways = [way for way, wanted in ((MOVE, move), (LINK, link), (SYMLINK, symlink)) if wanted]
    if len(ways) > 1:
        raise click.UsageError("--move, --link and --symlink do not go together")
    (way,) = ways or [COPY]
    _check_stores(src, dest, {"tag": tag, "watch": watch, "results": results, way: ways})
    machines = machines_of(scheduler, workers, tls)
    if tag:
        others = (dest, ways, keep_tree, csv_file, layout != LAYOUTS[0], burst, results, watch)
        if any(others) or machines:
            raise click.UsageError(_ONLY_TAG)
        how = asked(unknown, both)
        return _tag(which, src, dry_run, as_json, precision, min_scores, how, faces=faces_by)
    if not dest:
        raise click.UsageError("Missing argument 'DEST'; only --tag needs none.")
    if dry_run and csv_file:
        raise click.UsageError("--dry-run touches nothing, so it writes no --csv; use --json")
    _check_results(results, location, dry_run)
    _check_watch(watch, dry_run, bool(csv_file or results), burst)
    if machines and (watch or dry_run or burst):
        raise click.UsageError(
            "--scheduler and --workers are for a whole folder at once: not for --watch, --burst "
            "and --dry-run"
        )
    from tensor_guess.results.table import rows
    from tensor_guess.sorting import sort as sorting
    from tensor_guess.sorting.plan import Way
    from tensor_guess.sorting.watch import Watch
    from tensor_guess.system.durable import check_new, publish

    if csv_file:
        _check_csv(csv_file, src, check_new)
    if results:
        from tensor_guess.results import present

        present.check(dest, tuple(_names_of(results)))
    watching = Watch(_tell(as_json), float(settle)) if watch else None
    done = sorting.sort(
        which,
        src,
        dest,
        precision,
        min_scores,
        asked(unknown, both),
        faces=faces_by,
        way=Way(way, layout, keep_tree),
        burst=burst,
        watch=watching,
        show=_show(src, dest, as_json) if dry_run else None,
        machines=machines,
    )
    if csv_file:
        publish(csv_file, rows(dest, done.run), replace=False)
    whole = _write_results(results, location, src, dest, done, way == MOVE) if results else True
    verb = f"would be {_DONE[way]}" if dry_run else _DONE[way]
    if as_json:
        click.echo(json.dumps(_object(done)))
    else:
        click.echo("\n".join(_lines(done, verb, dest, rate=not watching)))
    if watching:
        return 128 + watching.stop.by
    if done.left_out and not done.sorted and not done.known:
        return UserError.exit_code
    return LEFT_OUT if done.left_out or not whole else 0


def _check_stores(src: Path, dest: Path | None, given: Mapping[str, object]) -> None:
    """Raise UsageError if an option is given that does nothing with objects in a store."""
    if isinstance(src, StorePath) or isinstance(dest, StorePath):
        for name in (name for name, value in given.items() if value):
            raise click.UsageError(
                f"--{name} is for folders of this machine: what is in a store is only copied"
            )


def _check_results(results: tuple[str, ...], location: Any, dry_run: bool) -> None:
    """Raise UsageError if these options make no sense together."""
    if results and dry_run:
        raise click.UsageError("--dry-run touches nothing, so it writes no --results; use --json")
    if (CAMTRAP_DP in results) != (location is not None):
        raise click.UsageError(
            f"--location says where the camera stood, which --results {CAMTRAP_DP} needs; give both"
        )


def _names_of(results: tuple[str, ...]) -> Iterator[str]:
    """Yield the names of the files in DEST."""
    from tensor_guess.results import camtrap_dp

    if TIMELAPSE in results:
        yield TIMELAPSE_JSON
    if CAMTRAP_DP in results:
        yield from camtrap_dp.NAMES


def _write_results(
    results: tuple[str, ...], location: Any, src: Path, dest: Path, done: "Sorted", moved: bool
) -> bool:
    """Write the results; return whether all pictures are in them."""
    from tensor_guess.results import camtrap_dp, present, timelapse

    found = present.Present(dest, src, done.run)
    if TIMELAPSE in results:
        present.write(dest, done.run, {TIMELAPSE_JSON: timelapse.written(found, moved)})
    if CAMTRAP_DP not in results:
        return True
    package = camtrap_dp.package(found, src, camtrap_dp.Location(*location))
    if package.files:
        present.write(dest, done.run, package.files)
    return not package.left_out


def _tag(which: Any, src: Path, dry_run: bool, as_json: bool, *how: Any, **more: Any) -> int:
    """Write the labels into sidecars, and tell."""
    from tensor_guess.tagging import tag as tagging

    def show(image: Path, sidecar: Path, words: "Sequence[str]") -> None:
        if as_json:
            click.echo(json.dumps({"image": str(image), "sidecar": str(sidecar), "tags": words}))
        else:
            click.echo(f"{shown(sidecar)}: {', '.join(map(shown, words))}")

    done = tagging.tag(which, src, *how, **more, show=show if dry_run else None)
    if as_json:
        said = {
            "tagged": done.counts.total(),
            "known": done.known,
            "unsure": done.unsure,
            "left_out": len(done.left_out),
            "hidden": done.hidden,
            "labels": dict(done.counts.most_common()),
            "seconds": round(done.seconds, 3),
            "run": done.run,
        }
        click.echo(json.dumps(said))
    else:
        verb = "would be tagged" if dry_run else "tagged"
        parts = [f"{done.counts.total()} {verb} in {shown(src)}"]
        parts += [f"{done.known} known already"] if done.known else []
        parts += [f"{done.unsure} unsure, without a tag"] if done.unsure else []
        parts += [f"{len(done.left_out)} left out"] if done.left_out else []
        click.echo(", ".join(parts))
        width = max((len(shown(label)) for label in done.counts), default=0)
        for label, count in done.counts.most_common():
            click.echo(f"{shown(label):<{width}} {count:>6}")
    if done.left_out and not done.counts and not done.known + done.unsure:
        return UserError.exit_code
    return LEFT_OUT if done.left_out else 0


def _check_csv(path: Path, src: Path, check_new: Any) -> None:
    if src.is_dir():  # else sorting says so
        check_new(path, src)


def _check_watch(watch: bool, dry_run: bool, writes: bool, burst: Any) -> None:
    """Raise UsageError if these options make no sense together."""
    if watch and dry_run:
        raise click.UsageError(
            "--watch sorts what arrives, and --dry-run nothing: give one of them"
        )
    if watch and writes:
        raise click.UsageError(
            "--watch writes no --csv and no --results; give them the next time, without --watch"
        )
    if watch and burst:
        raise click.UsageError("--watch does not know when a burst is over; leave out --burst")
    source = click.get_current_context().get_parameter_source("settle")
    if not watch and source is not ParameterSource.DEFAULT:
        raise click.UsageError("--settle is for --watch; give it too")


def _tell(as_json: bool) -> "Told":
    """Return what prints a line for each file that has come to DEST."""

    def tell(entry: "Entry", scores: Mapping[str, float]) -> None:
        if as_json:
            label = next(iter(scores))
            told = {"label": label, "score": scores[label], "scores": dict(scores)}
            click.echo(json.dumps(entry.values() | ({} if entry.companion_of else told)))
        else:
            click.echo(f"{shown(entry.image)} -> {shown(entry.name)}")

    return tell


def _show(src: Path, dest: Path, as_json: bool) -> Any:
    """Return what prints a line of the plan."""

    def text(entry: "Entry", guess: "Guess") -> None:
        click.echo(f"{shown(src / entry.image)} -> {shown(dest / entry.name)}")

    def line(entry: "Entry", guess: "Guess") -> None:
        told = {"label": guess.label, "score": guess.score, "scores": guess.scores}
        click.echo(json.dumps(entry.values() | ({} if entry.companion_of else told)))

    return line if as_json else text


def _lines(done: "Sorted", verb: str, dest: Path, *, rate: bool) -> Iterator[str]:
    """Yield the sentence that tells all, and a table."""
    parts = [f"{done.sorted} {verb} {shown(dest)}{_with(done.companions)}"]
    parts += [f"{done.reviewed} of them into {REVIEW}"] if done.reviewed else []
    parts += [f"{done.known} known already"] if done.known else []
    parts += [f"{len(done.left_out)} left out"] if done.left_out else []
    parts += [f"{done.hidden} hidden passed over"] if done.hidden else []
    yield ", ".join(parts)
    if not done.counts:
        return
    table = {shown(name): each for name, each in _by_category(done).items()}
    width = max(len("left out"), *map(len, table))
    for name, (all_, review) in table.items():
        yield f"{name:<{width}} {all_:>6}" + (f" ({review} in {REVIEW})" if review else "")
    yield f"{'left out':<{width}} {len(done.left_out):>6}"
    if rate:
        yield f"{done.counts.total()} pictures in {done.seconds:.1f} s: {_rate(done):.1f} a second"


def _with(companions: int) -> str:
    return f" with {counted(companions, 'companion')}" if companions else ""


def _by_category(done: "Sorted") -> dict[str, tuple[int, int]]:
    """Return the counts of each category, the largest first: of all, and of those in review."""
    names = sorted({name for name, _ in done.counts})
    found = {n: (done.counts[n, False] + done.counts[n, True], done.counts[n, True]) for n in names}
    return dict(sorted(found.items(), key=lambda item: -item[1][0]))


def _rate(done: "Sorted") -> float:
    return done.counts.total() / max(done.seconds, 1e-3)


def _object(done: "Sorted") -> dict[str, object]:
    return {
        "sorted": done.sorted,
        "companions": done.companions,
        "reviewed": done.reviewed,
        "known": done.known,
        "left_out": len(done.left_out),
        "hidden": done.hidden,
        "categories": {name: all_ for name, (all_, _) in _by_category(done).items()},
        "seconds": round(done.seconds, 3),
        "per_second": round(_rate(done), 3),
        "run": done.run,
    }


@click.command(cls=Command)
@click.argument("dest", type=PATH)
@click.argument("src", type=PATH, required=False)
@click.option("--run", "run_id", help="The run to undo.  [default: the last that is not undone]")
def undo(dest: Path, src: Path | None, run_id: str | None) -> int:
    """Undo what classify-dir did last in DEST.

    Copies and links are removed, and pictures that were moved go back to SRC, which is then needed.
    The SHA-256 of each file is compared first: what has changed since stays and is named.
    After --tag, only the tags go that were added, and those files that have nothing else.
    """
    from tensor_guess.sorting import undo as undoing
    from tensor_guess.tagging import untag

    if not src and untag.is_meant(dest, run_id):
        untagged = untag.undo(dest, run_id)
        said = f"{untagged.count} untagged in {shown(dest)} (run {untagged.run})"
        return _undone(said, untagged.left, untagged.earlier)
    done = undoing.undo(dest, src, run_id)
    said = f"{done.count} taken back from {shown(dest)}{_with(done.companions)} (run {done.run})"
    return _undone(said, done.left, done.earlier)


def _undone(said: str, left: "Sequence[LeftOut]", earlier: int) -> int:
    for each in left:
        progress.warn(f"not undone: {shown(each.path)} {each.reason}")
    parts = [f"{len(left)} left"] if left else []
    parts += [f"{counted(earlier, 'other run')} can be undone"] if earlier else []
    click.echo(", ".join([said, *parts]))
    return LEFT_OUT if left else 0
