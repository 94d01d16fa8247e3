"""Requests to S3, by s3fs: each is answered, or ends with an error in our own words.

The environment alone says who asks. A library's words may have an address with a password in them,
so they are never passed on.
"""

import errno
import hashlib
import io
import logging
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import chain
from typing import Any

from tensor_guess.errors import Unreadable, UserError, shown
from tensor_guess.system import packages
from tensor_guess.system.reading import CHANGED, remote_status

# The variables that say who asks, and which store. The launcher passes them on by these names.
KEY, SECRET, TOKEN = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"
ENDPOINT, REGIONS = "AWS_ENDPOINT_URL", ("AWS_REGION", "AWS_DEFAULT_REGION")

_CONNECT_SECONDS, _READ_SECONDS, _CONNECTIONS = 10, 60, 32
# A larger object is made in parts, of which S3 takes 10,000.
_PART, _MOST_PARTS = 16_000_000, 9_000
# How often it is tried again if an answer breaks off, or another write is under way.
_ATTEMPTS, _PAUSE_SECONDS = 4, 0.2
_WORD = re.compile(r"[A-Za-z0-9.]{1,60}")

# What stores answer, by code or, if an answer has no text, by HTTP's number.
_MISSING = {"NoSuchKey", "NoSuchVersion", "404"}
_DENIED = {"AccessDenied", "AllAccessDisabled", "403"}
_TAKEN = {"PreconditionFailed", "412"}
_BUSY = {"ConditionalRequestConflict", "OperationAborted", "409"}
_NOBODY = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "AuthFailure"}
_NOBODY |= {"InvalidClientTokenId"}
_OVER = {"ExpiredToken", "TokenRefreshRequired", "RequestExpired"}
_ELSEWHERE = {"PermanentRedirect", "Redirect", "TemporaryRedirect", "301", "307"}
_ELSEWHERE |= {"AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}


@dataclass(frozen=True)
class Object:
    """An object, or a prefix of several: its bucket and its key."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class Page:
    """A part of a listing: keys, each with its status; and prefixes, which end in /."""

    objects: list[tuple[str, os.stat_result]]
    prefixes: list[str]


def get(at: Object, start: int, count: int, etag: str = "") -> tuple[os.stat_result, str, bytes]:
    """Return an object's status, its ETag, and at most `count` of its bytes from `start` on.

    Raise Unreadable if it does not have this ETag any more. This and all below raise OSError if the
    object is not there, or access to it is denied; and UserError if the store does not answer or
    cannot be used.
    """
    asked = {"Bucket": at.bucket, "Key": at.key, "Range": f"bytes={start}-{start + count - 1}"}
    asked |= {"IfMatch": etag} if etag else {}
    try:
        with _said(at):
            found, data = _downloaded(asked)
    except FileExistsError:
        raise Unreadable(CHANGED) from None
    except _Nothing:
        return head(at), "", b""
    size = int(found.get("ContentRange", "").rpartition("/")[2] or found["ContentLength"])
    return _status(size, found["LastModified"], found["ETag"]), found["ETag"], data


def head(at: Object) -> os.stat_result:
    """Return an object's status."""
    with _said(at):
        found = _call("head_object", Bucket=at.bucket, Key=at.key)
    return _status(found["ContentLength"], found["LastModified"], found["ETag"])


def pages(at: Object, most: int = 1000) -> Iterator[Page]:
    """Yield what is directly below a prefix, so many at a time."""
    asked = {"Bucket": at.bucket, "Prefix": at.key, "Delimiter": "/", "MaxKeys": most}
    while True:
        with _said(at):
            found = _call("list_objects_v2", **asked)
        yield Page(
            [
                (each["Key"], _status(each["Size"], each["LastModified"], each["ETag"]))
                for each in found.get("Contents", ())
            ],
            [each["Prefix"] for each in found.get("CommonPrefixes", ())],
        )
        if not found.get("IsTruncated"):
            return
        asked["ContinuationToken"] = found["NextContinuationToken"]


def create(at: Object, data: Iterable[bytes], size: int, **how: Any) -> str:
    """Make an object of `size` bytes, whole or not at all; return its ETag.

    Raise FileExistsError if there is one already, and whatever `data` raises. If an answer got
    lost, what is there already may be this object.
    """
    new = {"Bucket": at.bucket, "Key": at.key, "IfNoneMatch": "*"}
    parts = _in_parts(data, max(_PART, -(-size // _MOST_PARTS)))
    first, second = next(parts, b""), next(parts, None)
    if second is None:
        return _written(at, "put_object", **new, Body=first, **how)
    upload = {"Bucket": at.bucket, "Key": at.key}
    with _said(at):
        upload["UploadId"] = _call("create_multipart_upload", **upload, **how)["UploadId"]
    try:
        told = []
        for number, part in enumerate(chain([first, second], parts), 1):
            with _said(at):
                done = _call("upload_part", **upload, PartNumber=number, Body=part)
            told.append({"PartNumber": number, "ETag": done["ETag"]})
        whole = {"UploadId": upload["UploadId"], "MultipartUpload": {"Parts": told}}
        return _written(at, "complete_multipart_upload", **new, **whole)
    except BaseException:
        with suppress(Exception):  # it was completed, or the store has to clean up
            _call("abort_multipart_upload", **upload)
        raise


def remove(at: Object, etag: str = "") -> None:
    """Remove an object; with an ETag, only if it is still that one."""
    how = {"IfMatch": etag} if etag else {}
    with suppress(FileExistsError, FileNotFoundError), _said(at):
        _call("delete_object", Bucket=at.bucket, Key=at.key, **how)


def _in_parts(data: Iterable[bytes], most: int) -> Iterator[bytes]:
    waiting = io.BytesIO()
    for each in data:
        waiting.write(each)
        while waiting.tell() >= most:
            whole = waiting.getvalue()
            yield whole[:most]
            waiting = io.BytesIO()
            waiting.write(whole[most:])
    if waiting.tell():
        yield waiting.getvalue()


def _written(at: Object, method: str, **asked: Any) -> str:
    """Return the new object's ETag. A store answers 409 while another write is under way."""
    for last in range(_ATTEMPTS, -1, -1):
        try:
            with _said(at):
                etag: str = _call(method, **asked)["ETag"]
                return etag
        except _Busy:
            if not last:
                break
            time.sleep(_PAUSE_SECONDS)
    raise UserError(f"others write to {shown(str(at))} at the same time; run it again to go on")


def _downloaded(asked: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Return an answer and its body; asked again if it breaks off."""
    from asyncio import IncompleteReadError

    from aiohttp import ClientError
    from fsspec.asyn import sync

    system = _system()

    async def download() -> tuple[dict[str, Any], bytes]:
        found = await system._call_s3("get_object", **asked)
        async with found["Body"] as body:
            return found, await body.read()

    for left in range(_ATTEMPTS, -1, -1):
        try:
            answer: tuple[dict[str, Any], bytes] = sync(system.loop, download)
            return answer
        except (ClientError, IncompleteReadError):
            if not left:
                raise
            time.sleep(_PAUSE_SECONDS)
    raise AssertionError


def _call(method: str, **asked: Any) -> Any:
    return _system().call_s3(method, **asked)


@cache
def _system() -> Any:
    """Return s3fs. Raise UserError if it is not installed, or if nothing says who asks."""
    packages.require("stores", ("fsspec", "s3fs"), "s3:// needs fsspec and s3fs")
    for name in (KEY, SECRET):
        if not os.environ.get(name):
            raise UserError(f"s3:// needs {KEY} and {SECRET} in the environment; {name} is not set")
    import s3fs

    # What matters is said in a sentence; what they would say may have addresses in it.
    for name in ("aiobotocore", "aiohttp", "asyncio", "botocore", "fsspec", "s3fs"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    region = next(filter(None, map(os.environ.get, REGIONS)), None)
    return s3fs.S3FileSystem(
        key=os.environ[KEY],
        secret=os.environ[SECRET],
        token=os.environ.get(TOKEN) or None,
        client_kwargs={"region_name": region} if region else {},
        config_kwargs={
            "connect_timeout": _CONNECT_SECONDS,
            "read_timeout": _READ_SECONDS,
            "max_pool_connections": _CONNECTIONS,
        },
        use_listings_cache=False,
        skip_instance_cache=True,
    )


def _status(size: int, changed: datetime, etag: str) -> os.stat_result:
    """Return what a file's status would be; another ETag is another version."""
    version = int.from_bytes(hashlib.sha256(etag.encode()).digest()[:8], "big")
    return remote_status(size, int(changed.timestamp()), version)


class _Busy(Exception):
    """Another write to the same key is under way."""


class _Nothing(Exception):
    """The object does not have so many bytes."""


@contextmanager
def _said(at: Object) -> Iterator[None]:
    """Turn a library's error into one of ours, which has none of its words."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise _ours(error, at) from None


def _ours(error: Exception, at: Object) -> Exception:
    where, bucket = str(at), shown(f"s3://{at.bucket}")
    code = _code(error)
    if code in _MISSING:
        return FileNotFoundError(errno.ENOENT, "is not there (any more)", where)
    if code in _DENIED:
        return PermissionError(errno.EACCES, "access denied by the store", where)
    if code in _TAKEN:
        return FileExistsError(errno.EEXIST, "is there already", where)
    if code == "InvalidObjectState":
        return PermissionError(errno.EACCES, "is archived; restore it first", where)
    if code == "KeyTooLongError":
        return OSError(errno.ENAMETOOLONG, "name too long", where)
    if code in ("InvalidRange", "416"):
        return _Nothing()
    if code in _BUSY:
        return _Busy()
    if code == "NoSuchBucket":
        return UserError(f"there is no bucket {bucket}; check its name and {ENDPOINT}")
    if code in _NOBODY:
        return UserError(f"the store of {bucket} does not accept {KEY} and {SECRET}; check them")
    if code in _OVER:
        return UserError(
            f"what {TOKEN} allows is over; set {KEY}, {SECRET} and {TOKEN} anew, and run it again "
            "to go on"
        )
    if code == "RequestTimeTooSkewed":
        return UserError(f"the store of {bucket} has another time than this machine; set its clock")
    if code in _ELSEWHERE:
        return UserError(f"{bucket} is in another region; name it by {REGIONS[0]}")
    if code in ("NotImplemented", "501"):
        return UserError(
            f"the store of {bucket} cannot write without overwriting (If-None-Match); use another"
        )
    if code:
        return UserError(f"the store of {bucket} refused a request ({code}); run it again to go on")
    return _without_answer(error, bucket)


def _without_answer(error: Exception, bucket: str) -> UserError:
    from botocore.exceptions import ParamValidationError

    if isinstance(error, ParamValidationError):
        return UserError(f"{bucket} is no name that a bucket can have")
    if isinstance(error, ValueError):
        return UserError(f"{ENDPOINT} is no address such as https://store.example.org:9000")
    name = type(error).__name__
    return UserError(
        f"the store of {bucket} does not answer ({name}); check {ENDPOINT} and the network, and "
        "run it again to go on"
    )


def _code(error: BaseException | None) -> str:
    """Return what the store says is wrong, in one word; "" if it says nothing."""
    while error:
        response = getattr(error, "response", None)
        if isinstance(response, dict):
            code = str(response.get("Error", {}).get("Code", ""))
            return code if _WORD.fullmatch(code) else "an error without a name"
        error = error.__cause__
    return ""
