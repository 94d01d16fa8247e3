"""Pictures and videos with faces: drawn, so that they need no photos."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Pixels = NDArray[np.uint8]
WALL = (96, 120, 110)


def face(
    size: int = 200, *, skin: tuple[int, int, int] = (214, 170, 140), look: float = 0
) -> Image.Image:
    """A face from the front on a wall, well enough drawn for OpenCV's cascade.

    `look`: by how much of the size the eyes look to the right.
    """
    side = 4 * size
    image = Image.new("RGB", (side, side), WALL)
    draw = ImageDraw.Draw(image)

    def ellipse(x: float, y: float, wide: float, high: float, colour: tuple[int, ...]) -> None:
        draw.ellipse(
            [side * (x - wide), side * (y - high), side * (x + wide), side * (y + high)], colour
        )

    dark = tuple(each * 3 // 5 for each in skin)
    ellipse(0.5, 0.42, 0.36, 0.42, (52, 38, 30))  # hair
    ellipse(0.5, 0.53, 0.31, 0.41, skin)
    for eye in (0.36, 0.64):
        ellipse(eye, 0.44, 0.095, 0.06, dark)
        draw.rectangle(
            [side * (eye - 0.09), side * 0.345, side * (eye + 0.09), side * 0.375], (60, 44, 36)
        )
        ellipse(eye, 0.45, 0.065, 0.03, (238, 236, 230))
        ellipse(eye + look, 0.45, 0.03, 0.03, (40, 28, 24))
    ellipse(0.5, 0.62, 0.055, 0.03, dark)
    ellipse(0.5, 0.55, 0.028, 0.09, tuple(min(255, each + 22) for each in skin))
    ellipse(0.5, 0.76, 0.12, 0.035, (150, 70, 70))
    draw.line([side * 0.39, side * 0.76, side * 0.61, side * 0.76], (80, 40, 40), side // 90)
    return image.resize((size, size), Image.Resampling.LANCZOS)


def scene(*faces: tuple[Image.Image, int, int], size: tuple[int, int] = (640, 480)) -> Pixels:
    """A wall with faces at these places (of their left upper corners): [H, W, 3]."""
    image = Image.new("RGB", size, WALL)
    for each, x, y in faces:
        image.paste(each, (x, y))
    return np.asarray(image)


def blurred(face: Image.Image) -> Image.Image:
    """The face, out of focus."""
    return face.filter(ImageFilter.GaussianBlur(face.width / 40))


def write_video(
    path: Path,
    images: Sequence[Pixels],
    times: Sequence[Fraction] | None = None,
    *,
    rotation: int = 0,
    codec: str = "mpeg4",
    options: dict[str, str] | None = None,
) -> Path:
    """Write a video of 10 frames a second, or of frames at these times in seconds.

    `rotation`: by how many degrees, anticlockwise, a player is to turn it.
    """
    base = Fraction(1, 1000)
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=10)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt, stream.bit_rate = "yuv420p", 4_000_000
        stream.codec_context.time_base = base
        if rotation:
            stream.set_display_rotation(rotation)
        for number, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")
            frame.time_base = base
            frame.pts = round((times[number] if times else Fraction(number, 10)) / base)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
