"""Sidecars get their tags whole, once, whatever happens at any step."""

import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path
from signal import SIGKILL

import pytest

from made.sorting import Tree, tree
from made.steps import bad_at, die_at, ended_of, full_from, reached
from made.tagging import XMP, pictures, tag_files
from tensor_guess.config import TAGS


def test_each_sidecar_gets_its_words_and_a_second_run_changes_nothing(tmp_path: Path) -> None:
    pictures(tmp_path)
    done = tag_files(tmp_path)
    assert (done.counts, done.there, done.left_out) == ({"a": 2, "b": 1, "c": 1}, 0, [])
    assert {path.name for path in tmp_path.rglob("*.xmp")} == {
        "a.jpg.xmp", "b.xmp", "c.png.xmp"
    }  # fmt: skip
    assert b"holiday" in (tmp_path / "b.xmp").read_bytes()
    assert (tmp_path / "b.xmp").stat().st_mode & 0o777 == 0o640
    before = tree(tmp_path)
    again = tag_files(tmp_path)
    assert (sum(again.counts.values()), again.there) == (0, 4)
    assert tree(tmp_path) == before
    other = tag_files(tmp_path, "another classifier")
    assert (sum(other.counts.values()), other.there) == (0, 4)
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "data", [b"", b"no XML", XMP[:-9].encode(), b"<!DOCTYPE x []>" + XMP.encode()]
)
def test_a_sidecar_that_is_no_xmp_is_untouched_and_its_picture_named(
    tmp_path: Path, data: bytes
) -> None:
    pictures(tmp_path)
    (tmp_path / "b.xmp").write_bytes(data)
    done = tag_files(tmp_path)
    assert (done.counts.total(), len(done.left_out)) == (3, 1)
    assert done.left_out[0].path.name == "b.jpg"
    assert done.left_out[0].reason.startswith("its sidecar b.xmp ")
    assert (tmp_path / "b.xmp").read_bytes() == data


def half_done(before: Tree, now: Tree, after: Tree) -> bool:
    """Whether a file is neither as it was nor as it will be; but for the time of a sidecar."""
    return any(
        entry[:3] not in [each[name][:3] for each in (before, after) if name in each]
        for name, entry in now.items()
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "how", [die_at, *(pytest.param(how, marks=pytest.mark.long) for how in (full_from, bad_at))]
)
def test_interrupted_at_any_step_it_goes_on_as_if_it_had_not_been(
    tmp_path: Path, how: Callable[[int], None]
) -> None:
    never = tmp_path / "never"
    pictures(never)
    before = tree(never)
    tag_files(never)
    for nth in count(1):
        folder = tmp_path / str(nth)
        pictures(folder)

        def run(folder: Path = folder, nth: int = nth) -> None:
            how(nth)
            tag_files(folder)

        ended = ended_of(run)
        assert not half_done(before, tree(folder), tree(never))
        if not reached():
            assert (ended, nth > 15) == (0, True)
            return
        assert ended in ((-SIGKILL,) if how is die_at else (0, 1))
        tag_files(folder)
        # What a bad disk did not let us remove is left for a day.
        assert sidecars_and_more(folder, left=how is die_at) == sidecars_and_more(never)
        shutil.rmtree(folder)


def sidecars_and_more(folder: Path, *, left: bool = True) -> dict[str, bytes]:
    """All but the journal; also what is half-written, if `left`."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*.*")
        if path.name != TAGS and (left or path.suffix != ".tmp")
    }
