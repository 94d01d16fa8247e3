"""Pictures with a time, or with how they are turned, in their EXIF."""

import io
from datetime import datetime
from typing import Any

from PIL import Image, TiffImagePlugin

_MAKE, _ORIENTATION, _EXIF = 271, 0x0112, 0x8769
_TIMES = (0x9003, 0x9291, 0x9011)  # DateTimeOriginal, SubSecTimeOriginal, OffsetTimeOriginal


def timed(data: bytes, *texts: str, kind: str = "JPEG") -> bytes:
    """The picture saved again, with these texts as its date, fraction and zone."""
    exif = Image.Exif()
    exif[_MAKE] = "camera"  # without a tag of its own, Pillow takes it for empty
    times = dict(zip(_TIMES, texts, strict=False))
    exif.get_ifd(_EXIF).update(times)
    tags: dict[str, Any] = {"exif": exif}
    if kind == "TIFF":
        tags = {"tiffinfo": TiffImagePlugin.ImageFileDirectory_v2()}
        tags["tiffinfo"][_EXIF] = times
    file = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        image.convert("RGB").save(file, kind, **tags)
    return file.getvalue()


def text_of(when: datetime) -> str:
    """A time as EXIF writes it, to the second."""
    return when.strftime("%Y:%m:%d %H:%M:%S")


def oriented(data: bytes, orientation: int) -> bytes:
    """The JPEG file, with what EXIF says of how it is turned; its pixels are not touched."""
    exif = Image.Exif()
    exif[_ORIENTATION] = orientation
    body = exif.tobytes()
    return data[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + data[2:]
