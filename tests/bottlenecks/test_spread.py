"""What workers add to the cache is what would have been added here."""

from pathlib import Path

import numpy as np

from made.rows import photos
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.bottlenecks.cache import Cache
from tensor_guess.bottlenecks.computing import Computer
from tensor_guess.bottlenecks.extractor import Extractor
from tensor_guess.bottlenecks.seen import Seen
from tensor_guess.bottlenecks.spread import compute, fill
from tensor_guess.images import encoded
from tensor_guess.spreading.looking import Found
from tensor_guess.spreading.machines import Machines
from tensor_guess.spreading.shared import shared


def test_a_batch_becomes_a_file_of_the_cache(tiny: Backbone, tmp_path: Path) -> None:
    files, extractor = photos(tmp_path / "in", 5), Extractor(tiny)
    rows = Computer(tmp_path / "own", extractor).rows(files)
    folder = tmp_path / "shared" / extractor.fingerprint
    cache = Cache(folder, extractor.length)
    known = [encoded.read(files[2]).key]
    with shared(folder, extractor.recipe(), known) as job:
        done = compute(job, [*files, tmp_path / "gone"], str(folder))
    assert [path.stem for path in folder.glob("*.npy")] == [done.name]
    cache.take(done.name)
    keys = [key for key in rows.keys if key not in known]
    np.testing.assert_array_equal(
        cache.rows(keys), [rows.bottlenecks[n] for n in range(5) if n != 2]
    )
    assert len(cache) == 4
    assert all(isinstance(each, Found) and each.row is None for each in done.found[:5])
    assert "no such file" in str(done.found[5])


def test_where_all_is_known_nobody_is_asked(tiny: Backbone, tmp_path: Path, later: None) -> None:
    files, extractor = photos(tmp_path / "in", 3), Extractor(tiny)
    nobody = Machines("tcp://127.0.0.1:9")
    own = tmp_path / "own" / extractor.fingerprint
    Computer(tmp_path / "own", extractor).rows(files)
    cache, seen = Cache(own, extractor.length), Seen(tmp_path / "own" / "seen")
    assert fill(nobody, files, extractor, cache, seen, own) == []
    assert Computer(tmp_path / "own", extractor, machines=nobody).rows(files).computed == 0
