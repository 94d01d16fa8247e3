"""Rows come back from their bytes exactly, and other bytes are no rows."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tensor_guess.bottlenecks.table import read, written

ROW = np.dtype([("key", "V32"), ("category", "<u4"), ("0f" * 16, "<f4", (3,))])


def of_bits(data: bytes) -> NDArray[np.void]:
    return np.frombuffer(data, ROW, len(data) // ROW.itemsize)


TABLES = st.binary(max_size=9 * ROW.itemsize).map(of_bits)


@given(TABLES)
def test_rows_come_back_exactly_and_numpy_reads_them_too(table: NDArray[np.void]) -> None:
    data = written(table)
    back = read(data, ROW)
    assert back is not None
    assert back.tobytes() == table.tobytes()
    assert np.load(io.BytesIO(data), allow_pickle=False).tobytes() == table.tobytes()


@given(TABLES, st.data())
def test_rows_cut_or_lengthened_are_none(table: NDArray[np.void], data: st.DataObject) -> None:
    whole = written(table)
    end = data.draw(st.integers(0, len(whole) - 1))
    assert read(whole[:end], ROW) is None
    assert read(whole + data.draw(st.binary(min_size=1)), ROW) is None


@given(st.binary())
def test_other_bytes_are_no_rows(data: bytes) -> None:
    assert read(data, ROW) is None


@pytest.mark.parametrize(
    "other",
    [
        np.dtype([("key", "V32"), ("category", "<u4"), ("0f" * 16, "<f4", (4,))]),
        np.dtype([("key", "V32"), ("category", "<u4"), ("0e" * 16, "<f4", (3,))]),
        np.dtype([("key", "V32"), ("category", ">u4"), ("0f" * 16, "<f4", (3,))]),
        np.dtype([("key", "V32"), ("0f" * 16, "<f4", (4,))]),
    ],
)
def test_rows_of_another_kind_are_none(other: np.dtype[np.void]) -> None:
    assert read(written(np.zeros(2, other)), ROW) is None
