"""Local Python: missing, without a place, half made."""

import os
import time

from made.launcher import SAYS_WHERE, Launcher, bound, make_environment


def test_without_a_suitable_python_it_says_how_to_get_one(local: Launcher) -> None:
    before = sorted(local.folder.rglob("*"))
    done = local("--help")
    assert (done.code, done.out) == (1, "")
    assert "no Python 3.11, 3.12 or 3.13 with venv was found; install one" in done.err
    assert len(done.err.splitlines()) == 1
    assert sorted(local.folder.rglob("*")) == before


def test_where_nothing_can_be_written_it_says_what_to_set(local: Launcher) -> None:
    (local.folder / "fixed").mkdir()
    for folder in (local.clone, local.folder / "fixed"):
        folder.chmod(0o555)
    try:
        done = local("--help", before=bound())
    finally:
        for folder in (local.clone, local.folder / "fixed"):
            folder.chmod(0o755)
    assert (done.code, done.out) == (1, "")
    assert f"cannot write to {local.clone} or " in done.err
    assert "set TENSOR_GUESS_CACHE to a writable folder" in done.err
    assert len(done.err.splitlines()) == 1


def test_environments_half_made_are_swept_two_days_later(local: Launcher) -> None:
    make_environment(local.clone / ".venv", SAYS_WHERE)
    old, young = local.clone / ".venv.new.4711", local.clone / ".venv.new.4712"
    for folder in (old, young):
        make_environment(folder, SAYS_WHERE)
    then = time.time() - 3 * 24 * 3600
    os.utime(old, (then, then))
    assert local("--help").code == 0
    assert (old.exists(), young.exists()) == (False, True)
