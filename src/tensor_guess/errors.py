"""Errors, each reported in one sentence, and how to show names in such sentences."""

import os
from pathlib import PurePath

_LONGEST = 4096  # Linux' PATH_MAX
_END = 60


class UserError(Exception):
    """A user's mistake or mishap: one sentence that says what, where and how to go on."""

    exit_code = 1


class WrongUsage(UserError):
    """A command that makes no sense as it was given; reported before any work."""

    exit_code = 2


class Unreadable(Exception):
    """A file that cannot be used and is left out; the text is the reason."""


def shown(path: str | os.PathLike[str]) -> str:
    """Return the path as it may be printed: unchanged if printable, else escaped and in quotes.

    Names are strangers' bytes, so no terminal escape and no newline may get through. The middle of
    a name that is longer than any path can be is left out.
    """
    name = str(path) if isinstance(path, PurePath) else os.fspath(path)
    if len(name) > _LONGEST:
        name = f"{name[:_END]} ... {name[-_END:]}"
    if name.isprintable():
        return name
    return "'" + name.encode("unicode_escape", "backslashreplace").decode("ascii") + "'"


def words_of(error: BaseException, line: int = -1) -> str:
    """Return a line of a library's error, usually the last, as it may be printed.

    For an error without text, return the name of its type.
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return shown(lines[line])


def lacks_memory(error: BaseException) -> bool:
    """Return whether the error means that memory ran out; it can come from Python or C++."""
    return isinstance(error, MemoryError) or "bad_alloc" in str(error)


def reason_of(error: OSError) -> str:
    """Return the system's message as the end of a sentence: `no space left on device`."""
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:]


def counted(count: int, thing: str) -> str:
    """Return the number with its noun: `1 file`, `2 files`."""
    return f"{count} {thing}{'' if count == 1 else 's'}"
