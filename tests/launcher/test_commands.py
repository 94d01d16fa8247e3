"""Which arguments and options are paths, as the program reads them."""

import os
import subprocess

import click
import pytest

from made.launcher import Launcher, classifier
from made.place import ROOT
from tensor_guess.commands.main import cli
from tensor_guess.system import progress

# `handle` may be a path.
PATH_KINDS = {
    "read", "images", "classifier", "train", "examined", "pictures", "folder", "file", "source",
    "unsorted", "taken", "origin", "learned", "tasks",
}  # fmt: skip
FLAG_KINDS = {"flag", "offline", "moves", "tags", "plans", "looks", "face", "voice"}

# What every subcommand has.
VOICES = [each.value for each in progress.Voice if each.value]


def table() -> dict[str, list[tuple[str, str]]]:
    """Return the launcher's table: subcommand -> (name, kind)."""
    script = 'ROOT=.; source src/launcher/launch.bash; printf "%s" "${COMMANDS}"'
    text = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, check=True).stdout
    rows: dict[str, list[tuple[str, str]]] = {}
    commands: list[str] = []
    for line in text.decode().strip().splitlines():
        if line.startswith(" "):
            name, kind = line.split()
            for command in commands:
                rows.setdefault(command, []).append((name, kind))
        else:
            commands = line.split(",")
    return rows


def test_the_table_has_every_argument_of_the_cli_and_no_other() -> None:
    said = {}
    for name, command in cli.commands.items():
        if command.hidden:  # the program calls itself: never by way of a launcher
            continue
        said[name] = [
            (row, isinstance(each.type, click.Path), getattr(each, "is_flag", False))
            for each in command.params
            if each.opts[0] not in VOICES
            for row in (
                [*each.opts, *each.secondary_opts]
                if isinstance(each, click.Option)
                else [f"{each.name}".upper() + ("..." if each.nargs == -1 else "")]
            )
        ]
    known = {
        name: [(row, kind in PATH_KINDS, kind in FLAG_KINDS) for row, kind in rows]
        for name, rows in table().items()
    }
    assert known.keys() == said.keys()
    for name, rows in known.items():
        assert sorted(rows) == sorted(said[name])
        # Positional ones in their order.
        assert [r for r in rows if r[0][0] != "-"] == [r for r in said[name] if r[0][0] != "-"]


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
        ("guess,classify-dir", "tf", "src", "new"),
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


@pytest.mark.parametrize("voice", VOICES)
def test_how_much_is_said_is_passed_on_to_every_run(docker: Launcher, voice: str) -> None:
    classifier(docker.here / "tf")
    done = docker("guess", "tf", "http://h/a.jpg", voice)
    fetch, guess = done.runs
    assert fetch.passed[:3] == ["fetch-images", voice, "--"]
    assert guess.passed == ["guess", "tf", "http://h/a.jpg", voice]
    # The command is said in a form that a shell takes.
    assert ("running docker run --rm" in done.err) == (voice == "--verbose")


def test_offline_is_an_option_and_not_a_picture_of_that_name(docker: Launcher) -> None:
    assert len(docker("guess", "imagenet", "--offline", "x.jpg").runs) == 1
    assert len(docker("guess", "imagenet", "--", "--offline").runs) == 2


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


def test_of_several_arguments_the_last_is_the_folder_that_is_written(docker: Launcher) -> None:
    for name in ("a", "b", "home of it"):
        (docker.here / name).mkdir()
    for name in ("a/x.zip", "b/y.zip", "b/-z.zip"):
        (docker.here / name).touch()
    for given in (
        ("a/x.zip", "b/y.zip", "home of it/new"),
        ("a/x.zip", "--", "b/-z.zip", "b/y.zip", "home of it/new"),
    ):
        done = docker("merge", *given)
        modes = {path: mode for path, mode in done.mounts.items() if "/home/" not in path}
        assert modes == {
            f"{docker.here}/a": "ro",
            f"{docker.here}/b": "ro",
            f"{docker.here}/home of it/new": "rw",
        }
        assert (done.options("--network"), done.options("--memory")) == (["none"], ["4g"])
        assert done.passed == ["merge", *given]
    assert docker("merge", "nothing").mounts == {}
    assert not (docker.here / "nothing").exists()


