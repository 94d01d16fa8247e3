"""A page of its own parts and the shared ones; in a browser it is tested by those who have one."""

from pathlib import Path

import jinja2
import pytest

from tensor_guess import exporting, serving
from tensor_guess.pages import template

FOLDERS = [Path(str(each.__file__)).parent for each in (exporting, serving)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "page.html").write_text(
        '{% extends "base.html" %}{% block where %}{{ where }}{% endblock %}'
        '{% block scripts %}<script type="module">{{ script | safe }}</script>{% endblock %}'
    )
    (tmp_path / "first.js").write_text("const first = 1;\n")
    (tmp_path / "page.js").write_text("const own = first;\n")
    return tmp_path


def test_it_is_one_file_with_style_elements_and_script_in_it(folder: Path) -> None:
    script = template.script(folder, "first.js")
    assert script.startswith("const first = 1;\n")
    assert script.endswith("const own = first;\n")
    page = template.page(folder, where="<b>here</b>", script=script)
    assert f'<script type="module">{script}</script>' in page
    assert "&lt;b&gt;here&lt;/b&gt;" in page
    assert page.count("<style>") == page.count("prefers-color-scheme: dark") == 1
    for wanted in ('id="choose"', 'id="look"', 'id="results"', '<template id="bar">'):
        assert page.count(wanted) == 1
    for asking in ("http:", "https:", "@import", "url(", " src=", " style=", " onclick="):
        assert asking not in page


@pytest.mark.parametrize("hostile", ["'</ScRiPt>'", "'<!--'"])
def test_no_script_ends_before_its_end(folder: Path, hostile: str) -> None:
    with pytest.raises(AssertionError):
        template.page(folder, where="", script=hostile)
    with pytest.raises(AssertionError):
        template.page(folder, where="", script="", scripts=["", hostile])


def test_what_a_template_wants_must_be_given(folder: Path) -> None:
    with pytest.raises(jinja2.UndefinedError):
        template.page(folder, script="")


@pytest.mark.parametrize("own", FOLDERS, ids=lambda each: str(each.name))
def test_the_pages_have_what_the_shared_script_needs_and_nothing_of_it_twice(own: Path) -> None:
    shared, text = template.script(own).split("\n", 1)[1], (own / "page.js").read_text("utf-8")
    assert text in shared
    assert "function take(files)" in text
    assert "const NO_CAMERA =" in text
    base = (Path(template.__file__).parent / "base.js").read_text("utf-8")
    lines = {line for line in base.splitlines() if len(line) > 40}
    assert not lines & set(text.splitlines())
