"""What `classify-dir` tells of a sorted folder, and its exit codes."""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

from made.place import ROOT, Run
from made.sorting import tree
from tensor_guess.commands.sort import classify_dir
from tensor_guess.images.files import LeftOut
from tensor_guess.sorting import sort as sorting
from tensor_guess.sorting.sort import Sorted

PHOTOS = ROOT / "test_data"
LEFT_OUT = [LeftOut(Path("x"), "is empty")]
REST = "2 known already, 1 left out"
ELSA, DOUBTFUL = ("elsa", False), ("elsa", True)


@pytest.mark.parametrize(
    ("done", "code", "said"),
    [
        (Sorted(Counter({ELSA: 3})), 0, "3 copied to out"),
        (
            Sorted(Counter({ELSA: 3}), 2, 4, LEFT_OUT),
            3,
            "3 copied to out, 2 known already, 1 left out, 4 hidden passed over",
        ),
        (Sorted(Counter(), 2, 0, LEFT_OUT), 3, f"0 copied to out, {REST}"),
        (Sorted(Counter(), 0, 0, LEFT_OUT), 1, "0 copied to out, 1 left out"),
        (Sorted(), 0, "0 copied to out"),
        (Sorted(Counter({ELSA: 3}), companions=1), 0, "3 copied to out with 1 companion"),
        (
            Sorted(Counter({DOUBTFUL: 3}), companions=5),
            0,
            "3 copied to out with 5 companions, 3 of them into review",
        ),
        (Sorted(Counter({ELSA: 1, DOUBTFUL: 2})), 0, "3 copied to out, 2 of them into review"),
    ],
)
def test_the_counts_are_one_line(
    done: Sorted, code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sorting, "sort", lambda *_, **__: done)
    found = CliRunner().invoke(classify_dir, ["cars", "in", "out"], standalone_mode=False)
    assert found.return_value == code
    assert found.output.splitlines()[0] == said
    assert (len(found.output.splitlines()) == 1) == (not done.counts)


