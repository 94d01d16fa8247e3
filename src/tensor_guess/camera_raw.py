"""Camera RAW files, which begin as a TIFF or HEIF does: known by what only they have."""

import struct
from collections.abc import Iterator, Mapping

from tensor_guess.errors import Unreadable

# The first bytes of those that are no TIFF.
_STARTS = {
    b"FUJIFILMCCD-RAW": "RAF",
    b"IIU\0": "RW2",
    b"IIRO": "ORF",
    b"IIRS": "ORF",
    b"MMOR": "ORF",
    b"\0MRM": "MRW",
    b"FOVb": "X3F",
}
_BY_MAKER = {
    "NIKON": "NEF",
    "SONY": "ARW",
    "PENTAX": "PEF",
    "RICOH": "PEF",
    "SAMSUNG": "SRW",
    "EPSON": "ERF",
    "HASSELBLAD": "3FR",
    "PHASE ONE": "IIQ",
    "LEAF": "MOS",
    "MAMIYA": "MEF",
    "KODAK": "DCR",
}
# Tags: TIFF 6.0, TIFF/EP (ISO 12234-2) and DNG 1.7.
_COLOURS, _MAKER, _DEEPER, _DNG_VERSION = 262, 271, 330, 50706
_FILTERS, _LINEAR = 32803, 34892  # values of _COLOURS
_LONG, _SHORT = 4, 3
_MAX_FOLDERS, _MAX_TAGS = 32, 1000

Tags = Mapping[int, tuple[int, int, bytes]]  # tag -> type, count, the four bytes of its value


def check(data: bytes) -> None:
    """Raise Unreadable where the bytes are of a camera RAW file, with its kind.

    What such a file shows first is a thumbnail; the picture itself has to be developed.
    """
    kind = _kind(data)
    if kind:
        raise Unreadable(f"is a camera RAW file ({kind}); export it as JPEG")


def _kind(data: bytes) -> str | None:
    for start, kind in _STARTS.items():
        if data.startswith(start):
            return kind
    if data[4:12] == b"ftypcrx ":
        return "CR3"
    if data[:4] in (b"II*\0", b"MM\0*"):
        return _of_tiff(data)
    return None


def _of_tiff(data: bytes) -> str | None:
    if data[8:10] == b"CR":
        return "CR2"
    order = "<" if data[:2] == b"II" else ">"
    maker, raw = "", False
    for tags in _folders(data, order):
        if _DNG_VERSION in tags:
            return "DNG"
        maker = maker or _text(data, order, tags.get(_MAKER))
        raw = raw or bool({_FILTERS, _LINEAR} & set(_numbers(data, order, tags.get(_COLOURS))))
    if not raw:
        return None
    return next((kind for name, kind in _BY_MAKER.items() if maker.startswith(name)), "TIFF/EP")


def _folders(data: bytes, order: str) -> Iterator[Tags]:
    """The tags of each image file directory, those below others too."""
    seen: set[int] = set()
    queue = list(struct.unpack_from(f"{order}I", data, 4)) if len(data) >= 8 else []
    while queue and len(seen) < _MAX_FOLDERS:
        at = queue.pop(0)
        if at in seen or not 8 <= at <= len(data) - 2:
            continue
        seen.add(at)
        count = min(struct.unpack_from(f"{order}H", data, at)[0], _MAX_TAGS)
        end = at + 2 + 12 * count
        if end > len(data):
            continue
        tags = {
            tag: (kind, number, value)
            for tag, kind, number, value in struct.iter_unpack(f"{order}HHI4s", data[at + 2 : end])
        }
        yield tags
        queue += _numbers(data, order, tags.get(_DEEPER))
        queue += struct.unpack_from(f"{order}I", data, end) if end + 4 <= len(data) else ()


def _numbers(data: bytes, order: str, tag: tuple[int, int, bytes] | None) -> list[int]:
    """The first few numbers of a tag, if it has any."""
    if tag is None or tag[0] not in (_LONG, _SHORT):
        return []
    kind, count, value = tag
    count = min(count, _MAX_FOLDERS)
    form = f"{order}{count}{'I' if kind == _LONG else 'H'}"
    found = _bytes(data, order, struct.calcsize(form), value)
    return list(struct.unpack(form, found)) if found else []


def _text(data: bytes, order: str, tag: tuple[int, int, bytes] | None) -> str:
    if tag is None:
        return ""
    found = _bytes(data, order, min(tag[1], 64), tag[2])
    return found.decode("latin1").upper().strip("\0 ")


def _bytes(data: bytes, order: str, length: int, value: bytes) -> bytes:
    """A tag's value: in the tag where it fits into four bytes, else where that points."""
    if length <= 4:
        return value[:length]
    at = struct.unpack(f"{order}I", value)[0]
    return data[at : at + length] if at + length <= len(data) else b""
