"""The real image on a real Docker engine, through the scripts that people run."""

import json
import os
import pty
import secrets
import shutil
import signal
import stat
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from containers.conftest import ROOT, Engine, Person, Text, make_person, probing
from made.faces import face, scene, write_video
from made.hostile_pictures import LEFT_OUT
from made.server import free_port, until
from made.strangers import LABELS as THEIRS
from made.strangers import made
from tensor_guess.graphs.graph import serialise

PHOTOS = sorted((ROOT / "test_data").iterdir())
HOSTILE = ("with space", "a,b", 'say "cheese"', "two\nlines", "-dash", "犬 Café", "$(x)", "co:lon")
GIGABYTE = 10**9


def facts(done: Text) -> dict[str, object]:
    """What the probe found."""
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def copied(photo: Path, target: Path) -> Path:
    """The copy, its folder made."""
    target.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(photo, target))


# The image


def test_the_image_is_at_most_2_gigabytes(docker: Engine, image: str) -> None:
    size = int(docker("image", "inspect", "--format", "{{.Size}}", image))
    print(f"image: {size / GIGABYTE:.2f} GB")
    assert size <= 2 * GIGABYTE


def test_the_image_runs_as_anybody_with_nothing_given(docker: Engine, image: str) -> None:
    assert (
        docker("image", "inspect", "--format", "{{.Config.User}}", image).strip() == "65534:65534"
    )
    assert docker("run", "--rm", "--read-only", image).startswith("Usage:")


def test_the_image_says_what_it_is(docker: Engine, image: str) -> None:
    labels = json.loads(docker("image", "inspect", "--format", "{{json .Config.Labels}}", image))
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert len(labels["tensor-guess.inputs"]) == 64


def test_no_bytecode_is_missing_in_the_image(docker: Engine, image: str) -> None:
    # Nobody could write it later, so each run would compile it again.
    script = (
        "import pathlib, sys, tensor_guess.commands.main, tensor_guess.training.train as t, numpy;"
        "print([n for n, m in sys.modules.items() if getattr(m, '__cached__', None)"
        " and m.__file__.endswith('.py') and '/opt/' in m.__file__"
        " and not pathlib.Path(m.__cached__).exists()])"
    )
    run = ("run", "--rm", "--read-only", "--entrypoint", "/opt/tensor-guess/venv/bin/python")
    environ = ("--env", "PYTHONPATH=/opt/tensor-guess/src")
    assert docker(*run, *environ, image, "-c", script).strip() == "[]"


def test_keras_networks_freeze_and_summaries_are_written_in_there(
    docker: Engine, image: str
) -> None:
    """What was left out of the image is not needed."""
    script = (
        "import sys; sys.path.insert(0, '/opt/tensor-guess/src')\n"
        "from pathlib import Path\n"
        "from tensor_guess.backbones import keras_networks as keras_backbones\n"
        "graph = keras_backbones.freeze('inception_v3', 299, None)\n"
        "print(sum(node.op == 'Conv2D' for node in graph.node))\n"
        "from tensorboard.summary import Writer\n"
        "writer = Writer('/tmp/logs'); writer.add_scalar('accuracy', 1.0, 1); writer.close()\n"
        "print(len(list(Path('/tmp/logs').iterdir())))\n"
    )
    out = docker(
        "run", "--rm", "--read-only", "--tmpfs", "/tmp", "--user", "54321:54321", "--cap-drop",
        "ALL", "--network", "none", "--entrypoint", "/opt/tensor-guess/venv/bin/python", image,
        "-I", "-c", script,
    )  # fmt: skip
    assert out.split() == ["94", "1"]


