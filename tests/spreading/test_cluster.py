"""Work goes to workers and comes back whole, whoever dies, and is the same as without them."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from made.certificates import certificates
from made.cluster import Cluster, Link, at_work, cluster, kill, until
from made.place import ROOT, Run
from made.rows import photo, photos
from made.sorting import Tree, tree
from tensor_guess.sorting.sort import sort

pytestmark = pytest.mark.slow

# A worker that dies of a picture whose name has "fatal" in it.
_DIES = """
import os, signal
from tensor_guess.spreading import looking


def dying(job, loaded, path):
    if "fatal" in path.name:
        os.kill(os.getpid(), signal.SIGKILL)
    return look(job, loaded, path)


if looking._look.__name__ != "dying":  # Dask runs this twice
    look = looking._look
    looking._look = dying
"""


@pytest.fixture(scope="module")
def two(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler with two workers."""
    with cluster(tmp_path_factory.mktemp("two"), cache, 2) as made:
        yield made


@pytest.fixture(scope="module")
def alone(classifier: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """What sorting the pictures gives without workers."""
    out = tmp_path_factory.mktemp("alone") / "out"
    assert sort(classifier, pictures, out).sorted == 700
    return tree(out)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, said = process.communicate(timeout=300)
    return process.returncode, out, said


def has(out: Path, count: int) -> bool:
    """Whether more than so many pictures are there."""
    return len(list(out.glob("*.bmp"))) > count


def test_sorting_by_workers_gives_the_same_and_knows_what_is_done(
    two: Cluster, classifier: Path, pictures: Path, tmp_path: Path, alone: Tree
) -> None:
    out = tmp_path / "out"
    code, said, err = ended(two.run("classify-dir", classifier, pictures, out))
    assert (code, err) == (0, "")
    assert said.startswith("700 copied to ")
    assert tree(out, left=True) == alone
    code, said, _ = ended(two.run("classify-dir", classifier, pictures, out))
    assert (code, said) == (0, f"0 copied to {out}, 700 known already\n")


def test_what_is_left_out_is_the_same(two: Cluster, classifier: Path, tmp_path: Path) -> None:
    source = tmp_path / "in"
    photos(source, 5)
    (source / "text.jpg").write_text("no picture")
    (source / "cut.bmp").write_bytes((source / "0.bmp").read_bytes()[:100])
    photo(source / "same.bmp", 3)
    (source / "out.bmp").symlink_to(photo(tmp_path / "elsewhere.bmp", 9))
    (source / os.fsdecode(b"caf\xe9 \n.bmp")).write_bytes(photo(tmp_path / "x", 10).read_bytes())
    by_workers = ended(two.run("classify-dir", classifier, source, tmp_path / "one"))
    done = sort(classifier, source, tmp_path / "two")
    assert by_workers[0] == 3
    assert sorted(by_workers[2].splitlines()) == sorted(map(str, done.left_out))
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert done.sorted == 6


def test_training_by_workers_gives_the_same_bytes_and_computes_only_what_is_new(
    two: Cluster, run: Run, examples: Path, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        shutil.copytree(examples, tmp_path / name / "data")
    options = ("--backbone", "efficientnet_lite0", "--steps", "20")
    assert run("train", tmp_path / "one", *options).returncode == 0
    code, _, err = ended(two.run("train", tmp_path / "two", *options))
    assert code == 0, err
    assert "300 of 300 pictures were looked at." in err
    for name in ("retrained_graph.pb", "retrained_labels.txt"):
        one, other = (tmp_path / each / name for each in ("one", "two"))
        assert one.read_bytes() == other.read_bytes()
    assert list((tmp_path / "two").rglob(".tensor-guess*")) == []
    # A picture that was only moved is not computed again.
    data = tmp_path / "two" / "data"
    (data / "dark" / "0.bmp").rename(data / "dark" / "moved.bmp")
    photo(data / "dark" / "new.bmp", 1)
    rows = set((tmp_path / "two" / "bottlenecks").rglob("*.npy"))
    code, _, err = ended(two.run("train", tmp_path / "two", *options))
    assert code == 0, err
    assert "2 of 2 pictures were looked at." in err
    (added,) = set((tmp_path / "two" / "bottlenecks").rglob("*.npy")) - rows
    assert added.stat().st_size < 2 * 4 * 1280


def test_evaluating_by_workers_says_the_same(
    two: Cluster, run: Run, trained: Path, examples: Path, tmp_path: Path
) -> None:
    labelled = tmp_path / "labelled"
    for own, name in (("dark_knight", "dark"), ("snow_queen", "bright")):
        shutil.copytree(examples / name, labelled / own)
    (labelled / "snow_queen" / "text.jpg").write_text("no picture")
    shutil.copyfile(labelled / "dark_knight" / "0.bmp", labelled / "dark_knight" / "again.bmp")
    shutil.copyfile(labelled / "dark_knight" / "1.bmp", labelled / "snow_queen" / "torn.bmp")
    alone = run("evaluate", trained, labelled, "--json")
    assert alone.returncode == 3
    assert json.loads(alone.stdout)["accuracy"]["count"] > 0
    assert ended(two.run("evaluate", trained, labelled, "--json")) == (
        3,
        alone.stdout,
        alone.stderr,
    )
    assert list(trained.rglob(".tensor-guess*")) == []
    graph = trained / "retrained_graph.pb"
    code, _, err = ended(two.run("evaluate", graph, labelled))
    assert (code, err.count("\n")) == (2, 1)
    assert "name a folder, or use --workers" in err
    of_graph = run("evaluate", graph, labelled, "--json")
    by_workers = run("evaluate", graph, labelled, "--json", "--workers", 2)
    assert (by_workers.returncode, by_workers.stdout) == (3, of_graph.stdout)


def test_a_worker_that_is_killed_costs_nothing(
    cache: Path, classifier: Path, pictures: Path, tmp_path: Path, alone: Tree
) -> None:
    with cluster(tmp_path, cache, 2) as made:
        workers = made.processes[1:]
        process = made.run("classify-dir", classifier, pictures, tmp_path / "out")
        for number in range(3):
            until(partial(has, tmp_path / "out", 100 * number), process)
            kill(workers[number % 2])
        assert ended(process)[0] == 0
        # One that is gone for good, with what starts it again, is not missed either.
        workers[0].kill()
        code, said, _ = ended(made.run("classify-dir", classifier, pictures, tmp_path / "out"))
        assert (code, "700 known already" in said) == (0, True)
    assert tree(tmp_path / "out") == alone


def test_the_one_picture_that_kills_workers_is_left_out(
    cache: Path, classifier: Path, tmp_path: Path
) -> None:
    (tmp_path / "dies.py").write_text(_DIES)
    source = tmp_path / "in"
    photos(source, 9)
    photo(source / "3-fatal.bmp", 77)
    environ = {
        "DASK_DISTRIBUTED__WORKER__PRELOAD": str(tmp_path / "dies.py"),
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
    }
    with cluster(tmp_path, cache, 2, environ=environ) as made:
        code, said, err = ended(made.run("classify-dir", classifier, source, tmp_path / "out"))
        assert (code, err) == (
            3,
            f"left out {source}/3-fatal.bmp: each worker that looked at it died\n",
        )
        assert said.startswith("9 copied to ")
        data = tmp_path / "tf" / "data"
        shutil.copytree(source, data / "a")
        photos(data / "b", 9, first=20)
        (tmp_path / "g.pb").write_bytes(classifier.read_bytes())
        options = ("--from", classifier, "--steps", "5")
        code, _, err = ended(made.run("train", tmp_path / "tf", *options))
        assert code == 3, err
        assert f"left out {data}/a/3-fatal.bmp: each worker that looked at it died\n" in err


def test_if_the_scheduler_is_killed_the_next_run_completes(
    cache: Path, classifier: Path, pictures: Path, tmp_path: Path, alone: Tree
) -> None:
    with cluster(tmp_path, cache, 1) as made:
        out = tmp_path / "out"
        process = made.run("classify-dir", classifier, pictures, out)
        until(partial(has, out, 50), process)
        assert made.scheduler
        made.scheduler.kill()
        code, _, err = ended(process)
        assert code == 1
        assert err.splitlines() == [
            f"tensor-guess: the scheduler at {made.address} is gone; what is done is kept: start "
            "it and its workers, and run this again to go on"
        ]
        worker = made.processes[1]
        code, _, err = ended(worker)
        assert (code, len(err.splitlines())) == (1, 1)
        assert "is gone; start it, and then this again" in err
        made.start()
        made.worker()
        code, _, err = ended(made.run("classify-dir", classifier, pictures, out))
        assert (code, err) == (0, "")
    assert tree(out, left=True) == alone


@pytest.mark.parametrize("torn", [False, True])
def test_a_link_that_is_cut_for_ten_seconds_is_waited_for(
    two: Cluster, classifier: Path, pictures: Path, tmp_path: Path, alone: Tree, torn: bool
) -> None:
    link, out = Link(two.address), tmp_path / "out"
    process = two.run("classify-dir", classifier, pictures, out, address=link.address)
    until(partial(has, out, 50), process)
    link.cut()
    if torn:
        link.tear()
    time.sleep(10)
    link.mend()
    assert ended(process)[0] == 0
    assert tree(out, left=True) == alone


def test_a_worker_with_other_code_is_refused_before_anything_is_done(
    cache: Path, classifier: Path, pictures: Path, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    with open(tmp_path / "src/tensor_guess/errors.py", "a") as file:
        file.write("# another version\n")
    with cluster(tmp_path, cache, 0) as made:
        made.worker(source=tmp_path / "src")
        code, out, err = ended(made.run("classify-dir", classifier, pictures, tmp_path / "out"))
    assert (code, out) == (1, "")
    assert "has other code of the same tensor-guess; install the same on all machines" in err
    assert not (tmp_path / "out").exists()


def test_a_worker_that_does_not_see_the_pictures_is_told_so(
    cache: Path, classifier: Path, pictures: Path, tmp_path: Path
) -> None:
    hidden = f'mount -t tmpfs none "{pictures}" && exec "$@"'
    before = ("unshare", "--mount", "--propagation", "private", "sh", "-c", hidden, "sh")
    if subprocess.run([*before, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this user cannot hide a folder from a process")
    with cluster(tmp_path, cache, 1) as made:
        made.worker(before=before)
        code, _, err = ended(made.run("classify-dir", classifier, pictures, tmp_path / "out"))
        assert code == 1
        (line,) = err.splitlines()
        assert f"does not see {pictures} as this machine does" in line
        assert list(tmp_path.glob("out/*.bmp")) == []


def test_nobody_takes_part_without_a_certificate(
    cache: Path, classifier: Path, pictures: Path, tmp_path: Path, alone: Tree
) -> None:
    own, others = certificates(tmp_path / "own"), certificates(tmp_path / "others")
    with cluster(tmp_path, cache, 1, tls=own) as made:
        assert made.address.startswith("tls://")
        assert ended(made.run("classify-dir", classifier, pictures, tmp_path / "out"))[0] == 0
        assert tree(tmp_path / "out") == alone
        made.tls = others
        code, _, err = ended(made.run("classify-dir", classifier, pictures, tmp_path / "another"))
        assert code == 1
        assert "no scheduler answers at tls://" in err


@pytest.mark.parametrize("count", [1, 2, 4])
def test_any_number_of_workers_of_this_machine_gives_the_same(
    run: Run, classifier: Path, pictures: Path, tmp_path: Path, alone: Tree, count: int
) -> None:
    out = tmp_path / "out"
    done = run("classify-dir", classifier, pictures, out, "--workers", count)
    plural = "s" * (count > 1)
    assert (done.returncode, done.stderr) == (0, f"starting {count} worker{plural}\n")
    assert tree(out, left=True) == alone


def test_a_scheduler_that_is_not_there_is_one_sentence(
    run: Run, classifier: Path, pictures: Path, tmp_path: Path
) -> None:
    started = time.monotonic()
    address = "tcp://127.0.0.1:9"
    done = run("classify-dir", classifier, pictures, tmp_path / "out", "--scheduler", address)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"tensor-guess: no scheduler answers at {address} within 20 s")
    assert len(done.stderr.splitlines()) == 1
    assert time.monotonic() - started < 60
    assert not (tmp_path / "out").exists()


def test_ctrl_c_ends_all_that_was_started(
    cache: Path, classifier: Path, pictures: Path, tmp_path: Path
) -> None:
    made = Cluster(tmp_path, cache)
    process = made.program("classify-dir", classifier, pictures, tmp_path / "out", "--workers", 1)
    until(partial(has, tmp_path / "out", 20), process)
    worker = at_work(process)
    assert worker
    process.send_signal(signal.SIGINT)
    assert ended(process)[0] == 130
    until(lambda: not Path(f"/proc/{worker}").exists())
