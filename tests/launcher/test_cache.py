"""Where the cache is, and when nothing is loaded from it."""

import os
import pwd
import subprocess

import pytest

from made.launcher import AS_ROOT, GID, UID, Launcher, classifier
from made.place import ROOT
from tensor_guess.config import cache_folder


def test_the_cache_is_made_where_it_is_wanted(docker: Launcher) -> None:
    docker.environ["TENSOR_GUESS_CACHE"] = "my cache"
    tf = classifier(docker.here / "tf")
    done = docker("train", tf)
    cache = docker.here / "my cache"
    assert cache.is_dir()
    assert done.mounts[str(cache)] == "rw"
    assert f"TENSOR_GUESS_CACHE={cache}" in done.options("--env")


def told(launcher: Launcher, *arguments: str) -> dict[str, str]:
    """The program's variables, in either launcher."""
    if launcher.environ.get("TENSOR_GUESS_LAUNCHER") == "local":
        launcher.does("python--I", "printenv; exit")
        lines = launcher(*arguments).out.splitlines()
    else:
        lines = [each for run in launcher(*arguments).runs for each in run.options("--env")]
    return {name: value for name, _, value in (line.partition("=") for line in lines) if value}


@pytest.mark.parametrize("where", ["docker", "local"])
@pytest.mark.parametrize(
    ("above", "mode", "owner", "group", "who"),
    [
        (0o755, 0o755, UID, GID, ""),
        (0o1777, 0o755, UID, GID, ""),
        (0o755, 0o777, UID, GID, "others can write to {}/cache (chmod go-w)"),
        (0o755, 0o1777, UID, GID, "others can write to {}/cache "),
        (0o777, 0o755, UID, GID, "others can write to {} "),
        # Shared on purpose; but in a folder such as /tmp anybody can have made it.
        pytest.param(0o755, 0o2775, 54321, 54321, "", marks=AS_ROOT),
        pytest.param(0o755, 0o2775, UID, 54321, "", marks=AS_ROOT),
        pytest.param(0o755, 0o2777, 54321, 54321, "{}/cache belongs to 54321", marks=AS_ROOT),
        pytest.param(0o1777, 0o755, 54321, 54321, "{}/cache belongs to 54321", marks=AS_ROOT),
        pytest.param(0o1777, 0o2775, UID, 54321, "others can write to {}/cache ", marks=AS_ROOT),
    ],
)
def test_no_backbone_is_taken_from_what_others_can_change(
    docker: Launcher, where: str, above: int, mode: int, owner: int, group: int, who: str
) -> None:
    docker.environ["TENSOR_GUESS_LAUNCHER"] = where
    cache = docker.folder / "above" / "cache"
    docker.environ["TENSOR_GUESS_CACHE"] = str(cache)
    cache.mkdir(parents=True)
    os.chown(cache, owner, group)
    cache.chmod(mode)
    cache.parent.chmod(above)
    classifier(docker.here / "tf")
    found = told(docker, "train", "tf")
    if not who:
        assert (found["TENSOR_GUESS_CACHE"], found.get("TENSOR_GUESS_DISTRUST")) == (
            str(cache),
            None,
        )
        return
    assert found["TENSOR_GUESS_DISTRUST"].startswith(
        f"not using the backbones in {cache}: {who.format(cache.parent)}"
    )
    assert "; set TENSOR_GUESS_CACHE to a folder of your own" in found["TENSOR_GUESS_DISTRUST"]
    if where == "docker":
        done = docker("guess", "imagenet", "x.jpg")
        assert len(done.runs) == 1
        assert str(cache) not in done.mounts


@pytest.mark.parametrize("name", ["", "backbones", "downloads", "networks"])
def test_a_folder_in_the_cache_is_looked_at_too(docker: Launcher, name: str) -> None:
    cache = docker.folder / "home" / ".cache" / "tensor-guess"
    (cache / "backbones").mkdir(parents=True)
    (cache / "networks").mkdir()
    (cache / "downloads").symlink_to(docker.folder / "elsewhere")
    (docker.folder / "elsewhere").mkdir()
    classifier(docker.here / "tf")
    assert "TENSOR_GUESS_DISTRUST" not in told(docker, "train", "tf")
    (cache / name).chmod(0o777)
    reason = f"others can write to {(cache / name).resolve()} "
    assert reason in told(docker, "train", "tf")["TENSOR_GUESS_DISTRUST"]


def test_a_cache_is_made_so_that_only_its_user_can_write(docker: Launcher) -> None:
    classifier(docker.here / "tf")
    before = os.umask(0)
    try:
        done = docker("train", "tf")
    finally:
        os.umask(before)
    cache = docker.folder / "home" / ".cache" / "tensor-guess"
    assert cache.stat().st_mode & 0o777 == 0o755
    assert str(cache) in done.mounts


@pytest.mark.parametrize("where", ["docker", "local"])
def test_no_module_is_taken_from_what_others_can_change(docker: Launcher, where: str) -> None:
    docker.environ["TENSOR_GUESS_LAUNCHER"] = where
    classifier(docker.here / "tf")
    hub = docker.here / "hub"
    hub.mkdir()
    docker.environ["TFHUB_CACHE_DIR"] = "hub"
    arguments = ("train", "tf", "--tfhub_module", "https://tfhub.dev/x/1")
    assert told(docker, *arguments)["TFHUB_CACHE_DIR"] == str(hub)
    hub.chmod(0o777)
    assert "TFHUB_CACHE_DIR" not in told(docker, *arguments)
    assert f"not using the modules in TFHUB_CACHE_DIR: others can write to {hub} " in (
        docker(*arguments).err
    )


def test_tensorflow_hubs_own_cache_is_seen(docker: Launcher) -> None:
    tf = classifier(docker.here / "tf")
    (docker.here / "hub cache").mkdir()
    docker.environ["TFHUB_CACHE_DIR"] = "hub cache"
    runs = docker("train", tf, "--tfhub_module", "https://tfhub.dev/x/1").runs
    assert [run.passed[0] for run in runs] == ["fetch-modules", "fetch", "train"]
    # Where a stranger's module is loaded, the others cannot be changed.
    assert [run.mounts[f"{docker.here}/hub cache"] for run in runs] == ["rw", "ro", "ro"]
    for run in runs:
        assert f"TFHUB_CACHE_DIR={docker.here}/hub cache" in run.options("--env")
    keep, fetch = docker("fetch", "https://tfhub.dev/x/1", "vgg16").runs
    assert keep.passed == ["fetch-modules", "--", "https://tfhub.dev/x/1"]
    assert fetch.passed == ["fetch", "https://tfhub.dev/x/1", "vgg16"]


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
