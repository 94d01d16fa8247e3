"""TFLite's metadata, read field by field as metadata_schema.fbs numbers them."""

from pathlib import Path
from typing import Any

from flatbuffers.number_types import Float32Flags
from flatbuffers.table import Table


def field(table: Table, number: int) -> int:
    """Where the value of a field is; 0 where it is not there."""
    offset = table.Offset(4 + 2 * number)
    return int(offset + table.Pos) if offset else 0


def child(table: Table, number: int) -> Table:
    return Table(table.Bytes, table.Indirect(field(table, number)))


def children(table: Table, number: int) -> list[Table]:
    offset = table.Offset(4 + 2 * number)
    start, count = table.Vector(offset), table.VectorLen(offset)
    return [Table(table.Bytes, table.Indirect(start + 4 * i)) for i in range(count)]


def number(table: Table, place: int, kind: Any) -> Any:
    return table.Get(kind, field(table, place))


def floats(table: Table, place: int) -> list[float]:
    offset = table.Offset(4 + 2 * place)
    start = table.Vector(offset)
    return [table.Get(Float32Flags, start + 4 * i) for i in range(table.VectorLen(offset))]


def text(table: Table, place: int) -> bytes:
    return bytes(table.String(field(table, place)))


def described(path: Path) -> Table:
    """What the model's metadata says of its input and output."""
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(path.read_bytes())
    (entry,) = [each for each in model.metadata if each.name == b"TFLITE_METADATA"]
    data = bytes(model.buffers[entry.buffer].data)
    assert data[4:8] == b"M001"
    root = Table(data, int.from_bytes(data[:4], "little"))
    assert text(root, 7) == b"1.0.0"
    (subgraph,) = children(root, 3)
    return subgraph
