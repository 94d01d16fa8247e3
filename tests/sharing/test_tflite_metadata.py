"""TFLite's metadata, read back field by field as metadata_schema.fbs numbers them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flatbuffers.number_types import Float32Flags, Int8Flags, Uint8Flags, Uint32Flags
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


@pytest.mark.tensorflow
def test_pixels_are_not_to_be_scaled_and_scores_have_labels(
    exported: Callable[[str], Path],
) -> None:
    from tensorflow.lite.tools import flatbuffer_utils

    model = flatbuffer_utils.convert_bytearray_to_object(exported("tflite").read_bytes())
    (entry,) = [each for each in model.metadata if each.name == b"TFLITE_METADATA"]
    data = bytes(model.buffers[entry.buffer].data)
    assert data[4:8] == b"M001"
    root = Table(data, int.from_bytes(data[:4], "little"))
    assert text(root, 7) == b"1.0.0"
    (subgraph,) = children(root, 3)

    (pixels,) = children(subgraph, 2)
    assert text(pixels, 0) == b"pixels"
    content = child(pixels, 3)
    assert number(content, 0, Uint8Flags) == 2  # ImageProperties
    image = child(content, 1)
    assert number(image, 0, Int8Flags) == 1  # RGB
    sides = child(image, 1)
    assert [number(sides, place, Uint32Flags) for place in (0, 1)] == [224, 224]
    (unit,) = children(pixels, 4)
    assert number(unit, 0, Uint8Flags) == 1  # NormalizationOptions
    assert (floats(child(unit, 1), 0), floats(child(unit, 1), 1)) == ([0.0], [1.0])

    (scores,) = children(subgraph, 3)
    assert text(scores, 0) == b"scores"
    (file,) = children(scores, 6)
    assert text(file, 0) == b"labels.txt"
    assert number(file, 2, Int8Flags) == 2  # TENSOR_AXIS_LABELS
