"""What a shell offers, without starting the program; and a machine as a worker."""

import os
import pty
import re
import shutil
import subprocess
from pathlib import Path
from select import select

import pytest

import write_completions
from made.place import ROOT, Run


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_it_is_up_to_date_and_printed_with_and_without_the_launcher(shell: str, call: Run) -> None:
    script = getattr(write_completions, shell)()
    assert call("completion", shell).stdout == script, "run tools/write_completions.py"
    env = {"PATH": os.environ["PATH"], "TENSOR_GUESS_LAUNCHER": "no such launcher"}
    launched = [str(ROOT / "tensor-guess"), "completion", shell]
    said = subprocess.run(launched, env=env, capture_output=True, text=True, check=True)
    assert said.stdout == script


def test_another_shell_is_wrong_usage(call: Run) -> None:
    done = call("completion", "tcsh")
    assert done.returncode == 2
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in done.stderr


# What is typed -> what is offered, among others; and what is not.
TYPED = [
    ("tensor-guess tr", "train", "guess"),
    ("tensor-guess classify-dir --lay", "--layout", "--learn"),
    ("tensor-guess train --fit ", "squeeze", "--fit"),
    ("tensor-guess completion f", "fish", "bash"),
    ("train.sh --fine-tune-", "--fine-tune-epochs", "--layout"),
    ("guess.sh --precision ", "bf16", "--json"),
]


@pytest.mark.parametrize(("typed", "offered", "other"), TYPED)
def test_bash_offers_what_fits(typed: str, offered: str, other: str) -> None:
    words = typed.split(" ")
    script = (
        f"source {ROOT}/src/tensor_guess/completions/tensor-guess.bash\n"
        f'COMP_WORDS=({" ".join(words[:-1])} "{words[-1]}") COMP_CWORD={len(words) - 1}\n'
        '_tensor_guess; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert said.stderr == ""
    assert offered in said.stdout.split()
    assert other not in said.stdout.split()


@pytest.mark.skipif(not shutil.which("fish"), reason="needs fish")
@pytest.mark.parametrize(("typed", "offered", "other"), TYPED)
def test_fish_offers_what_fits(typed: str, offered: str, other: str, tmp_path: Path) -> None:
    script = f"source {ROOT}/src/tensor_guess/completions/tensor-guess.fish; complete -C '{typed}'"
    env = os.environ | {"HOME": str(tmp_path)}
    done = subprocess.run(["fish", "-c", script], env=env, capture_output=True, text=True)
    found = [line.partition("\t")[0] for line in done.stdout.splitlines()]
    assert offered in found
    assert other not in found


@pytest.mark.skipif(not shutil.which("zsh"), reason="needs zsh")
@pytest.mark.parametrize(("typed", "offered", "other"), TYPED)
def test_zsh_offers_what_fits(typed: str, offered: str, other: str, tmp_path: Path) -> None:
    (tmp_path / ".zshrc").write_text(
        "autoload -U compinit && compinit -u\nunsetopt zle_bracketed_paste auto_menu\n"
        "LISTMAX=1000; PS1='ready> '\n"
        f"source {ROOT}/src/tensor_guess/completions/tensor-guess.zsh\n"
    )
    env = os.environ | {"ZDOTDIR": str(tmp_path), "TERM": "dumb", "COLUMNS": "200"}
    child, terminal = pty.fork()
    if not child:
        os.execvpe("zsh", ["zsh", "-i"], env)
    try:
        _until(terminal, b"ready> ")
        # Ctrl-D lists what there is, and completes nothing.
        os.write(terminal, f"{typed}\x04\x01\x0b".encode())
        os.write(terminal, b"echo do''ne\n")
        said = _until(terminal, b"\ndone").decode()
    finally:
        os.close(terminal)  # which ends the shell
        os.waitpid(child, 0)
    found = said.partition("\n")[2].partition("ready>")[0].split()
    assert offered in found
    assert other not in found


def _until(terminal: int, end: bytes) -> bytes:
    said = b""
    while end not in said:
        assert select([terminal], [], [], 60)[0], said
        said += os.read(terminal, 4096)
    return said


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("worker", "host:8786"), "'host:8786' is no address|host:8786 is no address"),
        (("worker", "tcp://host:8786", "/no/such/folder"), "there is no folder /no/such/folder"),
        (("worker", "tcp://host:8786", "--tls", "/x"), "--tls is for a scheduler whose address"),
        (("train", "tf", "--tls", "/x"), "--tls is for --scheduler; give it too"),
        (("train", "tf", "--scheduler", "http://h:1"), "is no address of a scheduler such as"),
        (("train", "tf", "--scheduler", "tcp://h:1", "--workers", "2"), "do not go together"),
        (("train", "tf", "--workers", "0"), "0 is not in the range"),
        (("classify-dir", "tf", "a", "b", "--workers", "2", "--watch"), "not for --watch, --burst"),
        (("classify-dir", "tf", "a", "b", "--workers", "2", "--dry-run"), "not for --watch"),
        (("classify-dir", "tf", "a", "--tag", "--workers", "2"), "--tag copies and moves nothing"),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(
    call: Run, command: tuple[str, ...], said: str
) -> None:
    done = call(*command)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.search(said, done.stderr)


def test_the_help_says_what_a_worker_gives_away(call: Run) -> None:
    said = " ".join(call("worker", "--help").stdout.split())
    assert "Whoever can connect to the scheduler or to this worker can run programs as" in said
