"""A page's own template and script -> the page, with the style, elements and script all share."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_TEMPLATE, _SCRIPT = "page.html", "page.js"
_BASE = Path(__file__).parent


def script(folder: Path, *before: str) -> str:
    """Return the script of the page in that folder: what it names first, the shared one, its own.

    `before`: names of files in the folder.
    """
    paths = [*(folder / name for name in before), _BASE / "base.js", folder / _SCRIPT]
    return "\n".join(path.read_text("utf-8") for path in paths)


def page(folder: Path, **values: Any) -> str:
    """Return the page whose template is in that folder, filled with the values.

    Every text is escaped unless the template says that it is safe.
    """
    for each in [values.get("script", ""), *values.get("scripts", ())]:
        # Either would end the script before its end, or hide it.
        assert "</script" not in each.lower()
        assert "<!--" not in each
    environment = Environment(
        loader=FileSystemLoader([folder, _BASE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (_BASE / "base.css").read_text("utf-8")
    return environment.get_template(_TEMPLATE).render(style=style, **values)
