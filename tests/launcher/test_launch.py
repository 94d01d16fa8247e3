"""The launcher, with stand-ins for docker, podman and Python that write down their arguments."""

import csv
import os
import pty
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import click
import pytest

from made.place import ROOT
from tensor_guess.commands.main import cli
from tensor_guess.config import DEFAULT_BACKBONES

UID, GID = os.getuid(), os.getgid()
# `handle` may be a path.
PATH_KINDS = {"read", "images", "classifier", "train", "pictures", "folder", "file"}
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
# All that the launcher needs of a system, so that no real engine is found.
TOOLS = (
    "bash cat cksum cmp cut env find head iconv id kill ls mkdir mktemp printenv printf pwd "
    "readlink rm rmdir sed sh sha256sum sleep sort touch wc"
)

# Writes down its arguments, then does what the test says, or else what an engine does.
STAND_IN = """#!/usr/bin/env bash
name=${0##*/}
printf '%s\\0' "$(($# + 1))" "${name}" "$@" >>"${STAND_IN}/calls"
if [[ -f ${STAND_IN}/${name}-$1 ]]; then source "${STAND_IN}/${name}-$1"; fi
case ${name}-$1 in
docker-info) echo 'answer=20.10.24 [name=seccomp,profile=default]' ;;
podman-info) echo 'answer=false v2 crun [cpuset cpu io memory pids]' ;;
esac
"""

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
        """The arguments of the one `docker run`."""
        (found,) = self.runs
        return found.calls[0]

    @property
    def passed(self) -> list[str]:
        """The program's arguments."""
        return self.run[self.run.index("stand-in") + 1 :]

    def options(self, name: str) -> list[str]:
        """The values of an option of `docker run`."""
        options = self.run[: self.run.index("stand-in")]
        return [options[i + 1] for i, each in enumerate(options) if each == name]

    @property
    def mounts(self) -> dict[str, str]:
        """Each mounted path, with rw or ro; source and target are the same."""
        found = {}
        for option in self.options("--mount"):
            ((kind, source, target, *readonly),) = csv.reader(option.splitlines(keepends=True))
            assert kind == "type=bind"
            assert source.removeprefix("source=") == target.removeprefix("target=")
            found[source.removeprefix("source=")] = "ro" if readonly == ["readonly"] else "rw"
        return found


@dataclass
class Launcher:
    """A clone with stand-ins; `here` is where the user is."""

    folder: Path
    here: Path
    clone: Path
    environ: dict[str, str] = field(default_factory=dict)

    def install(self, *names: str) -> None:
        """Nothing comes back; the stand-ins are on the PATH."""
        for name in names:
            self.write(self.folder / "bin" / name, STAND_IN)

    def does(self, name: str, script: str) -> None:
        """Nothing comes back; from now on `docker info` (docker-info) does that."""
        (self.folder / "stand-in" / name).write_text(script)

    def write(self, path: Path, text: str) -> None:
        """Nothing comes back; an executable is there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def start(self, *arguments: object, script: str = "tensor-guess", **options: object) -> Process:
        """The launcher's process."""
        process: Process = subprocess.Popen(
            [self.clone / script, *map(str, arguments)],
            env=self.environ,
            cwd=self.here,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,  # type: ignore[call-overload]
        )
        return process

    def finish(self, process: Process) -> Done:
        """How it ended."""
        out, err = process.communicate(timeout=60)
        return Done(process.returncode, out, err, self.calls())

    def __call__(self, *arguments: object, **options: object) -> Done:
        (self.folder / "stand-in" / "calls").unlink(missing_ok=True)
        return self.finish(self.start(*arguments, **options))  # type: ignore[arg-type]

    def calls(self) -> list[list[str]]:
        """What was called so far."""
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


@pytest.fixture
def launcher(tmp_path: Path) -> Launcher:
    """A clone that finds no engine yet, and has an environment of its own."""
    clone, here = tmp_path / "clone", tmp_path / "here"
    for name in ("tensor-guess", "train.sh", "guess.sh", "classify_dir.sh"):
        clone.mkdir(exist_ok=True)
        shutil.copy2(ROOT / name, clone / name)
    shutil.copytree(ROOT / "src", clone / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Dockerfile", ".dockerignore", "requirements.lock"):
        shutil.copy2(ROOT / name, clone / name)
    (tmp_path / "stand-in").mkdir()
    here.mkdir()
    for name in TOOLS.split():
        tool = shutil.which(name)
        (tmp_path / "tools").mkdir(exist_ok=True)
        if tool:
            (tmp_path / "tools" / name).symlink_to(tool)
    environ = {
        "PATH": f"{tmp_path}/bin:{tmp_path}/tools",
        "HOME": str(tmp_path / "home"),
        "STAND_IN": str(tmp_path / "stand-in"),
        "LC_ALL": "C.UTF-8",
    }
    made = Launcher(tmp_path, here, clone, environ)
    made.write(clone / ".venv" / "bin" / "python", STAND_IN)
    shutil.copy2(ROOT / "requirements.lock", clone / ".venv" / "complete")
    return made


@pytest.fixture
def docker(launcher: Launcher) -> Launcher:
    """A launcher that finds a stand-in docker with the image `stand-in`."""
    launcher.install("docker")
    launcher.environ["TENSOR_GUESS_IMAGE"] = "stand-in"
    return launcher


def classifier(folder: Path) -> Path:
    """A folder that looks like a trained classifier's."""
    (folder / "data" / "a").mkdir(parents=True)
    (folder / "data" / "b").mkdir()
    (folder / "retrained_graph.pb").touch()
    return folder


def table() -> dict[str, list[tuple[str, str]]]:
    """The launcher's table: subcommand -> (name, kind)."""
    script = 'ROOT=.; source src/launcher/launch.bash; printf "%s" "${COMMANDS}"'
    text = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, check=True).stdout
    rows: dict[str, list[tuple[str, str]]] = {}
    for line in text.decode().strip().splitlines():
        command, name, kind = line.split()
        rows.setdefault(command, []).append((name, kind))
    return rows


