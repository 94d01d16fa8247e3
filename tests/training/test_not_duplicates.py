"""What the user said is no duplicate is remembered, whatever became of the file."""

import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from made.rows import photo
from tensor_guess.config import NOT_DUPLICATES
from tensor_guess.errors import UserError, WrongUsage
from tensor_guess.training.not_duplicates import add, read


def key(path: Path) -> bytes:
    return sha256(path.read_bytes()).digest()


def test_all_pairs_are_remembered_once(tmp_path: Path) -> None:
    a, b, c = (photo(tmp_path / f"{n}.bmp", n) for n in range(3))
    assert read(tmp_path) == frozenset()
    assert add(tmp_path, [a, b]) == 1
    assert read(tmp_path) == {frozenset((key(a), key(b)))}
    assert add(tmp_path, [c, b, a]) == 2
    assert add(tmp_path, [a, c]) == 0
    assert len(read(tmp_path)) == 3


def test_what_cannot_be_remembered_is_wrong_usage(tmp_path: Path) -> None:
    a = photo(tmp_path / "a.bmp", 1)
    shutil.copy(a, tmp_path / "b.bmp")
    (tmp_path / "no.bmp").write_text("no picture")
    for paths, said in (
        ([a, tmp_path / "b.bmp"], "are the same, byte by byte"),
        ([a, tmp_path / "no.bmp"], "is no picture"),
        ([a, tmp_path / "gone.bmp"], "no such file"),
        ([a], "two or more"),
    ):
        with pytest.raises(WrongUsage, match=said):
            add(tmp_path, paths)
    assert not (tmp_path / NOT_DUPLICATES).exists()


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"not_duplicates": 1}', '{"not_duplicates": [["a", "b"]]}', "[" * 100_000],
)
def test_a_damaged_file_is_said_and_not_replaced(tmp_path: Path, text: str) -> None:
    (tmp_path / NOT_DUPLICATES).write_text(text)
    with pytest.raises(UserError, match="is damaged"):
        read(tmp_path)
    with pytest.raises(UserError, match="is damaged"):
        add(tmp_path, [photo(tmp_path / "a.bmp", 1), photo(tmp_path / "b.bmp", 2)])
    assert (tmp_path / NOT_DUPLICATES).read_text() == text


def test_a_link_under_its_name_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text('{"not_duplicates": []}')
    (tmp_path / NOT_DUPLICATES).symlink_to("mine")
    with pytest.raises(UserError, match="is a link"):
        read(tmp_path)
