"""Where the cache of backbones is; and that the defaults are retrain.py's."""

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from tensor_guess.config import Training, cache_folder
from tensor_guess.errors import UserError


def test_the_cache_is_where_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENSOR_GUESS_CACHE", "/somewhere/else")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/somewhere/else")


def test_a_relative_cache_is_meant_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TENSOR_GUESS_CACHE", "near")
    assert cache_folder() == tmp_path / "near"


@pytest.mark.parametrize("unset", [None, ""])
def test_the_cache_is_the_users_else(unset: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TENSOR_GUESS_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
        if unset is not None:
            monkeypatch.setenv(name, unset)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert cache_folder() == Path("/home/somebody/.cache/tensor-guess")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/xdg/tensor-guess")


def test_what_the_launcher_does_not_trust_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENSOR_GUESS_DISTRUST", "not using the backbones in /tmp/x: it is theirs")
    with pytest.raises(UserError, match=r"^not using the backbones in /tmp/x: it is theirs$"):
        cache_folder()


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TENSOR_GUESS_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 2**31 - 7)
    with pytest.raises(UserError, match=r"no home .* set TENSOR_GUESS_CACHE"):
        cache_folder()


def test_the_defaults_are_those_of_retrain_py() -> None:
    # The argparse defaults of TensorFlow's image_retraining/retrain.py.
    assert Training() == Training(
        steps=4000,
        learning_rate=0.01,
        train_batch_size=100,
        validation_batch_size=100,
        test_batch_size=-1,
        testing_percentage=10,
        validation_percentage=10,
        eval_step_interval=10,
    )
    with pytest.raises(FrozenInstanceError):
        Training().steps = 1  # type: ignore[misc]
