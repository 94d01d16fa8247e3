"""What a report says first: what was found, and what to do next, in plain sentences."""

import numpy as np

from tensor_guess.errors import counted, shown
from tensor_guess.evaluation.accuracy import Accuracy
from tensor_guess.evaluation.calibration import calibration_error
from tensor_guess.reporting.findings import Findings

# With fewer pictures than this, a category is small.
_FEW = 20
# An interval wider than this says little.
_WIDE = 0.2
_UNEQUAL = 5
# With fewer pictures, or a smaller error, nothing is said about the scores.
_FEWEST_SCORES = 30
_CALIBRATION_ERROR = 0.1
_NAMED = 3


def found(findings: Findings) -> list[str]:
    """Return what was found, the most important first."""
    said = [_accuracy(findings)]
    if findings.cross_validated:
        said.append(
            "Of the training pictures, classifiers trained without them got right: "
            f"{findings.cross_validated}."
        )
    said += _chance(findings) + _confused(findings) + _scores(findings)
    if findings.not_counted:
        are = "is" if findings.not_counted == 1 else "are"
        said.append(
            f"{counted(findings.not_counted, 'test picture')} {are} nearly identical to a training "
            "picture of the same category, and not counted."
        )
    if findings.notice:
        said.append(f"{findings.notice[0].upper()}{findings.notice[1:]}.")
    return said


def to_do(findings: Findings) -> list[str]:
    """Return what to do next, the most useful first."""
    said = []
    other = [
        (one, two)
        for one, two in findings.near_copies or ()
        if findings.examples[one].category != findings.examples[two].category
    ]
    if other:
        said.append(
            f"Look at {counted(len(other), 'pair')} of nearly identical pictures in different "
            "categories: one of the two labels is probably wrong."
        )
    if findings.suspects:
        said.append(f"Check {counted(len(findings.suspects), 'label')} that may be wrong.")
    said += _too_few(findings) + _unequal(findings)
    low, high = findings.accuracy.interval()
    if findings.tested and high - low > _WIDE:
        prove = "proves" if len(findings.tested) == 1 else "prove"
        said.append(
            f"{counted(len(findings.tested), 'test picture')} {prove} little. More pictures make "
            "the interval narrower."
        )
    if findings.wrong:
        said.append(
            "Look at the pictures that were taken for another category. Is the label right? If so, "
            "add training pictures that look like them."
        )
    if findings.left_out:
        said.append(f"{counted(len(findings.left_out), 'file')} could not be used: see below.")
    return said or ["Nothing stands out. Try it on pictures that it has never seen."]


def _accuracy(findings: Findings) -> str:
    accuracy = findings.accuracy
    if not accuracy.count:
        return "It was not tested: no picture was held out for that."
    low, high = accuracy.interval()
    how = "not trained on, it got"
    if findings.by_folds:
        how = "each judged by classifiers trained without it, they got"
    return (
        f"Of {counted(accuracy.count, 'picture')} {how} {accuracy.right} right: "
        f"{_percent(accuracy.value)}. On other pictures like these, expect between "
        f"{_percent(low)} and {_percent(high)}."
    )


def _chance(findings: Findings) -> list[str]:
    """Say if always giving the same answer could be as good."""
    best = findings.cross_validated or findings.accuracy
    totals = [sum(each.values()) for each in findings.counts]
    share = Accuracy(max(totals), sum(totals))
    if not best.count or best.interval()[0] > share.value:
        return []
    name = findings.record.labels[totals.index(max(totals))]
    return [
        f"That is not clearly better than always answering “{shown(name)}”, which is right for "
        f"{_percent(share.value)} of all pictures."
    ]


def _confused(findings: Findings) -> list[str]:
    wrong = findings.confusion.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:_NAMED]
    named = []
    for truth, given in zip(*np.unravel_index(order, wrong.shape), strict=True):
        if wrong[truth, given]:
            labels = findings.record.labels
            total = findings.confusion[truth].sum()
            named.append(
                f"{wrong[truth, given]} of {total} “{shown(labels[truth])}” taken for "
                f"“{shown(labels[given])}”"
            )
    return [f"Most often confused: {'; '.join(named)}."] if named else []


def _scores(findings: Findings) -> list[str]:
    truth, scores = findings.unseen
    if len(truth) < _FEWEST_SCORES or calibration_error(scores, truth) < _CALIBRATION_ERROR:
        return []
    score = float(scores.max(axis=1).mean(dtype=np.float64))
    right = float((scores.argmax(axis=1) == truth).mean())
    too = "higher" if score > right else "lower"
    return [
        f"Its scores are {too} than they should be: {score:.2f} on average, while "
        f"{_percent(right)} of the answers are right."
    ]


def _too_few(findings: Findings) -> list[str]:
    totals = [sum(each.values()) for each in findings.counts]
    few = sorted((total, k) for k, total in enumerate(totals) if total < _FEW)
    if not few:
        return []
    named = [f"“{shown(findings.record.labels[k])}” has {total}" for total, k in few[:_NAMED]]
    more = f" and {len(few) - _NAMED} more" if len(few) > _NAMED else ""
    return [f"Add pictures, {_FEW} or more to each category: {', '.join(named)}{more}."]


def _unequal(findings: Findings) -> list[str]:
    totals = [sum(each.values()) for each in findings.counts]
    if max(totals) < _UNEQUAL * min(totals):
        return []
    labels = findings.record.labels
    most, least = totals.index(max(totals)), totals.index(min(totals))
    return [
        f"Even out the categories: “{shown(labels[most])}” has {totals[most]} pictures, "
        f"“{shown(labels[least])}” only {totals[least]}."
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"
