"""What `evaluate` prints where, its files and its exit codes."""

import csv
import io
import json
import os
import shutil
from pathlib import Path

import pytest

from made.place import ROOT, Run
from tensor_guess.config import DATA, GRAPH


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    folder = tmp_path / "labelled"
    for name, category in (("photo01.jpg", "dark_knight"), ("photo05.jpg", "snow_queen")):
        (folder / category).mkdir(parents=True)
        shutil.copy(ROOT / "test_data" / name, folder / category)
    return folder


@pytest.mark.slow
def test_it_prints_accuracy_categories_and_confusion(
    trained: Path, labelled: Path, run: Run
) -> None:
    done = run("evaluate", trained, labelled)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "accuracy = 100.0% (N=2, 95% interval 34.2% to 100.0%)",
        "balanced accuracy = 100.0% (the mean recall of 2 categories)",
        "",
        "dark knight  precision 100.0% (N=1, 95% interval 20.7% to 100.0%)",
        "             recall 100.0% (N=1, 95% interval 20.7% to 100.0%)",
        "snow queen   precision 100.0% (N=1, 95% interval 20.7% to 100.0%)",
        "             recall 100.0% (N=1, 95% interval 20.7% to 100.0%)",
        "",
        "confusion (rows: true label, columns: guessed label)",
        "                 [1] [2]",
        " [1] dark knight   1   0",
        " [2] snow queen    0   1",
    ]


@pytest.mark.slow
def test_thresholds_say_what_a_min_score_would_do(trained: Path, labelled: Path, call: Run) -> None:
    done = call("evaluate", trained, labelled, "--thresholds")
    lines = [line for line in done.stdout.splitlines() if line.startswith("--min-score")]
    assert len(lines) == 14
    assert lines[0] == (
        "--min-score dark_knight=0.5: precision 100.0% (N=1), recall 100.0% (N=1), "
        "0 wrong, 0 missed"
    )


@pytest.mark.slow
def test_pictures_it_was_trained_on_are_named_at_most_ten_times(trained: Path, call: Run) -> None:
    done = call("evaluate", trained, trained / DATA)
    assert done.returncode == 0
    lines = done.stderr.splitlines()
    assert sum(line.endswith(": trained on") for line in lines) == 10
    assert lines[-1].startswith("not counted: 7")
    assert lines[-1].endswith("pictures of 80")
    assert not done.stdout.startswith("accuracy = unknown")


def test_json_has_everything(trained: Path, labelled: Path, call: Run) -> None:
    done = call("evaluate", trained / GRAPH, labelled, "--json")
    found = json.loads(done.stdout)
    assert found["accuracy"]["value"] == 1
    assert found["accuracy"]["count"] == 2
    assert found["training_known"] is False
    assert "is not known: it is a graph alone" in done.stderr
    assert [each["category"] for each in found["categories"]] == ["dark_knight", "snow_queen"]
    assert found["categories"][0]["thresholds"][0]["min_score"] == 0.5
    assert found["confusion"][0] == {
        "truth": "dark knight", "guess": "dark knight", "count": 1
    }  # fmt: skip


def test_csv_has_a_line_for_each_picture_whatever_its_name(
    trained: Path, labelled: Path, tmp_path: Path, call: Run
) -> None:
    name = os.fsdecode(b'new\nline, "quoted" \xff\x1b[31m.jpg')
    (labelled / "dark_knight/photo01.jpg").rename(labelled / "dark_knight" / name)
    (labelled / "dark_knight/bad\x1b[2J.jpg").write_bytes(b"no picture")
    (labelled / "\x1b[31mred").mkdir()
    out = tmp_path / "out.csv"
    done = call("evaluate", trained, labelled, "--csv", out)
    assert done.returncode == 3
    assert "\x1b" not in done.stdout + done.stderr
    text = out.read_bytes().decode("utf-8", "surrogateescape")
    rows = {row["path"]: row for row in csv.DictReader(io.StringIO(text, newline=""))}
    assert rows.keys() == {
        str(labelled / "dark_knight" / name),
        str(labelled / "snow_queen/photo05.jpg"),
    }
    row = rows[str(labelled / "snow_queen/photo05.jpg")]
    assert (row["truth"], row["guess"], row["right"]) == ("snow queen", "snow queen", "yes")
    assert float(row["score"]) > 0.5
    assert row["not_counted"] == ""
    again = call("evaluate", trained, labelled, "--csv", out)
    assert again.returncode == 2
    assert "is there already" in again.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full")
def test_a_full_disk_leaves_no_file(
    trained: Path, labelled: Path, tmp_path: Path, call: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, full = os.write, os.open("/dev/full", os.O_WRONLY)

    def fails(handle: int, data: bytes) -> int:
        return write(full, data) if bytes(data[:5]) == b"path," else write(handle, data)

    monkeypatch.setattr(os, "write", fails)
    done = call("evaluate", trained, labelled, "--csv", tmp_path / "out.csv")
    assert done.returncode == 1
    assert "no space left on device" in done.stderr
    assert sorted(each.name for each in tmp_path.iterdir()) == ["labelled"]


@pytest.mark.slow
def test_with_many_labels_the_worst_confusions_are_listed(
    tmp_path: Path, lite0: object, call: Run
) -> None:
    folder = tmp_path / "cardigan"
    folder.mkdir()
    for path in (ROOT / "test_data").iterdir():
        shutil.copy(path, folder)
    for path in (ROOT / "tf_files/data").rglob("*_1*.*"):
        shutil.copy(path, folder)
    done = call("evaluate", "imagenet", tmp_path, "--backbone", "efficientnet_lite0")
    assert done.returncode == 0
    assert "top-5 accuracy = " in done.stdout
    assert "Cardigan was guessed " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("evaluate", "tf"), 2, "Missing argument 'LABELLED_FOLDER'"),
        (("evaluate", "/no/such", "/no/such"), 2, "there is no folder /no/such"),
        (("evaluate", "imagenet", "/", "--csv", "/no/such/x"), 2, "there is no folder /no/such"),
    ],
)
def test_wrong_usage(call: Run, arguments: tuple[str, ...], code: int, said: str) -> None:
    done = call(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
