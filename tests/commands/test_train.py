"""How `train` is asked: what goes to the job, and what has nothing left to do."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from made.place import ROOT
from tensor_guess.commands import train as command
from tensor_guess.config import AUGMENT, BF16, CROP, DATA, GRAPH, LABELS, Augmentation, Training
from tensor_guess.evaluation.accuracy import Accuracy
from tensor_guess.images.files import LeftOut
from tensor_guess.training import train as training
from tensor_guess.training.train import Job, Trained

WRONG = ((Path("a\nb.jpg"), "snow queen"),)


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """The jobs that are asked for; none is done."""
    asked: list[Job] = []

    def done(job: Job) -> Trained:
        asked.append(job)
        left_out = (LeftOut(Path("x"), "is damaged"),) if job.offline else ()
        return Trained(Accuracy(7, 8), WRONG, left_out)

    monkeypatch.setattr(training, "train", done)
    return asked


def test_without_options_it_is_the_defaults(jobs: list[Job]) -> None:
    done = CliRunner().invoke(command.train, ["cars"], standalone_mode=False)
    assert (done.return_value, jobs) == (0, [Job(Path("cars"), Training())])
    assert done.stdout == "Final test accuracy = 87.5% (N=8, 95% interval 52.9% to 97.8%)\n"


def test_options_of_either_spelling_reach_the_job(jobs: list[Job]) -> None:
    given = ["cars", "--how_many_training_steps=7", "--testing-percentage", "20", "--offline",
             "--precision", BF16, "--fit", CROP, "--output_graph", "g.pb",
             "--architecture", "m.pb"]  # fmt: skip
    done = CliRunner().invoke(command.train, given, standalone_mode=False)
    options = Training(steps=7, testing_percentage=20)
    said = {"precision": BF16, "fit": CROP, "offline": True, "output_graph": Path("g.pb")}
    job = Job(Path("cars"), options, "m.pb", **said)  # type: ignore[arg-type]
    assert (done.return_value, jobs) == (3, [job])  # one was left out


def test_what_was_guessed_wrong_is_named_if_asked(jobs: list[Job]) -> None:
    done = CliRunner().invoke(command.train, ["cars", "--print_misclassified_test_images"])
    assert done.stdout.splitlines()[0] == "=== MISCLASSIFIED TEST IMAGES ==="
    assert done.stdout.splitlines()[1].split(maxsplit=1) == [r"'a\nb.jpg'", "snow queen"]


def test_too_little_to_train_on_is_said_before_any_work(jobs: list[Job]) -> None:
    given = ["cars", "--testing_percentage=60", "--validation_percentage=40"]
    done = CliRunner().invoke(command.train, given)
    assert (done.exit_code, jobs) == (2, [])
    assert "leave too little to train on; together at most 90" in " ".join(done.stderr.split())


@pytest.mark.parametrize("name", command._NOTHING_TO_DO)
def test_an_option_with_nothing_to_do_says_so(jobs: list[Job], name: str) -> None:
    done = CliRunner().invoke(command.train, ["cars", name, "1"])
    assert (done.exit_code, len(jobs)) == (0, 1)
    assert done.stderr == f"{name} does nothing here: {command._NOTHING_TO_DO[name]}\n"


def test_the_defaults_in_the_docs_are_those_of_the_options() -> None:
    rows: dict[str, str] = {}
    for line in (ROOT / "docs/flags.md").read_text("utf-8").splitlines():
        cells = [cell.strip(" `") for cell in line.split("|")]
        if line.startswith("| `--") and len(cells) == 5:
            rows.setdefault(cells[1].partition("`")[0].replace("_", "-"), cells[2])
    compared = set()
    for option in command.train.params:
        said = re.search(r"\[default: (.*)\]", getattr(option, "help", None) or "")
        if said or type(option.default) in (int, float, str):
            compared.add(option.opts[0])
            default = said[1] if said else str(option.default)
            told = rows[option.opts[0]].replace("`", "")
            more = f"else the {default.removeprefix('its ')}"
            assert told == default or told.endswith(more), option.opts[0]
    assert len(compared) == 25


def test_the_help_names_what_is_written() -> None:
    assert f"TF_FILES/{GRAPH} and {LABELS}" in (command.train.help or "")
    assert f"TF_FILES/{DATA}/" in (command.train.help or "")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("--epochs=5", Training(epochs=5)),
        ("--steps=7", Training(steps=7)),
        ("--head=1024,512", Training(hidden=(1024, 512), epochs=20, learning_rate=0.001)),
        ("--head=8 --epochs=3", Training(hidden=(8,), epochs=3, learning_rate=0.001)),
        ("--head=8 --steps=4000", Training(hidden=(8,), learning_rate=0.001)),
        (
            "--head=8 --epochs=3 --learning_rate=0.1 --dropout=0",
            Training(hidden=(8,), epochs=3, learning_rate=0.1, dropout=0),
        ),
    ],
)
def test_a_deeper_head_has_defaults_of_its_own(
    jobs: list[Job], given: str, expected: Training
) -> None:
    CliRunner().invoke(command.train, ["cars", *given.split()], standalone_mode=False)
    assert [job.options for job in jobs] == [expected]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("--epochs=0", "0 is not in the range x>=1"),
        ("--epochs=5 --steps=4000", "--steps and --epochs say the same; give one of them"),
        ("--head=0", "0 is not in the range 1<=x<=8192"),
        ("--head=", "'' is not a valid integer"),
        ("--head=8,,8", "'' is not a valid integer"),
        ("--head=8x8", "'8x8' is not a valid integer"),
        ("--head=9000", "9000 is not in the range"),
        ("--head=8,8,8,8,8,8", "6 layers are too many; at most 5"),
        ("--head=8 --dropout=1", "1.0 is not in the range 0<=x<1"),
        ("--head=8 --dropout=nan", "nan"),
    ],
)
def test_a_head_or_epochs_that_cannot_be_are_said_before_any_work(
    jobs: list[Job], given: str, said: str
) -> None:
    done = CliRunner().invoke(command.train, ["cars", *given.split()])
    assert (done.exit_code, jobs) == (2, [])
    assert said in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", None),
        ("--versions=3", None),
        ("--augment", AUGMENT),
        ("--augment --versions=3 --rotation=0", replace(AUGMENT, versions=3, rotation=0.0)),
        (
            "--flip_left_right --random_crop=10 --random_scale=20 --random_brightness=30",
            Augmentation(flip=True, crop=10, scale=20, brightness=30),
        ),
        (
            "--rotation=15 --shear=5 --zoom=0.2 --shift=0.1",
            Augmentation(rotation=15, shear=5, zoom=0.2, shift=0.1),
        ),
    ],
)
def test_what_versions_to_make(jobs: list[Job], given: str, expected: Augmentation | None) -> None:
    CliRunner().invoke(command.train, ["cars", *given.split()], standalone_mode=False)
    assert [job.options for job in jobs] == [Training(augmentation=expected)]


@pytest.mark.parametrize(
    "given",
    ["--random_crop=101", "--random_scale=-1", "--rotation=181", "--zoom=1", "--shift=nan",
     "--versions=0", "--shear=90", "--random_brightness=x"],
)  # fmt: skip
def test_versions_that_cannot_be_are_wrong_usage(jobs: list[Job], given: str) -> None:
    done = CliRunner().invoke(command.train, ["cars", given])
    assert (done.exit_code, jobs) == (2, [])
