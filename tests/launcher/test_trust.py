"""An environment is run only if nobody else could have put it there."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from made.launcher import AS_ROOT, SAYS_WHERE, Launcher, bound, make_environment

SOMEBODY = 54321


@pytest.fixture
def outside(local: Launcher) -> Path:
    """A cache with an environment, for a clone that has none and is read-only."""
    found = local.folder / "fixed" / "cache"
    make_environment(found / "venv", SAYS_WHERE)
    for folder in (found.parent, found, found / "venv"):
        folder.chmod(0o755)
    local.clone.chmod(0o555)
    return found


def modes(**names: int) -> Callable[[Path], None]:
    """Return what gives folders in and around a cache these modes."""

    def change(cache: Path) -> None:
        for name, mode in names.items():
            {"above": cache.parent, "cache": cache, "venv": cache / "venv"}[name].chmod(mode)

    return change


def replaced(by: Callable[[Path, Path], None]) -> Callable[[Path], None]:
    """Return what moves the cache away and does that in its place."""

    def change(cache: Path) -> None:
        away = cache.parent.parent / "away"
        away.mkdir()
        by(cache.rename(away / "cache"), cache)

    return change


def given(*names: str, **modes_: int) -> Callable[[Path], None]:
    """Return what gives folders in and around a cache to somebody else."""

    def change(cache: Path) -> None:
        modes(**modes_)(cache)
        for name in names:
            os.lchown({"above": cache.parent, "cache": cache, "venv": cache / "venv"}[name],
                      SOMEBODY, SOMEBODY)  # fmt: skip

    return change


def _linked(away: Path, cache: Path) -> None:
    cache.symlink_to(away)


def _by_a_strangers_link(away: Path, cache: Path) -> None:
    _linked(away, cache)
    os.lchown(cache, SOMEBODY, SOMEBODY)
    cache.parent.chmod(0o1777)


def _by_two_links(away: Path, cache: Path) -> None:
    between = away.parent / "between"
    between.mkdir()
    between.chmod(0o777)
    (between / "link").symlink_to("../cache")
    cache.symlink_to("../away/between/link")


@pytest.mark.parametrize(
    "change",
    [
        modes(),
        modes(above=0o1777),  # as /tmp
        modes(above=0o1777, cache=0o700, venv=0o700),
        replaced(_linked),
    ],
)
def test_an_environment_that_nobody_else_can_change_is_run(
    local: Launcher, outside: Path, change: Callable[[Path], None]
) -> None:
    change(outside)
    done = local("--help", before=bound())
    assert (done.code, done.out, done.err) == (0, f"run: {outside}/venv\n", "")


@pytest.mark.parametrize(
    ("change", "who"),
    [
        (modes(venv=0o777), "others can write to {0}/venv (chmod go-w)"),
        (modes(venv=0o1777), "others can write to {0}/venv "),
        (modes(cache=0o777), "others can write to {0} "),
        (modes(above=0o777), "others can write to {1} "),
        (replaced(_by_two_links), "others can write to {1.parent}/away/between "),
        pytest.param(given("venv"), "{0}/venv belongs to 54321", marks=AS_ROOT),
        pytest.param(given("cache"), "{0} belongs to 54321", marks=AS_ROOT),
        pytest.param(given("cache", above=0o1777), "{0} belongs to 54321", marks=AS_ROOT),
        pytest.param(given("above"), "{1} belongs to 54321", marks=AS_ROOT),
        pytest.param(replaced(_by_a_strangers_link), "{0} belongs to 54321", marks=AS_ROOT),
    ],
)
def test_an_environment_that_others_can_change_is_not_run(
    local: Launcher, outside: Path, change: Callable[[Path], None], who: str
) -> None:
    change(outside)
    done = local("--help", before=bound())
    assert (done.code, done.out) == (1, "")
    reason = who.format(outside, outside.parent)
    assert f"refusing to run anything from {outside}/venv: {reason}" in done.err
    assert "set TENSOR_GUESS_CACHE to a folder of your own" in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("clones", "owner", "mode", "run"),
    [
        (0o755, None, 0o755, True),
        (0o755, None, 0o777, False),
        (0o777, None, 0o777, True),  # as all folders are on a disk of Windows
        (0o1777, None, 0o777, False),
        pytest.param(0o755, SOMEBODY, 0o755, False, marks=AS_ROOT),
        pytest.param(0o1777, SOMEBODY, 0o755, False, marks=AS_ROOT),
        pytest.param(0o777, SOMEBODY, 0o755, True, marks=AS_ROOT),
    ],
)
def test_an_environment_in_the_clone_is_trusted_as_the_clone_is(
    local: Launcher, clones: int, owner: int | None, mode: int, run: bool
) -> None:
    venv = make_environment(local.clone / ".venv", SAYS_WHERE)
    venv.chmod(mode)
    local.clone.chmod(clones)
    if owner:
        os.chown(venv, owner, owner)
    done = local("--help")
    assert done.out == (f"run: {venv}\n" if run else "")
    if not run:
        assert done.code == 1
        assert f"refusing to run anything from {venv}: " in done.err
        assert "remove it, and it will be created again" in done.err


def test_bytecode_in_the_clone_is_trusted_as_the_clone_is(local: Launcher) -> None:
    venv = make_environment(local.clone / ".venv", SAYS_WHERE)
    bytecode = local.clone / "src/tensor_guess/__pycache__"
    bytecode.mkdir()
    assert local("--help").out == f"run: {venv}\n"
    bytecode.chmod(0o777)
    done = local("--help")
    assert (done.code, done.out) == (1, "")
    assert f"refusing to run anything from {bytecode}: others can write to {bytecode} " in done.err
    local.clone.chmod(0o777)
    assert local("--help").out == f"run: {venv}\n"


@AS_ROOT
def test_who_owns_the_clone_is_trusted_with_its_environment(local: Launcher, outside: Path) -> None:
    for folder in (local.clone, outside, outside / "venv"):
        os.chown(folder, SOMEBODY, SOMEBODY)
    assert local("--help", before=bound()).out == f"run: {outside}/venv\n"
    os.chown(make_environment(local.clone / ".venv", SAYS_WHERE), SOMEBODY, SOMEBODY)
    assert local("--help").out == f"run: {local.clone}/.venv\n"


@AS_ROOT
@pytest.mark.parametrize(("group", "run"), [(0, True), (SOMEBODY, False)])
def test_a_group_called_as_its_user_is_the_users_own(
    local: Launcher, outside: Path, group: int, run: bool
) -> None:
    for folder in (outside, outside / "venv"):
        os.chown(folder, 0, group)
        folder.chmod(0o775)
    assert local("--help", before=bound()).out == (f"run: {outside}/venv\n" if run else "")
