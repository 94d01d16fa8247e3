"""A worker that has no scheduler says so; one that is stopped leaves at once and in order."""

import signal
from pathlib import Path

import pytest

from made.cluster import children_of, cluster, until
from made.place import Run
from tensor_guess.errors import UserError
from tensor_guess.spreading import versions, worker


def test_a_scheduler_of_another_version_is_refused() -> None:
    own = versions.own()
    packages = {"dask": own["dask"], "distributed": own["distributed"], "python": own["Python"]}
    worker.check_scheduler("tcp://h:1", packages | {"python": own["Python"] + ".9.final.0"})
    with pytest.raises(UserError, match=r"the scheduler at tcp://h:1 has dask 1\.0, and this mach"):
        worker.check_scheduler("tcp://h:1", packages | {"dask": "1.0"})
    with pytest.raises(UserError, match=r"has Python 3\.9, and this machine has"):
        worker.check_scheduler("tcp://h:1", packages | {"python": "3.9.1.final.0"})


@pytest.mark.slow
def test_without_a_scheduler_it_ends_with_a_sentence(run: Run) -> None:
    done = run("worker", "tcp://127.0.0.1:9")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "tensor-guess: no scheduler answers at tcp://127.0.0.1:9 within 20 seconds; start one "
        "(`dask scheduler`), or check the address and the certificates\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_when_it_is_told_and_leaves_nothing(
    cache: Path, tmp_path: Path, number: signal.Signals
) -> None:
    with cluster(tmp_path, cache, 0) as made:
        process = made.worker()
        started = children_of(process)
        assert started
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err) == (128 + number, "", "")
        until(lambda: not any(Path(f"/proc/{each}").exists() for each in started))
