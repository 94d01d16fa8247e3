"""What `classify-dir` tells of a sorted folder, and its exit codes."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from tensor_guess.commands.sort import classify_dir
from tensor_guess.images.files import LeftOut
from tensor_guess.sorting import sort as sorting
from tensor_guess.sorting.sort import Sorted

LEFT_OUT = [LeftOut(Path("x"), "is empty")]
REST = "2 known already, 1 left out"


@pytest.mark.parametrize(
    ("done", "code", "said"),
    [
        (Sorted(3), 0, "3 copied to out"),
        (
            Sorted(3, 2, 4, LEFT_OUT),
            3,
            "3 copied to out, 2 known already, 1 left out, 4 hidden passed over",
        ),
        (Sorted(0, 2, 0, LEFT_OUT), 3, f"0 copied to out, {REST}"),
        (Sorted(0, 0, 0, LEFT_OUT), 1, "0 copied to out, 1 left out"),
        (Sorted(), 0, "0 copied to out"),
        (Sorted(3, reviewed=2), 0, "3 copied to out, 2 of them into review"),
    ],
)
def test_the_counts_are_one_line(
    done: Sorted, code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sorting, "sort", lambda *_, **__: done)
    found = CliRunner().invoke(classify_dir, ["cars", "in", "out"], standalone_mode=False)
    assert found.return_value == code
    assert found.output == f"{said}\n"
