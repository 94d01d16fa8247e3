"""Whatever workers can or cannot read, each file comes in its order with what it would get here."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from made.rows import photos
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.bottlenecks.extractor import Extractor
from tensor_guess.errors import Unreadable
from tensor_guess.graphs.network import Recipe
from tensor_guess.guessing.spread import vectors
from tensor_guess.images import encoded
from tensor_guess.images.encoded import Picture
from tensor_guess.images.pixels import Pixels, pixels
from tensor_guess.spreading.cluster import FATAL, Cluster
from tensor_guess.spreading.looking import Found
from tensor_guess.spreading.shared import shared
from tensor_guess.spreading.tasks import Task


class Here(Cluster):
    """Workers in this process, which do not see some files and die of others."""

    def __init__(self, unseen: set[Path], fatal: set[Path]) -> None:
        self.unseen, self.fatal = unseen, fatal
        self.asked = list[Path]()

    def run(self, task: Task[list[Found | str]], files: Iterable[Path]) -> Iterator[object]:  # type: ignore[override]
        batch: Sequence[Path] = list(files)
        self.asked += batch
        for path in batch:
            seen = path.with_name("gone") if path in self.unseen else path
            yield [path], None if path in self.fatal else task.work(task.job, [seen])


@pytest.fixture
def recipe(tiny: Backbone) -> Recipe:
    return Extractor(tiny).recipe()


def test_all_come_in_order_with_what_they_would_get_here(
    recipe: Recipe, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files = photos(tmp_path / "in", 6)
    bad = tmp_path / "in" / "bad.bmp"
    bad.write_text("no picture")
    items = [*files[:3], bad, *files[3:]]
    workers = Here(unseen={files[1], bad}, fatal={files[2]})

    def here(path: Path) -> tuple[Picture, Pixels | None]:
        if path == files[0]:
            raise Unreadable("is not for anybody")
        picture = encoded.read(path)
        return picture, pixels(picture, recipe.scaling)

    known = [encoded.read(files[4]).key]
    with shared(tmp_path / "out", recipe, known) as job:
        found = list(
            vectors(workers, job, recipe, items, lambda p: None if p == files[0] else p, here)
        )
    assert [path for path, _ in found] == items
    assert files[0] not in workers.asked
    network, results = recipe.network(), dict(found)
    assert str(results[files[0]]) == "is not for anybody"
    assert str(results[files[2]]) == FATAL
    assert "no picture of a known kind" in str(results[bad])
    for path in (files[1], files[3], files[5]):
        result = results[path]
        assert not isinstance(result, Unreadable)
        ((_, own),) = network.run([(0, here(path)[1])])  # type: ignore[list-item]
        assert result[1] is not None
        np.testing.assert_array_equal(result[1], own)
    assert results[files[4]][1] is None  # type: ignore[index]
    assert capfd.readouterr().err.startswith("1 picture that a worker could not read: guessed here")
