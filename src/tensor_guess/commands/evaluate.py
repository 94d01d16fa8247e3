"""The commands that look at what a classifier does: evaluate on labelled pictures, study on one."""

import csv
import io
import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import click

from tensor_guess.commands.options import (
    LEFT_OUT,
    PATH,
    Command,
    classifier,
    classifier_options,
    machines_of,
    spread_options,
)
from tensor_guess.errors import UserError, counted, shown
from tensor_guess.system import progress
from tensor_guess.system.reading import is_url

_NAMED = 10  # pictures that do not count
_TABLE = 12  # with more labels, only the worst confusions are printed
_WORST = 20


@click.command(cls=Command)
@classifier_options
@click.argument("labelled_folder", type=PATH)
@click.option("--thresholds", is_flag=True, help="Print what each --min-score of guess would do.")
@click.option("--csv", "csv_file", type=PATH, help="New file for a line per picture.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@spread_options
def evaluate(
    labelled_folder: Path,
    thresholds: bool,
    csv_file: Path | None,
    as_json: bool,
    scheduler: str | None,
    workers: int | None,
    tls: Path | None,
    precision: str | None,
    **named: Any,
) -> int:
    """Measure a classifier on labelled pictures.

    LABELLED_FOLDER has a folder per category. Accuracy, precision, recall and confusion are
    printed. Pictures that the classifier was trained on, and near copies of them, are named and not
    counted. TF_FILES is a classifier's folder, a frozen graph (also another program's), a zip that
    `share` wrote, the address of a graph or zip, or the word imagenet.
    """
    which = classifier(**named)
    machines = machines_of(scheduler, workers, tls)
    from tensor_guess.guessing import evaluate as evaluation
    from tensor_guess.system.durable import publish

    if csv_file:
        evaluation.check_csv(csv_file, which, labelled_folder)
    found = evaluation.evaluate(which, labelled_folder, precision, machines)
    for left_out in found.left_out:
        progress.warn(str(left_out))
    for line in _not_counted(found):
        progress.warn(line)
    if csv_file:
        publish(csv_file, _csv(found), replace=False)
    if as_json:
        click.echo(json.dumps(_object(found)))
    else:
        click.echo("\n".join(_lines(found, thresholds)))
    if not len(found.truth):
        return UserError.exit_code
    return LEFT_OUT if found.left_out else 0


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
        if is_url(picture) and not paths[0].exists():
            raise UserError(f"{shown(urls.named(picture))} could not be fetched")
        findings = studying.study(which, paths[0], out, precision)
    for finding in findings:
        click.echo(finding)


def _not_counted(found: Any) -> Iterator[str]:
    """Yield what is said about the pictures that do not count."""
    if found.copies:
        yield f"{counted(found.copies, 'exact duplicate')} within a category: counted once"
    if found.unknown:
        yield f"whether the classifier was trained on these pictures is not known: {found.unknown}"
    if found.note:
        yield found.note
    reasons = [each.not_counted for each in found.judged if each.not_counted]
    for reason in sorted(set(reasons)):
        own = (each.path for each in found.judged if each.not_counted == reason)
        for path in islice(own, _NAMED):
            yield f"not counted {shown(path)}: {reason}"
    if reasons:
        yield f"not counted: {counted(len(reasons), 'picture')} of {len(found.judged)}"


def _lines(found: Any, thresholds: bool) -> Iterator[str]:
    yield f"accuracy = {found.accuracy}"
    if found.top_five:
        yield f"top-5 accuracy = {found.top_five}"
    if not len(found.truth):
        return
    from tensor_guess.evaluation.accuracy import balanced

    taken = found.confusion
    having = int(taken.any(axis=1).sum())
    mean = f"the mean recall of {having} {'category' if having == 1 else 'categories'}"
    yield f"balanced accuracy = {100 * balanced(taken):.1f}% ({mean})"
    yield from ("", *_table(found, taken), "", *_confusion(found, taken))
    if thresholds:
        for k in _concerned(taken):
            yield from ("", *_thresholds(found, k))


def _concerned(taken: Any) -> list[int]:
    """Return the numbers of the labels that a picture has or was given."""
    return [k for k in range(len(taken)) if taken[k].any() or taken[:, k].any()]


def _table(found: Any, taken: Any) -> Iterator[str]:
    from tensor_guess.evaluation.accuracy import precisions, recalls

    precision, recall = precisions(taken), recalls(taken)
    labels = list(map(shown, found.record.labels))
    width = max(len(labels[k]) for k in _concerned(taken))
    for k in _concerned(taken):
        yield f"{labels[k]:<{width}}  precision {precision[k]}"
        yield f"{'':<{width}}  recall {recall[k]}"


def _confusion(found: Any, taken: Any) -> Iterator[str]:
    labels, concerned = list(map(shown, found.record.labels)), _concerned(taken)
    if len(concerned) > _TABLE:
        pairs = [(int(taken[i, j]), i, j) for i in concerned for j in concerned if i != j]
        worst = sorted((each for each in pairs if each[0]), key=lambda each: (-each[0], each[1:]))
        yield "worst confusions:" if worst else "no confusion"
        for count, i, j in worst[:_WORST]:
            yield f"{labels[i]} was guessed {labels[j]}: {count} of {taken[i].sum()}"
        return
    width = max(len(labels[k]) for k in concerned)
    numbers = [f"[{i}]" for i in range(1, len(concerned) + 1)]
    cell = max(4, *(len(str(taken[k].max())) + 1 for k in concerned))
    yield "confusion (rows: true label, columns: guessed label)"
    yield f"{'':<{width + 5}}" + "".join(f"{number:>{cell}}" for number in numbers)
    for number, i in zip(numbers, concerned, strict=True):
        cells = "".join(f"{taken[i, j]:>{cell}}" for j in concerned)
        yield f"{number:>4} {labels[i]:<{width}}{cells}"


def _thresholds(found: Any, k: int) -> Iterator[str]:
    category = found.record.categories[k]
    for each in found.at_thresholds(k):
        yield (
            f"--min-score {shown(category)}={each.threshold:g}: "
            f"precision {_brief(each.precision)}, recall {_brief(each.recall)}, "
            f"{each.wrong} wrong, {each.missed} missed"
        )


def _brief(accuracy: Any) -> str:
    return f"{100 * accuracy.value:.1f}% (N={accuracy.count})" if accuracy.count else str(accuracy)


def _object(found: Any) -> dict[str, object]:
    from tensor_guess.evaluation.accuracy import balanced, precisions, recalls

    taken, record = found.confusion, found.record
    precision, recall = precisions(taken), recalls(taken)
    reasons = [each.not_counted for each in found.judged if each.not_counted]
    value = balanced(taken)
    return {
        "accuracy": _share(found.accuracy),
        **({"top_5_accuracy": _share(found.top_five)} if found.top_five else {}),
        "balanced_accuracy": None if value != value else value,
        "categories": [
            {
                "label": record.labels[k],
                "category": record.categories[k],
                "precision": _share(precision[k]),
                "recall": _share(recall[k]),
                "thresholds": [
                    {
                        "min_score": each.threshold,
                        "right": each.right,
                        "wrong": each.wrong,
                        "missed": each.missed,
                        "precision": _share(each.precision),
                        "recall": _share(each.recall),
                    }
                    for each in found.at_thresholds(k)
                ],
            }
            for k in _concerned(taken)
        ],
        "confusion": [
            {"truth": record.labels[i], "guess": record.labels[j], "count": int(taken[i, j])}
            for i in _concerned(taken)
            for j in _concerned(taken)
            if taken[i, j]
        ],
        "not_counted": {reason: reasons.count(reason) for reason in sorted(set(reasons))},
        "training_known": not found.unknown,
        "left_out": [{"path": os.fspath(e.path), "reason": e.reason} for e in found.left_out],
    }


def _share(accuracy: Any) -> dict[str, object]:
    known = accuracy.count > 0
    return {
        "value": accuracy.value if known else None,
        "right": accuracy.right,
        "count": accuracy.count,
        "interval_95": list(accuracy.interval()),
    }


def _csv(found: Any) -> bytes:
    """Return a line for each picture that was read; names keep their bytes."""
    text, labels = io.StringIO(newline=""), found.record.labels
    lines = csv.writer(text)
    lines.writerow(("path", "truth", "guess", "score", "right", "not_counted"))
    for each in found.judged:
        right = "yes" if each.truth == each.found else "no"
        guess = labels[each.truth], labels[each.found], f"{each.score:.5f}"
        lines.writerow((os.fspath(each.path), *guess, right, each.not_counted))
    return text.getvalue().encode("utf-8", "surrogateescape")
