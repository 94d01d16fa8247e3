"""Machines that would compute other numbers are told apart before they compute any."""

import pytest

from tensor_guess import __version__
from tensor_guess.spreading import versions

OWN = {"tensor-guess": "1", "its code": "aa", "Python": "3.11", "numpy": "2.4"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"numpy": "2.5"}, "has numpy 2.5, and this machine has 2.4"),
        ({"tensor-guess": "2"}, "has tensor-guess 2, and this machine has 1"),
        ({"its code": "bb"}, "has other code of the same tensor-guess"),
        ({"Python": "3.12", "numpy": "2.5"}, "has Python 3.12, and this machine has 3.11"),
        ({"processor": "another", "bf16": "yes"}, ""),
    ],
)
def test_the_first_difference_is_said(change: dict[str, str], said: str) -> None:
    theirs = OWN | change
    assert versions.difference(OWN, theirs) == said
    own = {name: theirs[name] for name in OWN}
    assert (versions.mark(own) == versions.mark(OWN)) == (not said)


def test_what_says_nothing_has_nothing() -> None:
    assert versions.difference(OWN, {}) == "has tensor-guess none, and this machine has 1"


def test_this_machine_has_all_that_is_compared() -> None:
    found = versions.with_processor()
    assert versions.own().items() < found.items()
    assert found["tensor-guess"] == __version__
    assert "none" not in versions.own().values()
    assert found["bf16"] in ("yes", "no")
