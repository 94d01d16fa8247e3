"""A classifier is a folder or a graph alone; what does not fit together is refused in words."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tensor_guess.classifier import load
from tensor_guess.config import GRAPH, LABELS
from tensor_guess.errors import UserError, WrongUsage

Spoil = Callable[[Path], object]


def test_one_file_is_enough(trained: Path) -> None:
    alone, folder = load(trained / GRAPH), load(trained)
    assert alone.record == folder.record
    assert alone.record.labels == ("dark knight", "snow queen")
    assert alone.record.categories == ("dark_knight", "snow_queen")
    assert alone.digest() == folder.digest()


def test_a_folder_without_labels_file_is_whole(classifier: Path) -> None:
    (classifier / LABELS).unlink()
    assert load(classifier).record.labels == ("dark knight", "snow queen")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / GRAPH).unlink(), "run ./train.sh .* first"),
        (lambda folder: (folder / LABELS).write_text("snow queen\ndark knight\n"), "not have the"),
        (lambda folder: (folder / LABELS).write_text("dark knight\n"), "not have the labels"),
        (lambda folder: (folder / LABELS).write_bytes(b"\xff\xfe\n"), "not have the labels"),
        (lambda folder: (folder / GRAPH).write_bytes(b""), "is not a frozen graph"),
        (lambda folder: (folder / GRAPH).write_bytes(b"not a graph"), "is not a frozen graph"),
        (lambda folder: _truncate(folder / GRAPH, 1_000_000), "is not a frozen graph"),
        (
            lambda folder: (folder / GRAPH).write_text("version https://git-lfs.github.com/"),
            "git lfs pull",
        ),
    ],
)
def test_what_is_missing_or_damaged_is_said(classifier: Path, spoil: Spoil, said: str) -> None:
    spoil(classifier)
    with pytest.raises(UserError, match=said) as raised:
        load(classifier)
    assert raised.value.exit_code == 1


def test_a_path_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="no such file or folder"):
        load(tmp_path / "nothing")


def test_other_programs_graphs_are_refused_for_now(shared: Path) -> None:
    strangers = [
        shared / "classic_run_2017",
        shared / "graphs/glasses/retrained_graph.pb",
        *(shared / "graphs/broken").iterdir(),
        *(shared / "graphs/another_network").glob("*.pb"),
    ]
    for path in strangers:
        with pytest.raises(UserError):
            load(path)


def _truncate(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])