@pytest.mark.parametrize("option", [(), ("--with-bottlenecks",), ("--with_bottlenecks",)])
def test_sharing_reads_linked_pictures_only_for_their_bottlenecks(
    docker: Launcher, option: tuple[str, ...]
) -> None:
    tf = classifier(docker.here / "tf")
    for name in ("dogs", "out"):
        (docker.here / name).mkdir()
    (tf / "data/dog").symlink_to(docker.here / "dogs")
    done = docker("share", *option, "tf", "out/x.zip")
    assert done.mounts[str(tf)] == "ro"
    assert done.mounts.get(f"{docker.here}/dogs") == ("ro" if option else None)


@pytest.mark.slow
def test_2000_pictures_are_one_mount_and_a_moment(docker: Launcher) -> None:
    classifier(docker.here / "tf")
    (docker.here / "p").mkdir()
    photos = [f"p/{number}.jpg" for number in range(2000)]
    for photo in photos:
        (docker.here / photo).touch()
    before = os.times()
    done = docker("guess", "tf", *photos)
    after = os.times()
    assert after.children_user - before.children_user < 3
    assert len(done.mounts) == 3
    assert done.passed[2:] == photos


@pytest.mark.parametrize("option", [None, "--fix", "--undo"])
def test_the_doctor_may_move_pictures_only_where_that_was_asked_for(
    docker: Launcher, option: str | None
) -> None:
    tf = classifier(docker.here / "tf")
    (tf / "data/cat").mkdir(parents=True)
    (docker.here / "dogs").mkdir()
    (tf / "data/dog").symlink_to(docker.here / "dogs")
    done = docker("doctor", tf, *filter(None, [option]))
    assert done.mounts[str(tf)] == "rw"
    assert done.mounts.get(f"{tf}/data") == (None if option else "ro")
    assert done.mounts[f"{docker.here}/dogs"] == "ro"
    assert done.options("--network") == ["none"]


def test_what_is_learned_is_read_and_comes_to_the_pictures(docker: Launcher) -> None:
    tf = classifier(docker.here / "tf")
    (tf / "data/cat").mkdir(parents=True)
    (docker.here / "sorted/cat").mkdir(parents=True)
    assert docker("train", tf).mounts[f"{tf}/data"] == "ro"
    done = docker("train", tf, "--learn", "sorted")
    assert done.mounts[str(tf)] == "rw"
    assert f"{tf}/data" not in done.mounts
    assert done.mounts[f"{docker.here}/sorted"] == "ro"


def test_pictures_that_are_no_duplicates_are_shown_to_the_doctor(docker: Launcher) -> None:
    tf = classifier(docker.here / "tf")
    (tf / "data/cat").mkdir(parents=True)
    (docker.here / "dogs").mkdir()
    for name in ("a", "b"):
        (docker.here / f"dogs/{name}.jpg").touch()
    done = docker("doctor", "tf", "--not-duplicates", "dogs/a.jpg", "dogs/b.jpg")
    assert done.mounts[f"{docker.here}/dogs"] == "ro"
    assert done.passed == ["doctor", "tf", "--not-duplicates", "dogs/a.jpg", "dogs/b.jpg"]


def test_a_page_is_not_for_a_container_which_has_no_browser(docker: Launcher) -> None:
    tf = classifier(docker.here / "tf")
    for option in (("--format", "html"), ("--format=html",)):
        done = docker("export", tf, "page.html", *option)
        assert done.code == 1
        assert "a container has none; set TENSOR_GUESS_LAUNCHER=local" in done.err
        assert done.runs == []
    assert len(docker("export", tf, "cars.onnx", "--format", "onnx").runs) == 1
