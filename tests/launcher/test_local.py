"""Local Python: missing, without a place, half made; and its optional packages."""

import os
import sys
import time

import pytest

from made.launcher import SAYS_WHERE, Launcher, bound, make_environment
from made.place import ROOT

# Stands for the environment's Python: pip writes its arguments down and makes the folder; what
# renames it is real.
PIP = f"""#!/usr/bin/env bash
if [[ $2 != -m ]]; then exec '{sys.executable}' "$@"; fi
printf '%s\\n' "$@" >>"${{0%/bin/*}}/../pip"
echo "WARNING: slow" >&2
if [[ -e ${{0%/bin/*}}/../offline ]]; then echo "ERROR: no matching thing" >&2; exit 1; fi
while [[ $1 != --target ]]; do shift; done
mkdir -p "$2/cv2"
"""


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


@pytest.fixture
def installing(local: Launcher) -> Launcher:
    """A launcher whose environment is made, without the packages for faces."""
    make_environment(
        local.clone / ".venv",
        PIP.replace("if [[ $2", "if [[ $5 == */src ]]; then exit; fi\nif [[ $2"),
    )
    return local


@pytest.mark.parametrize(
    "arguments",
    [("collect-faces", "tf", "me", "clip.mp4"), ("guess", "tf", "x.jpg", "--face"),
     ("guess", "tf", "x.mp4", "--every=1s"), ("classify-dir", "tf", "a", "b", "--face")],
)  # fmt: skip
def test_the_packages_for_faces_are_installed_when_first_needed(
    installing: Launcher, arguments: tuple[str, ...]
) -> None:
    done = installing(*arguments)
    assert (done.code, done.out) == (0, "")
    assert done.err == (
        "tensor-guess: installing OpenCV and PyAV for faces and videos, once: "
        "about 100 MB to download, 270 MB on disk\n"
    )
    pip = (installing.clone / "pip").read_text().split("\n")
    assert {"--require-hashes", "--no-deps", ":all:"} < set(pip)
    assert f"{installing.clone}/requirements-faces.lock" in pip
    faces = installing.clone / ".venv" / "faces"
    assert (faces / "cv2").is_dir()
    lock = (ROOT / "requirements-faces.lock").read_bytes()
    assert (faces / "complete").read_bytes() == lock
    assert [path.name for path in faces.parent.iterdir() if "new" in path.name] == []
    assert installing(*arguments).err == ""


@pytest.mark.parametrize(
    "arguments",
    [("guess", "tf", "x.jpg"), ("collect-faces", "--help"), ("collect-faces",),
     ("guess", "tf", "--", "--face"), ("train", "tf")],
)  # fmt: skip
def test_who_does_not_need_them_does_not_get_them(
    installing: Launcher, arguments: tuple[str, ...]
) -> None:
    assert installing(*arguments).err == ""
    assert not (installing.clone / "pip").exists()


def test_packages_of_another_lock_file_are_replaced(installing: Launcher) -> None:
    faces = installing.clone / ".venv" / "faces"
    (faces / "old").mkdir(parents=True)
    (faces / "complete").write_text("an older lock file")
    assert installing("guess", "tf", "x.jpg", "--face").code == 0
    assert sorted(path.name for path in faces.iterdir()) == ["complete", "cv2"]


def test_without_the_internet_that_is_one_sentence_and_nothing_is_left(
    installing: Launcher,
) -> None:
    (installing.clone / "offline").touch()
    before = sorted(installing.clone.rglob("*"))
    done = installing("guess", "tf", "x.jpg", "--face")
    assert (done.code, done.out) == (1, "")
    said = done.err.splitlines()
    assert len(said) == 2
    assert said[1].startswith(
        "tensor-guess: could not install OpenCV and PyAV (no matching thing); check the internet "
    )
    (installing.clone / "pip").unlink()
    assert sorted(installing.clone.rglob("*")) == before


@pytest.mark.parametrize(
    "arguments",
    [("train", "tf", "--workers", "2"), ("classify-dir", "tf", "a", "b", "--scheduler=tcp://h:1"),
     ("worker", "tcp://h:1", "a")],
)  # fmt: skip
def test_dask_is_installed_when_first_needed(
    installing: Launcher, arguments: tuple[str, ...]
) -> None:
    done = installing(*arguments)
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("tensor-guess: installing Dask for many machines, once: about ")
    lock = (ROOT / "requirements-many.lock").read_bytes()
    assert (installing.clone / ".venv" / "many" / "complete").read_bytes() == lock
    assert not (installing.clone / ".venv" / "faces").exists()
    assert installing(*arguments).err == ""


@pytest.mark.parametrize(
    "arguments",
    [("train", "tf", "--image_dir", "s3://bucket/data"), ("classify-dir", "tf", "in", "S3://b/out"),
     ("classify-dir", "tf", "s3://b/in", "out"), ("worker", "tcp://h:1", "s3://bucket/in")],
)  # fmt: skip
def test_s3fs_is_installed_when_first_needed(
    installing: Launcher, arguments: tuple[str, ...]
) -> None:
    done = installing(*arguments)
    assert (done.code, done.out) == (0, "")
    assert "tensor-guess: installing s3fs for object stores, once: about " in done.err
    lock = (ROOT / "requirements-stores.lock").read_bytes()
    assert (installing.clone / ".venv" / "stores" / "complete").read_bytes() == lock
    assert installing(*arguments).err == ""
    assert not (installing.clone / ".venv" / "faces").exists()