@pytest.mark.long
def test_it_builds_with_buildkit_too(docker: Engine, clone: Path, me: Person, taught: Path) -> None:
    environ = {**docker.environ, "DOCKER_BUILDKIT": "1"}
    missing = f"no_such_{secrets.token_hex(4)}"  # of a layer that is cached nothing is said again
    done = subprocess.run(
        ["docker", "build", "--tag", "tensor-guess-buildkit", "--build-arg", f"BACKBONES={missing}",
         clone],
        env=environ, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    # A backbone that cannot be had lets the build go on, and is said.
    assert f"{missing} is not in this image" in done.stderr + done.stdout
    other = replace(me, image="tensor-guess-buildkit")
    same = ("guess.sh", taught, PHOTOS[0])
    assert other.run(*same).stdout == me.run(*same).stdout != ""


def test_the_launcher_builds_it_once(docker: Engine, image: str, clone: Path) -> None:
    environ = {**docker.environ, "TENSOR_GUESS_LAUNCHER": "docker"}
    done = subprocess.run(
        [clone / "tensor-guess", "--help"], env=environ, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


# What people do


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_training_guessing_and_sorting(person: Person, umask: int) -> None:
    person = replace(person, umask=umask)
    tf_files = person.folder / "tf_files"
    shutil.copytree(ROOT / "tf_files" / "data", tf_files / "data")
    shutil.copytree(ROOT / "test_data", person.folder / "photos")
    person.own(person.folder)
    photos = (person.folder / "photos").iterdir()
    of_photos = {stat.S_IMODE(path.stat().st_mode) for path in photos}
    before = set(person.folder.rglob("*"))
    options = ("--backbone", "efficientnet_lite0", "--steps", "50", "--summaries_dir=logs")
    done = person.run("train.sh", "tf_files", *options)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Final test accuracy = ")
    done = person.run("guess.sh", "tf_files", "photos/photo01.jpg")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == person.local("guess", "tf_files", "photos/photo01.jpg").stdout
    done = person.run("classify_dir.sh", "tf_files", "photos", "sorted/here")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "12 copied to sorted/here"), (
        done.stderr
    )
    written = set(person.folder.rglob("*")) - before
    assert {"retrained_graph.pb", "cache", "logs", "manifest.jsonl"} <= {p.name for p in written}
    for path in written:
        if "networks" in path.parts:  # kept by the guess outside, which is not this person's
            continue
        status = path.lstat()
        assert (status.st_uid, status.st_gid) == (person.uid, person.uid), path
        full = 0o777 if path.is_dir() else 0o666
        copied = path.parent.name == "here" and path.name != "manifest.jsonl"  # as the original is
        modes = of_photos if copied else {full & ~umask}
        assert stat.S_IMODE(status.st_mode) in modes, path
    assert not [path for path in written if path.name.startswith(".tensor-guess-")]


@pytest.mark.long
def test_fine_tuning_and_choosing_a_way(me: Person) -> None:
    shutil.copytree(ROOT / "tf_files" / "data", me.folder / "tf_files" / "data")
    lite = ("--backbone", "efficientnet_lite0", "--steps", "50")
    tuned = ("--fine_tune", "1", "--fine_tune_epochs", "2", "--augment", "--versions", "1")
    done = me.run("train.sh", "tf_files", *lite, *tuned)
    assert done.returncode == 0, done.stderr
    assert "epoch 2 of 2: " in done.stderr
    assert me.run("guess.sh", "tf_files", PHOTOS[0]).returncode == 0
    # Training again starts from the backbone as it was, which is in the image.
    done = me.run("train.sh", "tf_files", "--auto", "--time_budget", "2s")
    assert done.returncode == 0, done.stderr
    assert "as it was before it was fine-tuned\n" in done.stderr
    assert "kept: " in done.stderr


def test_faces_are_collected_in_an_image_with_opencv_that_is_made_when_needed(me: Person) -> None:
    write_video(me.folder / "me.mp4", [scene((face(), 40, 40)), scene()])
    done = replace(me, image="").run("collect_faces.sh", "new/tf", "me", "me.mp4")
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "1 face written to new/tf/data/me\n"
        "  pictures looked at      2\n"
        "  face not found          1\n"
    )
    (found,) = (me.folder / "new/tf").rglob("*.jpg")
    assert found.stat().st_uid == me.uid
    # The image without them says what is missing.
    done = me.run("collect_faces.sh", "new/tf", "me", "me.mp4")
    assert (done.returncode, done.stdout) == (1, "")
    assert "build that image with --build-arg FACES=1" in done.stderr


