"""Which folders a container is shown, and whether it may write to them."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from made.launcher import AS_ROOT, Done, Launcher, classifier


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


@pytest.mark.parametrize("there", [False, True])
def test_a_dry_run_writes_nowhere_and_makes_nothing(docker: Launcher, there: bool) -> None:
    classifier(docker.here / "tf")
    (docker.here / "src").mkdir()
    if there:
        (docker.here / "dest").mkdir()
    done = docker("tf", "src", "dest", "--dry_run", script="classify_dir.sh")
    names = ("tf", "src", "dest")[: 3 if there else 2]
    assert inside(done) == {f"{docker.here}/{name}": "ro" for name in names}
    assert (docker.here / "dest").exists() == there


def inside(done: Done) -> dict[str, str]:
    return {path: mode for path, mode in done.mounts.items() if "/home/" not in path}


@pytest.mark.parametrize("option", ["--move", "--link"])
def test_moving_and_linking_mount_the_nearest_common_folder_once(
    docker: Launcher, option: str
) -> None:
    for name in ("a/photos/2017", "tf"):
        (docker.here / name).mkdir(parents=True)
    classifier(docker.here / "tf")
    done = docker("tf", "a/photos/2017", "a/sorted/new", option, script="classify_dir.sh")
    assert inside(done) == {f"{docker.here}/tf": "ro", f"{docker.here}/a": "rw"}
    assert (docker.here / "a/sorted/new").is_dir()
    assert done.options("--network") == ["none"]
    assert done.passed == ["classify-dir", "tf", "a/photos/2017", "a/sorted/new", option]


@pytest.mark.parametrize(
    ("tf", "source", "dest", "mounts"),
    [
        ("a/tf", "a/in", "a/out", {"a": "rw", "a/tf": "ro"}),
        ("a", "a/in", "a/out", {"a": "rw"}),
        ("a/tf", "a/tf/in", "a/out", {"a": "rw"}),
        ("tf", "a/out/in", "a/out", {"tf": "ro", "a/out": "rw"}),
        ("tf", "link", "a/out", {"tf": "ro", "a": "rw"}),
    ],
)
def test_no_mount_comes_between_the_two_folders(
    docker: Launcher, tf: str, source: str, dest: str, mounts: dict[str, str]
) -> None:
    (docker.here / "a/real").mkdir(parents=True)
    (docker.here / "link").symlink_to("a/real")
    (docker.here / source).mkdir(parents=True, exist_ok=True)
    classifier(docker.here / tf)
    done = docker(tf, source, dest, "--move", script="classify_dir.sh")
    assert inside(done) == {f"{docker.here}/{name}": mode for name, mode in mounts.items()}


@pytest.mark.parametrize("option", ["--symlink", "--keep-tree"])
def test_without_moving_and_linking_pictures_are_only_read(docker: Launcher, option: str) -> None:
    classifier(docker.here / "tf")
    (docker.here / "src").mkdir()
    done = docker("tf", "src", "out", option, script="classify_dir.sh")
    assert (done.mounts[f"{docker.here}/src"], done.mounts[f"{docker.here}/out"]) == ("ro", "rw")


@pytest.mark.parametrize("option", ["--move", "--link"])
def test_folders_with_only_the_root_in_common_are_for_the_local_launcher(
    docker: Launcher, option: str
) -> None:
    classifier(docker.here / "tf")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as source:
        done = docker("tf", source, "out", option, script="classify_dir.sh")
    assert done.code == 2
    assert "the nearest that has both, /, is or contains a system folder" in done.err
    assert "TENSOR_GUESS_LAUNCHER=local" in done.err
    assert not [call for call in done.calls if call[1] == "run"]
    assert not (docker.here / "out").exists()


def test_a_dry_run_of_a_move_only_reads(docker: Launcher) -> None:
    classifier(docker.here / "tf")
    for name in ("src", "out"):
        (docker.here / name).mkdir()
    done = docker("tf", "src", "out", "--move", "--dry-run", script="classify_dir.sh")
    assert inside(done) == {f"{docker.here}/{name}": "ro" for name in ("tf", "src", "out")}


@pytest.mark.parametrize(("options", "mode"), [((), "rw"), (("--dry-run",), "ro")])
def test_tagging_writes_among_the_pictures(
    docker: Launcher, options: tuple[str, ...], mode: str
) -> None:
    classifier(docker.here / "tf")
    (docker.here / "src").mkdir()
    for given in (("src", "--tag"), ("--tag", "src")):
        done = docker("tf", *given, *options, script="classify_dir.sh")
        assert inside(done) == {f"{docker.here}/tf": "ro", f"{docker.here}/src": mode}
        assert done.options("--network") == ["none"]


def test_undo_sees_dest_and_what_is_named(docker: Launcher) -> None:
    for name in ("a/in", "a/out"):
        (docker.here / name).mkdir(parents=True)
    done = docker("undo", "a/out", "--run", "12")
    assert inside(done) == {f"{docker.here}/a/out": "rw"}
    assert done.options("--network") == ["none"]
    done = docker("undo", "a/out", "a/in")
    assert inside(done) == {f"{docker.here}/a": "rw"}
    assert inside(docker("undo", "nothing")) == {}
    assert not (docker.here / "nothing").exists()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as source:
        done = docker("undo", "a/out", source)
    assert inside(done) == {f"{docker.here}/a/out": "rw", source: "rw"}


def test_a_csv_is_written_to_its_folder(docker: Launcher) -> None:
    classifier(docker.here / "tf")
    for name in ("src", "tables"):
        (docker.here / name).mkdir()
    done = docker("tf", "src", "dest", "--csv", "tables/x.csv", script="classify_dir.sh")
    assert done.mounts[f"{docker.here}/tables"] == "rw"
    assert done.mounts[f"{docker.here}/src"] == "ro"


def test_collecting_faces_writes_to_its_folders_and_reads_the_video(docker: Launcher) -> None:
    (docker.here / "films").mkdir()
    (docker.here / "films" / "me.mp4").touch()
    done = docker("tf", "me", "films/me.mp4", "--test_dir=t", script="collect_faces.sh")
    assert {path: mode for path, mode in done.mounts.items() if "home" not in path} == {
        f"{docker.here}/tf": "rw",
        f"{docker.here}/films": "ro",
        f"{docker.here}/t": "rw",
    }
    assert done.options("--network") == ["none"]
    assert done.options("--memory") == ["2g"]
    assert done.options("--device") == []
    assert done.passed == ["collect-faces", "tf", "me", "films/me.mp4", "--test_dir=t"]


@AS_ROOT
def test_a_camera_is_passed_with_its_group(docker: Launcher) -> None:
    device = docker.folder / "video0"
    try:
        os.mknod(device, stat.S_IFCHR | 0o660, os.stat("/dev/null").st_rdev)
    except PermissionError:
        pytest.skip("no device can be made here")
    os.chown(device, 0, 4711)
    done = docker("collect-faces", "tf", "me", device)
    assert done.options("--device") == [str(device)]
    assert "4711" in done.options("--group-add")
    assert str(docker.folder) not in done.mounts
    assert done.passed == ["collect-faces", "tf", "me", str(device)]


def test_a_camera_that_is_not_there_is_for_the_program_to_say(docker: Launcher) -> None:
    done = docker("collect-faces", "tf", "me", "/dev/video99")
    assert done.options("--device") == []
    assert done.passed == ["collect-faces", "tf", "me", "/dev/video99"]


def test_evaluating_reads_and_writes_only_the_csvs_folder(docker: Launcher) -> None:
    tf = classifier(docker.here / "tf")
    for name in ("elsewhere/a", "linked", "labelled/b", "out"):
        (docker.here / name).mkdir(parents=True)
    (docker.here / "labelled" / "linked").symlink_to(docker.here / "linked")
    (tf / "data" / "c").symlink_to(docker.here / "elsewhere" / "a")
    done = docker("evaluate", "tf", "labelled", "--csv", "out/x.csv")
    assert {path: mode for path, mode in done.mounts.items() if "home" not in path} == {
        f"{docker.here}/tf": "ro",
        f"{docker.here}/elsewhere/a": "ro",
        f"{docker.here}/labelled": "ro",
        f"{docker.here}/linked": "ro",
        f"{docker.here}/out": "rw",
    }
    assert done.options("--network") == ["none"]


def test_a_study_writes_its_page_only(docker: Launcher) -> None:
    tf = classifier(docker.here / "tf")
    for name in ("elsewhere", "photos", "out"):
        (docker.here / name).mkdir()
    (docker.here / "photos/x.jpg").touch()
    (tf / "data/c").symlink_to(docker.here / "elsewhere")
    done = docker("study", "tf", "photos/x.jpg", "out/x.html")
    assert {path: mode for path, mode in done.mounts.items() if "home" not in path} == {
        f"{docker.here}/tf": "ro",
        f"{docker.here}/photos": "ro",
        f"{docker.here}/elsewhere": "ro",
        f"{docker.here}/out": "rw",
    }
    assert done.options("--network") == ["none"]


def test_a_heap_is_only_read_and_its_groups_are_written(docker: Launcher) -> None:
    (docker.here / "heap").mkdir()
    (docker.here / "net.pb").touch()
    done = docker("heap", "heap", "new/out", "--backbone", "net.pb", "--choose", "10")
    inside = {path: mode for path, mode in done.mounts.items() if "home" not in path}
    assert inside == {
        f"{docker.here}": "ro",
        f"{docker.here}/new/out": "rw",
    }
    assert done.mounts[f"{docker.folder}/home/.cache/tensor-guess"] == "rw"


@pytest.mark.parametrize("explained", [True, False])
def test_a_guess_that_is_explained_reads_the_training_pictures(
    docker: Launcher, explained: bool
) -> None:
    tf = classifier(docker.here / "tf")
    for name in ("elsewhere", "photos", "out"):
        (docker.here / name).mkdir()
    (docker.here / "photos/x.jpg").touch()
    (tf / "data/c").symlink_to(docker.here / "elsewhere")
    done = docker("guess", "tf", "photos/x.jpg", *(["--explain", "out/x.png"] * explained))
    assert {path: mode for path, mode in done.mounts.items() if "home" not in path} == {
        f"{docker.here}/tf": "ro",
        f"{docker.here}/photos": "ro",
        **({f"{docker.here}/elsewhere": "ro", f"{docker.here}/out": "rw"} if explained else {}),
    }


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


def test_a_frozen_graph_as_backbone_is_mounted(docker: Launcher) -> None:
    tf = classifier(docker.here / "tf")
    (docker.here / "graphs").mkdir()
    (docker.here / "graphs" / "mine.pb").touch()
    done = docker("train", tf, "--backbone", "graphs/mine.pb")
    assert done.mounts[f"{docker.here}/graphs"] == "ro"
    assert done.passed[-1] == "graphs/mine.pb"
    assert len(docker("train", tf, "--architecture=inception_v3").mounts) == 3


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


@pytest.mark.parametrize("given", ["./theirs", "./theirs/output_graph.pb"])
def test_a_classifier_to_start_from_is_no_module_to_be_loaded(docker: Launcher, given: str) -> None:
    tf = classifier(docker.here / "tf")
    (docker.here / "theirs").mkdir()
    (docker.here / "theirs/output_graph.pb").touch()
    done = docker("train", tf, "--from", given)
    assert done.mounts[str(docker.here / "theirs")] == "ro"
    assert done.passed[-2:] == ["--from", given]


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
        assert "system folder" in done.err
        assert [call for call in done.calls if call[1] == "run"] == []
        assert not (docker.here / "dest").exists()
        assert not Path(f"{folder}/tensor-guess-test").exists()


def test_a_link_into_a_system_folder_is_refused(docker: Launcher) -> None:
    (docker.here / "innocent").symlink_to("/etc")
    (docker.here / "photo.jpg").symlink_to("/etc/hostname")
    tf = classifier(docker.here / "tf")
    assert docker("classify-dir", tf, "innocent", "dest").code == 2
    assert docker("guess", tf, "photo.jpg").code == 2


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


def test_photo_folders_are_not_touched(docker: Launcher) -> None:
    (docker.here / "src").mkdir()
    (docker.here / "src" / "x.jpg").touch()
    before = os.stat(docker.here / "src").st_mtime_ns
    done = docker("classify-dir", classifier(docker.here / "tf"), "src", "dest")
    assert os.stat(docker.here / "src").st_mtime_ns == before
    assert f"{docker.here}/src/" in " ".join(done.options("--env"))
