"""Write the completions of all commands for bash, zsh and fish.

Usage: tools/write_completions.py

They are files, so that a key press starts neither Python nor a container.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from tensor_guess.commands.main import cli  # noqa: E402  # needs the path

FOLDER = ROOT / "src" / "tensor_guess" / "completions"
# The scripts that run one command each.
SCRIPTS = {
    "train.sh": "train",
    "guess.sh": "guess",
    "classify_dir.sh": "classify-dir",
    "collect_faces.sh": "collect-faces",
    "serve.sh": "serve",
}

# What both templates say of those that are completed.
_CALLERS = {
    "scripts": "\n".join(f"  {script}) command={name} ;;" for script, name in SCRIPTS.items()),
    "names": " ".join(("tensor-guess", *SCRIPTS)),
}
_BASH = """\
# shellcheck shell=bash
# Completions of tensor-guess for bash 3.2 and later, written by tools/write_completions.py.
_tensor_guess() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before='' command='' words=''
  ((COMP_CWORD == 0)) || before=${{COMP_WORDS[COMP_CWORD - 1]}}
  case ${{COMP_WORDS[0]##*/}} in
{scripts}
  *)
    if ((COMP_CWORD == 1)); then
      words='{commands} --help --version'
    else
      command=${{COMP_WORDS[1]}}
    fi
    ;;
  esac
  case ${{command}}:${{before}} in
{values}
  esac
  if [[ -z ${{words}} && ${{word}} == -* ]]; then
    case ${{command}} in
{options}
    esac
  fi
  COMPREPLY=()
  while IFS= read -r word; do
    COMPREPLY+=("${{word}}")
  done < <(compgen -W "${{words}}" -- "${{COMP_WORDS[COMP_CWORD]}}")
}}
complete -o default -F _tensor_guess {names}
"""

_ZSH = """\
#compdef {names}
# Completions of tensor-guess for zsh, written by tools/write_completions.py.
_tensor_guess() {{
  local command=$1
  case ${{service:t}} in
{scripts}
  *)
    if ((CURRENT == 2)); then
      local -a commands=(
{commands}
      )
      _describe command commands
      return
    fi
    command=${{words[2]}}
    shift words
    ((CURRENT--))
    ;;
  esac
  case ${{command}} in
{options}
  esac
}}
if [[ ${{zsh_eval_context[-1]}} == loadautofunc ]]; then
  _tensor_guess "$@"
else
  compdef _tensor_guess {names}
fi
"""


def commands() -> dict[str, click.Command]:
    """Return what a user may type, in the order of the help."""
    return {name: each for name, each in cli.commands.items() if not each.hidden}


def bash() -> str:
    """Return the script for bash."""
    values, options = list[str](), list[str]()
    for name, command in commands().items():
        own = list(_options(command))
        values += (
            f"  {name}:{each.name}) words='{' '.join(each.choices)}' ;;"
            for each in own
            if each.choices
        )
        if choices := _argument_choices(command):  # right after the command
            values.append(f"  {name}:{name}) words='{' '.join(choices)}' ;;")
        options.append(f"    {name}) words='{' '.join(each.name for each in own)}' ;;")
    return _BASH.format(
        commands=" ".join(commands()),
        values="\n".join(values),
        options="\n".join(options),
        **_CALLERS,
    )


def zsh() -> str:
    """Return the script for zsh."""
    options = list[str]()
    for name, command in commands().items():
        options.append(f"  {name})\n    _arguments -s \\")
        for each in _options(command):
            value = ":value:_files" if each.takes_value else ""
            if each.choices:
                value = f":value:({' '.join(each.choices)})"
            options.append(f"      {_quoted(f'*{each.name}[{_bare(each.said)}]{value}')} \\")
        choices = _argument_choices(command)
        what = f"({' '.join(choices)})" if choices else "_files"
        options.append(f"      {_quoted(f'*:argument:{what}')}\n    ;;")
    told = (f"{name}:{each.get_short_help_str(80)}" for name, each in commands().items())
    return _ZSH.format(
        commands="\n".join(f"        {_quoted(each)}" for each in told),
        options="\n".join(options),
        **_CALLERS,
    )


def fish() -> str:
    """Return the script for fish."""
    lines = ["# Completions of tensor-guess for fish, written by tools/write_completions.py."]
    first = "complete -c tensor-guess -n __fish_use_subcommand"
    lines.append(f"{first} -l version -d {_quoted('Show the version')}")
    for name, command in commands().items():
        lines.append(f"{first} -f -a {name} -d {_quoted(command.get_short_help_str(80))}")
    callers = [("tensor-guess", name, True) for name in commands()]
    callers += [(script, name, False) for script, name in SCRIPTS.items()]
    for caller, name, is_sub in callers:
        start = f"complete -c {caller}"
        if is_sub:
            start += f" -n '__fish_seen_subcommand_from {name}'"
        command = commands()[name]
        for each in _options(command):
            value = " -r" if each.takes_value else ""
            if each.choices:
                value = f" -x -a {_quoted(' '.join(each.choices))}"
            lines.append(f"{start} -l {each.name[2:]}{value} -d {_quoted(each.said)}")
        if choices := _argument_choices(command):
            lines.append(f"{start} -f -a {_quoted(' '.join(choices))}")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the three files."""
    FOLDER.mkdir(exist_ok=True)
    for shell, script in (("bash", bash()), ("zsh", zsh()), ("fish", fish())):
        (FOLDER / f"tensor-guess.{shell}").write_text(script, "utf-8")


class _Option(NamedTuple):
    """An option: a name of it, what it can be if that is a choice, its first sentence."""

    name: str
    choices: list[str]
    takes_value: bool
    said: str


def _options(command: click.Command) -> Iterator[_Option]:
    """Yield each name of an option that is not hidden."""
    for each in command.get_params(click.Context(command)):
        if isinstance(each, click.Option) and not each.hidden:
            said = " ".join((each.help or "").split()).partition(". ")[0].rstrip(".")
            for name in (*each.opts, *each.secondary_opts):
                if name.startswith("--"):
                    yield _Option(name, _choices(each), not (each.is_flag or each.count), said)


def _argument_choices(command: click.Command) -> list[str]:
    """Return what the arguments can be, if that is a choice."""
    arguments = (each for each in command.params if isinstance(each, click.Argument))
    return [choice for each in arguments for choice in _choices(each)]


def _choices(parameter: click.Parameter) -> list[str]:
    return list(parameter.type.choices) if isinstance(parameter.type, click.Choice) else []


def _bare(text: str) -> str:
    """Return the text without what has a meaning to zsh's _arguments."""
    return text.replace("[", "(").replace("]", ")").replace(":", ";").replace("\\", "")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "").replace("`", "") + "'"


if __name__ == "__main__":
    main()
