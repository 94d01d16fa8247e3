"""A run is told from its beginning to its end; what cannot be true is passed over, and said."""

import json
from pathlib import Path
from typing import Any

import pytest

from tensor_guess.sorting.journalled import Journalled, events
from tensor_guess.system.durable import Journal


class Runs(Journalled):
    """A journal whose runs know the names of those before."""

    def _take_in(self) -> None:
        self.before = list(events(self._journal, lambda values: values.get("run")))

    def _header(self) -> dict[str, Any]:
        return {"of": "cars"}


def runs(folder: Path, *, dry: bool = False) -> Runs:
    return Runs(folder / "journal", folder, dry=dry)


def lines(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "journal").read_text().splitlines()]


def test_a_run_is_told_and_the_next_one_knows_it(tmp_path: Path) -> None:
    with runs(tmp_path) as one:
        one.left_out(tmp_path / "a/b.jpg", "is empty")
    assert lines(tmp_path) == [
        {"run": one.run, "of": "cars"},
        {"image": "a/b.jpg", "left_out": "is empty", "by": one.run},
        {"ended": one.run},
    ]
    with runs(tmp_path) as two:
        assert two.before == [one.run] != [two.run]


def test_a_run_that_fails_has_no_end(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), runs(tmp_path):
        _ = 1 / 0
    assert [list(line) for line in lines(tmp_path)] == [["run", "of"]]


def test_a_dry_run_writes_nothing_and_needs_no_journal(tmp_path: Path) -> None:
    with runs(tmp_path, dry=True) as run:
        run.left_out(tmp_path / "b.jpg", "is empty")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_true_is_passed_over_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "journal"
    path.write_text('{"n": 1}\n{"m": 2}\nnot JSON\n{"n": 0}\n{"n": 3')
    for quiet in (True, False):
        with Journal(path, read_only=True) as journal:
            found = list(events(journal, lambda values: values["n"] or None, quiet=quiet))
        assert found == [1]
        said = "" if quiet else f"{path}: 3 damaged lines passed over\n"
        assert capsys.readouterr().err == said
