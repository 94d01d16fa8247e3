"""The documentation's site: it is built without a warning, and every link in it leads somewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from made.place import ROOT


def build(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    return subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True)


def test_the_site_begins_with_the_tutorials(tmp_path: Path) -> None:
    done = build(tmp_path / "site")
    assert done.returncode == 0, done.stderr
    first = (tmp_path / "site/index.html").read_text("utf-8")
    titles = ("Darth Vader or Elsa", "Ten pictures a person", "Two film stars", "VGG16 as it comes",
              "Me and my brother")  # fmt: skip
    for title in titles:
        assert f"{title}</h2>" in first


def test_a_link_that_leads_nowhere_fails(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text("[there](nowhere.md) [here](index.md#none)", "utf-8")
    config = (ROOT / "mkdocs.yml").read_text("utf-8")
    settings = config.partition("nav:")[0] + "validation:" + config.partition("validation:")[2]
    (tmp_path / "mkdocs.yml").write_text(settings, "utf-8")
    done = build(tmp_path / "site", "--config-file", str(tmp_path / "mkdocs.yml"))
    assert done.returncode == 1
    assert "'nowhere.md'" in done.stderr
    assert "'#none'" in done.stderr or "index.md#none" in done.stderr


def test_the_links_of_the_readme_lead_somewhere() -> None:
    for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"):
        text = (ROOT / name).read_text("utf-8")
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
            assert target.startswith("https://") or (ROOT / target).exists(), (name, target)


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda p: p.name)
def test_what_github_reads_can_be_read(path: Path) -> None:
    found = yaml.safe_load(path.read_text("utf-8"))
    if path.parent.name == "ISSUE_TEMPLATE" and path.name != "config.yml":
        assert {"name", "description", "body"} <= found.keys()
        fields = [each for each in found["body"] if each["type"] != "markdown"]
        assert len({each["id"] for each in fields}) == len(fields)
        assert all(each["attributes"]["label"] for each in fields)
    elif path.parent.name == "workflows":
        assert found["jobs"]
        assert "permissions" in found


def test_the_citation_says_what_it_must() -> None:
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "title", "message", "authors"} <= found.keys()
    assert found["license"] == "Apache-2.0"
