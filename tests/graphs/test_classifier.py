"""A graph file's bytes are a classifier, ours or another program's."""

from hashlib import sha256

import pytest
from tensorboard.compat.proto.graph_pb2 import GraphDef

from made.strangers import LABELS as THEIRS
from made.strangers import made
from tensor_guess.errors import UserError
from tensor_guess.graphs.classifier import categories_of, of_bytes
from tensor_guess.graphs.graph import serialise


def test_ours_says_itself_what_it_is(ours: GraphDef) -> None:
    data = serialise(ours)
    found = of_bytes(data, "x.pb", lambda: pytest.fail("its labels are inside"))
    assert found.data is data
    assert found.digest() == sha256(data).hexdigest()
    assert found.digest() is found.digest()  # once computed: a server says it with each answer
    assert found.record.categories == categories_of(found.record.labels)
    assert found.network(few=True).scaling == found.record.scaling


def test_anothers_is_told_its_labels() -> None:
    data, labels = serialise(made("mobilenet")), tuple(THEIRS)
    assert of_bytes(data, "x.pb", lambda: labels).record.labels == labels
    with pytest.raises(UserError, match=r"there are 1 labels, and x\.pb gives \d+ scores"):
        of_bytes(data, "x.pb", lambda: labels[:1])


def test_a_category_is_called_as_its_folder() -> None:
    assert categories_of(("darth vader", "elsa")) == ("darth_vader", "elsa")
