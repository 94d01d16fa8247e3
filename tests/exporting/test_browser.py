"""A browser is found and asked, and what goes wrong is said in words."""

import shutil
from pathlib import Path

import pytest

from made.browser import CHROMIUM
from tensor_guess.exporting import browser
from tensor_guess.exporting.browser import Failed, Tab, find, opened


def test_the_browser_that_is_named_is_the_only_one_that_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSOR_GUESS_BROWSER", str(tmp_path / "none"))
    assert find() is None
    monkeypatch.setenv("TENSOR_GUESS_BROWSER", "true")
    assert find() == shutil.which("true")
    monkeypatch.delenv("TENSOR_GUESS_BROWSER")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(browser, "_NAMES", ("chromium", "google-chrome"))
    assert find() is None
    (tmp_path / "google-chrome").write_text("#!/bin/sh\n")
    (tmp_path / "google-chrome").chmod(0o755)
    assert find() == str(tmp_path / "google-chrome")


def test_what_is_no_browser_ends_at_once() -> None:
    true = shutil.which("true")
    assert true
    with pytest.raises(Failed, match="it has ended"), opened(true, Tab):
        pass


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_what_a_page_cannot_do_is_said(tmp_path: Path) -> None:
    assert CHROMIUM
    (tmp_path / "page.html").write_text("<!doctype html><title>x</title>")
    with opened(CHROMIUM, Tab) as tab:
        with pytest.raises(Failed, match="could not open the page"):
            tab.open(tmp_path / "none.html")
        tab.open(tmp_path / "page.html")
        assert tab.run("Promise.resolve(document.title)") == "x"
        with pytest.raises(Failed, match="no such thing"):
            tab.run("Promise.reject(new Error('no such thing'))")
        with pytest.raises(Failed, match=r"refused No\.such"):
            tab.ask("No.such")
