"""The frames of a stranger's video, or of a camera: upright RGB pixels with their times."""

import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tensor_guess.errors import Unreadable, UserError, counted, reason_of, shown, words_of
from tensor_guess.faces import optional
from tensor_guess.images.pixels import LONGEST
from tensor_guess.system import limited, reading
from tensor_guess.system.confinement import CAN_HIDE, hide

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer

# A frame of 4096 x 2304, in which cameras record; bytes for decoding it, with those that it refers
# to; seconds of the processor's time, enough for about an hour of 1920 x 1080; frames.
MAX_PIXELS = 10_000_000
_MEMORY = 1_000_000_000
_SECONDS = 1800
_MOST = 200_000
# Only these are opened: others lead to more files and to the internet (playlists), or to devices.
_FORMATS = "mov,mp4,matroska,webm,avi,mpegts,mpeg,flv,asf,ogg"
# How many seconds earlier than declared the last frame may end.
_TOLERANCE = Fraction(1, 2)
# For how many seconds faces are looked for before a camera.
_CAMERA_SECONDS = 600
# How Matroska and WebM, MPEG, Flash, Ogg and ASF start; brands that make an MP4 HEIC or AVIF.
_STARTS = (b"\x1a\x45\xdf\xa3", b"\0\0\1\xba", b"FLV\1", b"OggS", b"\x30\x26\xb2\x75")
_PICTURES = {b"heic", b"heix", b"heim", b"heis", b"mif1", b"avif"}
# Time as a fraction, height and width; then the pixels.
_HEAD = struct.Struct("<qqII")


@dataclass(frozen=True)
class Frame:
    """A frame: when it is shown, in seconds from the start, and its pixels [H, W, 3], upright."""

    seconds: Fraction
    image: NDArray[np.uint8]


