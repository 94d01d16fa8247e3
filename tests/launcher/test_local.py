"""Local Python: that cannot be had, that has no place, or that others could have put there."""

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from made.place import ROOT
from tensor_guess.config import cache_folder

TOOLS = "bash env readlink cmp find ls mkdir rm cat id".split()
SOMEBODY = 54321
AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can give folders away")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The launcher and nothing else, and a folder of tools without any Python."""
    folder = tmp_path / "clone"
    (folder / "src/launcher").mkdir(parents=True)
    for path in (
        ROOT / "tensor-guess",
        ROOT / "requirements.lock",
        *(ROOT / "src/launcher").glob("*.bash"),
    ):
        shutil.copy(path, folder / path.relative_to(ROOT))
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found
        (tmp_path / "bin" / tool).symlink_to(found)
    return folder


def launch(clone: Path, *before: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """How the local launcher ended."""
    environ = {
        "PATH": str(clone.parent / "bin"),
        "TENSOR_GUESS_LAUNCHER": "local",
        "TENSOR_GUESS_CACHE": str(clone.parent / "fixed" / "cache"),
    } | environ
    return subprocess.run(
        [*before, str(clone / "tensor-guess"), "--help"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


def bound() -> list[str]:
    """What makes permissions hold for root too: it gives up the right to pass over them."""
    if os.getuid():
        return []
    return [shutil.which("setpriv") or "", "--bounding-set", "-dac_override"]


def environment(folder: Path) -> Path:
    """An environment that says where it is when it is run."""
    (folder / "bin").mkdir(parents=True)
    shutil.copy(ROOT / "requirements.lock", folder / "complete")
    (folder / "bin" / "python").write_text('#!/usr/bin/env bash\necho "run: ${0%/bin/*}"\n')
    (folder / "bin" / "python").chmod(0o755)
    return folder


def test_without_a_suitable_python_it_says_how_to_get_one(clone: Path) -> None:
    before = sorted(clone.parent.rglob("*"))
    done = launch(clone)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no Python 3.11, 3.12 or 3.13 with venv was found; install one" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sorted(clone.parent.rglob("*")) == before


def test_where_nothing_can_be_written_it_says_what_to_set(clone: Path) -> None:
    (clone.parent / "fixed").mkdir()
    for folder in (clone, clone.parent / "fixed"):
        folder.chmod(0o555)
    try:
        done = launch(clone, *bound())
    finally:
        for folder in (clone, clone.parent / "fixed"):
            folder.chmod(0o755)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"cannot write to {clone} nor to " in done.stderr
    assert "set TENSOR_GUESS_CACHE to a folder that can be written" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.fixture
def outside(clone: Path) -> Path:
    """A cache with an environment, for a clone that has none and is read-only."""
    found = clone.parent / "fixed" / "cache"
    environment(found / "venv")
    for folder in (found.parent, found, found / "venv"):
        folder.chmod(0o755)
    clone.chmod(0o555)
    return found


def modes(**names: int) -> Callable[[Path], None]:
    """Gives folders in and around a cache these modes."""

    def change(cache: Path) -> None:
        for name, mode in names.items():
            {"above": cache.parent, "cache": cache, "venv": cache / "venv"}[name].chmod(mode)

    return change


def replaced(by: Callable[[Path, Path], None]) -> Callable[[Path], None]:
    """Moves the cache away, and does that in its place."""

    def change(cache: Path) -> None:
        away = cache.parent.parent / "away"
        away.mkdir()
        by(cache.rename(away / "cache"), cache)

    return change


def given(*names: str, **modes_: int) -> Callable[[Path], None]:
    """Gives folders in and around a cache to somebody else."""

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
    clone: Path, outside: Path, change: Callable[[Path], None]
) -> None:
    change(outside)
    done = launch(clone, *bound())
    assert (done.returncode, done.stdout, done.stderr) == (0, f"run: {outside}/venv\n", "")


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
    clone: Path, outside: Path, change: Callable[[Path], None], who: str
) -> None:
    change(outside)
    done = launch(clone, *bound())
    assert (done.returncode, done.stdout) == (1, "")
    reason = who.format(outside, outside.parent)
    assert f"nothing is run from {outside}/venv: {reason}" in done.stderr
    assert "set TENSOR_GUESS_CACHE to a folder of your own" in done.stderr
    assert len(done.stderr.splitlines()) == 1


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
    clone: Path, clones: int, owner: int | None, mode: int, run: bool
) -> None:
    venv = environment(clone / ".venv")
    venv.chmod(mode)
    clone.chmod(clones)
    if owner:
        os.chown(venv, owner, owner)
    done = launch(clone)
    assert done.stdout == (f"run: {venv}\n" if run else "")
    if not run:
        assert done.returncode == 1
        assert f"nothing is run from {venv}: " in done.stderr
        assert "remove it, and it is made anew" in done.stderr


