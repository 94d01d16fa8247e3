"""A real engine, the real image, and people with other uids."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from made.launcher import BESIDES_SRC, SCRIPTS

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# Starts an engine on a Debian machine that has none; not part of the project.
ENGINE_SCRIPT = ROOT.parent / "shared" / "docker" / "engine.sh"
BUILT_FROM = ("src", *BESIDES_SRC)

BASE = "python:3.11-slim-bookworm"
PROBE_ENTRY = ["python3", "-I", "-X", "utf8", "/probe.py"]

Text = subprocess.CompletedProcess[str]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies in this folder."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker("container")


@dataclass(frozen=True)
class Engine:
    """An engine that answers: its command, and the variables that lead to it."""

    command: str
    environ: dict[str, str]

    def __call__(self, *arguments: object, **options: object) -> str:
        """What the engine's client printed; it must succeed."""
        done = subprocess.run(
            [shutil.which(self.command, path=self.environ["PATH"]), *map(str, arguments)],
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            **options,  # type: ignore[call-overload]
        )
        assert done.returncode == 0, done.stderr
        return str(done.stdout)


@dataclass(frozen=True)
class Person:
    """Somebody with a uid, a folder of their own, and the launcher."""

    uid: int
    folder: Path
    engine: Engine
    clone: Path
    image: str
    groups: Sequence[int] = ()
    umask: int = 0o022

    @property
    def environ(self) -> dict[str, str]:
        """Their environment."""
        return {
            "HOME": str(self.folder),
            **self.engine.environ,
            "TENSOR_GUESS_LAUNCHER": self.engine.command,
            "TENSOR_GUESS_IMAGE": self.image,
            "TENSOR_GUESS_CACHE": str(self.folder / "cache"),
        }

    def start(self, command: Sequence[object], **options: object) -> subprocess.Popen[str]:
        """The process, as that person, in their folder unless `cwd` says otherwise."""
        identity = {"user": self.uid, "group": self.uid, "extra_groups": list(self.groups)}
        settings: dict[str, object] = {
            "cwd": self.folder,
            "env": self.environ,
            "umask": self.umask,
            **({} if os.getuid() == self.uid and not self.groups else identity),
            **options,
        }
        process: subprocess.Popen[str] = subprocess.Popen(
            list(map(str, command)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **settings,  # type: ignore[call-overload]
        )
        return process

    def run(self, script: str, *arguments: object, **options: object) -> Text:
        """How `./guess.sh ...` and the like end in a container."""
        return _ended(self.start([self.clone / script, *arguments], **options))

    def local(self, *arguments: object, **options: object) -> Text:
        """How the same ends with local Python; as who runs the tests: others may not have it."""
        program = [sys.executable, "-I", "-u", "-X", "utf8", self.clone / "src"]
        done: Text = subprocess.run(
            list(map(str, [*program, *arguments])),
            cwd=options.get("cwd", self.folder),  # type: ignore[call-overload]
            env={"PATH": "/usr/bin:/bin", "TENSOR_GUESS_CACHE": str(self.folder / "cache")},
            capture_output=True,
            text=True,
            check=False,
        )
        return done

    def own(self, *paths: Path) -> None:
        """Nothing comes back; the paths, and all that is in them, are theirs."""
        for path in paths:
            for each in (path, *path.rglob("*")):
                os.chown(each, self.uid, self.uid, follow_symlinks=False)


def _ended(process: subprocess.Popen[str]) -> Text:
    out, err = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def _answers(command: str, environ: dict[str, str]) -> bool:
    tool = shutil.which(command, path=environ["PATH"])
    if not tool:
        return False
    return subprocess.run([tool, "info"], env=environ, capture_output=True).returncode == 0


def _started() -> dict[str, str]:
    """The variables that lead to an engine that ENGINE_SCRIPT started."""
    subprocess.run([ENGINE_SCRIPT, "start"], check=True, capture_output=True, timeout=600)
    script = f'eval "$("{ENGINE_SCRIPT}" env)"; printf "%s\\0%s" "${{DOCKER_HOST}}" "${{PATH}}"'
    told = subprocess.run(["bash", "-c", script], check=True, capture_output=True, text=True)
    host, _, path = told.stdout.partition("\0")
    return {"DOCKER_HOST": host, "PATH": path}


@pytest.fixture(scope="session")
def docker() -> Engine:
    """The Docker engine that answers, or that can be started here; else the tests are skipped."""
    kept = {name: os.environ[name] for name in ("PATH", "DOCKER_HOST") if name in os.environ}
    if _answers("docker", kept):
        return Engine("docker", kept)
    if ENGINE_SCRIPT.exists() and os.getuid() == 0 and shutil.which("apt-get"):
        return Engine("docker", _started())
    pytest.skip("NO CONTAINER TESTS: no Docker engine answers here")


@pytest.fixture(scope="session")
def workshop() -> Iterator[Path]:
    """A folder that everybody can enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="tensor-guess-test-", dir="/var/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def clone(workshop: Path) -> Path:
    """A copy of the project: the image is built of it, whatever changes in the original."""
    folder = workshop / "clone"
    folder.mkdir()
    for name in SCRIPTS:
        shutil.copy2(ROOT / name, folder / name)
    for name in BUILT_FROM:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def image(docker: Engine, clone: Path) -> str:
    """The image, built by the launcher as for anybody, without BuildKit."""
    environ = {**docker.environ, "DOCKER_BUILDKIT": "0", "TENSOR_GUESS_LAUNCHER": "docker"}
    done = subprocess.run(
        [clone / "tensor-guess", "--help"], env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Usage:")
    script = 'ROOT=$1; source "$1/src/launcher/launch.bash"; digest_of_inputs'
    digest = subprocess.run(
        ["bash", "-c", script, "bash", clone], check=True, capture_output=True, text=True
    ).stdout
    return f"tensor-guess:{digest[:16]}"


@pytest.fixture(scope="session")
def probe(docker: Engine, workshop: Path) -> str:
    """The name of an image with probe.py in the program's place."""
    folder = workshop / "probe"
    folder.mkdir()
    shutil.copy2(HERE / "probe.py", folder)
    (folder / "Dockerfile").write_text(
        f"FROM {BASE}\nCOPY probe.py /probe.py\nUSER 65534\nENTRYPOINT {json.dumps(PROBE_ENTRY)}\n"
    )
    docker("build", "--tag", "tensor-guess-probe", folder)
    return "tensor-guess-probe"


@pytest.fixture(scope="session")
def taught(docker: Engine, image: str, clone: Path, workshop: Path) -> Path:
    """A classifier's folder, taught in a container; everybody may read it."""
    folder = workshop / "taught"
    shutil.copytree(ROOT / "tf_files" / "data", folder / "data")
    me = Person(os.getuid(), workshop, docker, clone, image)
    done = me.run("train.sh", folder, "--backbone", "efficientnet_lite0")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(params=[0, 1000, 54321])
def person(
    request: pytest.FixtureRequest, docker: Engine, image: str, clone: Path, workshop: Path
) -> Person:
    """Root, somebody, and somebody whom /etc/passwd does not know."""
    return make_person(request.param, docker, image, clone, workshop)


@pytest.fixture
def me(docker: Engine, image: str, clone: Path, workshop: Path) -> Person:
    """Who runs the tests."""
    return make_person(os.getuid(), docker, image, clone, workshop)


def make_person(uid: int, engine: Engine, image: str, clone: Path, workshop: Path) -> Person:
    """Somebody with that uid and a new folder; skipped where the tests may not be them."""
    if uid != os.getuid() and os.getuid() != 0:
        pytest.skip(f"only root can be uid {uid}")
    folder = Path(tempfile.mkdtemp(prefix=f"uid {uid} ", dir=workshop))
    groups: list[int] = []
    if uid != os.getuid():
        os.chown(folder, uid, uid)
        socket = engine.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
        # As if they were in the group docker, and in another one.
        groups = [os.stat(socket.removeprefix("unix://")).st_gid, 4242]
    return Person(uid, folder, engine, clone, image, groups)


def probing(person: Person, probe: str) -> Person:
    """The same person, with the probe in the program's place."""
    return replace(person, image=probe)