def test_scores_are_those_of_local_python(me: Person, taught: Path) -> None:
    in_container = me.run("guess.sh", taught, *PHOTOS, "--json")
    local = me.local("guess", taught, *PHOTOS, "--json")
    assert in_container.returncode == local.returncode == 0
    ours, theirs = (
        [json.loads(line) for line in done.stdout.splitlines()] for done in (in_container, local)
    )
    assert len(ours) == len(PHOTOS)
    for one, other in zip(ours, theirs, strict=True):
        assert one["image"] == other["image"]
        for label, score in one["scores"].items():
            assert round(score, 4) == round(other["scores"][label], 4)


def test_what_is_shared_in_a_container_holds_outside_and_in_another(
    person: Person, taught: Path
) -> None:
    (person.folder / "for all").mkdir()
    person.own(person.folder)
    done = person.run("tensor-guess", "share", taught, "for all/x.zip", "--licence", "MIT")
    assert (done.returncode, done.stderr) == (0, "")
    status = (person.folder / "for all/x.zip").stat()
    assert (status.st_uid, status.st_gid) == (person.uid, person.uid)
    assert [path.name for path in (person.folder / "for all").iterdir()] == ["x.zip"]
    done, local = (
        run("verify", "for all/x.zip")
        for run in (lambda *given: person.run("tensor-guess", *given), person.local)
    )
    assert (done.returncode, done.stderr, local.returncode) == (0, "", 0)
    for held in (done, local):
        assert held.stdout.splitlines()[1] == "digests: 10 of 10"
        assert float(held.stdout.split()[-1]) < 1e-4


def test_another_programs_graph_in_a_container(me: Person) -> None:
    folder = me.folder / "their files"
    folder.mkdir()
    (folder / "output_graph.pb").write_bytes(serialise(made("mobilenet")))
    (folder / "names.txt").write_text("".join(f"{label}\n" for label in THEIRS))
    (me.folder / "elsewhere.txt").write_bytes((folder / "names.txt").read_bytes())
    copied(PHOTOS[0], me.folder / "photos" / "x.jpg")
    shutil.copytree(ROOT / "tf_files/data", me.folder / "mine" / "data")
    me.own(me.folder)
    graph = "--graph=their files/output_graph.pb"
    for asked in (
        ("guess", "their files", "photos/x.jpg"),
        ("guess", graph, "--labels=elsewhere.txt", "--image", "photos/x.jpg"),
        ("guess", "photos/x.jpg", graph, "--input_mean", "0"),
        ("inspect", "their files"),
        ("classify-dir", graph, "photos", "sorted"),
        ("train", "mine", "--from", "./their files", "--steps", "20"),
    ):
        done = me.run("tensor-guess", *asked)
        assert (done.returncode, bool(done.stdout)) == (0, True), done.stderr
        if asked[0] in ("guess", "inspect"):
            assert done.stdout == me.local(*asked).stdout
    assert len(list((me.folder / "sorted").iterdir())) == 2


def test_photos_of_any_name_from_several_folders(person: Person, taught: Path) -> None:
    photos = [copied(PHOTOS[0], person.folder / name / name) for name in HOSTILE]
    person.own(person.folder)
    shutil.copytree(taught, person.folder / 'my, "tf"\nfiles')
    asked = ["--", 'my, "tf"\nfiles', *(f"{name}/{name}" for name in HOSTILE)]
    done = person.run("guess.sh", *asked)
    local = person.local("guess", *asked)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == local.stdout
    assert done.stdout.count("dark knight") == len(photos)


