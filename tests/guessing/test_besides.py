"""What is asked besides scores comes in one pass, and leaves the scores as they are."""

from pathlib import Path

import numpy as np
import pytest

from made.place import ROOT
from tensor_guess.bottlenecks.inside import Inside
from tensor_guess.errors import UserError
from tensor_guess.evaluation.copies import unit
from tensor_guess.evaluation.unknown import unpacked
from tensor_guess.graphs.own import familiar_of
from tensor_guess.guessing.besides import Besides, Layout, recipe
from tensor_guess.guessing.loading import load
from tensor_guess.images import encoded
from tensor_guess.images.pixels import pixels

PHOTOS = [ROOT / "test_data" / name for name in ("photo01.jpg", "photo02.png", "photo07.gif")]


@pytest.mark.slow
@pytest.mark.parametrize("asked", [Besides(True, True), Besides(True), Besides(both=True)])
def test_cosines_and_logits_are_those_of_bottleneck_and_map(trained: Path, asked: Besides) -> None:
    known = load(trained)
    images = [pixels(encoded.read(path), known.record.scaling) for path in PHOTOS]
    inside = Inside(known, few=True)
    units = unpacked(familiar_of(known.graph, 2, len(inside.head.weights)))
    made, layout = recipe(known, None, asked)
    wide = made.network(few=True)
    pairs = zip(wide.run(enumerate(images)), inside.run(enumerate(images)), strict=True)
    for (_, row), (_, seen) in pairs:
        np.testing.assert_allclose(layout.scores(row), seen.scores, atol=1e-6)
        if asked.unknown:
            cosines = np.concatenate(layout.cosines(row), axis=1)[0]
            np.testing.assert_allclose(cosines, units @ unit(seen.bottleneck[None])[0], atol=1e-5)
        if asked.both:
            assert seen.map is not None
            expected = seen.map @ inside.head.weights + inside.head.biases
            np.testing.assert_allclose(layout.logits(row), expected, atol=1e-3)


def test_a_layout_from_elsewhere_is_checked() -> None:
    said = {"classes": 2, "familiar": 5, "places": [7, 7], "biases": [0.5, -1.0]}
    assert Layout.of_json(said) == Layout(2, 5, (7, 7), (0.5, -1.0))
    assert Layout.of_json(said).width == 2 + 5 + 98
    for key, value in (("classes", "2"), ("places", [7]), ("familiar", 1.5), ("places", None),
                       ("biases", [1, 2]), ("biases", [0.5]), ("places", [0, 0])):  # fmt: skip
        with pytest.raises((TypeError, ValueError)):
            Layout.of_json(said | {key: value})


def test_a_graph_whose_familiar_rows_are_damaged_is_a_sentence(trained: Path) -> None:
    known = load(trained)
    with pytest.raises(UserError, match="is damaged"):
        familiar_of(known.graph, 2, 7)
