"""What only happens in a container, seen from outside one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from made.place import ROOT
from tensor_guess.system import container


def test_outside_a_container_nothing_happens() -> None:
    container.enter({})


def test_folders_that_are_as_the_launcher_saw_them_are_fine(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    container.enter(
        {
            "TENSOR_GUESS_SEEN_1": f"{tmp_path}/",
            "TENSOR_GUESS_SEEN_2": f"{tmp_path}/photo.jpg",
            "TENSOR_GUESS_SEEN_3": f"{tmp_path}/dangling",
        }
    )


@pytest.mark.parametrize("name", ["empty/", "nonce", "missing/", "missing/photo.jpg", "file/x"])
def test_a_folder_of_another_machine_is_noticed(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(container.EngineTrouble, match="as this machine does") as at:
        container.enter({"TENSOR_GUESS_SEEN_1": f"{tmp_path}/{name}"})
    assert at.value.exit_code == 125
    assert str(tmp_path) in str(at.value)


def test_files_get_the_modes_of_the_host(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        container.enter({"TENSOR_GUESS_UMASK": "0077"})
        (tmp_path / "file").touch()
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


def test_the_program_says_so_and_ends_with_125(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-X", "utf8", ROOT / "src", "guess", "tf", "photo.jpg"],
        env={"TENSOR_GUESS_SEEN_1": f"{tmp_path}/gone/", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith(
        f"tensor-guess: the container engine does not see {tmp_path}/gone"
    )
    assert done.stderr.count("\n") == 1


def test_in_a_container_a_server_listens_where_only_the_engine_comes() -> None:
    assert container.listening("127.0.0.1", {}) == "127.0.0.1"
    assert container.listening("127.0.0.1", {"TENSOR_GUESS_PUBLISHED": "1"}) == "0.0.0.0"
