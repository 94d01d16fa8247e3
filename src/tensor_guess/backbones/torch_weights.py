"""Read PyTorch's old weight files (before 1.6, not zip), without PyTorch and without its dangers.

The format is that of `torch.serialization._legacy_save`: five pickles (magic number, protocol,
sizes of the machine's integers, the state dict, the list of storage keys), then, for each storage,
an int64 count and its raw little-endian values.
"""

import io
import pickle
import pickletools
from collections import OrderedDict
from collections.abc import Callable
from math import prod
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from tensor_guess.errors import UserError, words_of

_MAGIC = 0x1950A86A20F9469CFC6C
_MAX_MEMO = 1_000_000
_FLOATS, _LONGS = "torch.FloatStorage", "torch.LongStorage"
_DTYPES: dict[str, np.dtype[Any]] = {_FLOATS: np.dtype("<f4"), _LONGS: np.dtype("<i8")}


class _View:
    """A tensor whose storage has not been read yet: its offset, size and strides there."""

    def __init__(
        self, storage: tuple[str, str], offset: int, size: Any, stride: Any, *_: Any
    ) -> None:
        self.storage, self.offset, self.size, self.stride = storage, offset, size, stride

    def of(self, values: NDArray[Any]) -> NDArray[Any]:
        reach = self.offset + sum((n - 1) * s for n, s in zip(self.size, self.stride, strict=True))
        if min((self.offset, *self.size, *self.stride), default=0) < 0 or reach >= len(values):
            raise ValueError("a tensor reaches outside its storage")
        if prod(self.size) > len(values):
            raise ValueError("a tensor is larger than its storage")
        strides = [s * values.itemsize for s in self.stride]
        return np.lib.stride_tricks.as_strided(values[self.offset :], self.size, strides)


class _Unpickler(pickle.Unpickler):
    """An unpickler that knows the four names that such a file needs, and refuses all others."""

    def find_class(self, module: str, name: str) -> Any:
        known: dict[str, Callable[..., Any] | str] = {
            "collections.OrderedDict": OrderedDict,
            "torch._utils._rebuild_tensor_v2": _View,
            _FLOATS: _FLOATS,
            _LONGS: _LONGS,
        }
        full = f"{module}.{name}"
        if full not in known:
            raise pickle.UnpicklingError(f"{full} is not part of a weight file")
        return known[full]

    def persistent_load(self, pid: Any) -> tuple[str, str]:
        _, kind, key, _, _, *_ = pid
        return kind, key


def read(data: bytes, name: str) -> dict[str, NDArray[Any]]:
    """Return the tensors by name, with their strides applied.

    Raise UserError if `data` is not such a file.
    """
    file = io.BytesIO(data)
    try:
        magic, _protocol, _sizes = (_load(file) for _ in range(3))
        if magic != _MAGIC:
            raise ValueError("not a weight file of PyTorch")
        views = _load(file)
        kinds = {view.storage[1]: view.storage[0] for view in views.values()}
        storages = {key: _storage(file, kinds[key]) for key in _load(file)}
        return {key: view.of(storages[view.storage[1]]) for key, view in views.items()}
    except Exception as error:  # a damaged pickle may raise anything
        raise UserError(f"{name} is damaged ({words_of(error)}); install it again") from error


def _load(file: BinaryIO) -> Any:
    """Return the next object in the file; accept only the opcodes of the format's time.

    With later opcodes, or with memo places that no real file uses, a few bytes could demand
    gigabytes.
    """
    start = file.tell()
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.proto > 2 or (opcode.name.endswith("PUT") and int(argument or 0) > _MAX_MEMO):
            raise ValueError(f"no weight file has {opcode.name} {argument}")
    file.seek(start)
    return _Unpickler(file).load()


def _storage(file: BinaryIO, kind: str) -> NDArray[Any]:
    dtype = _DTYPES[kind]
    count = int.from_bytes(file.read(8), "little")
    raw = file.read(count * dtype.itemsize)
    if len(raw) < count * dtype.itemsize:
        raise EOFError("it ends too early")
    return np.frombuffer(raw, dtype)
