"""TFLite's metadata, read back."""

from collections.abc import Callable
from pathlib import Path

import pytest
from flatbuffers.number_types import Int8Flags, Uint8Flags, Uint32Flags

from made.tflite import child, children, described, field, floats, number, text


@pytest.mark.tensorflow
def test_pixels_are_not_to_be_scaled_and_scores_have_labels(
    exported: Callable[[str], Path],
) -> None:
    subgraph = described(exported("tflite"))

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
    assert field(pixels, 1) == 0  # no description

    (scores,) = children(subgraph, 3)
    assert text(scores, 0) == b"scores"
    (file,) = children(scores, 6)
    assert text(file, 0) == b"labels.txt"
    assert number(file, 2, Int8Flags) == 2  # TENSOR_AXIS_LABELS