def clock(seconds: Fraction) -> str:
    """Return the time as a player shows it, with milliseconds: `0:01.000`, `1:02:03.500`."""
    minutes, thousandths = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    start = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{start}:{thousandths // 1000:02}.{thousandths % 1000:03}"


def is_video(path: Path) -> bool:
    """Return whether the file starts as a video does; False if it cannot be read."""
    try:
        with reading.opened(path) as file:
            start = file.read(400)
    except Unreadable:
        return False
    if start[4:8] == b"ftyp":
        return start[8:12] not in _PICTURES
    return (
        start.startswith(_STARTS)
        or start[4:8] in (b"moov", b"mdat", b"wide")
        or (start.startswith(b"RIFF") and start[8:12] == b"AVI ")
        # MPEG-TS has one every 188 bytes.
        or start[:1] == start[188:189] == start[376:377] == b"G"
    )


def frames(path: Path, every: Fraction | None = None) -> Iterator[Frame]:
    """Yield the frames of the video in their order; with `every`, the first of each such time.

    The longer side has at most LONGEST pixels. The video is decoded in a process of its own, within
    limits. Raise Unreadable if it cannot be read or is too large; if it is damaged or cut off,
    after the last frame that could be read. Raise UserError without PyAV.
    """
    optional.require()
    import av  # here, so that it is loaded once and not in every process

    av.logging.set_level(None)
    with reading.opened(path) as file:
        if not limited.CAN_FORK:
            yield from _decoded(file, every)
            return
        for piece in limited.stream(partial(_apart, file, every), _MEMORY, _SECONDS):
            above, below, height, width = _HEAD.unpack_from(piece)
            image = np.frombuffer(piece, np.uint8, offset=_HEAD.size)
            yield Frame(Fraction(above, below), image.reshape(height, width, 3))


def camera(device: Path) -> Iterator[Frame]:
    """Yield what the camera (`/dev/video0`) sees, for ten minutes at most.

    Raise UserError if there is none, or if it cannot be used.
    """
    optional.require()
    import av

    end = time.monotonic() + _CAMERA_SECONDS
    try:
        with av.open(str(device), format="video4linux2") as container:
            film = _Film(container)
            for seconds, frame in film.frames():
                yield Frame(seconds, film.upright(frame))
                if time.monotonic() > end:
                    return
    except (av.error.FFmpegError, ValueError) as error:
        raise UserError(
            f"could not use the camera {shown(device)}: {_words(error)}; check that it is one, "
            "that no other program uses it, and that you are in its group (`ls -l` shows which)"
        ) from error


def _apart(file: FileIO, every: Fraction | None) -> Iterator[bytes]:
    if CAN_HIDE:
        try:
            hide([])
        except UserError as error:
            raise Unreadable(str(error)) from error
    for frame in _decoded(file, every):
        head = _HEAD.pack(*frame.seconds.as_integer_ratio(), *frame.image.shape[:2])
        yield head + frame.image.tobytes()


def _decoded(file: FileIO, every: Fraction | None) -> Iterator[Frame]:
    """Yield the frames. Raise Unreadable as `frames` does."""
    import av

    try:
        container = av.open(file, "r", options={"format_whitelist": _FORMATS})
    except (av.error.FFmpegError, ValueError) as error:
        raise Unreadable(f"is no video, or its index is missing: {_words(error)}") from error
    with container:
        film, last, due = _Film(container), Fraction(0), Fraction(0)
        try:
            for count, (last, frame) in enumerate(film.frames()):
                if count == _MOST:
                    raise Unreadable(f"has more than {_MOST} frames; only these were read")
                if every is None or last >= due:
                    yield Frame(last, film.upright(frame))
                    due = last if every is None else every * (last // every + 1)
        except (av.error.FFmpegError, ValueError) as error:
            raise Unreadable(f"is damaged after {clock(last)}: {_words(error)}") from error
        if film.duration > last + film.each + _TOLERANCE:
            raise Unreadable(f"ends early: at {clock(last)} of {clock(film.duration)}")
        if film.damaged:
            raise Unreadable(f"is damaged: {counted(film.damaged, 'part')} could not be decoded")


class _Film:
    """The first video stream of an opened file. Raise Unreadable if it has none, or too large."""

    def __init__(self, container: "InputContainer") -> None:
        if not container.streams.video:
            raise Unreadable("has no pictures, only sound")
        self._container, self._stream = container, container.streams.video[0]
        self._check(self._stream.width, self._stream.height)
        self.damaged = 0

    @property
    def duration(self) -> Fraction:
        """Return the declared duration in seconds; 0 if it is not known."""
        if self._stream.duration and self._stream.time_base:
            return self._stream.duration * self._stream.time_base
        # That of the file may be that of its sound.
        alone = len(self._container.streams) == 1
        return Fraction(self._container.duration or 0, 1_000_000) if alone else Fraction(0)

    @property
    def each(self) -> Fraction:
        """Return how long a frame is shown, in seconds, on average; 0 if it is not known."""
        rate = self._stream.average_rate
        return 1 / rate if rate else Fraction(0)

    def frames(self) -> Iterator[tuple[Fraction, "VideoFrame"]]:
        """Yield the frames with their times; count the damaged parts that are passed over."""
        import av

        start = self._stream.start_time or 0
        for packet in self._container.demux(self._stream):
            try:
                found = packet.decode()
            except av.error.InvalidDataError:
                self.damaged += 1
                continue
            for frame in found:
                base = frame.time_base or self._stream.time_base or Fraction(1)
                yield ((frame.pts or start) - start) * base, frame

    def upright(self, frame: "VideoFrame") -> NDArray[np.uint8]:
        """Return the pixels as a player shows them: turned, and with square pixels."""
        self._check(frame.width, frame.height)  # it may change
        wide = self._stream.sample_aspect_ratio or 1
        shape = frame.width * (wide if Fraction(1, 4) < wide < 4 else 1), frame.height
        shrink = max(1, max(shape) / LONGEST)
        width, height = (max(1, round(side / shrink)) for side in shape)
        image = frame.reformat(width, height, "rgb24", interpolation="AREA").to_ndarray()
        return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90)))

    def _check(self, width: int, height: int) -> None:
        if width * height > MAX_PIXELS:
            raise Unreadable(
                f"has {width * height // 1_000_000} megapixels a frame; "
                f"at most {MAX_PIXELS // 1_000_000} fit"
            )


def _words(error: Exception) -> str:
    import av

    if isinstance(error, av.error.FFmpegError):
        return reason_of(OSError(error.errno, error.strerror))
    return words_of(error)
