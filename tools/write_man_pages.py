"""Write a manual page for each command to man/, from the same source as its --help.

Usage: tools/write_man_pages.py [FOLDER]
"""

import sys
from pathlib import Path

from click_man.core import write_man_pages

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))

from tensor_guess import __version__  # noqa: E402  # needs the path
from tensor_guess.commands.main import cli  # noqa: E402

FOLDER = ROOT / "man"


def main(folder: Path = FOLDER) -> None:
    """Write all pages; they have no date, so that the same commands give the same bytes."""
    folder.mkdir(exist_ok=True)
    for command in (cli, *cli.commands.values()):  # else it is cut after 45 characters
        first = (command.help or "").strip().partition("\n\n")[0]
        command.short_help = " ".join(first.split()).rstrip(".")
    name = "tensor-guess"
    write_man_pages(name, cli, version=__version__, target_dir=str(folder), date=name)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
