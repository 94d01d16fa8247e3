"""A SavedModel as TensorFlow's C library gives it to bindings such as Go's, which only call that.

The signatures are those of tensorflow/c/c_api.h.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FLOAT = 1  # TF_DataType
_RETURNING = {
    "TF_NewStatus": ctypes.c_void_p,
    "TF_NewGraph": ctypes.c_void_p,
    "TF_NewSessionOptions": ctypes.c_void_p,
    "TF_LoadSessionFromSavedModel": ctypes.c_void_p,
    "TF_GraphOperationByName": ctypes.c_void_p,
    "TF_AllocateTensor": ctypes.c_void_p,
    "TF_TensorData": ctypes.c_void_p,
    "TF_Dim": ctypes.c_int64,
    "TF_Message": ctypes.c_char_p,
    "TF_OperationOpType": ctypes.c_char_p,
}


class _Output(ctypes.Structure):
    _fields_ = (("op", ctypes.c_void_p), ("index", ctypes.c_int))


class Model:
    """A loaded model; what is not there raises LookupError."""

    def __init__(self, library: Any, folder: Path, tags: list[str]) -> None:
        self._library, self._status = library, library.TF_NewStatus()
        self._graph = library.TF_NewGraph()
        names = (ctypes.c_char_p * len(tags))(*(tag.encode() for tag in tags))
        options = ctypes.c_void_p(library.TF_NewSessionOptions())
        self._session = library.TF_LoadSessionFromSavedModel(
            options, None, str(folder).encode(), names, len(tags),
            ctypes.c_void_p(self._graph), None, ctypes.c_void_p(self._status),
        )  # fmt: skip
        self._check()

    def kind_of(self, name: str) -> str:
        kind: bytes = self._library.TF_OperationOpType(ctypes.c_void_p(self._operation(name)))
        return kind.decode()

    def run(self, fed: str, pixels: NDArray[np.float32], wanted: str) -> NDArray[np.float32]:
        """What the first output of an op is, if this is that of another."""
        library, dimensions = self._library, (ctypes.c_int64 * pixels.ndim)(*pixels.shape)
        tensor = library.TF_AllocateTensor(
            _FLOAT, dimensions, pixels.ndim, ctypes.c_size_t(pixels.nbytes)
        )
        data = np.ascontiguousarray(pixels)
        ctypes.memmove(
            library.TF_TensorData(ctypes.c_void_p(tensor)), data.ctypes.data, data.nbytes
        )
        given, asked = (_Output(self._operation(name), 0) for name in (fed, wanted))
        result = ctypes.c_void_p()
        library.TF_SessionRun(
            ctypes.c_void_p(self._session), None,
            ctypes.byref(given), ctypes.byref(ctypes.c_void_p(tensor)), 1,
            ctypes.byref(asked), ctypes.byref(result), 1,
            None, 0, None, ctypes.c_void_p(self._status),
        )  # fmt: skip
        self._check()
        assert library.TF_TensorType(result) == _FLOAT
        shape = [library.TF_Dim(result, i) for i in range(library.TF_NumDims(result))]
        place = ctypes.cast(library.TF_TensorData(result), ctypes.POINTER(ctypes.c_float))
        found: NDArray[np.float32] = np.ctypeslib.as_array(place, shape).copy()
        return found

    def _operation(self, name: str) -> int:
        found = self._library.TF_GraphOperationByName(ctypes.c_void_p(self._graph), name.encode())
        if not found:
            raise LookupError(name)
        return int(found)

    def _check(self) -> None:
        if self._library.TF_GetCode(ctypes.c_void_p(self._status)):
            raise LookupError(self._library.TF_Message(ctypes.c_void_p(self._status)).decode())


@contextmanager
def loaded(folder: Path, tags: list[str]) -> Iterator[Model]:
    import tensorflow as tf

    library: Any = ctypes.CDLL(str(Path(tf.__file__).parent / "libtensorflow_cc.so.2"))
    for name, kind in _RETURNING.items():
        getattr(library, name).restype = kind
    yield Model(library, folder, tags)
