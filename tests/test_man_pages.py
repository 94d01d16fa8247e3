"""The manual pages say what --help does, and man can show them."""

import shutil
import subprocess
from pathlib import Path

import pytest

import write_man_pages
from made.place import ROOT
from tensor_guess.commands.main import cli

PAGES = sorted((ROOT / "man").iterdir())


def test_they_are_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for command in (cli, *cli.commands.values()):
        monkeypatch.setattr(command, "short_help", command.short_help)  # is set back at the end
    write_man_pages.main(tmp_path)
    written = {each.name: each.read_text("utf-8") for each in tmp_path.iterdir()}
    there = {each.name: each.read_text("utf-8") for each in PAGES}
    assert there == written, "run tools/write_man_pages.py"
    commands = [name for name, each in cli.commands.items() if not each.hidden]
    assert there.keys() == {"tensor-guess.1", *(f"tensor-guess-{name}.1" for name in commands)}


@pytest.mark.skipif(not shutil.which("groff"), reason="needs groff")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_they_can_be_shown(page: Path) -> None:
    command = ["groff", "-man", "-ww", "-Tutf8", "-P-cbou", str(page)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert {"NAME", "SYNOPSIS", "DESCRIPTION"} <= set(done.stdout.split())
