"""The same image and flags on a real Podman, as root and rootless."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from containers.conftest import PROBE_ENTRY, ROOT, Engine, Person
from containers.test_docker import HOSTILE, PHOTOS, copied, facts

PROBE = "tensor-guess-probe"
# For a machine that may not raise limits, or whose cgroups crun does not take.
MODEST = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
"""


@dataclass(frozen=True)
class Podman(Engine):
    """A Podman that runs containers, as root or as `uid`."""

    uid: int = 0

    def __call__(self, *arguments: object, **options: object) -> str:
        identity = {"user": self.uid, "group": self.uid, "extra_groups": []}
        given = {"cwd": "/", **options}
        given |= identity if os.getuid() != self.uid else {}
        return super().__call__(*arguments, **given)


def works(podman: Podman, archive: Path) -> str:
    """Why it does not run the probe in the archive; "" where it does."""
    entry = f"ENTRYPOINT {json.dumps(PROBE_ENTRY)}"
    try:
        podman("import", "--quiet", "--change", entry, archive, PROBE)
        podman("run", "--rm", "--network", "none", PROBE, "nothing")
    except AssertionError as error:
        return str(error).strip().splitlines()[-1]
    return ""


@pytest.fixture(scope="session")
def archive(docker: Engine, probe: str, workshop: Path) -> Path:
    """The probe as the files of one layer: without root, Podman may copy them for each."""
    path = workshop / "probe.tar"
    container = docker("create", probe).strip()
    docker("export", "--output", path, container)
    docker("rm", container)
    path.chmod(0o644)
    return path


@pytest.fixture(scope="session")
def installed() -> None:
    """Nothing; Podman is there, or the tests are skipped with the reason."""
    if shutil.which("podman"):
        return
    if os.getuid() != 0 or not shutil.which("apt-get"):
        pytest.skip("NO PODMAN TESTS: it is not installed, and cannot be by who runs the tests")
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    packages = ("podman", "runc", "catatonit", "uidmap", "slirp4netns")
    for command in (("update", "-qq"), ("install", "-qq", "--no-install-recommends", *packages)):
        done = subprocess.run(["apt-get", "-y", *command], env=environ, capture_output=True)
        if done.returncode != 0:
            pytest.skip("NO PODMAN TESTS: apt-get could not install it")


def podman_of(uid: int, archive: Path, workshop: Path) -> Podman:
    """A Podman that works for that uid; the test is skipped where none does, with the reason."""
    modest = workshop / "containers.conf"
    modest.write_text(MODEST)
    home = Path(tempfile.mkdtemp(prefix=f"home-{uid}-", dir=workshop))
    (home / "run").mkdir()
    for path in (home, home / "run"):
        os.chown(path, uid, uid)
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run")}
    # Without root the default may be to copy the whole image for each container.
    overlay = {} if uid == 0 else {"STORAGE_DRIVER": "overlay"}
    for more in (overlay, {**overlay, "CONTAINERS_CONF": str(modest)}, {}):
        podman = Podman("podman", {**environ, **more}, uid)
        reason = works(podman, archive)
        if not reason:
            return podman
    pytest.skip(f"NO PODMAN TESTS as uid {uid}: {reason}")


@pytest.fixture(scope="session")
def podman(installed: None, archive: Path, workshop: Path) -> Podman:
    """Podman as who runs the tests."""
    return podman_of(os.getuid(), archive, workshop)


@pytest.fixture(scope="session")
def rootless(installed: None, archive: Path, workshop: Path) -> Iterator[Podman]:
    """Podman as somebody who is not root; they exist for as long as the tests run."""
    if os.getuid() != 0:
        yield podman_of(os.getuid(), archive, workshop)
        return
    name = f"tensor-guess-{os.getpid()}"
    subprocess.run(["useradd", "--no-create-home", name], check=True)
    try:
        uid = int(subprocess.run(["id", "-u", name], capture_output=True, check=True).stdout)
        made = podman_of(uid, archive, workshop)
        yield made
        made("system", "reset", "--force")
    finally:
        subprocess.run(["userdel", name], check=True)


