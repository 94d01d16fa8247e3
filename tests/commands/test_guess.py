"""What `guess` prints of what it found, and the exit codes of `fetch-images`."""

import json
import os
from fractions import Fraction
from pathlib import Path

import pytest
from click.testing import CliRunner

from made.place import ROOT, Run
from tensor_guess.commands import guess as command
from tensor_guess.errors import shown
from tensor_guess.guessing import guess as guessing
from tensor_guess.guessing.guess import Guess
from tensor_guess.images import urls
from tensor_guess.images.files import LeftOut

PHOTO = ROOT / "test_data/photo01.jpg"
SCORES = {"snow queen": 0.75, "dark\x1bknight": 0.25}


@pytest.fixture
def _guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures called `x` cannot be read; all others are the snow queen."""

    def guess(_which: object, paths: list[Path], *_: object, **__: object) -> list[Guess | LeftOut]:
        return [
            LeftOut(path, "is empty") if path.name == "x" else Guess(path, "snow_queen", SCORES)
            for path in paths
        ]

    monkeypatch.setattr(guessing, "guess", guess)


@pytest.mark.usefixtures("_guessed")
def test_one_picture_is_its_labels_and_several_are_blocks() -> None:
    lines = "snow queen (score = 0.75000)\n'dark\\x1bknight' (score = 0.25000)\n"
    assert CliRunner().invoke(command.guess, ["cars", "a"]).output == lines
    several = CliRunner().invoke(command.guess, ["cars", "a", "--image", "b"])
    assert several.output == f"a:\n{lines}\nb:\n{lines}\n"


@pytest.mark.usefixtures("_guessed")
def test_json_has_the_best_and_all() -> None:
    done = CliRunner().invoke(command.guess, ["cars", "a", "--json"])
    best = {"label": "snow queen", "category": "snow_queen", "score": 0.75}
    assert json.loads(done.output) == {"image": "a", **best, "scores": SCORES}


@pytest.mark.usefixtures("_guessed")
@pytest.mark.parametrize(("images", "code"), [(["a"], 0), (["a", "x"], 3), (["x", "x"], 1)])
def test_what_was_left_out_is_named_and_told_by_the_exit_code(images: list[str], code: int) -> None:
    done = CliRunner().invoke(command.guess, ["cars", *images], standalone_mode=False)
    assert done.return_value == code
    assert done.stderr == "left out x: is empty\n" * images.count("x")


def test_a_videos_frames_are_named_by_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def guess(_which: object, paths: list[Path], *_: object, **said: object) -> list[object]:
        asked.append(said)
        frames = [Guess(paths[0], "snow_queen", SCORES, seconds=Fraction(at)) for at in (0, "1.5")]
        return [*frames, LeftOut(paths[0], "ends early"), Guess(paths[1], "snow_queen", SCORES)]

    monkeypatch.setattr(guessing, "guess", guess)
    arguments = ["cars", "a.mp4", "b.jpg", "--every", "1500ms", "--top", "1"]
    done = CliRunner().invoke(command.guess, arguments, standalone_mode=False)
    headers = [line for line in done.stdout.splitlines() if line.endswith(":")]
    assert headers == ["a.mp4 0:00.000:", "a.mp4 0:01.500:", "b.jpg:"]
    assert (done.stderr, done.return_value) == ("left out a.mp4: ends early\n", 3)
    assert asked == [{"faces": None, "every": Fraction(3, 2)}]
    done = CliRunner().invoke(command.guess, [*arguments, "--json", "--face"])
    found = [json.loads(line).get("seconds") for line in done.stdout.splitlines()]
    assert found == [0, 1.5, None]
    assert asked[1] == {"faces": "haar", "every": Fraction(3, 2)}


@pytest.mark.parametrize("options", [["--face"], ["--every", "1s"]])
def test_an_explanation_is_of_a_whole_picture(options: list[str]) -> None:
    done = CliRunner().invoke(command.guess, ["cars", "a", "--explain", "x.png", *options])
    assert done.exit_code == 2
    assert "not for --face or --every" in done.stderr


@pytest.mark.parametrize(("count", "code"), [(2, 0), (1, 3), (0, 1)])
def test_fetching_tells_how_many_came(
    count: int, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(urls, "fetch", lambda _folder, _urls: count)
    done = CliRunner().invoke(command.fetch_images, ["to", "u", "v"], standalone_mode=False)
    assert (done.return_value, done.output) == (code, f"{count} of 2 fetched\n")


def test_a_guess_below_its_min_score_says_so_first(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def guess(_which: object, paths: list[Path], *others: object, **_: object) -> list[Guess]:
        asked[:] = others[2:3]
        return [Guess(path, "snow_queen", SCORES, 0.8) for path in paths]

    monkeypatch.setattr(guessing, "guess", guess)
    least = ["--min-score", "snow_queen=0.8", "--min_score", "0.5", "--min-score", "a=b=1"]
    lines = CliRunner().invoke(command.guess, ["cars", "a", *least]).output.splitlines()
    assert lines[0] == "unsure: snow queen is below its --min-score 0.8"
    assert lines[1] == "snow queen (score = 0.75000)"
    assert asked == [(("snow_queen", 0.8), (None, 0.5), ("a=b", 1))]
    done = CliRunner().invoke(command.guess, ["cars", "a", "--json", *least])
    assert json.loads(done.output)["unsure"] is True


@pytest.mark.parametrize("value", ["x", "a=", "1.1", "a=-1", "nan", "a=inf", ""])
def test_a_min_score_is_a_score(value: str) -> None:
    done = CliRunner().invoke(command.guess, ["cars", "a", "--min-score", value])
    assert done.exit_code == 2
    assert "--min-score" in done.stderr


@pytest.mark.slow
def test_a_guess_is_explained(trained: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "why \x1b[31m.png"
    done = run("guess", trained, PHOTO, "--explain", out)
    assert done.returncode == 0
    assert done.stdout.startswith("dark knight (score = 0.999")
    assert done.stderr == f"{shown(out)} shows: class activation map\n"
    assert out.read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


@pytest.mark.parametrize(
    ("images", "out", "said"),
    [
        ((PHOTO, PHOTO), "x.png", "--explain is for one IMAGE"),
        ((PHOTO,), "no/x.png", "there is no folder"),
        ((PHOTO,), "there.jpg", "--explain did not write it"),
    ],
)
def test_an_explanation_that_cannot_be_written_is_wrong_usage(
    trained: Path, tmp_path: Path, call: Run, images: tuple[Path, ...], out: str, said: str
) -> None:
    (tmp_path / "there.jpg").write_bytes(b"somebody's own")
    done = call("guess", trained, *images, "--explain", tmp_path / out)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert (tmp_path / "there.jpg").read_bytes() == b"somebody's own"


def test_a_picture_that_is_not_read_is_not_explained(
    trained: Path, tmp_path: Path, call: Run
) -> None:
    (tmp_path / "bad.jpg").write_text("no picture")
    done = call("guess", trained, tmp_path / "bad.jpg", "--explain", tmp_path / "x.png")
    assert done.returncode == 1
    assert not (tmp_path / "x.png").exists()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full")
def test_a_full_disk_leaves_the_old_explanation(
    trained: Path, tmp_path: Path, call: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "x.png"
    assert call("guess", trained, PHOTO, "--explain", out).returncode == 0
    before = out.read_bytes()
    write, full = os.write, os.open("/dev/full", os.O_WRONLY)

    def fails(handle: int, data: bytes) -> int:
        return write(full if bytes(data[:4]) == b"\x89PNG" else handle, data)

    monkeypatch.setattr(os, "write", fails)
    done = call("guess", trained, PHOTO, "--explain", out)
    assert done.returncode == 1
    assert "no space left on device" in done.stderr
    assert out.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


LITE0 = ("--backbone", "efficientnet_lite0")


def test_only_some_of_imagenet(call: Run, lite0: object, tmp_path: Path) -> None:
    wanted = "laptop,notebook,desktop_computer"
    every = json.loads(call("guess", "imagenet", PHOTO, *LITE0, "--top", "1000", "--json").stdout)
    done = call("guess", "imagenet", PHOTO, *LITE0, "--only", wanted, "--json")
    assert "scores are shared among 3 of 1000 labels (--only)\n" in done.stderr
    found = json.loads(done.stdout)["scores"]
    expected = {name: every["scores"][name] for name in ("laptop", "notebook", "desktop computer")}
    total = sum(expected.values())
    assert found == pytest.approx({name: each / total for name, each in expected.items()}, rel=1e-4)
    assert sum(found.values()) == pytest.approx(1, abs=1e-6)

    call("classify-dir", "imagenet", PHOTO.parent, tmp_path / "out", *LITE0, "--only", wanted)
    names = {path.name.partition("-")[0] for path in (tmp_path / "out").glob("*-*")}
    assert names <= set(wanted.split(","))
    assert names


def test_only_some_categories_of_ones_own_classifier(trained: Path, call: Run) -> None:
    one = call("guess", trained, PHOTO, "--only", "snow_queen,snow queen", "--top", "2")
    assert one.stdout == "snow queen (score = 1.00000)\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--only", "snow_quen"), "no category snow_quen; did you mean snow_queen?"),
        (("--only", "snow_queen,"), "has an empty name in it"),
        (("--only", "snow_queen", "--both"), "not for --both"),
        (("--only", "snow_queen", "--explain", "x.png"), "not for --only"),
    ],
)
def test_only_what_cannot_be(trained: Path, call: Run, options: tuple[str, ...], said: str) -> None:
    done = call("guess", trained, PHOTO, *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