# The table


def test_the_table_has_every_argument_of_the_cli_and_no_other() -> None:
    said = {}
    for name, command in cli.commands.items():
        if command.hidden:  # the program calls itself: never by way of a launcher
            continue
        said[name] = [
            (row, isinstance(each.type, click.Path), getattr(each, "is_flag", False))
            for each in command.params
            for row in (
                [*each.opts, *each.secondary_opts]
                if isinstance(each, click.Option)
                else [f"{each.name}".upper() + ("..." if each.nargs == -1 else "")]
            )
        ]
    known = {
        name: [(row, kind in PATH_KINDS, kind == "flag") for row, kind in rows]
        for name, rows in table().items()
    }
    assert known.keys() == said.keys()
    for name, rows in known.items():
        assert sorted(rows) == sorted(said[name])
        # Positional ones in their order.
        assert [r for r in rows if r[0][0] != "-"] == [r for r in said[name] if r[0][0] != "-"]


# The whole command line


def test_guess_is_run_with_exactly_this(docker: Launcher) -> None:
    classifier(docker.here / "tf files")
    (docker.here / "photos").mkdir()
    (docker.here / "photos" / "a b.jpg").touch()
    here = docker.here
    done = docker("tf files", "photos/a b.jpg", "--json", script="guess.sh")
    assert done.run[:4] == ["docker", "run", "--rm", "--name"]
    assert done.run[4].startswith("tensor-guess-")
    groups = [x for g in os.getgroups() if g != GID for x in ("--group-add", str(g))]
    cache = docker.folder / "home" / ".cache" / "tensor-guess"
    flags = (
        "--read-only --cap-drop ALL --security-opt no-new-privileges "
        "--security-opt label=disable --init --pids-limit 256 --network none --memory 2g"
    )
    expected = [
        *flags.split(),
        *("--user", f"{UID}:{GID}", *groups),
        *("--mount", f'type=bind,"source={here}/tf files","target={here}/tf files",readonly'),
        *("--mount", f'type=bind,"source={here}/photos","target={here}/photos",readonly'),
        *("--mount", f'type=bind,"source={cache}","target={cache}",readonly'),
        *("--tmpfs", "/tmp", "--env", "HOME=/tmp", "--env", "TMPDIR=/tmp"),
        *("--workdir", str(here), "--env", f"TENSOR_GUESS_UMASK={_umask():04o}"),
        *("--env", f"TENSOR_GUESS_CACHE={cache}"),
        *("--env", f"TENSOR_GUESS_SEEN_1={here}/tf files/"),
        *("--env", f"TENSOR_GUESS_SEEN_2={here}/photos/a b.jpg"),
        *("stand-in", "guess", "tf files", "photos/a b.jpg", "--json"),
    ]
    assert _sorted_groups(done.run[5:]) == _sorted_groups(expected)


