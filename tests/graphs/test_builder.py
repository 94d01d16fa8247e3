"""What is written node by node is what TensorFlow reads."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.types_pb2 import DT_FLOAT

from tensor_guess.graphs.builder import PRODUCER, Builder
from tensor_guess.graphs.graph import array, serialise


@given(
    st.one_of(
        *(
            arrays(kind, array_shapes(min_dims=0, max_dims=4, min_side=0))
            for kind in (np.float32, np.int32, np.int64, np.uint8, np.bool_)
        )
    )
)
def test_a_constant_comes_back_as_it_went_in(value: NDArray[Any]) -> None:
    builder = Builder()
    builder.const("x", value)
    back = array(GraphDef.FromString(serialise(builder.graph)), "x")
    assert back is not None
    assert back.dtype == value.dtype
    np.testing.assert_array_equal(back, value)


def test_attributes_are_kept_by_their_types() -> None:
    builder = Builder()
    builder.floats("X", "x", (), a=1, b=1.5, c="VALID", d=True, e=(1, 2))
    attr = builder.graph.node[0].attr
    assert (attr["a"].i, attr["b"].f, attr["c"].s, attr["d"].b) == (1, 1.5, b"VALID", True)
    assert list(attr["e"].list.i) == [1, 2]
    assert attr["T"] == AttrValue(type=DT_FLOAT)


def test_tensorflow_1_15_is_named_as_who_wrote_it() -> None:
    builder = Builder()
    assert builder.placeholder("x", DT_FLOAT, (-1, 3)) == "x"
    assert [dim.size for dim in builder.graph.node[0].attr["shape"].shape.dim] == [-1, 3]
    assert builder.graph.versions.producer == PRODUCER


def test_other_types_are_no_constants() -> None:
    with pytest.raises(KeyError):
        Builder().const("x", np.zeros(2, np.complex64))
