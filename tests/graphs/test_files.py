"""The files of a classifier by their usual names, and what is in a labels file."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensor_guess.errors import UserError
from tensor_guess.graphs.files import distinct, find_graph, find_labels, labels_in, read_labels


@pytest.mark.parametrize(
    ("files", "graph", "labels"),
    [
        (["retrained_graph.pb", "retrained_labels.txt"], "retrained_graph.pb", 1),
        (["output_graph.pb", "output_labels.txt", "notes.txt"], "output_graph.pb", 1),
        (["retrained_graph.pb", "optimized_graph.pb", "labels.txt"], "retrained_graph.pb", 2),
        (["flowers.pb", "flowers_labels.txt", "labels.txt"], "flowers.pb", 1),
        (["flowers.pb", "what_they_are.txt", "readme.md"], "flowers.pb", 1),
        (["flowers.pb"], "flowers.pb", None),
        (["labels.txt"], None, None),
    ],
)
def test_usual_names_are_found(
    tmp_path: Path, files: list[str], graph: str | None, labels: int | None
) -> None:
    for name in files:
        (tmp_path / name).write_text("x\n")
    assert find_graph(tmp_path) == (tmp_path / graph if graph else None)
    if graph:
        expected = tmp_path / files[labels] if labels else None
        assert find_labels(tmp_path / graph) == expected


def test_of_several_none_is_taken(tmp_path: Path) -> None:
    for name in ("a.pb", "b.pb", "a.txt", "b.txt"):
        (tmp_path / name).touch()
    with pytest.raises(
        UserError, match=r"several .pb files \(a.pb, b.pb\); choose one with --graph"
    ):
        find_graph(tmp_path)
    with pytest.raises(UserError, match=r"several .txt files .*; choose one with --labels"):
        find_labels(tmp_path / "c.pb")


@pytest.mark.parametrize("there", [True, False])  # in a container the host's is not
@pytest.mark.parametrize("name", ["retrained_graph.pb", "any.pb"])
def test_a_graph_that_is_a_link_out_of_the_folder_is_refused(
    tmp_path: Path, name: str, there: bool
) -> None:
    folder = tmp_path / "tf"
    folder.mkdir()
    if there:
        (tmp_path / "theirs.pb").touch()
    (folder / name).symlink_to("../theirs.pb")
    with pytest.raises(
        UserError, match=f"{name} is a link that leaves the folder; give the path of the graph"
    ):
        find_graph(folder)
    (folder / "kept").mkdir()
    (folder / "kept" / "a").touch()
    (folder / name).unlink()
    (folder / name).symlink_to("kept/a")
    assert find_graph(folder) == folder / name


LABEL = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0\ufeff"), max_size=9)


@given(st.lists(LABEL, min_size=1), st.sampled_from(["\n", "\r\n"]), st.booleans(), st.booleans())
def test_labels_are_kept_as_they_are(labels: list[str], end: str, bom: bool, last: bool) -> None:
    """Also those of a folder that `retrain.py` turned into a space, or into a break of Unicode."""
    labels[-1] += "x"
    text = ("\ufeff" if bom else "") + end.join(labels) + (end if last else "")
    assert labels_in(text.encode(), "labels.txt") == tuple(labels)


@given(st.lists(st.sampled_from(["a", "b", "a (2)", "a (3)"])))
def test_equal_labels_are_told_apart(labels: list[str]) -> None:
    found = distinct(tuple(labels))
    assert len(set(found)) == len(labels)
    assert all(new.startswith(old) for new, old in zip(found, labels, strict=True))
    assert distinct(found) == found


def test_a_labels_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="could not read"):
        read_labels(tmp_path / "missing.txt")