def _sorted_groups(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The arguments without the groups, and the groups: `id -G` has an order of its own."""
    groups, rest, i = [], [], 0
    while i < len(arguments):
        if arguments[i] == "--group-add":
            groups.append(arguments[i + 1])
            i += 1
        else:
            rest.append(arguments[i])
        i += 1
    return rest, sorted(groups)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_training_writes_to_its_folder_only_and_reads_the_pictures(docker: Launcher) -> None:
    folder = classifier(docker.here / "tf_files")
    done = docker("tf_files", script="train.sh")
    cache = docker.folder / "home" / ".cache" / "tensor-guess"
    assert done.mounts == {str(folder): "rw", f"{folder}/data": "ro", str(cache): "rw"}
    assert "--network" not in done.run
    assert "--memory" not in done.run
    assert done.passed == ["train", "tf_files"]


def test_sorting_writes_to_dest_only(docker: Launcher) -> None:
    classifier(docker.here / "tf")
    (docker.here / "src").mkdir()
    done = docker("tf", "src", "new/dest", script="classify_dir.sh")
    assert {path: mode for path, mode in done.mounts.items() if "home" not in path} == {
        f"{docker.here}/tf": "ro",
        f"{docker.here}/src": "ro",
        f"{docker.here}/new/dest": "rw",
    }
    assert done.options("--network") == ["none"]
    assert done.options("--memory") == ["2g"]


def test_an_export_sees_the_pictures_and_writes_beside_its_name(docker: Launcher) -> None:
    tf, out, photos = classifier(docker.here / "tf"), docker.here / "out", docker.here / "photos"
    out.mkdir()
    (photos / "elsa").mkdir(parents=True)
    (photos / "elsa" / "x.jpg").touch()
    shutil.rmtree(tf / "data")
    (tf / "data").symlink_to(photos)
    done = docker("export", "tf", "out/model", "--format", "openvino")
    modes = {path: mode for path, mode in done.mounts.items() if "home" not in path}
    assert modes == {str(tf): "ro", str(out): "rw", str(photos): "ro"}
    assert not (out / "model").exists()
    assert (done.options("--network"), done.options("--memory")) == (["none"], ["8g"])
    done = docker("export", "tf/retrained_graph.pb", "out/m", "--format=onnx", "--pictures=photos")
    assert done.mounts[str(photos)] == "ro"


def test_strangers_graphs_are_looked_at_without_network(docker: Launcher) -> None:
    tf, out = classifier(docker.here / "tf"), docker.here / "out"
    out.mkdir()
    done = docker("inspect", "tf")
    assert (done.options("--network"), done.options("--memory")) == (["none"], ["2g"])
    done = docker("share", "tf", "out/x.zip", "--licence", "CC-BY-4.0")
    modes = {path: mode for path, mode in done.mounts.items() if "home" not in path}
    assert modes == {str(tf): "ro", str(out): "rw"}
    assert (done.options("--network"), done.options("--memory")) == (["none"], ["2g"])
    for size, memory in ((100_000_000, "2g"), (560_000_000, "4g")):
        with (out / "x.zip").open("wb") as file:
            file.truncate(size)
        done = docker("verify", "out/x.zip")
        assert done.mounts[str(out)] == "ro"
        assert (done.options("--network"), done.options("--memory")) == (["none"], [memory])


def test_fetch_gets_the_cache_and_the_network(docker: Launcher) -> None:
    done = docker("fetch", "inception_v3")
    assert done.mounts == {str(docker.folder / "home/.cache/tensor-guess"): "rw"}
    assert "--network" not in done.run


@pytest.mark.parametrize(
    ("info", "has", "has_not"),
    [
        ("answer=20.10 [name=seccomp name=rootless]", [], ["--user", "--group-add", "--userns"]),
        ("answer=28.0 [name=seccomp name=userns]", ["--userns host", "--user"], []),
    ],
)
def test_the_user_is_the_same_one_in_docker(
    docker: Launcher, info: str, has: list[str], has_not: list[str]
) -> None:
    docker.does("docker-info", f"echo '{info}'; exit")
    run = docker("train", classifier(docker.here / "tf")).run
    for each in has:
        assert each in " ".join(run)
    for each in has_not:
        assert each not in run


@pytest.mark.parametrize(
    ("info", "has", "has_not"),
    [
        ("answer=false v1 crun [memory pids]", ["--user", "--memory"], ["--userns"]),
        (
            "answer=true v2 crun [memory pids]",
            ["--userns keep-id", "--group-add keep-groups", "--memory 2g", "--pids-limit"],
            [],
        ),
        (
            "answer=true v2 runc [cpu]",
            ["--userns keep-id"],
            ["--group-add", "--memory", "--pids-limit"],
        ),
        ("answer=true v1 runc [memory pids]", ["keep-id"], ["--memory", "--pids-limit"]),
    ],
)
def test_the_user_and_the_limits_in_podman(
    docker: Launcher, info: str, has: list[str], has_not: list[str]
) -> None:
    docker.install("podman")
    docker.does("podman-info", f"echo '{info}'; exit")
    docker.environ["TENSOR_GUESS_LAUNCHER"] = "podman"
    (docker.here / "p.jpg").touch()
    run = docker("guess", classifier(docker.here / "tf"), "p.jpg").run
    assert run[0] == "podman"
    assert "--read-only-tmpfs=false" in run
    for each in has:
        assert each in " ".join(run)
    for each in has_not:
        assert each not in run


def test_podman_gets_init_where_there_is_one(docker: Launcher) -> None:
    docker.install("podman")
    docker.environ["TENSOR_GUESS_LAUNCHER"] = "podman"
    installed = any(
        Path(p).exists() for p in ("/usr/libexec/podman/catatonit", "/usr/lib/podman/catatonit")
    )
    assert ("--init" in docker("--help").run) is installed
    docker.install("catatonit")
    assert "--init" in docker("--help").run


# Paths


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


def test_a_name_that_is_no_text_is_refused(docker: Launcher) -> None:
    process = subprocess.run(
        [docker.clone / "guess.sh", "tf", b"caf\xe9.jpg"],
        env=docker.environ, cwd=docker.here, capture_output=True, check=False,
    )  # fmt: skip
    assert process.returncode == 2
    assert b"not valid UTF-8" in process.stderr
    (docker.here / os.fsdecode(b"caf\xe9")).mkdir()
    docker.here /= os.fsdecode(b"caf\xe9")
    assert docker("guess", "tf", "x.jpg").runs == []


def test_what_is_not_there_is_left_to_the_program(docker: Launcher) -> None:
    done = docker("guess", "tf", "nope.jpg", "no/such.jpg")
    assert list(done.mounts) == [str(docker.folder / "home/.cache/tensor-guess")]
    assert done.passed == ["guess", "tf", "nope.jpg", "no/such.jpg"]


def test_each_folder_is_mounted_once_and_the_widest(docker: Launcher) -> None:
    classifier(docker.here / "tf")
    for name in ("p/1.jpg", "p/2.jpg", "p/q/3.jpg", "p/q/r/4.jpg", "o/5.jpg"):
        (docker.here / name).parent.mkdir(parents=True, exist_ok=True)
        (docker.here / name).touch()
    photos = ("p/q/r/4.jpg", "p/1.jpg", "--json", "p/2.jpg", "p/q/3.jpg", "o/5.jpg")
    done = docker("guess", "tf", *photos)
    inside = {path for path in done.mounts if path.startswith(str(docker.here))}
    assert inside == {f"{docker.here}/{name}" for name in ("tf", "p", "o")}


def test_pictures_stay_readonly_within_a_folder_that_is_written_to(docker: Launcher) -> None:
    classifier(docker.here / "tf")
    (docker.here / "all" / "photos").mkdir(parents=True)
    done = docker("classify-dir", "tf", "all/photos", "all")
    assert done.mounts[f"{docker.here}/all"] == "rw"
    assert done.mounts[f"{docker.here}/all/photos"] == "ro"


def test_options_are_understood_in_every_spelling(docker: Launcher) -> None:
    tf = classifier(docker.here / "tf")
    (docker.here / "out").mkdir()
    (docker.here / "pics").mkdir()
    done = docker(
        "train", "--output_graph=out/g.pb", tf, "--image-dir", "pics", "--steps=5",
        "--summaries_dir", "new/s", "--print_misclassified_test_images", "--output-labels", "l/x",
    )  # fmt: skip
    assert done.mounts[f"{docker.here}/out"] == "rw"
    assert done.mounts[f"{docker.here}/pics"] == "ro"
    assert done.mounts[f"{docker.here}/new/s"] == "rw"
    assert f"{docker.here}/l" not in done.mounts
    assert done.passed == [
        "train", "--output_graph=out/g.pb", str(tf), "--image-dir", "pics", "--steps=5",
        "--summaries_dir", "new/s", "--print_misclassified_test_images", "--output-labels", "l/x",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        ("classify-dir", "tf", "src", "new", "too many"),
        ("classify-dir", "tf", "src", "new", "--no-such-option"),
        ("classify-dir", "tf", "src", "new", "--help"),
        ("classify-dirs", "tf", "src", "new"),
        ("train", "tf", "--bottleneck-dir"),
    ],
)
def test_what_the_program_will_refuse_gets_and_makes_nothing(
    docker: Launcher, arguments: tuple[str, ...]
) -> None:
    classifier(docker.here / "tf")
    (docker.here / "src").mkdir()
    done = docker(*arguments)
    assert done.mounts == {}
    assert done.passed == list(arguments)
    assert not (docker.here / "new").exists()


def test_the_builtin_classifier_is_a_word_and_a_folder_of_that_name_a_path(
    docker: Launcher,
) -> None:
    classifier(docker.here / "imagenet")
    (docker.here / "p").mkdir()
    (docker.here / "p" / "x.jpg").touch()
    given = ("guess", "imagenet", "p/x.jpg", "--offline")
    assert f"{docker.here}/imagenet" not in docker(*given).mounts
    assert f"{docker.here}/imagenet" in docker("guess", "./imagenet", "p/x.jpg").mounts


@pytest.mark.parametrize(
    ("options", "name"), [([], DEFAULT_BACKBONES[0]), (["--backbone", "resnet50"], "resnet50")]
)
def test_what_the_builtin_classifier_needs_is_fetched_by_a_run_of_its_own(
    docker: Launcher, options: list[str], name: str
) -> None:
    (docker.here / "x.jpg").touch()
    cache = docker.folder / "home/.cache/tensor-guess"
    fetch, guess = (
        call for call in docker("guess", "imagenet", "x.jpg", *options).calls if call[1] == "run"
    )
    assert fetch[-4:] == ["stand-in", "fetch", "--", name]
    assert "--network" not in fetch
    # It sees the cache and nothing else.
    assert [each for each in fetch if each.startswith("type=bind")] == [
        f'type=bind,"source={cache}","target={cache}"'
    ]
    assert guess[guess.index("--network") + 1] == "none"
    (cache / "backbones").mkdir()
    (cache / "backbones" / f"{name}-1-0123.pb").touch()
    assert docker("guess", "imagenet", "x.jpg", *options).run[-len(options) - 2 :]


def test_a_frozen_graph_as_backbone_is_mounted(docker: Launcher) -> None:
    tf = classifier(docker.here / "tf")
    (docker.here / "graphs").mkdir()
    (docker.here / "graphs" / "mine.pb").touch()
    done = docker("train", tf, "--backbone", "graphs/mine.pb")
    assert done.mounts[f"{docker.here}/graphs"] == "ro"
    assert done.passed[-1] == "graphs/mine.pb"
    assert len(docker("train", tf, "--architecture=inception_v3").mounts) == 3


def test_a_large_graph_gets_more_memory(docker: Launcher) -> None:
    graph = classifier(docker.here / "tf") / "retrained_graph.pb"
    (docker.here / "x.jpg").touch()
    for size, memory in ((100_000_000, "2g"), (560_000_000, "4g")):
        with graph.open("wb") as file:
            file.truncate(size)
        for given in ("tf", "tf/retrained_graph.pb"):
            assert docker("guess", given, "x.jpg").options("--memory") == [memory]


def test_a_graph_of_another_program_is_seen_with_its_labels(docker: Launcher) -> None:
    (docker.here / "theirs").mkdir()
    (docker.here / "names").mkdir()
    for name in ("theirs/output_graph.pb", "theirs/output_labels.txt", "names/l.txt", "photo.jpg"):
        (docker.here / name).touch()
    arguments = "photo.jpg --graph=theirs/output_graph.pb --labels names/l.txt --input_mean 0"
    done = docker("guess", *arguments.split())
    assert done.passed == ["guess", *arguments.split()]
    # What is mounted once is not mounted again below.
    assert done.mounts[str(docker.here)] == "ro"
    assert not [path for path, mode in done.mounts.items() if mode == "rw"]


def test_a_graph_named_by_an_option_leaves_the_folders_to_be_sorted(docker: Launcher) -> None:
    for name in ("theirs", "photos"):
        (docker.here / name).mkdir()
    (docker.here / "theirs/output_graph.pb").touch()
    done = docker("classify-dir", "photos", "--graph", "theirs/output_graph.pb", "sorted")
    inside = {path: mode for path, mode in done.mounts.items() if "home" not in path}
    assert inside == {
        str(docker.here / "theirs"): "ro",
        str(docker.here / "photos"): "ro",
        str(docker.here / "sorted"): "rw",
    }


@pytest.mark.parametrize("given", ["./theirs", "./theirs/output_graph.pb"])
def test_a_classifier_to_start_from_is_no_module_to_be_loaded(docker: Launcher, given: str) -> None:
    tf = classifier(docker.here / "tf")
    (docker.here / "theirs").mkdir()
    (docker.here / "theirs/output_graph.pb").touch()
    done = docker("train", tf, "--from", given)
    assert done.mounts[str(docker.here / "theirs")] == "ro"
    assert done.passed[-2:] == ["--from", given]


@pytest.mark.parametrize("given", ["modules/mine", "https://tfhub.dev/x/1"])
def test_a_module_is_frozen_by_a_run_that_sees_no_pictures(docker: Launcher, given: str) -> None:
    tf = classifier(docker.here / "tf")
    (docker.here / "modules" / "mine").mkdir(parents=True)
    fetch, train = docker("train", tf, f"--tfhub_module={given}").runs
    assert fetch.passed == ["fetch", "--", given]
    assert train.passed[-1] == f"--tfhub_module={given}"
    module = {f"{docker.here}/modules/mine": "ro"} if given == "modules/mine" else {}
    assert fetch.mounts == module | {f"{docker.folder}/home/.cache/tensor-guess": "rw"}


def test_tensorflow_hubs_own_cache_is_seen(docker: Launcher) -> None:
    tf = classifier(docker.here / "tf")
    (docker.here / "hub cache").mkdir()
    docker.environ["TFHUB_CACHE_DIR"] = "hub cache"
    fetch, _ = docker("train", tf, "--tfhub_module", "https://tfhub.dev/x/1").runs
    assert fetch.mounts[f"{docker.here}/hub cache"] == "ro"
    assert f"TFHUB_CACHE_DIR={docker.here}/hub cache" in fetch.options("--env")


def test_where_a_module_cannot_be_had_nothing_is_trained(docker: Launcher) -> None:
    tf = classifier(docker.here / "tf")
    docker.does("docker-run", "exit 1")
    done = docker("train", tf, "--tfhub_module", "https://tfhub.dev/x/1")
    assert (done.code, len(done.runs)) == (1, 1)


def test_images_by_url_are_fetched_by_a_run_that_sees_no_classifier(docker: Launcher) -> None:
    classifier(docker.here / "tf")
    (docker.here / "x.jpg").touch()
    urls = ["https://example.com/a.jpg?b=c d", "http://example.com/e.png"]
    fetch, guess = docker("guess", "tf", urls[0], "x.jpg", urls[1]).runs
    (folder,) = [each for each, mode in fetch.mounts.items() if "cache" not in each]
    assert fetch.passed == ["fetch-images", "--", folder, *urls]
    assert fetch.mounts[folder] == "rw"
    assert not fetch.options("--network")
    assert guess.passed == ["guess", "tf", urls[0], "x.jpg", urls[1]]
    assert guess.options("--network") == ["none"]
    assert guess.mounts[folder] == "ro"
    assert f"TENSOR_GUESS_FETCHED={folder}" in guess.options("--env")
    assert Path(folder) != docker.here
    assert not Path(folder).exists()


def test_where_no_temporary_folder_can_be_made_nothing_is_lost(docker: Launcher) -> None:
    classifier(docker.here / "tf")
    (docker.here / "photo.jpg").touch()
    docker.environ["TMPDIR"] = str(docker.folder / "not there")
    done = docker("guess", "tf", "https://example.com/a.jpg")
    assert (done.code, done.runs) == (1, [])
    assert f"could not make a folder for pictures in {docker.folder}/not there" in done.err
    assert (docker.here / "photo.jpg").exists()


@pytest.mark.parametrize(
    "folder",
    "/ /etc /etc/ssl /usr /usr/share /bin /lib /proc /proc/self /sys /dev /dev/shm /var /var/lib "
    "/var/log /run /opt //etc /usr/../etc ../../../../../../../../../etc".split(),
)
def test_system_folders_are_refused(docker: Launcher, folder: str) -> None:
    classifier(docker.here / "tf")
    for arguments in (
        ("classify-dir", "tf", folder, "dest"),
        ("classify-dir", "tf", "tf", f"{folder}/tensor-guess-test/new"),
        ("train", "tf", f"--image-dir={folder}"),
    ):
        if "tensor-guess-test" in arguments[-1] and folder in ("/", "/opt", "/var/lib"):
            continue  # people's own folders can be in there
        done = docker(*arguments)
        assert done.code == 2, arguments
        assert "system's folder" in done.err
        assert [call for call in done.calls if call[1] == "run"] == []
        assert not (docker.here / "dest").exists()
        assert not Path(f"{folder}/tensor-guess-test").exists()


def test_a_link_into_a_system_folder_is_refused(docker: Launcher) -> None:
    (docker.here / "innocent").symlink_to("/etc")
    (docker.here / "photo.jpg").symlink_to("/etc/hostname")
    tf = classifier(docker.here / "tf")
    assert docker("classify-dir", tf, "innocent", "dest").code == 2
    assert docker("guess", tf, "photo.jpg").code == 2


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


def test_linked_categories_are_mounted_readonly(docker: Launcher) -> None:
    tf = classifier(docker.here / "tf")
    (docker.folder / "cats").mkdir()
    (docker.folder / "dogs").mkdir()
    (tf / "data" / "cats").symlink_to(docker.folder / "cats")
    (tf / "data" / "dogs").symlink_to("../../../dogs")
    done = docker("train", "tf")
    assert done.mounts[f"{docker.folder}/cats"] == "ro"
    assert done.mounts[f"{docker.folder}/dogs"] == "ro"


def test_linked_data_is_mounted(docker: Launcher) -> None:
    tf = docker.here / "tf"
    tf.mkdir()
    (docker.folder / "disk" / "data").mkdir(parents=True)
    (tf / "data").symlink_to(docker.folder / "disk" / "data")
    (docker.folder / "more").mkdir()
    (docker.folder / "disk" / "data" / "more").symlink_to(docker.folder / "more")
    done = docker("train", "tf")
    assert done.mounts[f"{docker.folder}/disk/data"] == "ro"
    assert done.mounts[f"{docker.folder}/more"] == "ro"


@pytest.mark.parametrize(
    "arguments",
    [
        "guess tf x.jpg",
        "inspect tf",
        "share tf a.zip",
        "export tf a",
        "train tf",
        "train t --from tf",
    ],
)
def test_links_in_a_strangers_classifier_show_nothing_more(
    docker: Launcher, arguments: str
) -> None:
    tf, private = classifier(docker.here / "tf"), docker.folder / "private"
    classifier(docker.here / "t")
    private.mkdir()
    (private / "key").touch()
    for name in ("retrained_graph.pb", "x.pb", "retrained_labels.txt", "x.txt", "model.json"):
        (tf / name).unlink(missing_ok=True)
        (tf / name).symlink_to(private / "key")
    (tf / "bottlenecks").symlink_to(private)
    done = docker(*arguments.split())
    assert len(done.runs) == 1
    assert [path for path in done.mounts if path.startswith(str(private))] == []


def test_the_users_own_tmp_takes_the_place_of_the_scratch_folder(
    docker: Launcher, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tf = classifier(docker.here / "tf")
    done = docker("train", tf, "--output_graph=/tmp/output_graph.pb")
    assert done.mounts["/tmp"] == "rw"
    assert done.options("--tmpfs") == ["/run/tensor-guess"]
    assert "TMPDIR=/run/tensor-guess" in done.options("--env")


# What is made and left on the host


@pytest.mark.parametrize("code", [0, 1, 3])
def test_dest_is_made_and_goes_again_where_nothing_came_of_it(docker: Launcher, code: int) -> None:
    docker.does("docker-run", f"exit {code}")
    (docker.here / "src").mkdir()
    done = docker("classify-dir", classifier(docker.here / "tf"), "src", "a/b/dest")
    assert done.code == code
    assert (docker.here / "a" / "b" / "dest").exists() is (code == 0)
    assert (docker.here / "a").exists() is (code == 0)


def test_dest_stays_where_something_is_in_it(docker: Launcher) -> None:
    docker.does("docker-run", f"touch '{docker.here}/dest/picture'; exit 3")
    (docker.here / "src").mkdir()
    assert docker("classify-dir", classifier(docker.here / "tf"), "src", "dest").code == 3
    assert [path.name for path in (docker.here / "dest").iterdir()] == ["picture"]


def test_an_empty_dest_that_was_there_stays(docker: Launcher) -> None:
    docker.does("docker-run", "exit 1")
    (docker.here / "src").mkdir()
    (docker.here / "dest").mkdir()
    docker("classify-dir", classifier(docker.here / "tf"), "src", "dest")
    assert (docker.here / "dest").is_dir()


def test_each_writable_folder_has_a_nonce_for_the_program_and_loses_it(docker: Launcher) -> None:
    tf = classifier(docker.here / "tf")
    docker.does("docker-run", f"find '{docker.folder}' -name '.tensor-guess-*.tmp'; exit")
    done = docker("train", tf)
    told = [each.partition("=")[2] for each in done.options("--env") if "_SEEN_" in each]
    assert len(done.out.split()) == 2
    assert set(done.out.split()) < set(told)
    assert list(docker.folder.rglob(".tensor-guess-*.tmp")) == []


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


def test_photo_folders_are_not_touched(docker: Launcher) -> None:
    (docker.here / "src").mkdir()
    (docker.here / "src" / "x.jpg").touch()
    before = os.stat(docker.here / "src").st_mtime_ns
    done = docker("classify-dir", classifier(docker.here / "tf"), "src", "dest")
    assert os.stat(docker.here / "src").st_mtime_ns == before
    assert f"{docker.here}/src/" in " ".join(done.options("--env"))


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


AS_ROOT = pytest.mark.skipif(UID != 0, reason="only root can give folders away")


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
        f"no backbone is taken from {cache}: {who.format(cache.parent)}"
    )
    assert "; set TENSOR_GUESS_CACHE to a folder of your own" in found["TENSOR_GUESS_DISTRUST"]
    if where == "docker":
        done = docker("guess", "imagenet", "x.jpg")
        assert len(done.runs) == 1
        assert str(cache) not in done.mounts


@pytest.mark.parametrize("name", ["", "backbones", "downloads"])
def test_a_folder_in_the_cache_is_looked_at_too(docker: Launcher, name: str) -> None:
    cache = docker.folder / "home" / ".cache" / "tensor-guess"
    (cache / "backbones").mkdir(parents=True)
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
    assert f"no module is taken from TFHUB_CACHE_DIR: others can write to {hub} " in (
        docker(*arguments).err
    )


# Which launcher


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


DENIED = "permission denied while trying to connect to the Docker daemon socket at unix:///var/run"
OFF = "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?"


@pytest.mark.parametrize(
    ("said", "cure"),
    [(DENIED, "sudo usermod -aG docker"), (OFF, "sudo systemctl start docker")],
)
def test_a_docker_that_does_not_answer_is_said_with_the_cure(
    docker: Launcher, said: str, cure: str
) -> None:
    # As Docker 20 does: `info` with a format does not say why.
    docker.does("docker-info", "echo 'answer= []'; exit 0")
    docker.does("docker-version", f"echo; echo '{said}' >&2; exit 1")
    done = docker("--help")
    assert done.calls[-1][0] == "python"
    assert cure in done.err
    assert done.err.endswith("; going on without it\n")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("name", ["docker", "podman"])
def test_an_engine_that_hangs_is_given_3_seconds(docker: Launcher, name: str) -> None:
    docker.install(name)
    docker.environ["TENSOR_GUESS_LAUNCHER"] = name
    docker.does(f"{name}-info", "exec sleep 60")
    begun = time.monotonic()
    done = docker("--help")
    assert 2 < time.monotonic() - begun < 6
    assert done.code == 125
    assert len(done.calls) == 1


def test_podman_under_the_name_of_docker_is_no_docker(docker: Launcher) -> None:
    docker.install("podman")
    docker.does("docker-info", "echo 'Error: template' >&2; exit 125")
    docker.does("docker-version", "exit 125")
    docker.does("docker---version", "echo podman version 4.3.1; exit")
    done = docker("--help")
    assert done.run[0] == "podman"
    assert done.err == ""


# The image


def built(done: Done) -> bool:
    """Whether the image was built."""
    return any(call[1] == "build" for call in done.calls)


@pytest.fixture
def builder(launcher: Launcher) -> Launcher:
    """A launcher whose docker keeps the label of the last build, as a real one would."""
    launcher.install("docker")
    label = launcher.folder / "label"
    launcher.does("docker-build", f"echo Step 1; printf '%s\\n' \"$@\" >'{label}'; exit")
    launcher.does("docker-image", f"[[ $2 == inspect ]] && sed -n 's/^tensor-guess.inputs=//p' "
                                  f"'{label}' 2>/dev/null; exit")  # fmt: skip
    return launcher


def test_the_image_is_built_once_and_that_is_said_before(builder: Launcher) -> None:
    done = builder("--help")
    assert built(done)
    assert done.out == ""
    assert "about 500 MB to download" in done.err
    assert done.err.index("building the image") < done.err.index("Step 1")
    (build,) = [call for call in done.calls if call[1] == "build"]
    assert build[-1] == str(builder.clone)
    tag = build[build.index("--tag") + 1]
    assert done.calls[-1][-2:] == [tag, "--help"]
    again = builder("--help")
    assert not built(again)
    assert again.err == ""


@pytest.mark.parametrize("name", ["Dockerfile", "requirements.lock", "src/tensor_guess/errors.py",
                                  "src/tensor_guess/new.py", ".dockerignore"])  # fmt: skip
def test_the_image_is_built_again_when_an_input_changes(builder: Launcher, name: str) -> None:
    builder("--help")
    with open(builder.clone / name, "a") as file:
        file.write("\n# changed\n")
    assert built(builder("--help"))


def test_what_is_no_input_does_not_build_it_again(builder: Launcher) -> None:
    builder("--help")
    for name in ("src/tensor_guess/__pycache__/errors.pyc", "src/tensor_guess/.errors.py.swp",
                 "src/tensor_guess/errors.py~", "README.md", "tf_files/x.jpg"):  # fmt: skip
        (builder.clone / name).parent.mkdir(exist_ok=True)
        (builder.clone / name).write_text("junk")
    os.utime(builder.clone / "Dockerfile")
    assert not built(builder("--help"))


def test_a_failed_build_is_125_and_no_fallback(builder: Launcher) -> None:
    builder.does("docker-build", "echo 'no space left' >&2; exit 1")
    done = builder("--help")
    assert done.code == 125
    assert "no space left" in done.err
    assert "could not build the image" in done.err
    assert [call[0] for call in done.calls if call[0] == "python"] == []
    assert [call for call in done.calls if call[1] == "run"] == []


def test_proxies_reach_the_build_and_the_run_by_name_only(builder: Launcher) -> None:
    builder.environ["https_proxy"] = "http://user:secret@proxy:3128"
    done = builder("--help")
    (build,) = [call for call in done.calls if call[1] == "build"]
    assert build[build.index("--build-arg") + 1] == "https_proxy"
    assert "secret" not in str(done.calls)
    assert "https_proxy" in done.calls[-1]


def test_the_images_that_this_clone_built_before_are_removed(builder: Launcher) -> None:
    builder.does("docker-image", "[[ $2 == ls ]] && echo tensor-guess:0123 && echo other:1; exit")
    done = builder("--help")
    assert [call[3:] for call in done.calls if call[1:3] == ["image", "rm"]] == [
        ["tensor-guess:0123"]
    ]


def test_an_image_of_the_users_own_is_not_built(docker: Launcher) -> None:
    done = docker("--help")
    assert not built(done)
    assert done.run[-2:] == ["stand-in", "--help"]


# Codes, signals, terminals


@pytest.mark.parametrize("code", [0, 1, 2, 3, 125, 126, 130, 132, 137, 143])
def test_the_exit_code_is_handed_on_and_explained(docker: Launcher, code: int) -> None:
    docker.does("docker-run", f"echo result; echo message >&2; exit {code}")
    done = docker("--help")
    assert done.code == code
    assert done.out == "result\n"
    explained = {
        125: "could not run the container",
        132: "another kind of machine",
        137: "out of memory",
    }
    said = done.err.removeprefix("message\n")
    assert (explained[code] in said) if code in explained else said == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("to_group", [False, True])
def test_a_signal_reaches_the_container_once(
    docker: Launcher, number: signal.Signals, to_group: bool
) -> None:
    begun, ended = docker.folder / "begun", docker.folder / "ended"
    os.mkfifo(begun)
    os.mkfifo(ended)
    # The program ends when `docker kill` reaches it.
    docker.does("docker-run", f"echo >'{begun}'; read -r code <'{ended}'; exit ${{code}}")
    docker.does("docker-kill", f"echo {128 + number} >'{ended}'; exit")
    process = docker.start("--help", start_new_session=True)
    begun.read_text()
    (os.killpg if to_group else os.kill)(process.pid, number)
    done = docker.finish(process)
    assert done.code == 128 + number
    killed = [call for call in done.calls if call[1] == "kill"]
    assert killed == [["docker", "kill", "--signal", number.name[3:], done.run[4]]]


def test_a_signal_before_the_container_is_there_is_not_lost(docker: Launcher) -> None:
    begun, ended = docker.folder / "begun", docker.folder / "ended"
    os.mkfifo(begun)
    os.mkfifo(ended)
    docker.does("docker-run", f"echo >'{begun}'; read -r code <'{ended}'; exit ${{code}}")
    tries = docker.folder / "tries"
    docker.does(
        "docker-kill",
        f"echo x >>'{tries}'; (($(wc -l <'{tries}') < 3)) && exit 1; echo 130 >'{ended}'; exit",
    )
    process = docker.start("--help")
    begun.read_text()
    process.send_signal(signal.SIGINT)
    assert docker.finish(process).code == 130


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    "arguments", ["guess tf https://example.com/a.jpg", "guess imagenet x.jpg"]
)
def test_a_signal_while_something_is_fetched_ends_it_all(
    docker: Launcher, number: signal.Signals, arguments: str
) -> None:
    classifier(docker.here / "tf")
    begun, ended = docker.folder / "begun", docker.folder / "ended"
    os.mkfifo(begun)
    os.mkfifo(ended)
    docker.does(
        "docker-run",
        f"[[ $* != *fetch* ]] && exit; echo >'{begun}'; read -r code <'{ended}'; exit ${{code}}",
    )
    docker.does("docker-kill", f"echo {128 + number} >'{ended}'; exit")
    process = docker.start(*arguments.split(), start_new_session=True)
    begun.read_text()
    # As a terminal does it, for Ctrl-C; as `kill` does it.
    (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
    done = docker.finish(process)
    assert done.code == 128 + number
    assert len(done.runs) == 1
    assert [call[3] for call in done.calls if call[1] == "kill"] == [number.name[3:]]


@pytest.mark.parametrize(("piped", "tty"), [(None, True), ("stdin", False), ("stdout", False),
                                            ("stderr", False)])  # fmt: skip
def test_a_terminal_is_given_only_where_all_three_are_one(
    docker: Launcher, piped: str | None, tty: bool
) -> None:
    main, other = pty.openpty()
    streams = {name: other for name in ("stdin", "stdout", "stderr") if name != piped}
    with open(os.devnull, "r+") as null:
        streams |= {piped: null.fileno()} if piped else {}
        subprocess.run(
            [docker.clone / "tensor-guess", "--help"],
            env=docker.environ, cwd=docker.here, timeout=60, check=True,
            **streams,  # type: ignore[call-overload]
        )  # fmt: skip
    os.close(main)
    os.close(other)
    (run,) = [call for call in docker.calls() if call[1] == "run"]
    assert ("--tty" in run) is tty
    assert ("--interactive" in run) is tty


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


@pytest.mark.parametrize("name", ["ends\n", "a\nb", "-", "it's \\"])
def test_the_scripts_find_their_clone_whatever_its_name(launcher: Launcher, name: str) -> None:
    for each in ("test.sh", ".ci/run", "tools/lock.sh", "requirements-dev.lock"):
        (launcher.clone / each).parent.mkdir(exist_ok=True)
        shutil.copy2(ROOT / each, launcher.clone / each)
    launcher.clone = launcher.clone.rename(launcher.folder / name)
    shutil.copy2(ROOT / "requirements-dev.lock", launcher.clone / ".venv" / "dev-complete")
    for each in ("shellcheck", "shfmt", "python"):
        launcher.write(launcher.clone / ".venv/bin" / each, STAND_IN)
    launcher.install("uv")
    launcher.does("uv-pip", 'cat requirements.lock >>"${STAND_IN}/locked"')
    arguments = ["python", "-I", "-u", "-X", "utf8", f"{launcher.clone}/src"]
    for script, called in (
        ("tensor-guess", [*arguments, "x"]),
        ("train.sh", [*arguments, "train", "x"]),
        ("guess.sh", [*arguments, "guess", "x"]),
        ("classify_dir.sh", [*arguments, "classify-dir", "x"]),
        ("test.sh", ["python", "-X", "utf8", "-m", "pytest", "-m", "not long", "x"]),
        (".ci/run", ["python", "-X", "utf8", "-m", "pytest", "-m", "not long"]),
    ):
        done = launcher("x", script=script)
        assert (done.code, done.err) == (0, "")
        assert done.calls[-1] == called
        # By its name alone, as bash is given it in that folder.
        where = (launcher.clone / script).parent
        subprocess.run(
            ["bash", Path(script).name, "x"], env=launcher.environ, cwd=where, check=True
        )
        assert launcher.calls()[-1] == called
    assert launcher(script="tools/lock.sh").code == 0
    assert (launcher.folder / "stand-in/locked").exists()


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


def test_2000_pictures_are_one_mount_and_a_moment(docker: Launcher) -> None:
    classifier(docker.here / "tf")
    (docker.here / "p").mkdir()
    photos = [f"p/{number}.jpg" for number in range(2000)]
    for photo in photos:
        (docker.here / photo).touch()
    begun = time.monotonic()
    done = docker("guess", "tf", *photos)
    assert time.monotonic() - begun < 5
    assert len(done.mounts) == 3
    assert done.passed[2:] == photos