@pytest.mark.parametrize("name", LEFT_OUT)
def test_one_hostile_picture_costs_only_itself(me: Person, taught: Path, name: str) -> None:
    shutil.copytree(PHOTOS[0].parent, me.folder / "photos")
    (me.folder / "photos" / name).write_bytes(LEFT_OUT[name]())
    me.own(me.folder)
    done = me.run("classify_dir.sh", taught, "photos", "sorted")
    said = done.stdout.splitlines()[0]
    assert (done.returncode, said) == (3, "12 copied to sorted, 1 left out"), done.stderr
    assert f"photos/{name}" in done.stderr


def test_sorting_folders_of_any_name(person: Person, taught: Path) -> None:
    source, target = HOSTILE[3], HOSTILE[2]
    for name in HOSTILE:
        copied(PHOTOS[0], person.folder / source / name)
    copied(PHOTOS[1], person.folder / source / "other")
    person.own(person.folder)
    done = person.run("classify_dir.sh", taught, source, target)
    assert done.returncode == 0, done.stderr
    local = person.local("classify-dir", taught, source, "local")
    assert local.returncode == 0
    names = [{path.name for path in (person.folder / name).iterdir()} for name in (target, "local")]
    assert names[0] == names[1]
    # The manifest's header names the same folders as a local run's would.
    header = json.loads((person.folder / target / "manifest.jsonl").open().readline())
    assert str(person.folder / source) in header.values()


def test_links_lead_where_they_lead_on_the_host(me: Person, taught: Path) -> None:
    real = me.folder / "real"
    copied(PHOTOS[0], real / "photo.jpg")
    (me.folder / "between").mkdir()
    (me.folder / "between" / "second").symlink_to("../real/photo.jpg")
    (me.folder / "here").mkdir()
    (me.folder / "here" / "first").symlink_to(me.folder / "between" / "second")
    (me.folder / "here" / "folder").symlink_to(real)
    (me.folder / "here" / "tf").symlink_to(taught)
    asked = ("tf", "first", "folder/photo.jpg")
    done = me.run("guess.sh", *asked, cwd=me.folder / "here")
    local = me.local("guess", *asked, cwd=me.folder / "here")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == local.stdout


def test_linked_categories_are_trained_on(me: Person) -> None:
    for number, name in enumerate(("dark_knight", "snow_queen")):
        shutil.copytree(ROOT / "tf_files" / "data" / name, me.folder / "elsewhere" / name)
        (me.folder / "tf" / "data").mkdir(parents=True, exist_ok=True)
        target = me.folder / "elsewhere" / name if number else f"../../elsewhere/{name}"
        (me.folder / "tf" / "data" / name).symlink_to(target)
    done = me.run("train.sh", "tf", "--backbone", "efficientnet_lite0", "--steps", "20")
    assert done.returncode == 0, done.stderr
    assert "80 pictures" in done.stderr


def test_folders_and_files_in_tmp(me: Person, taught: Path) -> None:
    name = f"tensor-guess-test-{os.getpid()}"
    folder = Path("/tmp") / name
    try:
        shutil.copytree(taught, folder / "tf")
        photo = copied(PHOTOS[0], Path(f"/tmp/{name}.jpg"))
        photo.chmod(0o644)
        done = me.run("guess.sh", "tf", photo, copied(PHOTOS[0], folder / "x.jpg"), cwd=folder)
        assert (done.returncode, done.stderr) == (0, "")
        graph = Path(f"/tmp/{name}.pb")
        options = ("--backbone", "efficientnet_lite0", "--steps=20", f"--output_graph={graph}")
        done = me.run("train.sh", "tf", *options, cwd=folder)
        assert done.returncode == 0, done.stderr
        assert graph.exists()
    finally:
        shutil.rmtree(folder)
        for path in Path("/tmp").glob(f"{name}.*"):
            path.unlink()


def test_a_module_in_somebodys_folder_is_not_run(me: Person, taught: Path) -> None:
    tf_files = me.folder / "tf"
    shutil.copytree(taught, tf_files)
    for folder in (me.folder, tf_files):
        for name in ("json.py", "click.py", "sitecustomize.py", "tensor_guess.py"):
            (folder / name).write_text("raise SystemExit('a stranger ran')")
    photo = copied(PHOTOS[0], tf_files / "photo.jpg")
    for folder in (me.folder, tf_files):
        environ = {
            **me.environ,
            "PYTHONPATH": str(folder),
            "PYTHONSTARTUP": str(folder / "json.py"),
        }
        done = me.run("guess.sh", tf_files, photo, cwd=folder, env=environ)
        assert (done.returncode, done.stderr) == (0, "")


