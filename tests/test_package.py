"""What pip installs: the whole program, and nothing that is not it."""

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from made.place import ROOT
from tensor_guess import __version__

Program = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


def environment(folder: Path, package: Path) -> Program:
    """A new environment with the package; what it depends on comes from this one."""
    venv.create(folder, symlinks=True)
    python = folder / "bin/python"
    site = sysconfig.get_path("purelib", vars={"base": str(folder)})
    Path(site, "dependencies.pth").write_text(sysconfig.get_path("purelib"), "utf-8")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    # Nothing is to be downloaded: what builds the package is here too.
    pip += ["--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run([*pip, str(package)], check=True, capture_output=True, text=True)

    def program(*words: object, path: str | None = None) -> subprocess.CompletedProcess[str]:
        env = {"PATH": "/usr/bin:/bin", "TENSOR_GUESS_CACHE": str(folder / "cache")}
        env |= {"PYTHONPATH": path} if path else {}
        command = [str(folder / "bin/tensor-guess"), *map(str, words)]
        return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)

    return program


@pytest.mark.slow
def test_the_wheel_does_the_main_job_without_the_clone(
    built: tuple[Path, Path], tmp_path: Path
) -> None:
    program = environment(tmp_path / "env", built[0])
    assert program("--version").stdout == f"tensor-guess {__version__}\n"
    (tmp_path / "tf").mkdir()
    (tmp_path / "tf/data").symlink_to(ROOT / "tf_files/data")
    backbone = ("--backbone", "efficientnet_lite0", "--steps", "200")
    trained = program("train", tmp_path / "tf", *backbone)
    assert trained.returncode == 0, trained.stderr
    guessed = program("guess", tmp_path / "tf", ROOT / "test_data/photo01.jpg")
    assert re.match(r"dark knight \(score = 0\.\d{5}\)\n", guessed.stdout), guessed.stderr
    done = program("classify-dir", tmp_path / "tf", ROOT / "test_data", tmp_path / "sorted")
    assert done.stdout.startswith("12 copied to "), done.stderr
    assert program("no-such-command").returncode == 2


@pytest.mark.slow
def test_the_sdist_installs_the_same_program(built: tuple[Path, Path], tmp_path: Path) -> None:
    program = environment(tmp_path / "env", built[1])
    assert program("--version").stdout == f"tensor-guess {__version__}\n"
    # Nobody's modules are run, wherever it is started.
    (tmp_path / "json.py").write_text("raise SystemExit('not ours')", "utf-8")
    assert program("backbones", path=str(tmp_path)).returncode == 0


@pytest.mark.slow
def test_they_hold_the_program_and_no_weights_pictures_or_tests(built: tuple[Path, Path]) -> None:
    own = {path.relative_to(ROOT / "src").as_posix()
           for path in (ROOT / "src/tensor_guess").rglob("*") if path.is_file()}  # fmt: skip
    own = {name for name in own if "__pycache__" not in name} | {"tensor_guess/__main__.py"}
    with zipfile.ZipFile(built[0]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    pages = {name for name in names if ".data/data/share/man/man1/" in name}
    assert {Path(name).name for name in pages} == {each.name for each in (ROOT / "man").iterdir()}
    assert names - pages == own
    with tarfile.open(built[1]) as sdist:
        inside = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"LICENSE", "README.md", "src/__main__.py"} < inside
    assert not any(re.match("tests|test_data|tf_files|bench", name) for name in inside)
    assert max(os.path.getsize(each) for each in built) < 1_000_000


@pytest.mark.parametrize("name", ["faces", "many", "stores"])
def test_what_is_locked_for_an_optional_set_is_what_the_extra_names(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extra = {re.split("[<>=]", each)[0] for each in project["optional-dependencies"][name]}
    lines = (ROOT / f"requirements-{name}.in").read_text("utf-8").splitlines()
    assert {re.split("[<>=]", each)[0] for each in lines if each[:1].isalpha()} == extra


def test_the_changelog_begins_with_this_version() -> None:
    headings = re.findall("^## (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.M)
    assert headings[0] == "Unreleased"
    version, _, date = headings[1].partition(" - ")
    assert version == __version__
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", date)
