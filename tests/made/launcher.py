"""A clone with nothing but the launcher, and stand-ins for the programs that it starts."""

import csv
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from made.place import ROOT

UID, GID = os.getuid(), os.getgid()
AS_ROOT = pytest.mark.skipif(UID != 0, reason="only root can give folders away")

SCRIPTS = (
    "tensor-guess", "train.sh", "guess.sh", "classify_dir.sh", "collect_faces.sh", "serve.sh"
)  # fmt: skip
# What the image is built from besides `src`, and some of that.
BESIDES_SRC = (
    "Dockerfile",
    ".dockerignore",
    "requirements.lock",
    "requirements-faces.lock",
    "requirements-many.lock",
    "requirements-stores.lock",
)
INPUTS = (*BESIDES_SRC, "src/tensor_guess/config.py", "src/tensor_guess/errors.py")
# All that the launcher needs of a system, so that neither a real engine nor a Python is found.
TOOLS = (
    "bash cat cksum cmp cp cut env find head iconv id kill ls mkdir mktemp printenv printf pwd "
    "readlink rm rmdir sed sh sha256sum sleep sort touch wc"
)

# Writes down its arguments, then does what the test says, or else what an engine does.
STAND_IN = (
    f"""#!{shutil.which("bash")}
"""
    + r"""name=${0##*/}
printf '%s\0' "$(($# + 1))" "${name}" "$@" >>"${STAND_IN}/calls"
if [[ -f ${STAND_IN}/${name}-$1 ]]; then source "${STAND_IN}/${name}-$1"; fi
case ${name}-$1 in
docker-info) echo 'answer=20.10.24 [name=seccomp,profile=default]' ;;
podman-info) echo 'answer=false v2 crun [cpuset cpu io memory pids]' ;;
esac
"""
)
# Says where its environment is.
SAYS_WHERE = '#!/usr/bin/env bash\necho "run: ${0%/bin/*}"\n'

Process = subprocess.Popen[str]


@dataclass
class Done:
    """How a run ended, and what was called on the way."""

    code: int
    out: str
    err: str
    calls: list[list[str]]

    @property
    def runs(self) -> list["Done"]:
        """Each `docker run` as if it had been the only one."""
        calls = [call for call in self.calls if call[1:2] == ["run"]]
        return [Done(self.code, self.out, self.err, [call]) for call in calls]

    @property
    def run(self) -> list[str]:
        """The arguments of the only `docker run`."""
        (found,) = self.runs
        return found.calls[0]

    @property
    def passed(self) -> list[str]:
        """The program's arguments."""
        return self.run[self.run.index("stand-in") + 1 :]

    def options(self, name: str) -> list[str]:
        """Return the values of an option of `docker run`."""
        options = self.run[: self.run.index("stand-in")]
        return [options[i + 1] for i, each in enumerate(options) if each == name]

    @property
    def mounts(self) -> dict[str, str]:
        """Each mounted path, with rw or ro; source and target must be the same."""
        found = {}
        for option in self.options("--mount"):
            ((kind, source, target, *readonly),) = csv.reader(option.splitlines(keepends=True))
            assert kind == "type=bind"
            assert source.removeprefix("source=") == target.removeprefix("target=")
            found[source.removeprefix("source=")] = "ro" if readonly == ["readonly"] else "rw"
        return found


@dataclass
class Launcher:
    """A clone with stand-ins; `here` is the user's working folder."""

    folder: Path
    here: Path
    clone: Path
    environ: dict[str, str]

    def install(self, *names: str) -> None:
        """Put stand-ins of these names on the PATH."""
        for name in names:
            write(self.folder / "bin" / name, STAND_IN)

    def does(self, name: str, script: str) -> None:
        """Make a stand-in run this script: `docker-info` is what `docker info` does."""
        (self.folder / "stand-in" / name).write_text(script)

    def start(
        self,
        *arguments: object,
        script: str = "tensor-guess",
        before: Sequence[str] = (),
        **options: object,
    ) -> Process:
        """Start the launcher, with `before` as the command that runs it."""
        process: Process = subprocess.Popen(
            [*before, self.clone / script, *map(str, arguments)],
            env=self.environ,
            cwd=self.here,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,  # type: ignore[call-overload]
        )
        return process

    def finish(self, process: Process) -> Done:
        """Wait for a launcher and return how it ended."""
        out, err = process.communicate(timeout=60)
        return Done(process.returncode, out, err, self.calls())

    def __call__(self, *arguments: object, **options: object) -> Done:
        (self.folder / "stand-in" / "calls").unlink(missing_ok=True)
        return self.finish(self.start(*arguments, **options))  # type: ignore[arg-type]

    def calls(self) -> list[list[str]]:
        """Return what was called so far."""
        try:
            text = (self.folder / "stand-in" / "calls").read_bytes().decode()
        except FileNotFoundError:
            return []
        words, calls = text.split("\0")[:-1], []
        while words:
            count = int(words[0])
            calls.append(words[1 : count + 1])
            del words[: count + 1]
        return calls


def make_clone(folder: Path) -> Path:
    """Make a clone that has no environment yet."""
    for path in (*map(ROOT.joinpath, SCRIPTS + INPUTS), *ROOT.glob("src/launcher/*.bash")):
        copy = folder / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    return folder


def make_environment(folder: Path, python: str) -> Path:
    """Make an environment with that script as its Python."""
    write(folder / "bin" / "python", python)
    shutil.copy(ROOT / "requirements.lock", folder / "complete")
    return folder


def write(path: Path, text: str) -> None:
    """Write an executable file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def bound() -> list[str]:
    """Return the command before which permissions hold for root too, as it may not bypass them."""
    return [] if UID else [shutil.which("setpriv") or "", "--bounding-set", "-dac_override"]


def classifier(folder: Path) -> Path:
    """Make a folder that looks like a trained classifier's."""
    (folder / "data" / "a").mkdir(parents=True)
    (folder / "data" / "b").mkdir()
    (folder / "retrained_graph.pb").touch()
    return folder
