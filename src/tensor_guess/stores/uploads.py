"""Objects on their way into a store: each is there whole, once it is committed, or not at all."""

import mimetypes
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tensor_guess.errors import Unreadable, UserError, reason_of, shown
from tensor_guess.stores import s3
from tensor_guess.stores.paths import StorePath
from tensor_guess.system import reading
from tensor_guess.system.durable import Staged


@dataclass(frozen=True)
class Upload(Staged):
    """An object that is to be made, of `size` bytes with this SHA-256; it has no temporary name.

    `data` returns its bytes, and may raise Unreadable. `made`: its ETag, once it was made.
    """

    data: Callable[[], Iterable[bytes]]
    key: bytes
    size: int
    how: dict[str, Any] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)

    def commit(self, *, replace: bool = False) -> None:
        """Make the object. Raise FileExistsError if there is another one, whatever `replace` is.

        Raise UserError if the store refuses, and whatever `data` raises.
        """
        assert isinstance(self.path, StorePath)
        try:
            self.made.append(s3.create(self.path.object, self.data(), self.size, **self.how))
        except FileExistsError:
            if not self._is_there():  # if an answer got lost, it is in its own way
                raise
        except OSError as error:
            raise UserError(f"could not write {shown(self.path)}: {reason_of(error)}") from error

    def take_back(self) -> None:
        """Remove the object, if this has made it and it is still that one."""
        assert isinstance(self.path, StorePath)
        if self.made:
            s3.remove(self.path.object, self.made.pop())

    def discard(self) -> None:
        """Do nothing: what was not committed is nowhere."""

    def _is_there(self) -> bool:
        try:
            found = self.path.stat().st_size == self.size
            return found and reading.sha256(self.path, self.size) == self.key
        except (FileNotFoundError, Unreadable):
            return False


def stage(
    path: StorePath,
    data: Callable[[], Iterable[bytes]],
    key: bytes,
    size: int,
    modified_ns: int,
) -> Upload:
    """Return the object that is to be made; its time is kept as rclone keeps it."""
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    seconds, rest = divmod(modified_ns, 1_000_000_000)
    how = {"ContentType": kind, "Metadata": {"mtime": f"{seconds}.{rest:09}"}}
    return Upload(path, path, data, key, size, how)


def put(path: StorePath, data: bytes) -> None:
    """Make an object. Raise UserError if that is refused, or if there is one already."""
    try:
        s3.create(path.object, [data], len(data))
    except OSError as error:
        raise UserError(f"could not write {shown(path)}: {reason_of(error)}") from error
