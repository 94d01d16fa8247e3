"""The start of a file of each camera RAW format, and TIFFs of any tags."""

import struct

SHORT, LONG, TEXT, BYTE = 3, 4, 2, 1
WIDTHS = {SHORT: 2, LONG: 4, TEXT: 1, BYTE: 1}

Tag = tuple[int, int, int, int]  # tag, type, count, value


def tiff(*folders: list[Tag], order: str = "<", after: bytes = b"") -> bytes:
    """A TIFF of these directories, one after the other; `after` follows at 8."""
    data = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8 + len(after))
    data += after
    for number, tags in enumerate(folders):
        data += struct.pack(f"{order}H", len(tags))
        for tag, kind, count, value in tags:
            small = kind == SHORT and count == 1
            number_ = struct.pack(f"{order}HH" if small else f"{order}I", *(value, 0)[: 1 + small])
            data += struct.pack(f"{order}HHI", tag, kind, count) + number_
        last = number == len(folders) - 1
        data += struct.pack(f"{order}I", 0 if last else len(data) + 4)
    return data


def of_maker(maker: bytes, colours: int) -> bytes:
    """A thumbnail in the first directory, the sensor's own numbers in one below it."""
    names = maker.ljust(16, b"\0")
    first = [(262, SHORT, 1, 2), (271, TEXT, len(names), 8), (330, LONG, 1, 0)]
    below = 8 + len(names) + 2 + 12 * len(first) + 4
    first[2] = (330, LONG, 1, below)
    return tiff(first, after=names) + tiff([(262, SHORT, 1, colours)])[8:]


RAW = {
    "DNG": tiff([(262, SHORT, 1, 2), (50706, BYTE, 4, 0x00000401)]),
    "CR2": b"II*\0\x10\0\0\0CR\x02\0" + bytes(30),
    "CR3": b"\0\0\0\x18ftypcrx \0\0\0\1" + bytes(30),
    "RAF": b"FUJIFILMCCD-RAW 0201" + bytes(30),
    "ORF": b"IIRO\x08\0\0\0" + bytes(30),
    "RW2": b"IIU\0\x18\0\0\0" + bytes(30),
    "NEF": of_maker(b"NIKON CORPORATION", 32803)[:200],
    "ARW": of_maker(b"SONY", 32803),
    "PEF": of_maker(b"PENTAX K-3", 32803),
    "TIFF/EP": of_maker(b"Somebody", 32803),
}
