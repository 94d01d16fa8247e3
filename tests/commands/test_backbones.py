"""The list of backbones, and their digests when they are fetched."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tensor_guess.backbones import loading
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.backbones.catalogue import CATALOGUE
from tensor_guess.commands import backbones as command
from tensor_guess.errors import UserError


@pytest.fixture(autouse=True)
def _nothing_is_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TENSOR_GUESS_CACHE", str(tmp_path))


def test_the_list_has_all_of_the_catalogue() -> None:
    lines = CliRunner().invoke(command.list_backbones).output.splitlines()
    assert lines[0].split() == ["name", "pixels", "bottleneck", "download", "licence", "here"]
    assert [line.split()[0] for line in lines[1:]] == list(CATALOGUE)
    here = {line.split()[0]: line.split()[-1] for line in lines[1:]}
    assert (here["efficientnet_lite0"], here["inception_v3"]) == ("yes", "no")


def test_the_list_as_json_says_the_same() -> None:
    lines = CliRunner().invoke(command.list_backbones, ["--json"]).output.splitlines()
    rows = {row["name"]: row for row in map(json.loads, lines)}
    inception = CATALOGUE["inception_v3"]
    assert rows.keys() == CATALOGUE.keys()
    assert rows["inception_v3"] == {
        "name": "inception_v3",
        "size": 299,
        "bottleneck": inception.bottleneck,
        "megabytes": inception.megabytes,
        "licence": inception.licence,
        "here": False,
    }


def test_all_names_are_checked_before_the_first_is_fetched(
    tiny: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []

    def load(name: str) -> Backbone:
        loaded.append(name)
        return tiny

    monkeypatch.setattr(loading, "load", load)
    done = CliRunner().invoke(command.fetch, ["inception_v3", "vgg16"])
    assert done.output == f"inception_v3 {tiny.sha256}\nvgg16 {tiny.sha256}\n"
    loaded.clear()
    done = CliRunner().invoke(command.fetch, ["inception_v3", "no_such"])
    assert isinstance(done.exception, UserError)
    assert not loaded
