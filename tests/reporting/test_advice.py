"""The first sentences of a report say what matters, and what to do about it."""

from pathlib import Path

import pytest

from made.findings import example_of, findings_of, trained_on
from tensor_guess.evaluation.accuracy import Accuracy
from tensor_guess.images.files import LeftOut
from tensor_guess.reporting.advice import found, to_do
from tensor_guess.reporting.findings import Findings

MANY = [trained_on(k) for k in (0, 1) for _ in range(50)]


def test_a_good_classifier_is_told_so() -> None:
    good = findings_of(*MANY, *[example_of(k, k, 0.98) for k in (0, 1) for _ in range(50)])
    assert found(good) == [
        "Of 100 pictures not trained on, it got 100 right: 100.0%. On other pictures like these, "
        "expect between 96.3% and 100.0%."
    ]
    assert to_do(good) == ["Nothing stands out. Try it on pictures that it has never seen."]


@pytest.mark.parametrize(
    ("findings", "said"),
    [
        (findings_of(*MANY), "It was not tested: no picture was held out"),
        (
            findings_of(*MANY, *[example_of(0, 1)] * 3, *[example_of(1, 1)] * 3),
            "Most often confused: 3 of 3 “cat” taken for “dog”.",
        ),
        (
            findings_of(*MANY, *[example_of(0, 1)] * 3, example_of(1, 1)),
            "That is not clearly better than always answering “cat”, which is right for",
        ),
        (
            findings_of(*MANY, *[example_of(0, 0, 0.99), example_of(1, 0, 0.99)] * 20),
            "Its scores are higher than they should be: 0.99 on average, while 50.0% of the",
        ),
        (findings_of(*MANY, not_counted=1), "1 test picture is nearly identical"),
        (findings_of(*MANY, notice="used another backbone"), "Used another backbone."),
        (
            findings_of(*MANY, cross_validated=Accuracy(9, 10)),
            "classifiers trained without them got right: 90.0% (N=10",
        ),
        (
            findings_of(*MANY, example_of(0, 0), by_folds=True),
            "Of 1 picture each judged by classifiers trained without it, they got 1 right",
        ),
    ],
)
def test_what_was_found_is_said(findings: Findings, said: str) -> None:
    assert any(said in sentence for sentence in found(findings)), found(findings)


@pytest.mark.parametrize(
    ("findings", "said"),
    [
        (findings_of(*MANY, near_copies=((0, 99),)), "Look at 1 pair of nearly identical"),
        (findings_of(*MANY, suspects=(3, 4)), "Check 2 labels that may be wrong."),
        (
            findings_of(trained_on(0), *[trained_on(1)] * 30),
            "Add pictures, 20 or more to each category: “cat” has 1.",
        ),
        (
            findings_of(*[trained_on(0)] * 20, *[trained_on(1)] * 100),
            "“dog” has 100 pictures, “cat” only 20.",
        ),
        (findings_of(*MANY, example_of(0, 0)), "1 test picture proves little."),
        (findings_of(*MANY, example_of(0, 1)), "Is the label right?"),
        (
            findings_of(*MANY, left_out=(LeftOut(Path("x"), "is empty"),)),
            "1 file could not be used",
        ),
    ],
)
def test_what_to_do_is_said(findings: Findings, said: str) -> None:
    assert any(said in sentence for sentence in to_do(findings)), to_do(findings)
