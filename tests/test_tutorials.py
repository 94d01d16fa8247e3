"""The program takes every command in docs/index.md; no tutorial has more than ten."""

import re
import shlex

import click
import pytest

from made.place import ROOT
from tensor_guess.commands.main import cli

SCRIPTS = {
    "./train.sh": ["train"],
    "./guess.sh": ["guess"],
    "./classify_dir.sh": ["classify-dir"],
    "./collect_faces.sh": ["collect-faces"],
    "./serve.sh": ["serve"],
    "./tensor-guess": [],
}
OTHERS = {"ls"}
_, *TUTORIALS = (ROOT / "docs/index.md").read_text("utf-8").split("\n## ")


def commands(tutorial: str) -> list[str]:
    """The command lines of a tutorial, after a prompt, and those that its sentences mention."""
    lines = tutorial.splitlines()
    sentences = " ".join(line for line in lines if not line.startswith("    "))
    mentioned = re.findall(r"`(\./\S+ [^`]+)`", sentences)
    return [line[6:] for line in lines if line.startswith("    $ ")] + mentioned


def check(line: str) -> None:
    """Raise an error if the program does not take the command line, or the word is unknown."""
    word, *arguments = shlex.split(line, comments=True)
    if word in OTHERS:
        return
    name, *arguments = [*SCRIPTS[word], *arguments]
    cli.commands[name].make_context(name, arguments)


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda text: text.partition("\n")[0])
def test_the_program_takes_every_command_of_a_tutorial(tutorial: str) -> None:
    found = commands(tutorial)
    assert 3 <= len(found) <= 10
    for line in found:
        check(line)


def test_there_are_five_of_them() -> None:
    assert len(TUTORIALS) == 5


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("./train.sh friends --epoch_count 5", click.NoSuchOption),
        ("./train.sh friends --epochs 0", click.BadParameter),
        ("./guess.sh friends clip.mp4 --every", click.BadOptionUsage),
        ("./tensor-guess evaluate friends", click.MissingParameter),
        ("./classify_dir.sh friends new sorted more", click.UsageError),
        ("./tensor-guess measure friends new", KeyError),
        ("./evaluate.sh friends new", KeyError),
    ],
)
def test_what_the_program_does_not_take_would_be_found(line: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        check(line)
