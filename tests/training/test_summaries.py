"""TensorBoard can show what training was like; what lies there already is never deleted."""

import os
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tensor_guess.errors import UserError
from tensor_guess.training.head import Look
from tensor_guess.training.summaries import Summaries

LOOKS = [Look(0, 0.25, 1.5, 0.125, 100), Look(10, 0.75, 0.5, 0.625, 100)]


def run_into(folder: Path | None) -> None:
    with Summaries(folder) as summaries:
        for look in LOOKS:
            summaries.add(look)


def shown(folder: Path, tag: str) -> list[tuple[int, float]]:
    """What TensorBoard reads: (step, value) of the tag."""
    events = EventAccumulator(str(folder))
    events.Reload()
    return [(each.step, float(each.tensor_proto.float_val[0])) for each in events.Tensors(tag)]


@pytest.mark.slow
def test_tensorboard_reads_what_was_written(tmp_path: Path) -> None:
    run_into(tmp_path / "logs" / "run")
    train, validation = tmp_path / "logs/run/train", tmp_path / "logs/run/validation"
    assert shown(train, "accuracy") == [(0, 0.25), (10, 0.75)]
    assert shown(train, "cross_entropy") == [(0, 1.5), (10, 0.5)]
    assert shown(validation, "accuracy") == [(0, 0.125), (10, 0.625)]


def test_nothing_is_ever_deleted(tmp_path: Path) -> None:
    theirs = tmp_path / "train" / "holiday.jpg"
    theirs.parent.mkdir()
    theirs.write_bytes(b"photo")
    run_into(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    run_into(tmp_path)
    assert all(path.read_bytes() == data for path, data in before.items())
    assert theirs in before
    assert len(list(tmp_path.rglob("*tfevents*"))) == 4


def test_what_was_written_is_complete_when_training_fails(tmp_path: Path) -> None:
    def fail() -> None:
        with Summaries(tmp_path) as summaries:
            summaries.add(LOOKS[0])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert shown(tmp_path / "train", "accuracy") == [(0, 0.25)]


def test_no_folder_means_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_into(None)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "logs").touch()
    with pytest.raises(UserError, match="could not make the folder"):
        run_into(tmp_path / "logs")


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full here")
    with Summaries(tmp_path) as summaries:
        (events,) = (tmp_path / "train").iterdir()
        handle = os.open(full, os.O_WRONLY)
        # From here on what goes to the event file goes to a disk that is full.
        written = next(each for each in Path("/dev/fd").iterdir() if each.resolve() == events)
        os.dup2(handle, int(written.name))
        os.close(handle)
        with pytest.raises(UserError, match="no space left on device"):
            summaries.add(LOOKS[0])
        os.dup2(os.open(os.devnull, os.O_WRONLY), int(written.name))
