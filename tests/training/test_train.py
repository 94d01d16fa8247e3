"""Teaching: what comes out is whole, the same every time, and computed only once."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from made.place import ROOT, Run
from made.terminal import on_terminal
from tensor_guess.config import GRAPH, LABELS, NOT_DUPLICATES, RECORD, REPORT
from tensor_guess.training import not_duplicates
from tensor_guess.training.train import with_versions

LITE = ("--backbone", "efficientnet_lite0")
FEW = (*LITE, "--steps", "50")
OUTPUTS = (LABELS, RECORD, GRAPH)


@pytest.fixture
def tf_files(tmp_path: Path) -> Path:
    """A folder with ten pictures a category: the classic crashed in 58 % of such runs."""
    for category in ("dark_knight", "snow_queen"):
        (tmp_path / "tf_files/data" / category).mkdir(parents=True)
        for path in sorted((ROOT / "tf_files/data" / category).iterdir())[:10]:
            shutil.copy(path, tmp_path / "tf_files/data" / category)
    return tmp_path / "tf_files"


@pytest.mark.slow
def test_ten_pictures_a_category_train(tf_files: Path, run: Run) -> None:
    done = run("train", tf_files, *LITE)
    assert done.returncode == 0
    assert done.stdout.startswith("Final test accuracy = ")
    assert (tf_files / LABELS).read_text() == "dark knight\nsnow queen\n"
    model = json.loads((tf_files / RECORD).read_text())
    for counts in model["counts"].values():
        assert counts == {"training": 10 - counts["validation"], "validation": counts["validation"]}
        assert 1 <= counts["validation"] <= 3
    # A tenth would be no test: all that is trained on is judged, by heads that did not see it.
    trained_on = sum(counts["training"] for counts in model["counts"].values())
    assert model["metrics"]["test_count"] == trained_on
    assert model["metrics"]["cross_validated"]
    assert f"(N={trained_on}, 95% interval" in done.stdout
    assert f"few pictures: each of {trained_on} was judged" in done.stderr
    assert model["metrics"]["temperature"] == 1  # too few to tell
    assert model["training"]["testing_percentage"] == 0


@pytest.mark.slow
def test_two_pictures_a_category_train(tf_files: Path, call: Run) -> None:
    for category in (tf_files / "data").iterdir():
        for path in sorted(category.iterdir())[2:]:
            path.unlink()
    done = call("train", tf_files, *FEW)
    assert done.returncode == 0
    metrics = json.loads((tf_files / RECORD).read_text())["metrics"]
    assert metrics["cross_validated"] is True
    assert f"(N={metrics['test_count']}, 95% interval" in done.stdout
    first = [(tf_files / name).read_bytes() for name in OUTPUTS]
    assert call("train", tf_files, *FEW).returncode == 0
    assert [(tf_files / name).read_bytes() for name in OUTPUTS] == first


@pytest.mark.slow
def test_many_pictures_have_a_test_and_a_temperature(trained: Path) -> None:
    model = json.loads((trained / RECORD).read_text())
    assert "cross_validated" not in model["metrics"]
    tested = sum(counts["testing"] for counts in model["counts"].values())
    assert model["metrics"]["test_count"] <= tested
    assert 0.1 < model["metrics"]["temperature"] < 10


@pytest.mark.slow
def test_the_log_has_the_classic_lines(tf_files: Path, call: Run) -> None:
    log = call("train", tf_files, *FEW, "--eval_step_interval", 20).stderr
    for step in (0, 20, 40, 49):
        for what in ("Train accuracy = ", "Cross entropy = ", "Validation accuracy = "):
            assert f": Step {step}: {what}" in log
    assert ": Step 10: " not in log
    assert "dark_knight: 10 files (fewer than 20" in log


@pytest.mark.slow
def test_on_a_terminal_accuracy_and_loss_stand_below_the_bar(tf_files: Path, cache: Path) -> None:
    program = [sys.executable, "-I", ROOT / "src"]
    printed, drawn = on_terminal(
        [*program, "train", tf_files, *LITE, "--steps", 2000, "--eval_step_interval", 1],
        {"TENSOR_GUESS_CACHE": str(cache)},
    )
    assert printed.startswith("Final test accuracy = ")
    number, percent = r"\d\.\d{6}", r"\d+\.\d%"
    looks = re.findall(
        rf"(\d+)/2000.*\r\n"
        rf"(Train accuracy {percent}, cross entropy {number}, validation accuracy {percent})\r",
        drawn,
    )
    steps = [int(step) for step, _ in looks]
    assert steps == sorted(steps)
    assert steps[-1] == 2000
    assert len({results for _, results in looks}) > 1  # they change as it goes
    # When the bar is gone, the last results are still there.
    assert f"\x1b[2K{looks[-1][1]}\r\nfew pictures: " in drawn
    assert f"\r\nwrote {tf_files / GRAPH}\r\n" in drawn
    assert ": Step " not in drawn


@pytest.mark.slow
def test_the_same_pictures_give_the_same_bytes_whatever_their_names(
    tf_files: Path, tmp_path: Path, call: Run
) -> None:
    call("train", tf_files, *FEW)
    first = [(tf_files / name).read_bytes() for name in OUTPUTS]
    moved = Path(shutil.copytree(tf_files / "data", tmp_path / "moved/data")).parent
    for number, path in enumerate(sorted((moved / "data").glob("*/*"), reverse=True)):
        path.rename(path.with_name(f"renamed {number}"))
    assert call("train", moved, *FEW).returncode == 0
    assert [(moved / name).read_bytes() for name in OUTPUTS] == first
    call("train", moved, *FEW, "--seed", 1)
    assert (moved / GRAPH).read_bytes() != first[-1]


@pytest.mark.slow
def test_only_what_is_new_is_computed(tf_files: Path, call: Run) -> None:
    assert "bottlenecks: 20 computed" in call("train", tf_files, *FEW).stderr
    assert "bottlenecks: 0 computed" in call("train", tf_files, *FEW).stderr
    photo = ROOT / "test_data/photo01.jpg"
    shutil.copy(photo, tf_files / "data/dark_knight")
    (tf_files / "data/snow_queen/snow_queen_01.jpg").rename(tf_files / "data/snow_queen/x.jpg")
    assert "bottlenecks: 1 computed" in call("train", tf_files, *FEW).stderr


@pytest.mark.slow
def test_bottlenecks_that_are_a_link_out_of_the_folder_are_not_written_to(
    tf_files: Path, tmp_path: Path, call: Run
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = tf_files / "bottlenecks"
    link.symlink_to(elsewhere)
    done = call("train", tf_files, *FEW)
    assert (done.returncode, list(elsewhere.iterdir())) == (1, [])
    assert done.stderr == (
        f"tensor-guess: {link} is a link that leaves the folder; name the folder that it leads to "
        "by --bottleneck_dir\n"
    )
    assert call("train", tf_files, *FEW, "--bottleneck_dir", elsewhere).returncode == 0
    assert list(elsewhere.iterdir())
    link.unlink()
    link.symlink_to("kept")
    (tf_files / "kept").mkdir()
    assert call("train", tf_files, *FEW).returncode == 0


@pytest.mark.slow
def test_bad_files_are_named_and_training_finishes(tf_files: Path, call: Run) -> None:
    data = tf_files / "data"
    (data / "snow_queen/zero.jpg").touch()
    (data / "snow_queen/.hidden").touch()
    (data / "readme.txt").touch()
    os.mkfifo(data / "snow_queen/pipe.jpg")
    shutil.copy(data / "dark_knight/dark_knight_01.jpg", data / "snow_queen/both.jpg")
    shutil.copy(data / "dark_knight/dark_knight_02.jpg", data / "dark_knight/again.jpg")
    done = call("train", tf_files, *FEW)
    assert done.returncode == 3
    left_out = [line for line in done.stderr.splitlines() if line.startswith("left out ")]
    assert [line.partition(str(data))[2] for line in left_out] == [
        "/readme.txt: lies beside the category folders, in none of them",
        "/snow_queen/pipe.jpg: is not a regular file",
        "/snow_queen/zero.jpg: is empty",
        "/dark_knight/dark_knight_01.jpg: the same picture is in dark_knight and snow_queen",
        "/snow_queen/both.jpg: the same picture is in dark_knight and snow_queen",
    ]
    assert "skipped 1 hidden file\n" in done.stderr
    assert "1 exact duplicate within a category: counted once\n" in done.stderr


@pytest.mark.slow
def test_near_copies_across_categories_are_told_until_they_are_known(
    tf_files: Path, call: Run
) -> None:
    taken = tf_files / "data/dark_knight/dark_knight_01.jpg"
    again = tf_files / "data/snow_queen/again.jpg"
    again.write_bytes(taken.read_bytes() + b"\0")
    said = "near copies in several categories: 1 group"
    assert said in call("train", tf_files, *FEW).stderr
    assert b"nearly identical pictures in different categories" in (tf_files / REPORT).read_bytes()
    (tf_files / NOT_DUPLICATES).write_text("damaged")
    assert said in call("train", tf_files, *FEW).stderr
    (tf_files / NOT_DUPLICATES).unlink()
    assert not_duplicates.add(tf_files, [taken, again]) == 1
    assert said not in call("train", tf_files, *FEW).stderr
    report = (tf_files / REPORT).read_bytes()
    assert b"nearly identical pictures in different categories" not in report


@pytest.mark.slow
def test_versions_of_training_pictures_are_trained_on_and_shown(tf_files: Path, call: Run) -> None:
    done = call("train", tf_files, *FEW, "--augment", "--versions", "2")
    assert done.returncode == 0, done.stderr
    counts = json.loads((tf_files / RECORD).read_text())["counts"]
    own = sum(each["training"] for each in counts.values())
    assert f"augmenting: 2 versions of {own} pictures, {2 * own} of them new" in done.stderr
    assert b"Versions that were trained on" in (tf_files / REPORT).read_bytes()
    first = [(tf_files / name).read_bytes() for name in OUTPUTS]
    again = call("train", tf_files, *FEW, "--augment", "--versions", "2")
    assert "augmenting" not in again.stderr
    assert [(tf_files / name).read_bytes() for name in OUTPUTS] == first
    assert call("train", tf_files, *FEW).returncode == 0
    assert (tf_files / GRAPH).read_bytes() != first[2]
    assert b"Versions that were trained on" not in (tf_files / REPORT).read_bytes()


def test_versions_are_in_their_picture_s_category_and_fold() -> None:
    bottlenecks = np.arange(12, dtype=np.float32).reshape(6, 2)
    training = [np.array([0, 2]), np.array([3, 5])]
    folds = np.array([[0, -1, 1, 2, -1, 3]])
    new = np.arange(100, 116, dtype=np.float32).reshape(4, 2, 2)  # of 0, 2, 3 and 5
    rows, longer, split = with_versions(bottlenecks, new, training, folds)
    np.testing.assert_array_equal(rows[6:], new.reshape(8, 2))
    assert [each.tolist() for each in longer] == [[0, 2, 6, 7, 8, 9], [3, 5, 10, 11, 12, 13]]
    assert split.tolist() == [[0, -1, 1, 2, -1, 3, 0, 0, 1, 1, 2, 2, 3, 3]]


@pytest.mark.slow
def test_the_nasty_pictures_as_a_category(shared: Path, tmp_path: Path, call: Run) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/nasty").symlink_to(shared / "nasty")
    (tmp_path / "data/elsa").symlink_to(shared / "vader_elsa/train/elsa")
    done = call("train", tmp_path, *FEW)
    assert done.returncode == 3
    assert (tmp_path / GRAPH).exists()
    assert all(line.isprintable() for line in done.stderr.splitlines())


@pytest.mark.parametrize(
    ("folders", "given", "code", "said"),
    [
        ((), "tf_files/missing", 2, "there is no folder"),
        ((), "tf_files", 1, "has no folder data; put pictures into"),
        (("data",), "tf_files", 1, "there is no folder"),
        (("data/elsa",), "tf_files", 1, "there is only elsa"),
        (("data/elsa", "data/vader"), "tf_files", 1, "has no pictures; add some or remove it"),
        (("data/elsa", "data/vader"), "tf_files/data", 2, "did you mean"),
        (("data/elsa", "data/vader"), "tf_files/data/elsa", 2, "did you mean"),
        (("data/C++", "data/c#"), "tf_files", 1, "would both be labelled 'c'"),
        (("data/---", "data/elsa"), "tf_files", 1, "no letter or digit in its name"),
    ],
)
def test_folders_that_cannot_be_trained_on(
    tmp_path: Path, call: Run, folders: tuple[str, ...], given: str, code: int, said: str
) -> None:
    (tmp_path / "tf_files").mkdir()
    for folder in folders:
        (tmp_path / "tf_files" / folder).mkdir(parents=True)
        if folder != "data/vader" and folder != "data":
            shutil.copy(ROOT / "test_data/photo01.jpg", tmp_path / "tf_files" / folder)
    before = sorted(tmp_path.rglob("*"))
    done = call("train", tmp_path / given, *FEW)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.slow
def test_a_category_with_no_readable_picture_is_an_error(tf_files: Path, call: Run) -> None:
    for path in (tf_files / "data/snow_queen").iterdir():
        path.write_bytes(b"")
    done = call("train", tf_files, *FEW)
    assert done.returncode == 1
    assert "no picture in category snow_queen can be used" in done.stderr
    assert not any((tf_files / name).exists() for name in OUTPUTS)


@pytest.mark.slow
def test_training_again_keeps_the_classifiers_own_backbone(tf_files: Path, call: Run) -> None:
    call("train", tf_files, *FEW)
    done = call("train", tf_files, "--steps", 10, "--offline")
    assert done.returncode == 0
    assert "using" not in done.stderr


@pytest.mark.slow
def test_a_fit_is_trained_recorded_and_guessed_with(
    tf_files: Path, tmp_path: Path, call: Run
) -> None:
    # Two wide pictures that are the same but for their ends, which cropping cuts off.
    for colour in ("red", "blue"):
        image = Image.new("RGB", (240, 60), colour)
        image.paste(Image.effect_mandelbrot((80, 60), (-2, -1, 1, 1), 50), (80, 0))
        image.save(tmp_path / f"{colour}.png")
    for fit in ("crop", "pad", "squeeze"):
        # The last one is the default, to which training again goes back.
        done = call("train", tf_files, *FEW, *(() if fit == "squeeze" else ("--fit", fit)))
        assert done.returncode == 0, done.stderr
        assert " 0 from the cache" in done.stderr
        model = json.loads((tf_files / RECORD).read_text())
        assert model["scaling"].get("fit", "squeeze") == fit
        red, blue = (call("guess", tf_files, tmp_path / f"{x}.png").stdout for x in ("red", "blue"))
        assert (red == blue) == (fit == "crop")
        assert red.count("score = ") == 2
        # By the network that was kept, and by one for many pictures.
        assert call("guess", tf_files, tmp_path / "red.png").stdout == red
        assert call("classify-dir", tf_files, tf_files / "data", tmp_path / fit).returncode == 0
        said = call("inspect", tf_files).stdout
        assert ("cropped to the central square\n" in said) == (fit == "crop")
        assert ("padded to a square with grey (127)\n" in said) == (fit == "pad")
        report = (tf_files / REPORT).read_text()
        assert ("pixels, cropped to the central square, float32" in report) == (fit == "crop")
    assert "bottlenecks: 0 computed" in call("train", tf_files, *FEW, "--fit", "pad").stderr
    wrong = call("train", tf_files, "--fit", "stretch")
    assert wrong.returncode == 2
    assert "'stretch' is not one of 'squeeze', 'crop', 'pad'" in wrong.stderr


@pytest.mark.slow
def test_where_inception_cannot_be_had_it_is_said_first_and_last(tf_files: Path, call: Run) -> None:
    done = call("train", tf_files, "--steps", 10, "--offline")
    lines = done.stderr.splitlines()
    assert done.returncode == 0
    assert lines[0].startswith("using efficientnet_lite0, not inception_v3: ")
    assert lines[-1] == lines[0]
    assert json.loads((tf_files / RECORD).read_text())["notice"] == lines[0]


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("inception_v3", 1, "inception_v3 is not on this machine"),
        ("nope", 2, "there is no backbone nope; `tensor-guess backbones` lists them"),
    ],
)
def test_a_backbone_asked_for_by_name_is_not_replaced(
    tf_files: Path, call: Run, name: str, code: int, said: str
) -> None:
    done = call("train", tf_files, "--backbone", name, "--offline")
    assert done.returncode == code
    assert said in done.stderr
    assert not (tf_files / GRAPH).exists()


@pytest.mark.slow
def test_outputs_go_where_the_classic_flags_say(tf_files: Path, tmp_path: Path, call: Run) -> None:
    out = tmp_path / "out"
    out.mkdir()
    done = call(
        "train", tf_files, *FEW,
        f"--image_dir={tf_files}/data", f"--output_graph={out}/g.pb",
        f"--output_labels={out}/l.txt", f"--bottleneck_dir={out}/b",
        f"--intermediate_output_graphs_dir={out}/i", "--intermediate_store_frequency=20",
        f"--summaries_dir={out}/s", "--final_tensor_name=scores", "--model_dir=/nowhere",
        "--print_misclassified_test_images",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in tf_files.iterdir()) == ["data"]
    assert sorted(p.name for p in out.iterdir()) == [
        "b", "g.pb", "i", "l.txt", "model.json", "report.html", "s",
    ]  # fmt: skip
    assert sorted(p.name for p in (out / "i").iterdir()) == [
        "intermediate_20.pb",
        "intermediate_40.pb",
    ]
    assert sorted(p.name for p in (out / "s").iterdir()) == ["train", "validation"]
    assert "--model-dir does nothing here" in done.stderr
    assert "=== MISCLASSIFIED TEST IMAGES ===" in done.stdout
    for graph in (out / "g.pb", out / "i/intermediate_20.pb"):
        assert call("guess", graph, ROOT / "test_data/photo01.jpg").returncode == 0


@pytest.mark.slow
def test_summaries_are_added_to_what_is_there(tf_files: Path, tmp_path: Path, call: Run) -> None:
    kept = tmp_path / "s/train/mine.txt"
    kept.parent.mkdir(parents=True)
    kept.write_text("mine")
    call("train", tf_files, *FEW, "--summaries_dir", tmp_path / "s")
    assert kept.read_text() == "mine"


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_said_before_the_work(
    tf_files: Path, cache: Path, call: Run
) -> None:
    call("train", tf_files, *FEW)
    before = {name: (tf_files / name).read_bytes() for name in OUTPUTS}
    done = _as_nobody(tf_files, cache)
    assert done.returncode == 1
    assert f"cannot write to {tf_files}" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert {name: (tf_files / name).read_bytes() for name in OUTPUTS} == before


@pytest.mark.slow
@pytest.mark.parametrize("kills", [3, pytest.param(100, marks=pytest.mark.long)])
def test_a_killed_run_leaves_a_whole_classifier_and_the_next_finishes(
    tf_files: Path, cache: Path, run: Run, kills: int
) -> None:
    run("train", tf_files, *FEW)
    last = [(tf_files / name).read_bytes() for name in OUTPUTS]
    command: list[str | Path] = [sys.executable, "-I", ROOT / "src", "train", tf_files, *FEW]
    for number in range(kills):
        shutil.rmtree(tf_files / "bottlenecks", ignore_errors=True)
        process = subprocess.Popen(
            command,
            env={"TENSOR_GUESS_CACHE": str(cache)},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        for _ in range(1 + number * 5 % 30):  # somewhere along its log
            process.stderr.readline()
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stderr.close()
        assert run("guess", tf_files, ROOT / "test_data/photo01.jpg").returncode == 0
    assert run("train", tf_files, *FEW).returncode == 0
    assert [(tf_files / name).read_bytes() for name in OUTPUTS] == last


def _as_nobody(tf_files: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    """The program, run where permissions hold, for root too."""
    bound = ["setpriv", "--bounding-set", "-dac_override"] if os.getuid() == 0 else []
    tf_files.chmod(0o555)
    try:
        return subprocess.run(
            [*bound, sys.executable, "-I", ROOT / "src", "train", tf_files, *FEW],
            env={"TENSOR_GUESS_CACHE": str(cache), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        tf_files.chmod(0o755)
