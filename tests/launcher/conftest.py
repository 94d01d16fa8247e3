"""The launcher in a clone, with stand-ins for what it starts."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from made.launcher import STAND_IN, TOOLS, Launcher, make_clone, make_environment


@pytest.fixture(scope="session")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of links to the system's tools, for a PATH."""
    folder = tmp_path_factory.mktemp("tools")
    for name in TOOLS.split():
        if tool := shutil.which(name):
            (folder / name).symlink_to(tool)
    return folder


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A clone with a stand-in environment, which the whole session shares; not to be changed."""
    folder = make_clone(tmp_path_factory.mktemp("clone"))
    make_environment(folder / ".venv", STAND_IN)
    before = contents(folder)
    yield folder
    assert contents(folder) == before


def contents(folder: Path) -> dict[Path, bytes]:
    """Return every file below a folder with its bytes."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def launcher(tmp_path: Path, tools: Path, clone: Path) -> Launcher:
    """A launcher that finds no engine yet."""
    here, stand_in = tmp_path / "here", tmp_path / "stand-in"
    here.mkdir()
    stand_in.mkdir()
    environ = {
        "PATH": f"{tmp_path}/bin:{tools}",
        "HOME": str(tmp_path / "home"),
        "STAND_IN": str(stand_in),
        "LC_ALL": "C.UTF-8",
    }
    return Launcher(tmp_path, here, clone, environ)


@pytest.fixture
def own(launcher: Launcher) -> Launcher:
    """A launcher with a clone of its own, for a test to change."""
    launcher.clone = make_clone(launcher.folder / "clone")
    make_environment(launcher.clone / ".venv", STAND_IN)
    return launcher


@pytest.fixture
def docker(launcher: Launcher) -> Launcher:
    """A launcher that finds a stand-in docker with the image `stand-in`."""
    launcher.install("docker")
    launcher.environ["TENSOR_GUESS_IMAGE"] = "stand-in"
    return launcher


@pytest.fixture
def local(tmp_path: Path, tools: Path) -> Launcher:
    """A launcher that is to use local Python, in a clone of its own without an environment."""
    (tmp_path / "here").mkdir()
    environ = {
        "PATH": str(tools),
        "TENSOR_GUESS_LAUNCHER": "local",
        "TENSOR_GUESS_CACHE": str(tmp_path / "fixed" / "cache"),
    }
    return Launcher(tmp_path, tmp_path / "here", make_clone(tmp_path / "clone"), environ)
