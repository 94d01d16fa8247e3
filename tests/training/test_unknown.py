"""The threshold is learnt from the training pictures, and stays with the graph."""

from pathlib import Path

import pytest

from made.place import ROOT, Run
from tensor_guess.graphs.own import familiar_of
from tensor_guess.guessing.loading import load

SAMPLES = ROOT / "tf_files" / "data"


def test_the_record_has_the_threshold_and_the_graph_the_rows(trained: Path) -> None:
    known = load(trained)
    assert known.record.unknown is not None
    assert 0 < known.record.unknown < 2
    rows = familiar_of(known.graph, 2, 1280)
    assert 2 + 60 < len(rows) <= 2 + 80


@pytest.mark.slow
def test_few_pictures_make_a_rough_threshold_and_that_is_said(call: Run, tmp_path: Path) -> None:
    for category in ("dark_knight", "snow_queen"):
        (tmp_path / "data" / category).mkdir(parents=True)
        for path in sorted((SAMPLES / category).iterdir())[:4]:
            (tmp_path / "data" / category / path.name).write_bytes(path.read_bytes())
    done = call("train", tmp_path, "--backbone", "efficientnet_lite0", "--steps", "20")
    assert done.returncode == 0, done.stderr
    assert "the threshold for --unknown is rough: a category has only" in done.stderr
    asked = call("guess", tmp_path, SAMPLES / "snow_queen/snow_queen_30.webp", "--unknown")
    assert asked.returncode == 0
