"""What a worker finds in a batch: rows in order, known pictures, and what cannot be read."""

from pathlib import Path

import numpy as np
import pytest

from made.rows import photo, photos
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.bottlenecks.extractor import Extractor
from tensor_guess.images import encoded
from tensor_guess.spreading import looking
from tensor_guess.spreading.looking import Found
from tensor_guess.spreading.shared import shared


def test_rows_come_in_order_and_do_not_depend_on_their_neighbours(
    tiny: Backbone, tmp_path: Path
) -> None:
    files = photos(tmp_path / "in", 9)
    with shared(tmp_path / "out", Extractor(tiny).recipe(), []) as job:
        together = looking.look(job, files)
        apart = [found for path in files for found in looking.look(job, [path])]
    for path, one, other in zip(files, together, apart, strict=True):
        assert isinstance(one, Found)
        assert isinstance(other, Found)
        assert one.picture.key == other.picture.key == encoded.read(path).key
        assert one.picture.data == b""
        assert one.row is not None
        np.testing.assert_array_equal(one.row, other.row)


def test_known_pictures_are_not_computed_and_others_are_named(
    tiny: Backbone, tmp_path: Path
) -> None:
    files = photos(tmp_path / "in", 3)
    (tmp_path / "in" / "text.jpg").write_text("no picture")
    outside = photo(tmp_path / "elsewhere.bmp", 7)
    (tmp_path / "in" / "link.bmp").symlink_to(outside)
    asked = [files[0], tmp_path / "in" / "text.jpg", files[1], tmp_path / "in" / "link.bmp",
             tmp_path / "in" / "gone.jpg", files[2]]  # fmt: skip
    known = [encoded.read(files[1]).key]
    recipe = Extractor(tiny).recipe()
    with shared(tmp_path / "out", recipe, known, inside=tmp_path / "in") as job:
        found = looking.look(job, asked)
    said = [each if isinstance(each, str) else each.row is not None for each in found]
    assert said[0] is said[5] is True
    assert said[2] is False
    assert "no picture of a known kind" in str(said[1])
    assert "leaves the folder" in str(said[3])
    assert "no such file" in str(said[4])


def test_networks_of_a_few_jobs_stay(tiny: Backbone, tmp_path: Path) -> None:
    for n in range(4):
        with shared(tmp_path / str(n), Extractor(tiny).recipe(), []) as job:
            assert looking.prepare(job, [])
            assert looking.look(job, []) == []
    assert len(looking._loaded) == 2
    with pytest.raises(Exception, match="does not see"):
        looking._loaded.clear() or looking.prepare(job, [])  # type: ignore[func-returns-value]
