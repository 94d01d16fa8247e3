"""Any name, and links: which path the program gets, and what killed runs left."""

import os
import time

import pytest

from made.launcher import Launcher, classifier

HOSTILE = (
    "with space",
    "a,b",
    'say "cheese"',
    "it's",
    "two\nlines",
    "ends\n",
    "tab\there",
    "-dash",
    "--mount",
    "犬 Café हिन्दी",
    "$(touch x)",
    "back\\slash",
    "*",
    "co:lon",
    "=",
)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("absolute", [False, True])
def test_any_name_is_mounted_at_its_own_path(docker: Launcher, name: str, absolute: bool) -> None:
    folder = docker.here / name
    folder.mkdir()
    (folder / name).touch()
    photo = folder / name if absolute else f"{name}/{name}"
    done = docker("guess", "--json", "--", classifier(docker.here / "tf"), photo)
    assert done.code == 0, done.err
    assert done.mounts[str(folder)] == "ro"
    assert done.passed == ["guess", "--json", "--", str(docker.here / "tf"), str(photo)]


def test_folders_of_links_are_given_by_their_own_path(docker: Launcher) -> None:
    tf = classifier(docker.folder / "elsewhere" / "tf")
    (docker.folder / "elsewhere" / "photos").mkdir()
    (docker.here / "tf").symlink_to(tf)
    (docker.here / "photos").symlink_to("../elsewhere/photos")
    (docker.folder / "elsewhere" / "dest").mkdir()
    (docker.here / "dest").symlink_to(docker.folder / "elsewhere" / "dest")
    done = docker("classify-dir", "tf", "photos", "dest")
    there = docker.folder / "elsewhere"
    assert done.passed == ["classify-dir", str(tf), f"{there}/photos", f"{there}/dest"]
    assert {p: m for p, m in done.mounts.items() if "elsewhere" in p} == {
        str(tf): "ro",
        f"{there}/photos": "ro",
        f"{there}/dest": "rw",
    }


def test_a_linked_picture_keeps_its_name_and_its_target_is_mounted(docker: Launcher) -> None:
    (docker.folder / "real").mkdir()
    (docker.folder / "real" / "photo.jpg").touch()
    (docker.folder / "between").mkdir()
    (docker.folder / "between" / "second").symlink_to("../real/photo.jpg")
    (docker.here / "p").mkdir()
    (docker.here / "p" / "first").symlink_to(docker.folder / "between" / "second")
    done = docker("guess", classifier(docker.here / "tf"), "p/first")
    assert done.passed[-1] == "p/first"
    for folder in (docker.here / "p", docker.folder / "between", docker.folder / "real"):
        assert done.mounts[str(folder)] == "ro"


def test_a_picture_in_a_linked_folder_keeps_its_name(docker: Launcher) -> None:
    (docker.folder / "real").mkdir()
    (docker.folder / "real" / "photo.jpg").touch()
    (docker.here / "linked").symlink_to(docker.folder / "real")
    done = docker("guess", classifier(docker.here / "tf"), "linked/photo.jpg")
    assert done.passed[-1] == "linked/photo.jpg"
    mount = f'type=bind,"source={docker.folder}/real","target={docker.here}/linked",readonly'
    assert mount in done.options("--mount")


def test_what_killed_runs_left_is_swept_two_days_later(docker: Launcher) -> None:
    tf, scratch = classifier(docker.here / "tf"), docker.folder / "scratch"
    docker.environ["TMPDIR"] = str(scratch)
    backbones = docker.folder / "home/.cache/tensor-guess/backbones"
    old = [
        scratch / ".tensor-guess-fetched.aB3dE6gH",
        tf / ".tensor-guess-0123456789abcdef.tmp",
        backbones / ".tensor-guess-0123456789abcdef.tmp",
    ]
    kept = [
        scratch / ".tensor-guess-fetched.young000",
        tf / ".tensor-guess-fedcba9876543210.tmp",
        scratch / "tensor-guess-pictures",
        tf / "tensor-guess.tmp",
        docker.here / ".tensor-guess-0123456789abcdef.tmp",  # nothing is written there
    ]
    for path in (*old, *kept):
        path.mkdir(parents=True)
        (path / "half").touch()
    then = time.time() - 3 * 24 * 3600
    for path in (*old, *kept[2:]):
        os.utime(path, (then, then))
    docker("guess", "tf", "https://example.com/a.jpg")
    docker("train", "tf")
    assert [path for path in old if path.exists()] == []
    assert [path for path in kept if not path.exists()] == []
