"""Local Python that cannot be had, or has no place: one sentence, and nothing left behind."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import ROOT

TOOLS = "bash env dirname readlink cmp mkdir rm cat id".split()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The launcher and nothing else, and a folder of tools without any Python."""
    folder = tmp_path / "clone"
    (folder / "src").mkdir(parents=True)
    for path in (ROOT / "tensor-guess", ROOT / "requirements.lock", *(ROOT / "src").glob("*.bash")):
        shutil.copy(path, folder / path.relative_to(ROOT))
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found
        (tmp_path / "bin" / tool).symlink_to(found)
    return folder


def launch(clone: Path, *before: str) -> subprocess.CompletedProcess[str]:
    """How the local launcher ended."""
    environ = {
        "PATH": str(clone.parent / "bin"),
        "TENSOR_GUESS_LAUNCHER": "local",
        "TENSOR_GUESS_CACHE": str(clone.parent / "fixed" / "cache"),
    }
    return subprocess.run(
        [*before, str(clone / "tensor-guess"), "--help"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_suitable_python_it_says_how_to_get_one(clone: Path) -> None:
    before = sorted(clone.parent.rglob("*"))
    done = launch(clone)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no Python 3.11, 3.12 or 3.13 with venv was found; install one" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sorted(clone.parent.rglob("*")) == before


def test_where_nothing_can_be_written_it_says_what_to_set(clone: Path) -> None:
    # Permissions hold for root too, once it has given up the right to pass over them.
    bound = ["setpriv", "--bounding-set", "-dac_override"] if os.getuid() == 0 else []
    bound[:1] = [shutil.which("setpriv") or ""] if bound else []
    (clone.parent / "fixed").mkdir()
    for folder in (clone, clone.parent / "fixed"):
        folder.chmod(0o555)
    try:
        done = launch(clone, *bound)
    finally:
        for folder in (clone, clone.parent / "fixed"):
            folder.chmod(0o755)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"cannot write to {clone} nor to " in done.stderr
    assert "set TENSOR_GUESS_CACHE to a folder that can be written" in done.stderr
    assert len(done.stderr.splitlines()) == 1