# Codes and messages are those of local Python


def test_codes_and_sentences_are_the_same_as_with_local_python(me: Person, taught: Path) -> None:
    photo = copied(PHOTOS[0], me.folder / "photo.jpg")
    text = me.folder / "text.jpg"
    text.write_text("no picture")
    (me.folder / "empty").mkdir()
    for code, asked in (
        (0, ("guess", taught, photo)),
        (0, ("guess", taught / "retrained_graph.pb", "photo.jpg")),
        (1, ("guess", taught, "text.jpg")),
        (1, ("guess", taught, "no such.jpg", "nor/this.jpg")),
        (1, ("guess", "empty", photo)),
        (2, ("guess", "no classifier", photo)),
        (2, ("guess", taught, photo, "--jsn")),
        (2, ("classify-dir", taught, "no folder", "dest")),
        (2, ("classify-dir", taught, ".", "inside")),
        (2, ("train", "nothing here")),
        (1, ("train", "empty")),
        (3, ("guess", taught, photo, "text.jpg", "no such.jpg")),
    ):
        done, local = me.run("tensor-guess", *asked), me.local(*asked)
        assert (done.returncode, done.stdout, done.stderr) == (code, local.stdout, local.stderr)
        assert not (me.folder / "dest").exists()
        assert not (me.folder / "inside").exists()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
def test_a_signal_ends_the_program_and_its_container(
    me: Person, docker: Engine, number: signal.Signals, code: int
) -> None:
    shutil.copytree(ROOT / "tf_files" / "data", me.folder / "tf" / "data")
    options = ("--backbone", "efficientnet_lite0", "--steps", "10000000")
    process = me.start([me.clone / "train.sh", "tf", *options])
    assert process.stderr
    for line in process.stderr:
        if "Step 0" in line:
            break
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == code
    assert docker("ps", "--all", "--quiet", "--filter", f"name=tensor-guess-{process.pid}-") == ""
    assert not (me.folder / "tf" / "retrained_graph.pb").exists()
    assert not list(me.folder.rglob(".tensor-guess-*"))


def test_ctrl_c_on_a_terminal(me: Person, docker: Engine) -> None:
    shutil.copytree(ROOT / "tf_files" / "data", me.folder / "tf" / "data")
    main, other = pty.openpty()
    options = ("--backbone", "efficientnet_lite0", "--steps", "10000000")
    process = subprocess.Popen(
        [me.clone / "train.sh", "tf", *options],
        env=me.environ, cwd=me.folder, stdin=other, stdout=other, stderr=other,
        start_new_session=True,
    )  # fmt: skip
    os.close(other)
    said = b""
    while b"pictures" not in said:
        said += os.read(main, 4096)
    os.write(main, b"\x03")
    try:
        while os.read(main, 4096):
            pass
    except OSError:  # the terminal's other end is closed
        pass
    os.close(main)
    assert process.wait(timeout=60) == 130
    assert docker("ps", "--all", "--quiet", "--filter", f"name=tensor-guess-{process.pid}-") == ""


def test_without_an_init_signals_end_it_too(docker: Engine, me: Person) -> None:
    shutil.copytree(ROOT / "tf_files" / "data", me.folder / "tf" / "data")
    name = f"tensor-guess-no-init-{os.getpid()}"
    mount = f'type=bind,"source={me.folder}/tf",target=/tf'
    command = [
        "docker", "run", "--rm", "--name", name, "--user", f"{me.uid}:{me.uid}", "--mount", mount,
        me.image, "train", "/tf", "--backbone", "efficientnet_lite0", "--steps", "10000000",
    ]  # fmt: skip
    process = me.start(command)
    assert process.stderr
    for line in process.stderr:
        if "Step 0" in line:
            break
    docker("kill", "--signal", "TERM", name)
    process.communicate(timeout=60)
    assert process.returncode == 143


