"""What goes wrong, said in one sentence; and how names are shown in such sentences."""

import os

_LONGEST = 4096  # Linux' PATH_MAX
_END = 60


class UserError(Exception):
    """A user's mistake or mishap: one sentence that says what, where and how to go on."""

    exit_code = 1


class WrongUsage(UserError):
    """A command that cannot be meant as it was given; said before any work."""

    exit_code = 2


class Unreadable(Exception):
    """A picture that is left out; the text is the reason."""


def shown(path: str | os.PathLike[str]) -> str:
    """The path as it may be printed: as it is, or escaped and in quotes where it is not printable.

    Names are strangers' bytes: no terminal escape and no newline gets through. Of a name that is
    longer than any path's, the middle is left out.
    """
    name = os.fspath(path)
    if len(name) > _LONGEST:
        name = f"{name[:_END]} ... {name[-_END:]}"
    if name.isprintable():
        return name
    return "'" + name.encode("unicode_escape", "backslashreplace").decode("ascii") + "'"


def words_of(error: BaseException, line: int = -1) -> str:
    """Return what a library's error says, as it may be printed: one of its lines, usually the last.

    Of an error without text it is the name of its type.
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return shown(lines[line])


def lacks_memory(error: BaseException) -> bool:
    """Whether it says that there is not enough memory: Python's own error, or C++'s."""
    return isinstance(error, MemoryError) or "bad_alloc" in str(error)


def reason_of(error: OSError) -> str:
    """What the system said, as the end of a sentence: `no space left on device`."""
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:]


def counted(count: int, thing: str) -> str:
    """Return the number with its noun: `1 file`, `2 files`."""
    return f"{count} {thing}{'' if count == 1 else 's'}"
