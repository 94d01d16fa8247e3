"""Each picture counts once and where it belongs; what contradicts itself counts nowhere."""

from hashlib import sha256
from pathlib import Path
from time import process_time

import numpy as np
import pytest

from tensor_guess.bottlenecks.computing import Rows
from tensor_guess.bottlenecks.examples import Examples, arrange
from tensor_guess.config import Training
from tensor_guess.errors import UserError
from tensor_guess.images.dataset import Category, Dataset, Split
from tensor_guess.images.files import LeftOut

OPTIONS = Training()


def data(**files: str) -> Dataset:
    """Categories by name: of each letter a file of that content; `_` is not readable."""
    categories = [
        Category(name, name, tuple(Path(name, f"{i}{c}") for i, c in enumerate(letters)))
        for name, letters in files.items()
    ]
    return Dataset(tuple(categories), (), 0)


def rows(of: Dataset) -> Rows:
    """The rows that the files have: a picture's key is its letter."""
    paths = [path for category in of.categories for path in category.files]
    readable = [path for path in paths if not path.name.endswith("_")]
    keys = tuple(path.name[-1].encode() * 32 for path in readable)
    left_out = tuple(LeftOut(path, "is empty") for path in paths if path not in readable)
    bottlenecks = np.array([[key[0]] for key in keys], np.float32)
    return Rows(tuple(readable), keys, bottlenecks, left_out, 0)


def test_every_picture_counts_once_with_its_own_row() -> None:
    given = data(elsa="dacb", vader="hgfe")
    found = rows(given)
    examples = arrange(given, found, OPTIONS)
    assert examples.truth == [0] * 4 + [1] * 4
    assert "".join(path.name[-1] for path in examples.paths) == "abcdefgh"
    assert [chr(int(found.bottlenecks[row, 0])) for row in examples.rows] == list("abcdefgh")
    parts = [examples.of(part) for part in Split]
    together = np.sort(np.concatenate([rows for part in parts for rows in part]))
    np.testing.assert_array_equal(together, np.arange(8))
    assert all(len(rows) for part in parts for rows in part)


def test_names_and_order_of_the_files_do_not_matter() -> None:
    one, other = data(elsa="dacb", vader="hgfe"), data(elsa="abcd", vader="efgh")
    assert arrange(one, rows(one), OPTIONS).parts == arrange(other, rows(other), OPTIONS).parts


def test_the_hash_of_the_data_is_of_pictures_and_labels() -> None:
    def digest(**files: str) -> str:
        given = data(**files)
        return arrange(given, rows(given), OPTIONS).digest()

    one = digest(elsa="dacb", vader="hgfe")
    lines = [f"{c.encode().hex() * 32}  {'elsa' if c < 'e' else 'vader'}\n" for c in "abcdefgh"]
    assert one == sha256("".join(lines).encode()).hexdigest()
    assert digest(elsa="aabcd_x", vader="efghx") == one  # copies, what is left out
    assert digest(elsa="dacbe", vader="hgf") != one  # one in the other category
    assert digest(elsa="dac", vader="hgfe") != one


def test_copies_count_once_and_contradictions_nowhere() -> None:
    given = data(elsa="aabx", vader="cdx_")
    examples = arrange(given, rows(given), OPTIONS)
    assert "".join(path.name[-1] for path in examples.paths) == "abcd"
    assert examples.copies == 1
    reasons = {str(each.path): each.reason for each in examples.left_out}
    both = "the same picture is in elsa and vader"
    assert reasons == {"elsa/3x": both, "vader/2x": both, "vader/3_": "is empty"}


@pytest.mark.parametrize("letters", ["_", "x", "__"])
def test_a_category_without_a_usable_picture_is_said(letters: str) -> None:
    given = data(elsa="abx", vader=letters)
    with pytest.raises(UserError, match="no picture in category vader can be used; the first"):
        arrange(given, rows(given), OPTIONS)


@pytest.mark.slow
def test_thousands_of_categories_cost_as_much_as_their_pictures() -> None:
    count = 40_000
    names = [Category(str(k), str(k), ()) for k in range(count)]
    examples = Examples(
        Dataset(tuple(names), (), 0),
        truth=list(range(count)),
        parts=[Split.TRAINING] * count,
    )
    start = process_time()
    assert [each.tolist() for each in examples.of(Split.TRAINING)] == [[k] for k in range(count)]
    assert process_time() - start < 5  # each category looking at each picture takes a minute
