"""What a file would become when it is parsed is known before: sound graphs pass, at a glance."""

from contextlib import suppress

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.compat.proto.graph_pb2 import GraphDef

from made.strangers import INPUTS, made
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.errors import UserError
from tensor_guess.graphs import wire
from tensor_guess.graphs.builder import Builder
from tensor_guess.graphs.graph import serialise


def looked_at(data: bytes) -> int:
    """The bytes of a graph that are asked for until it is found to be sound."""
    asked = 0

    def fetch(at: int, length: int) -> bytes:
        nonlocal asked
        asked += length
        return data[at : at + length]

    wire.check(fetch, len(data), "x.pb")
    return asked


@pytest.mark.parametrize("flavour", INPUTS)
def test_a_sound_graph_passes(flavour: str) -> None:
    looked_at(serialise(made(flavour)))


def test_weights_are_not_looked_at(lite0: Backbone) -> None:
    data = serialise(lite0.graph)
    assert looked_at(data) < len(data) / 10


def test_long_names_are_no_structure() -> None:
    """As those of a TF Hub module: 6 MB of them, in 5,000 nodes."""
    builder = Builder()
    for n in range(5_000):
        builder.op("NoOp", f"{'scope/' * 200}{n}", ())
    assert len(serialise(builder.graph)) > 6_000_000
    looked_at(serialise(builder.graph))


def test_a_hundred_thousand_labels_pass() -> None:
    builder = Builder()
    builder.const("labels", [f"label {n}" for n in range(100_000)])
    looked_at(serialise(builder.graph))


@given(st.binary(max_size=200))
def test_any_bytes_pass_or_are_refused_and_what_parses_passes(data: bytes) -> None:
    parses = False
    with suppress(DecodeError):
        GraphDef.FromString(data)
        parses = True
    groups = any(byte & 7 in (3, 4) for byte in data)  # what protobuf dropped in 2008
    if parses and not groups:
        looked_at(data)
        return
    with suppress(UserError):
        looked_at(data)
