"""Workers on other machines read a store themselves, as who their own environment says."""

import json
from pathlib import Path

import pytest

from made.cluster import cluster
from made.place import ROOT, Run
from made.sorting import tree
from made.store import KEY, SECRET, Store
from tensor_guess.images.scaling import Scaling
from tensor_guess.spreading import looking, shared
from tensor_guess.spreading.shared import Job
from tensor_guess.spreading.tasks import Task
from tensor_guess.stores import s3
from tensor_guess.stores.paths import StorePath, parsed

PHOTOS = ROOT / "test_data"


def test_a_job_and_its_tasks_have_urls_and_no_secret(store: Store) -> None:
    root = parsed(store.url)
    scaling = Scaling(16, 0, 1)
    files = ((root / "graph.pb", "0" * 64), (root / "known", "1" * 64))
    job = Job(*files, scaling, "x", "float32", 16, (root / "a.jpg", b"k" * 32), root)
    again = Job.of_plain(json.loads(json.dumps(job.plain())))
    assert again == job
    assert isinstance(again.inside, StorePath)
    _, _, said = Task("guesses", looking.look, job).plain([root / "a b" / "ü?.jpg"])
    assert f"{store.url}/a b/" in json.loads(said)["paths"][0]
    assert SECRET.encode() not in said
    assert KEY.encode() not in said


def test_what_killed_runs_left_goes_after_a_day(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = {"d/.tensor-guess-00.tmp/graph.pb": b"1", "d/.tensor-guess-00.tmp/known": b"1"}
    store.put(left | {"d/a.jpg": b"1"})
    shared._sweep(parsed(f"{store.url}/d"))  # type: ignore[arg-type]
    assert store.objects() == left | {"d/a.jpg": b"1"}
    monkeypatch.setattr(shared, "ABANDONED_SECONDS", -2)
    shared._sweep(parsed(f"{store.url}/d"))  # type: ignore[arg-type]
    assert store.objects() == {"d/a.jpg": b"1"}


@pytest.mark.slow
def test_sorting_a_bucket_into_a_bucket_by_workers_gives_the_same(
    run: Run, small: Path, store: Store, cache: Path, tmp_path: Path
) -> None:
    store.take(PHOTOS, "photos")
    assert run("classify-dir", small, PHOTOS, tmp_path / "plain").returncode == 0
    plain = {name: each[2] for name, each in tree(tmp_path / "plain").items()}
    with cluster(tmp_path, cache, 2, environ=store.environ) as made:
        to = f"{store.url}/sorted"
        process = made.run("classify-dir", small, f"{store.url}/photos", to)
        said, err = process.communicate(timeout=300)
        assert (process.returncode, err) == (0, "")
        assert said.startswith(f"12 copied to {to}")
        found = store.objects("sorted/")
        assert not [key for key in found if ".tensor-guess-" in key]
        pictures = {key[7:]: data for key, data in found.items() if "manifest" not in key}
        assert pictures == plain
    (tmp_path / "nobody").mkdir()
    with cluster(tmp_path / "nobody", cache, 1) as made:  # it does not know who asks
        made.environ |= store.environ
        process = made.run("classify-dir", small, f"{store.url}/photos", f"{store.url}/other")
        said, err = process.communicate(timeout=300)
        assert (process.returncode, said) == (1, "")
        assert f"does not see {store.url}/other as this machine does (" in err
        assert "AWS_ACCESS_KEY_ID is not set" in err
        assert "set the same AWS_* variables there" in err
        assert not [key for key in store.objects("other/") if "manifest" not in key]
    s3._system.cache_clear()


@pytest.mark.slow
def test_training_by_workers_reads_a_bucket_and_knows_it_the_next_time(
    store: Store, cache: Path, tmp_path: Path
) -> None:
    store.take(ROOT / "tf_files" / "data", "data")
    (tmp_path / "tf").mkdir()
    how = ("--backbone", "efficientnet_lite0", "--steps", "50", "--no-report")
    with cluster(tmp_path, cache, 1, environ=store.environ) as made:
        for _ in range(2):
            store.requests()
            url = f"{store.url}/data"
            process = made.run("train", tmp_path / "tf", "--image-dir", url, *how)
            _, err = process.communicate(timeout=300)
            assert process.returncode == 0, err
    assert not [each for each in store.requests() if "?list-type=2" not in each]