@pytest.fixture(scope="session")
def same_image(docker: Engine, image: str, podman: Podman, workshop: Path) -> str:
    """The image that Docker built, in Podman's own store."""
    path = workshop / "image.tar"
    docker("save", "--output", path, image)
    podman("load", "--input", path)
    path.unlink()
    return image


def person_with(podman: Podman, image: str, clone: Path, workshop: Path) -> Person:
    """Who that Podman is for, with a new folder."""
    folder = Path(tempfile.mkdtemp(prefix="podman, ", dir=workshop))
    os.chown(folder, podman.uid, podman.uid)
    return Person(podman.uid, folder, podman, clone, image)


def test_training_guessing_and_sorting(
    podman: Podman, same_image: str, clone: Path, workshop: Path
) -> None:
    person = person_with(podman, same_image, clone, workshop)
    shutil.copytree(ROOT / "tf_files" / "data", person.folder / "tf" / "data")
    for name in HOSTILE:
        copied(PHOTOS[0], person.folder / name / name)
    person.own(person.folder)
    before = set(person.folder.rglob("*"))
    done = person.run("train.sh", "tf", "--backbone", "efficientnet_lite0", "--steps", "50")
    assert done.returncode == 0, done.stderr
    asked = ("--", "tf", *(f"{name}/{name}" for name in HOSTILE))
    done = person.run("guess.sh", *asked)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == person.local("guess", *asked).stdout
    done = person.run("classify_dir.sh", "tf", HOSTILE[3], HOSTILE[3] + " sorted")
    assert done.returncode == 0, done.stderr
    for path in set(person.folder.rglob("*")) - before:
        assert (path.lstat().st_uid, path.lstat().st_gid) == (person.uid, person.uid), path


def test_codes_are_handed_on(podman: Podman, same_image: str, clone: Path, workshop: Path) -> None:
    person = person_with(podman, same_image, clone, workshop)
    for code, asked in ((0, ("--help",)), (2, ("guess", "no", "x.jpg")), (2, ("no-such",))):
        done, local = person.run("tensor-guess", *asked), person.local(*asked)
        assert (done.returncode, done.stdout, done.stderr) == (code, local.stdout, local.stderr)


@pytest.mark.parametrize("whose", ["podman", pytest.param("rootless", marks=pytest.mark.long)])
def test_sorting_is_walled_in_and_leaves_the_users_own_files(
    whose: str, request: pytest.FixtureRequest, clone: Path, workshop: Path
) -> None:
    engine: Podman = request.getfixturevalue(whose)
    person = person_with(engine, PROBE, clone, workshop)
    (person.folder / "tf").mkdir()
    copied(PHOTOS[0], person.folder / "a, b" / "x.jpg")
    person.own(person.folder)
    found = facts(person.run("classify_dir.sh", "tf", "a, b", "new/dest"))
    assert found["there"] == ["tf", "a, b", "new/dest"]
    assert found["cwd"] == str(person.folder)
    assert (found["uid"], found["gid"]) == (person.uid, person.uid)
    assert found["capabilities"] == ["0" * 16, "0" * 16]
    assert found["no_new_privileges"] == "1"
    assert "init" in str(found["init"])
    assert found["writable"] == ["/tmp"]
    assert found["written_in_arguments"] == ["new/dest"]
    assert (found["network"], found["interfaces"]) == (False, ["lo"])
    assert all(found["seen"])  # type: ignore[arg-type]
    if "memory" in engine("info", "--format", "{{.Host.CgroupControllers}}"):
        assert found["memory"] == str(2 * 2**30)
        assert found["pids"] == "256"
    status = (person.folder / "new" / "dest" / "probe-was-here").stat()
    assert (status.st_uid, status.st_gid) == (person.uid, person.uid)


def test_training_has_the_network_and_its_folder(
    podman: Podman, clone: Path, workshop: Path
) -> None:
    person = person_with(podman, PROBE, clone, workshop)
    copied(PHOTOS[0], person.folder / "tf" / "data" / "a" / "x.jpg")
    person.own(person.folder)
    found = facts(person.run("train.sh", "tf"))
    assert found["written_in_arguments"] == ["tf"]
    assert found["network"] is True
