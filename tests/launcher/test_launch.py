"""Which launcher is used, and how the scripts find it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from made.launcher import STAND_IN, Launcher, classifier, write
from made.place import ROOT


def test_docker_comes_before_podman_and_podman_before_python(launcher: Launcher) -> None:
    launcher.environ["TENSOR_GUESS_IMAGE"] = "stand-in"
    done = launcher("--help")
    assert done.calls == [["python", "-I", "-u", "-X", "utf8", f"{launcher.clone}/src", "--help"]]
    assert done.err == ""
    launcher.install("podman")
    assert launcher("--help").run[0] == "podman"
    launcher.install("docker")
    assert launcher("--help").run[0] == "docker"


@pytest.mark.parametrize("name", ["docker", "podman"])
def test_an_engine_asked_for_by_name_is_used_or_it_is_125(launcher: Launcher, name: str) -> None:
    launcher.environ |= {"TENSOR_GUESS_IMAGE": "stand-in", "TENSOR_GUESS_LAUNCHER": name}
    done = launcher("--help")
    assert (done.code, done.err) == (
        125,
        f"tensor-guess: {name} is not installed (TENSOR_GUESS_LAUNCHER)\n",
    )
    launcher.install("docker", "podman")
    assert launcher("--help").run[0] == name
    launcher.does(f"{name}-info", "echo no >&2; exit 1")
    launcher.does("docker-version", "echo 'Is the docker daemon running?' >&2; exit 1")
    done = launcher("--help")
    assert done.code == 125
    assert done.err.count("\n") == 1
    assert done.calls[-1][1] in ("info", "version", "--version")


def test_local_can_be_asked_for(docker: Launcher) -> None:
    docker.environ["TENSOR_GUESS_LAUNCHER"] = "local"
    docker.does("python--I", "exit 3")
    done = docker("guess", "tf", "x")
    assert done.calls == [
        ["python", "-I", "-u", "-X", "utf8", f"{docker.clone}/src", "guess", "tf", "x"]
    ]
    assert done.code == 3


def test_another_word_for_the_launcher_is_wrong_usage(docker: Launcher) -> None:
    docker.environ["TENSOR_GUESS_LAUNCHER"] = "kubernetes"
    done = docker("--help")
    assert done.code == 2
    assert "docker, podman or local" in done.err
    assert done.calls == []


@pytest.mark.parametrize("where", ["docker", "local"])
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_what_is_run_finds_no_stream_closed(docker: Launcher, where: str, closed: str) -> None:
    docker.environ["TENSOR_GUESS_LAUNCHER"] = where
    script = """
        for stream in 0 1 2; do [[ -e /dev/fd/${stream} ]] || exit 9; done
        if echo printed 2>/dev/null; then exit 5; else exit 6; fi
    """
    docker.does("docker-run", script)
    docker.does("python--I", script)
    done = subprocess.run(
        ["bash", "-c", f'exec "$@" {closed}', "bash", docker.clone / "tensor-guess", "--help"],
        env=docker.environ, cwd=docker.here, stdout=subprocess.PIPE, check=False,
    )  # fmt: skip
    printed = ">" not in closed.replace("2>", "")
    assert (done.returncode, done.stdout) == ((5, b"printed\n") if printed else (6, b""))


def test_a_cd_of_the_users_own_is_not_called(docker: Launcher) -> None:
    docker.environ["BASH_FUNC_cd%%"] = "() { echo pwned; }"
    classifier(docker.here / "tf")
    done = docker("tf", script="train.sh")
    assert (done.code, done.err) == (0, "")
    assert done.mounts[f"{docker.here}/tf"] == "rw"


def test_the_scripts_are_found_through_links(docker: Launcher) -> None:
    (docker.here / "bin").mkdir()
    (docker.here / "bin" / "teach").symlink_to(docker.clone / "train.sh")
    classifier(docker.here / "tf")
    process = subprocess.run(
        ["bin/teach", "tf"], env=docker.environ, cwd=docker.here, check=True, capture_output=True
    )
    assert process.stderr == b""
    assert docker.calls()[-1][-2:] == ["train", "tf"]


def of_python(calls: list[list[str]]) -> list[list[str]]:
    """Leave out shellcheck, which runs beside the tests."""
    return [call for call in calls if call[0] == "python"]


@pytest.mark.parametrize("name", ["ends\n", "a\nb", "-", "it's \\"])
def test_the_scripts_find_their_clone_whatever_its_name(own: Launcher, name: str) -> None:
    for each in ("test.sh", ".ci/run", "tools/lock.sh", "requirements-dev.lock"):
        (own.clone / each).parent.mkdir(exist_ok=True)
        shutil.copy2(ROOT / each, own.clone / each)
    own.clone = own.clone.rename(own.folder / name)
    shutil.copy2(ROOT / "requirements-dev.lock", own.clone / ".venv" / "dev-complete")
    for each in ("shellcheck", "shfmt", "python"):
        write(own.clone / ".venv/bin" / each, STAND_IN)
    own.install("uv")
    own.does("uv-pip", 'cat requirements.lock >>"${STAND_IN}/locked"')
    arguments = ["python", "-I", "-u", "-X", "utf8", f"{own.clone}/src"]
    tests = "python -X utf8 -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile".split()
    tests += ["-m", "not long"]
    for script, called in (
        ("tensor-guess", [*arguments, "x"]),
        ("train.sh", [*arguments, "train", "x"]),
        ("guess.sh", [*arguments, "guess", "x"]),
        ("classify_dir.sh", [*arguments, "classify-dir", "x"]),
        ("collect_faces.sh", [*arguments, "collect-faces", "x"]),
        ("serve.sh", [*arguments, "serve", "x"]),
        ("test.sh", [*tests, "x"]),
        (".ci/run", tests),
    ):
        done = own("x", script=script)
        assert (done.code, done.err) == (0, "")
        assert of_python(done.calls)[-1] == called
        # By its name alone, as bash is given it in that folder.
        where = (own.clone / script).parent
        subprocess.run(["bash", Path(script).name, "x"], env=own.environ, cwd=where, check=True)
        assert of_python(own.calls())[-1] == called
    assert own(script="tools/lock.sh").code == 0
    assert (own.folder / "stand-in/locked").exists()


# What macOS' bash 3.2 does not have, or macOS itself.
MODERN = (
    "declare -A", "local -A", "mapfile", "readarray", "local -n", "declare -n", "wait -n",
    "coproc", "&>>", "|&", "BASHPID", "EPOCH", "@Q}", ",,}", "^^}", "[-1]", "[[ -v ",
    "readlink -e", "realpath", "timeout ",
)  # fmt: skip


def test_nothing_newer_than_bash_3_2_is_used() -> None:
    for path in [*ROOT.glob("src/launcher/*.bash"), ROOT / "tensor-guess", *ROOT.glob("*.sh")]:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            code = "" if line.lstrip().startswith("#") else line
            assert [text for text in MODERN if text in code] == [], f"{path.name}:{number}"


def test_no_script_has_windows_line_ends() -> None:
    for path in [*ROOT.glob("src/launcher/*.bash"), ROOT / "tensor-guess", *ROOT.glob("*.sh")]:
        assert b"\r" not in path.read_bytes(), path.name
