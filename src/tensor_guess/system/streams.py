"""The standard streams: open from the start, with any failure reported in one sentence."""

import errno
import os
import select
import sys
from io import FileIO, TextIOWrapper
from typing import TYPE_CHECKING

from tensor_guess.errors import UserError, reason_of

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_STDIN, _STDOUT, _STDERR = range(3)


def prepare() -> None:
    """Open those of the three that are closed, for this process and its children.

    Otherwise the next file would get the number of a closed one, and printing would write into it.
    From now on printing raises UserError if stdout cannot be written to, and SystemExit if nobody
    reads it any more. What cannot be printed on stderr is lost, and the work goes on.
    """
    # Printing to a closed stdout must not seem to succeed: it is opened for reading.
    for stream, mode in (_STDIN, os.O_RDONLY), (_STDOUT, os.O_RDONLY), (_STDERR, os.O_WRONLY):
        if not _is_open(stream):
            os.set_inheritable(os.open(os.devnull, mode), True)
    sys.stdout = _text(_STDOUT, "surrogateescape")
    sys.stderr = _text(_STDERR, "backslashreplace")


class Stream(FileIO):
    """An unbuffered stream whose `write` always writes everything."""

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write all of `data`, and return its length. Raise as `prepare` says."""
        left = whole = memoryview(data).cast("B")
        try:
            while left:
                written = super().write(left)
                if written is None:  # a non-blocking pipe is full
                    select.select([], [self], [])
                left = left[written or 0 :]
        except BrokenPipeError as error:
            raise SystemExit(UserError.exit_code) from error
        except OSError as error:
            if self.fileno() != _STDERR:
                reason = "it is closed" if error.errno == errno.EBADF else reason_of(error)
                raise UserError(f"could not write to stdout: {reason}") from error
        return len(whole)


def _is_open(stream: int) -> bool:
    try:
        os.fstat(stream)
    except OSError:
        return False
    return True


def _text(stream: int, errors: str) -> TextIOWrapper:
    raw = Stream(stream, "wb", closefd=False)
    return TextIOWrapper(raw, "utf-8", errors, newline="\n", write_through=True)
