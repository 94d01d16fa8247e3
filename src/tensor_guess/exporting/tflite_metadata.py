"""Describe a TFLite model's input and output for Android's and MediaPipe's task libraries.

The format is that of TensorFlow Lite Support's metadata_schema.fbs (version 1.0): a flatbuffer
among the model's buffers. The fields are numbered by their places in that file.
"""

from collections.abc import Callable, Sequence

import flatbuffers
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

from tensor_guess.exporting.portable import LABELS_FILE, PIXELS, SCORES
from tensor_guess.images.scaling import Scaling

_NAME = b"TFLITE_METADATA"
_IDENTIFIER = b"M001"
_PARSER = "1.0.0"  # the oldest version that understands this
_AXIS_LABELS = 2  # AssociatedFileType.TENSOR_AXIS_LABELS
_FEATURES, _IMAGE = 1, 2  # ContentProperties
_NORMALISATION = 1  # ProcessUnitOptions
_RGB = 1  # ColorSpaceType

# Adds one field to the table under construction.
_Field = Callable[[flatbuffers.Builder, int], None]


def with_metadata(model: bytes, scaling: Scaling) -> bytes:
    """Return the model with metadata.

    Its input is an RGB image of size x size whose values must not be scaled; its output is scores,
    with their labels in LABELS_FILE. Libraries squeeze pictures, so another fit is only described.
    """
    found = flatbuffer_utils.convert_bytearray_to_object(model)
    buffer = schema.BufferT()
    buffer.data = list(_metadata(scaling))
    entry = schema.MetadataT()
    entry.name, entry.buffer = _NAME, len(found.buffers)
    found.buffers.append(buffer)
    found.metadata = [*(found.metadata or []), entry]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(found))


def _metadata(scaling: Scaling) -> bytes:
    builder = flatbuffers.Builder()
    inputs = _vector(builder, [_pixels(builder, scaling)])
    outputs = _vector(builder, [_scores(builder)])
    subgraph = _table(builder, {2: _offset(inputs), 3: _offset(outputs)})
    subgraphs = _vector(builder, [subgraph])
    parser = builder.CreateString(_PARSER)
    model = _table(builder, {3: _offset(subgraphs), 7: _offset(parser)})
    builder.Finish(model, file_identifier=_IDENTIFIER)
    return bytes(builder.Output())


def _pixels(builder: flatbuffers.Builder, scaling: Scaling) -> int:
    """Write the TensorMetadata of the input; return its offset."""
    sides = _table(builder, {0: _uint32(scaling.size), 1: _uint32(scaling.size)})
    image = _table(builder, {0: _int8(_RGB), 1: _offset(sides)})
    content = _table(builder, {0: _uint8(_IMAGE), 1: _offset(image)})
    mean, deviation = _floats(builder, [0.0]), _floats(builder, [1.0])
    normalised = _table(builder, {0: _offset(mean), 1: _offset(deviation)})
    unit = _table(builder, {0: _uint8(_NORMALISATION), 1: _offset(normalised)})
    units = _vector(builder, [unit])
    lowest, highest = _floats(builder, [0.0]), _floats(builder, [255.0])
    stats = _table(builder, {0: _offset(highest), 1: _offset(lowest)})
    name = builder.CreateString(PIXELS)
    fields = {0: name, 3: content, 4: units, 5: stats}
    if scaling.how:
        fields[1] = builder.CreateString(f"The picture, {scaling.how}.")
    return _table(builder, {place: _offset(value) for place, value in fields.items()})


def _scores(builder: flatbuffers.Builder) -> int:
    """Write the TensorMetadata of the output; return its offset."""
    content = _table(builder, {0: _uint8(_FEATURES), 1: _offset(_table(builder, {}))})
    named = builder.CreateString(LABELS_FILE)
    file = _table(builder, {0: _offset(named), 2: _int8(_AXIS_LABELS)})
    files = _vector(builder, [file])
    lowest, highest = _floats(builder, [0.0]), _floats(builder, [1.0])
    stats = _table(builder, {0: _offset(highest), 1: _offset(lowest)})
    name = builder.CreateString(SCORES)
    fields = {0: name, 3: content, 5: stats, 6: files}
    return _table(builder, {place: _offset(value) for place, value in fields.items()})


def _table(builder: flatbuffers.Builder, fields: dict[int, _Field]) -> int:
    builder.StartObject(max(fields, default=-1) + 1)
    for place, add in fields.items():
        add(builder, place)
    return int(builder.EndObject())


def _offset(value: int) -> _Field:
    return lambda builder, place: builder.PrependUOffsetTRelativeSlot(place, value, 0)


def _uint32(value: int) -> _Field:
    return lambda builder, place: builder.PrependUint32Slot(place, value, 0)


def _uint8(value: int) -> _Field:
    return lambda builder, place: builder.PrependUint8Slot(place, value, 0)


def _int8(value: int) -> _Field:
    return lambda builder, place: builder.PrependInt8Slot(place, value, 0)


def _vector(builder: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for each in reversed(offsets):
        builder.PrependUOffsetTRelative(each)
    return int(builder.EndVector())


def _floats(builder: flatbuffers.Builder, values: Sequence[float]) -> int:
    builder.StartVector(4, len(values), 4)
    for each in reversed(values):
        builder.PrependFloat32(each)
    return int(builder.EndVector())
