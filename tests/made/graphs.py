"""Classifiers' graphs that tests make, and all that is done with a stranger's."""

import numpy as np
from tensorboard.compat.proto.graph_pb2 import GraphDef

from tensor_guess.backbones.backbone import Backbone
from tensor_guess.config import (
    FINAL_TENSOR,
)
from tensor_guess.errors import UserError
from tensor_guess.graphs.files import Record
from tensor_guess.graphs.graph import check, cut, parse, serialised
from tensor_guess.graphs.own import Head, record_of

LABELS = ("darth vader", "elsa", "東京")


def record_for(backbone: Backbone, final_tensor: str = FINAL_TENSOR) -> Record:
    return Record(
        labels=LABELS,
        categories=("darth_vader", "elsa", "東京"),
        scaling=backbone.scaling,
        backbone=backbone.name,
        backbone_sha256=backbone.sha256,
        precision="float32",
        final_tensor=final_tensor,
        thresholds={"elsa": 0.5},
    )


def head_for(width: int, classes: int = 3, seed: int = 0) -> Head:
    random = np.random.default_rng(seed)
    weights = random.normal(size=(width, classes)).astype(np.float32)
    return Head(weights, random.normal(size=classes).astype(np.float32))


def copy_of(graph: GraphDef) -> GraphDef:
    copy = GraphDef()
    copy.CopyFrom(graph)
    return copy


def accepted(data: bytes) -> Record | UserError:
    """All that is done with a stranger's bytes before anything is converted."""
    try:
        graph = parse(data, "x.pb")
        record = record_of(graph, "x.pb")
        check(graph, "x.pb")
        b"".join(serialised(cut(graph, record.scaling, record.final_tensor)))
    except UserError as error:
        return error
    return record
