"""Names are strangers' bytes; what is said about them fits on one line of any terminal."""

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensor_guess.errors import (
    UserError,
    WrongUsage,
    counted,
    lacks_memory,
    reason_of,
    shown,
    words_of,
)

HOSTILE = {
    "newline": b"a\nb",
    "clears the terminal": b"\x1b[2J",
    "sets the window's title": b"\x1b]0;owned\x07",
    "invalid UTF-8": b"\xff\xfe",
    "right-to-left override": "a\u202egpj.exe".encode(),
    "zero width": "a\u200bb".encode(),
    "a whole line of its own": b"x\rtensor-guess: all done",
    "C1 control": "\x9b31m".encode(),
}


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_name_is_quoted_and_printable(name: bytes) -> None:
    said = shown(Path(os.fsdecode(name)))
    assert said.isprintable()
    assert said[0] == said[-1] == "'"


@pytest.mark.parametrize(
    "name", ["photo.jpg", "two words,comma.jpg", "it's.jpg", "東京/हिन्दी.png", "Café", "-dash"]
)
def test_ordinary_name_is_shown_as_it_is(name: str) -> None:
    assert shown(Path(name)) == name


@given(st.binary(min_size=1, max_size=40))
def test_any_name_is_printable_and_can_be_told_from_what_is_shown(raw: bytes) -> None:
    name = os.fsdecode(raw)
    said = shown(name)
    assert said.isprintable()
    said.encode()  # no lone surrogate: stderr takes it
    if said != name:
        back = said[1:-1].encode("ascii").decode("unicode_escape")
        assert os.fsencode(back) == raw


@pytest.mark.parametrize("character", ["X", "\x1b", "é"])
def test_of_a_name_longer_than_any_path_both_ends_are_shown(character: str) -> None:
    said = shown(f"begin{character * 5_000_000}end")
    assert said.lstrip("'").startswith("begin")
    assert said.rstrip("'").endswith("end")
    assert len(said) < 600
    assert said.isprintable()


def test_a_reason_reads_as_the_end_of_a_sentence() -> None:
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/some/path")
    assert reason_of(error) == "no space left on device"
    assert reason_of(OSError("Odd failure")) == "odd failure"


def test_wrong_usage_and_mishaps_have_their_exit_codes() -> None:
    assert (UserError("x").exit_code, WrongUsage("x").exit_code) == (1, 2)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("Check failed\n at line 3:\nno such op\n"), "no such op"),
        (RuntimeError("a title\x1b]0;owned\x07"), r"'a title\x1b]0;owned\x07'"),
        (RuntimeError("  \n"), "RuntimeError"),
        (KeyError(), "KeyError"),
        (ValueError("\udcff"), r"'\udcff'"),
    ],
)
def test_a_librarys_error_is_one_printable_line(error: Exception, said: str) -> None:
    assert words_of(error) == said
    said.encode()


def test_of_an_error_that_begins_with_what_matters_the_first_line_is_taken() -> None:
    assert words_of(OSError("no module\nat loader.py:3"), line=0) == "no module"


def test_want_of_memory_is_known_in_both_languages() -> None:
    assert lacks_memory(MemoryError())
    assert lacks_memory(RuntimeError("Exception: std::bad_alloc\nin node x"))
    assert not lacks_memory(RuntimeError("no such op"))


def test_one_thing_has_no_s() -> None:
    assert [counted(count, "file") for count in (0, 1, 2)] == ["0 files", "1 file", "2 files"]