def test_a_server_answers_at_its_port_as_guess_does_and_takes_a_new_graph(
    me: Person, taught: Path, docker: Engine
) -> None:
    shutil.copytree(taught, me.folder / "tf", ignore=shutil.ignore_patterns("data"))
    me.own(me.folder / "tf")
    port, said = free_port(), list[str]()
    process = me.start([me.clone / "serve.sh", "tf", "--port", port])
    assert process.stderr

    def until_said(words: str) -> None:
        for line in process.stderr or ():
            said.append(line)
            if words in line:
                return
        pytest.fail("".join(said))

    def ask(path: str, body: bytes | None = None) -> Any:
        with urlopen(Request(f"http://127.0.0.1:{port}{path}", body), timeout=60) as answer:
            return json.load(answer)

    until_said(f"tf answers at http://127.0.0.1:{port}/ ")
    own = json.loads(me.local("guess", taught, PHOTOS[0], "--json").stdout)
    found = ask("/v1/guess", PHOTOS[0].read_bytes())
    assert found["scores"] == pytest.approx(own["scores"], abs=1e-6)
    ports = docker("ps", "--filter", f"publish={port}", "--format", "{{.Ports}}").strip()
    assert ports == f"127.0.0.1:{port}->{port}/tcp"
    # Training replaces the graph on the host.
    graph = me.folder / "tf" / "retrained_graph.pb"
    (me.folder / "tf" / "new").write_bytes(b"no graph")
    (me.folder / "tf" / "new").replace(graph)
    until_said("the new graph is refused, and the one before goes on")
    shutil.copy(taught / graph.name, me.folder / "tf" / "new")
    (me.folder / "tf" / "new").replace(graph)
    until(lambda: ask("/v1/model")["refused"] is None)
    assert ask("/v1/guess", PHOTOS[0].read_bytes())["scores"] == found["scores"]
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 143


# The walls


def test_guessing_is_walled_in(person: Person, probe: str) -> None:
    (person.folder / "tf").mkdir()
    photo = copied(PHOTOS[0], person.folder / "photos" / "x.jpg")
    person.own(person.folder)
    found = facts(probing(person, probe).run("guess.sh", "tf", "photos/x.jpg"))
    assert found["arguments"] == ["guess", "tf", "photos/x.jpg"]
    assert found["there"] == ["tf", "photos/x.jpg"]
    assert found["cwd"] == str(person.folder)
    assert (found["uid"], found["gid"]) == (person.uid, person.uid)
    extra = person.groups or [each for each in os.getgroups() if each != os.getgid()]
    assert set(extra) <= set(found["groups"])  # type: ignore[call-overload]
    assert found["capabilities"] == ["0" * 16, "0" * 16]
    assert found["no_new_privileges"] == "1"
    assert "init" in str(found["init"])
    assert found["writable"] == ["/tmp"]
    assert found["written_in_arguments"] == []
    assert (found["network"], found["interfaces"]) == (False, ["lo"])
    assert found["pids"] == "256"
    assert found["memory"] == str(2 * 2**30)
    assert found["home"] == "/tmp"
    assert found["seen"] == [True]
    assert [path.name for path in photo.parent.iterdir()] == ["x.jpg"]


def test_sorting_writes_to_dest_only(person: Person, probe: str) -> None:
    (person.folder / "tf").mkdir()
    copied(PHOTOS[0], person.folder / "photos" / "x.jpg")
    person.own(person.folder)
    found = facts(probing(person, probe).run("classify_dir.sh", "tf", "photos", "a/dest"))
    assert found["writable"] == ["/tmp"]
    assert found["written_in_arguments"] == ["a/dest"]
    assert (found["network"], found["memory"]) == (False, str(2 * 2**30))
    status = (person.folder / "a" / "dest" / "probe-was-here").stat()
    assert (status.st_uid, status.st_gid) == (person.uid, person.uid)