def test_bytecode_in_the_clone_is_trusted_as_the_clone_is(clone: Path) -> None:
    venv = environment(clone / ".venv")
    bytecode = clone / "src/tensor_guess/__pycache__"
    bytecode.mkdir(parents=True)
    assert launch(clone).stdout == f"run: {venv}\n"
    bytecode.chmod(0o777)
    done = launch(clone)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"nothing is run from {bytecode}: others can write to {bytecode} " in done.stderr
    clone.chmod(0o777)
    assert launch(clone).stdout == f"run: {venv}\n"


@AS_ROOT
def test_who_owns_the_clone_is_trusted_with_its_environment(clone: Path, outside: Path) -> None:
    for folder in (clone, outside, outside / "venv"):
        os.chown(folder, SOMEBODY, SOMEBODY)
    assert launch(clone, *bound()).stdout == f"run: {outside}/venv\n"
    os.chown(environment(clone / ".venv"), SOMEBODY, SOMEBODY)
    assert launch(clone).stdout == f"run: {clone}/.venv\n"


@AS_ROOT
@pytest.mark.parametrize(("group", "run"), [(0, True), (SOMEBODY, False)])
def test_a_group_called_as_its_user_is_the_users_own(
    clone: Path, outside: Path, group: int, run: bool
) -> None:
    for folder in (outside, outside / "venv"):
        os.chown(folder, 0, group)
        folder.chmod(0o775)
    assert launch(clone, *bound()).stdout == (f"run: {outside}/venv\n" if run else "")


def test_environments_half_made_are_swept_two_days_later(clone: Path) -> None:
    environment(clone / ".venv")
    old, young = clone / ".venv.new.4711", clone / ".venv.new.4712"
    for folder in (old, young):
        environment(folder)
    then = time.time() - 3 * 24 * 3600
    os.utime(old, (then, then))
    assert launch(clone).returncode == 0
    assert (old.exists(), young.exists()) == (False, True)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"HOME": ""},
        {"HOME": "/somewhere"},
        {"HOME": "/somewhere", "XDG_CACHE_HOME": "/xdg"},
        {"HOME": "/somewhere", "XDG_CACHE_HOME": "", "TENSOR_GUESS_CACHE": ""},
        {"XDG_CACHE_HOME": "/xdg", "TENSOR_GUESS_CACHE": "near/by"},
    ],
)
def test_launcher_and_program_mean_the_same_cache(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = 'ROOT=${PWD}; source src/launcher/launch.bash; find_cache; printf "%s" "${CACHE}"'
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env={"PATH": os.environ["PATH"]} | environ,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in ("HOME", "XDG_CACHE_HOME", "TENSOR_GUESS_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(ROOT)
    assert done.stdout == str(cache_folder())
    if not environ:
        home = pwd.getpwuid(os.getuid()).pw_dir
        assert done.stdout == f"{home}/.cache/tensor-guess"
