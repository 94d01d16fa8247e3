"""Rows as the bytes of a NumPy file, which are read without trusting them."""

import io
import re

import numpy as np
from numpy.typing import NDArray


def written(table: NDArray[np.void]) -> bytes:
    """Return the bytes of an .npy file with these structured rows."""
    file = io.BytesIO()
    np.save(file, table, allow_pickle=False)
    return file.getvalue()


def read(data: bytes, row: np.dtype[np.void]) -> NDArray[np.void] | None:
    """Return the rows in a file's bytes, not copied; None if `written` would not write them so.

    `row`: what a row is.
    """
    header = _header(row).match(data)
    if not header or len(data) - header.end() != int(header[1]) * row.itemsize:
        return None
    return np.frombuffer(data, row, offset=header.end())


def _header(row: np.dtype[np.void]) -> re.Pattern[bytes]:
    """Return the header that NumPy writes for such rows (numpy.lib.format); it reads others too."""
    described = re.escape(repr(np.lib.format.dtype_to_descr(row)).encode())
    return re.compile(
        rb"\x93NUMPY\x01\x00..\{'descr': " + described + rb", "
        rb"'fortran_order': False, 'shape': \(([0-9]{1,12}),\), \} *\n",
        re.DOTALL,
    )