def test_a_table_says_how_many_of_each_and_how_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = Counter({ELSA: 3, DOUBTFUL: 1, ("a\nb", False): 20})
    done = Sorted(counts, left_out=LEFT_OUT, seconds=2.0, run="ab")
    monkeypatch.setattr(sorting, "sort", lambda *_, **__: done)
    found = CliRunner().invoke(classify_dir, ["cars", "in", "out"], standalone_mode=False)
    assert found.output.splitlines()[1:] == [
        r"'a\nb'       20",
        "elsa          4 (1 in review)",
        "left out      1",
        "24 pictures in 2.0 s: 12.0 a second",
    ]
    arguments = ["cars", "in", "out", "--json"]
    found = CliRunner().invoke(classify_dir, arguments, standalone_mode=False)
    assert json.loads(found.output) == {
        "sorted": 24,
        "companions": 0,
        "reviewed": 1,
        "known": 0,
        "left_out": 1,
        "hidden": 0,
        "categories": {"a\nb": 20, "elsa": 4},
        "seconds": 2.0,
        "per_second": 12.0,
        "run": "ab",
    }


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--dry-run", "--csv", "x.csv"), "--dry-run touches nothing"),
        (("--layout", "deep"), "Invalid value for '--layout'"),
        (("--csv", "no/such/x.csv"), "there is no folder"),
        (("--watch", "--dry-run"), "--watch sorts what arrives, and --dry-run nothing"),
        (("--watch", "--csv", "x.csv"), "--watch writes no --csv"),
        (("--watch", "--results", "timelapse"), "--watch writes no --csv and no --results"),
        (("--watch", "--burst", "60s"), "--watch does not know when a burst is over"),
        (("--settle", "3s"), "--settle is for --watch"),
        (("--watch", "--settle", "0s"), "is no time such as 1s"),
    ],
)
def test_options_that_make_no_sense_are_2_and_make_nothing(
    call: Run, trained: Path, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    done = call("classify-dir", trained, PHOTOS, tmp_path / "out", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_dry_run_prints_the_plan_and_touches_nothing(
    call: Run, trained: Path, tmp_path: Path
) -> None:
    """Neither DEST nor the cache."""
    more = (trained, PHOTOS, "--min-score", "0.9", "--layout", "folders")
    for path in (tmp_path / "out", tmp_path / "there"):
        if path.name == "there":
            path.mkdir()
            (path / "mine.txt").touch()
        before = sorted(tmp_path.rglob("*"))
        done = call("classify-dir", *more, path, "--dry-run")
        assert done.returncode == 0, done.stderr
        plan, _, table = done.stdout.partition("12 would be copied to")
        said = dict(line.split(" -> ") for line in plan.splitlines())
        assert f"{path}, 2 of them into review" in table
        assert sorted(tmp_path.rglob("*")) == before
    lines = call("classify-dir", *more, path, "--dry-run", "--json").stdout.splitlines()
    *told, total = map(json.loads, lines)
    assert {str(PHOTOS / e["image"]): str(path / e["copied_to"]) for e in told} == said
    assert total["sorted"] == 12
    done = call("classify-dir", *more, path)
    assert done.returncode == 0, done.stderr
    assert {str(file) for file in path.rglob("*.*") if file.stem[:5] == "photo"} == set(
        said.values()
    )
    again = call("classify-dir", *more, path, "--dry-run")
    assert again.stdout == f"0 would be copied to {path}, 12 known already\n"


@pytest.mark.slow
def test_a_csv_has_a_line_for_each_picture_in_dest(
    run: Run, call: Run, trained: Path, tmp_path: Path
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "photo\udcff\n,.jpg").write_bytes((PHOTOS / "photo01.jpg").read_bytes())
    out = tmp_path / "out"
    assert call("classify-dir", trained, source, out).returncode == 0
    (source / "bad.jpg").write_bytes(b"no picture")
    done = run("classify-dir", trained, source, out, "--csv", tmp_path / "x.csv")
    assert done.returncode == 3, done.stderr
    text = (tmp_path / "x.csv").read_text("utf-8", "surrogateescape")
    told, left_out = csv.DictReader(text.splitlines(keepends=True))
    assert told["image"] == "photo\udcff\n,.jpg"
    assert (out / told["sorted_to"]).read_bytes() == (source / told["image"]).read_bytes()
    assert (told["way"], told["label"], told["left_out"]) == ("copy", "dark knight", "")
    assert told["sorted_to"] == f"dark_knight-{told['score']}.jpg"
    assert (left_out["image"], left_out["sorted_to"]) == ("bad.jpg", "")
    assert left_out["left_out"].startswith("is no picture")
    again = call("classify-dir", trained, source, out, "--csv", tmp_path / "x.csv")
    assert (again.returncode, "is there already" in again.stderr) == (2, True)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["copy", "move", "link", "symlink"])
def test_sorted_and_undone_by_the_program(
    run: Run, call: Run, trained: Path, tmp_path: Path, way: str
) -> None:
    source, out = Path(shutil.copytree(PHOTOS, tmp_path / "in")), tmp_path / "out"
    before = tree(source)
    options = ["--layout", "folders", *([f"--{way}"] if way != "copy" else [])]
    done = call("classify-dir", trained, source, out, *options)
    assert done.returncode == 0, done.stderr
    verb = {"copy": "copied to", "move": "moved to", "link": "hard-linked in"}.get(way, "linked in")
    assert done.stdout.startswith(f"12 {verb} {out}\n")
    assert (tree(source) == {}) if way == "move" else (tree(source) == before)
    for link in out.rglob("*.*g") if way == "symlink" else ():
        assert link.resolve().parent == source
    again = call("classify-dir", trained, source, out, *options)
    assert again.stdout.startswith(f"0 {verb} {out}")
    (tmp_path / "out/dark_knight/photo01.jpg").unlink()
    undone = run("undo", out, source)
    assert undone.returncode == 3
    assert undone.stdout.startswith(f"11 taken back from {out} (run ")
    assert "photo01.jpg is gone: it was moved or deleted since\n" in undone.stderr
    assert {path.name for path in out.iterdir()} == {"manifest.jsonl"}
    if way == "move":
        assert before.pop("photo01.jpg")
    assert tree(source) == before


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("classify-dir", "{tf}", "{in}", "{out}", "--move", "--link"), 2, "do not go together"),
        (("classify-dir", "{tf}", "{in}", "{out}", "--symlink", "--move"), 2, "do not go together"),
        (("classify-dir", "{tf}", "{in}"), 2, "Missing argument 'DEST'; only --tag needs none"),
        (("classify-dir", "{tf}", "{in}", "{out}", "--tag"), 2, "--tag copies and moves nothing"),
        (("classify-dir", "{tf}", "{in}", "--tag", "--move"), 2, "--tag copies and moves nothing"),
        (("classify-dir", "{tf}", "{out}", "--tag"), 2, "is not a folder of pictures to tag"),
        (("undo",), 2, "Missing argument 'DEST'"),
        (("undo", "{out}"), 2, "there is no folder"),
        (("undo", "{in}"), 1, "nothing was sorted into"),
        (("undo", "{in}", "{in}", "{in}"), 2, "unexpected extra argument"),
    ],
)
def test_what_cannot_be_done_is_said_before_any_work(
    call: Run, trained: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    places = {"{tf}": trained, "{in}": tmp_path / "in", "{out}": tmp_path / "out"}
    (tmp_path / "in").mkdir()
    done = call(*(places.get(each, each) for each in arguments))
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["in"]


@pytest.mark.slow
def test_tagged_and_untagged_by_the_program(
    run: Run, call: Run, trained: Path, tmp_path: Path
) -> None:
    source = Path(shutil.copytree(PHOTOS, tmp_path / "in"))
    before = tree(source, left=True)
    plan = call("classify-dir", trained, source, "--tag", "--dry-run")
    assert plan.stdout.count("photo") == 12
    assert f"\n12 would be tagged in {source}\ndark knight      6\n" in plan.stdout
    assert tree(source, left=True) == before
    done = run("classify-dir", trained, source, "--tag", "--min-score", "0.9")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"10 tagged in {source}, 2 unsure, without a tag\n")
    assert len(list(source.glob("*.xmp"))) == 10
    again = call("classify-dir", trained, source, "--tag", "--json")
    told = json.loads(again.stdout)
    assert (told["tagged"], told["known"], told["unsure"]) == (2, 10, 0)
    assert sum(told["labels"].values()) == 2
    for left, said in ((1, "2 untagged in"), (0, "10 untagged in")):
        undone = run("undo", source)
        assert (undone.returncode, undone.stderr) == (0, "")
        assert undone.stdout.startswith(f"{said} {source} (run ")
        assert ("1 other run can be undone" in undone.stdout) == bool(left)
    now = tree(source, left=True)
    assert now.pop(".tensor-guess-tags.jsonl")
    assert now == before
    undone = call("undo", source)
    assert (undone.returncode, "every run is undone already" in undone.stderr) == (1, True)
