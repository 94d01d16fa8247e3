"""URLs of folders in a store, and the paths that they are here."""

import os
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PosixPath, PurePath

from tensor_guess.errors import Unreadable, UserError, WrongUsage, shown
from tensor_guess.stores import s3
from tensor_guess.stores.s3 import Object
from tensor_guess.system import reading
from tensor_guess.system.reading import RemoteFile, is_url

# The stores that are known; all else is refused.
SCHEMES = (S3,) = ("s3",)
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
# What the first request for an object brings, which for most pictures is all, and each of the
# others at most.
_FIRST, _MORE = 1_000_000, 16_000_000


def parsed(text: str) -> Path:
    """Return the path that a user has typed: of this machine, or in a store.

    Raise WrongUsage if it is a URL that is not taken, which is not repeated if it may be secret.
    """
    if not is_url(text):
        return Path(text)
    found = _URL.fullmatch(text)
    if not found or found[1].lower() not in SCHEMES:
        scheme = f"{found[1]}://" if found else "such a URL"
        raise WrongUsage(
            f"{scheme} is not known here, only {S3}:// is; mount it, and name the folder"
        )
    bucket, _, key = found[2].partition("/")
    if "@" in bucket or ":" in bucket or "?" in text or "#" in text:
        raise WrongUsage(
            "a URL with a user, a password or a query is not taken, since others could see it; "
            f"set {s3.KEY}, {s3.SECRET} and {s3.ENDPOINT} in the environment"
        )
    if not _BUCKET.fullmatch(bucket):
        raise WrongUsage(f"{shown(text)} has no bucket; it must be like {S3}://bucket/folder")
    names = key.removesuffix("/").split("/") if key else []
    if not {"", ".", ".."}.isdisjoint(names) or "\0" in key:
        raise WrongUsage(f"{shown(text)} has an empty name, . or .. in it; no folder is called so")
    return StorePath(f"{S3}:", bucket, *names)


def location(text: str) -> Path:
    """Return the path whose text this is."""
    if text.startswith(f"{S3}://"):
        return StorePath(f"{S3}:", *text.removeprefix(f"{S3}://").split("/"))
    return Path(text)


class StorePath(reading.Remote):
    """The path of an object, or of what is below a prefix: `s3://bucket/key`.

    What comes from a listing knows its status. To a call of the system it is no path.
    """

    def __str__(self) -> str:
        text = super().__str__()
        scheme, _, rest = text.partition(":/")
        return f"{scheme}://{rest}" if self.parts[:1] == (f"{S3}:",) else text

    def __fspath__(self) -> str:
        raise TypeError(f"{self} is on no disk")

    def __bytes__(self) -> bytes:
        return str(self).encode("utf-8", "surrogateescape")

    @property
    def object(self) -> Object:
        """Return the object."""
        return Object(self.parts[1], "/".join(self.parts[2:]))

    def absolute(self) -> "StorePath":
        """Return the same."""
        return self

    def relative_to(self, *other: str | os.PathLike[str], **how: bool) -> PosixPath:  # type: ignore[override]
        """Return a path that is in no store any more."""
        return PosixPath(*super().relative_to(*other, **how).parts)

    def is_relative_to(self, *other: str | os.PathLike[str]) -> bool:
        """Return whether it is the other path or below it."""
        first = other[0]
        return isinstance(first, PurePath) and self.parts[: len(first.parts)] == first.parts

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Return the object's status. Raise OSError if there is none."""
        return self.listed or s3.head(self.object)

    def lstat(self) -> os.stat_result:
        """Return the same."""
        return self.stat()

    def is_symlink(self) -> bool:
        """Return False: there are no links."""
        return False

    def is_file(self) -> bool:
        """Return whether there is such an object. Raise UserError if that may not be known."""
        with suppress(FileNotFoundError), self._asked():
            return bool(self.object.key and self.stat())
        return False

    def is_dir(self) -> bool:
        """Return whether there are objects below it. Raise as `is_file` does."""
        if self.listed:
            return False
        with self._asked():
            page = next(s3.pages(self._below, 1))
        return bool(page.objects or page.prefixes or not self.object.key)

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        """Return whether there is anything. Raise as `is_file` does."""
        return self.is_dir() or self.is_file()

    def iterdir(self) -> Generator["StorePath", None, None]:
        """Yield what is directly below it: objects, then folders. Raise as `scan` does."""
        folders = list[str]()
        for listing in self.scan():
            folders += listing.folders
            for name, status in listing.files:
                path = self / name
                path.listed = status
                yield path
        yield from map(self.__truediv__, folders)

    def scan(self) -> Iterator[reading.Listing]:
        """Yield what is directly below it, a part at a time. Raise OSError if that is denied.

        A key that would be no path is among what is odd.
        """
        start = len(self._below.key)
        for page in s3.pages(self._below):
            listing = reading.Listing([], [], [])
            for key, status in page.objects:
                name = key[start:]
                if name and "\0" not in name:
                    listing.files.append((name, status))
                elif name or status.st_size:
                    listing.odd.append("has an object whose name no file can have")
            for prefix in page.prefixes:
                name = prefix[start:-1]
                if name and "\0" not in name:
                    listing.folders.append(name)
                else:
                    listing.odd.append("has objects below a name that no folder can have")
            yield listing

    @contextmanager
    def opened(self) -> Iterator[RemoteFile]:
        """Yield the object to be read. Raise OSError if it cannot be."""
        yield _ObjectFile(self.object)

    @property
    def _below(self) -> Object:
        at = self.object
        return Object(at.bucket, f"{at.key}/" if at.key else "")

    @contextmanager
    def _asked(self) -> Iterator[None]:
        try:
            yield
        except PermissionError:
            raise UserError(
                f"could not read {shown(self)}: access denied by the store; allow {s3.KEY} to "
                "list and read it"
            ) from None


class _ObjectFile(RemoteFile):
    """An object that is read a piece at a time, all of which are of one version."""

    def __init__(self, at: Object) -> None:
        self._object, self._at, self._start = at, 0, 0
        self.status, self._etag, self._data = s3.get(at, 0, _FIRST)

    def read(self, size: int) -> bytes:
        """Return at most so many of the next bytes; b"" at the end."""
        if self._at >= self.status.st_size or not size:
            return b""
        at = self._at - self._start
        if not 0 <= at < len(self._data):
            count = min(max(size, _FIRST), _MORE)
            _, _, self._data = s3.get(self._object, self._at, count, self._etag)
            self._start, at = self._at, 0
            if not self._data:
                raise Unreadable(reading.CHANGED)
        found = self._data[at : at + size]
        self._at += len(found)
        return found

    def seek(self, position: int) -> None:
        """Go on from there."""
        self._at = position

    def tell(self) -> int:
        """Return where it goes on."""
        return self._at