def test_training_writes_to_its_folder_only(person: Person, probe: str) -> None:
    copied(PHOTOS[0], person.folder / "tf" / "data" / "a" / "x.jpg")
    person.own(person.folder)
    found = facts(probing(person, probe).run("train.sh", "tf"))
    assert found["writable"] == ["/tmp"]
    assert found["written_in_arguments"] == ["tf"]
    assert found["network"] is True
    assert not list((person.folder / "tf" / "data").rglob("probe-was-here"))
    assert all(found["seen"])  # type: ignore[arg-type]


def test_every_flag_is_on_the_container(me: Person, docker: Engine, taught: Path) -> None:
    """As the engine itself has it, of the container of a real guess."""
    command = ["docker", "events", "--since", f"{time.time():.3f}", "--filter", "event=create"]
    command += ["--filter", f"image={me.image}", "--format", "{{.ID}}"]
    listen = subprocess.Popen(command, env=docker.environ, stdout=subprocess.PIPE, text=True)
    process = me.start([me.clone / "guess.sh", taught, PHOTOS[0]])
    assert listen.stdout
    (found,) = json.loads(docker("inspect", listen.stdout.readline().strip()))
    listen.kill()
    listen.communicate()
    process.communicate(timeout=60)
    host = found["HostConfig"]
    assert host["AutoRemove"] is True
    assert host["Init"] is True
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert not host["Privileged"]
    assert sorted(host["SecurityOpt"]) == ["label=disable", "no-new-privileges"]
    assert host["PidsLimit"] == 256
    assert host["Memory"] == 2 * 2**30
    assert host["NetworkMode"] == "none"
    assert list(host["Tmpfs"]) == ["/tmp"]
    assert found["Config"]["User"] == f"{me.uid}:{os.getgid()}"
    assert found["Config"]["Tty"] is False
    assert found["Config"]["AttachStdin"] is False
    assert all(mount["RW"] is False for mount in found["Mounts"])
    assert {mount["Destination"] for mount in found["Mounts"]} == {
        str(taught), str(PHOTOS[0].parent), str(me.folder / "cache"),
    }  # fmt: skip


def test_memory_that_runs_out_is_explained(me: Person, probe: str) -> None:
    (me.folder / "tf").mkdir()
    done = probing(me, probe).run("guess.sh", "tf", "eat-memory.jpg")
    assert done.returncode == 137, done.stderr
    assert "most likely out of memory" in done.stderr


def test_an_engine_that_sees_other_folders_is_noticed(me: Person, taught: Path) -> None:
    """As one on another machine does: here, our folder is hidden from the engine."""
    if os.getuid() != 0:
        pytest.skip("only root can hide a folder from the engine")
    (me.folder / "photos").mkdir()
    (me.folder / "dest").mkdir()
    for mounted, asked in (
        ("photos", f"'{me.clone}/guess.sh' '{taught}' photos/x.jpg"),
        ("photos", f"'{me.clone}/classify_dir.sh' '{taught}' photos dest"),
        ("dest", f"'{me.clone}/classify_dir.sh' '{taught}' '{PHOTOS[0].parent}' dest"),
    ):
        script = f"mount -t tmpfs none {mounted} && cp '{PHOTOS[0]}' photos/x.jpg; exec {asked}"
        done = me.start(["unshare", "--mount", "bash", "-c", script])
        out, err = done.communicate(timeout=60)
        assert (done.returncode, out) == (125, "")
        assert f"does not see {me.folder / mounted} as this machine does" in err
        (me.folder / "photos" / "x.jpg").unlink(missing_ok=True)


def test_an_engine_without_permission_is_said(docker: Engine, clone: Path, workshop: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can be somebody else")
    stranger = make_person(54321, docker, "none", clone, workshop)
    done = replace(stranger, groups=()).run("tensor-guess", "--help")
    assert done.returncode == 125
    assert "this user may not use its socket" in done.stderr
