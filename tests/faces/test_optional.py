"""Without the packages there is a sentence; in a folder of their own they are found."""

import subprocess
import sys
from pathlib import Path

import pytest

from tensor_guess.config import SOURCE
from tensor_guess.errors import UserError
from tensor_guess.faces import optional
from tensor_guess.system import packages


def test_where_they_are_installed_nothing_happens() -> None:
    optional.require()


def test_where_they_are_not_it_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optional, "_PACKAGES", ("av", "nobodys_package"))
    with pytest.raises(UserError, match=r"not here; run \./tensor-guess"):
        optional.require()


def test_what_pip_installed_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optional, "_PACKAGES", ("av", "nobodys_package"))
    monkeypatch.setattr(packages, "INSTALLED", True)
    with pytest.raises(UserError, match=r"run `pip install 'tensor-guess\[faces\]'`"):
        optional.require()


def test_they_are_found_in_the_environments_folder(tmp_path: Path) -> None:
    for name in ("av", "cv2"):
        (tmp_path / "faces" / name).mkdir(parents=True)
        (tmp_path / "faces" / name / "__init__.py").touch()
    script = (
        f"import sys; sys.path[:0] = [{str(SOURCE)!r}]; sys.prefix = {str(tmp_path)!r}\n"
        "from tensor_guess.faces import optional; optional.require()\n"
        "import av, cv2; print(av.__file__)"
    )
    # -S: without the packages of this environment.
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True
    )
    assert done.stdout == f"{tmp_path}/faces/av/__init__.py\n", done.stderr
