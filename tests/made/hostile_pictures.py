"""Pictures that nobody took: each well-formed enough to get past the first look at it."""

import io
import struct
import zlib
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, TypeVar

from PIL import Image

Thing = TypeVar("Thing")
Makers = tuple[Callable[[], bytes], ...]

KINDS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "AVIF")


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def head(width: int, height: int, start: int, components: int = 3) -> bytes:
    """A JPEG's header with the shortest codes there are: each bit 0 is a value."""
    sampled = b"".join(bytes([i + 1, 0x11, 0]) for i in range(components))
    size = struct.pack(">BHHB", 8, height, width, components)
    out = b"\xff\xd8\xff\xdb" + struct.pack(">HB", 67, 0) + bytes([1] * 64)
    out += bytes([0xFF, start]) + struct.pack(">H", 8 + 3 * components) + size + sampled
    for table, symbol in ((0x00, 0x00), (0x10, 0xE0 if start == 0xC2 else 0x00)):
        out += b"\xff\xc4" + struct.pack(">HB", 20, table) + bytes([1] + [0] * 15 + [symbol])
    return out


def scan(components: list[int], first: int, last: int) -> bytes:
    named = b"".join(bytes([each, 0]) for each in components)
    length = struct.pack(">HB", 6 + 2 * len(components), len(components))
    return b"\xff\xda" + length + named + bytes([first, last, 0])


def sequential(width: int, height: int) -> bytes:
    """Three scans of a component each: all coefficients are kept."""
    empty = bytes((2 * (width // 8) * (height // 8) + 7) // 8)
    return (
        head(width, height, 0xC0)
        + b"".join(scan([i], 0, 63) + empty for i in (1, 2, 3))
        + b"\xff\xd9"
    )


def progressive(width: int, height: int, scans: int) -> bytes:
    blocks = (width // 8) * (height // 8)
    more = scan([1], 1, 63) + bytes((15 * -(-blocks // 2**14) + 7) // 8)
    start = head(width, height, 0xC2, 1) + scan([1], 0, 0) + bytes((blocks + 7) // 8)
    return start + more * scans + b"\xff\xd9"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def zeros(rows: int, row: int) -> bytes:
    packed = zlib.compressobj(9)
    return b"".join(packed.compress(bytes(row)) for _ in range(rows)) + packed.flush()


def large_png(width: int, height: int, colours: int = 6) -> bytes:
    size = struct.pack(">IIBBBBB", width, height, 8, colours, 0, 0, 0)
    body = zeros(height, 1 + {2: 3, 6: 4}[colours] * width)
    chunks = chunk(b"IHDR", size) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def float_tiff(width: int, height: int) -> bytes:
    body = zeros(height, 4 * width)
    tags = {256: width, 257: height, 258: 32, 259: 8, 262: 1, 273: 8, 277: 1, 278: height}
    tags |= {279: len(body), 339: 3}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    start = b"II*\0" + struct.pack("<I", 8 + len(body)) + body
    return start + struct.pack("<H", len(tags)) + entries + bytes(4)


def png_header(width: int, height: int) -> bytes:
    """A PNG that says another size than its one pixel."""
    start = b"IHDR" + struct.pack(">II", width, height) + b"\x08\x02\0\0\0"
    rest = encoded(Image.new("RGB", (1, 1)))[33:]
    return b"\x89PNG\r\n\x1a\n\0\0\0\r" + start + struct.pack(">I", zlib.crc32(start)) + rest


# Each is left out, whatever it is beside.
LEFT_OUT: dict[str, Callable[[], bytes]] = {
    "scans.jpg": lambda: progressive(4000, 4000, 500),
    "kept.jpg": lambda: sequential(24_000, 24_000),
    "floats.tif": lambda: float_tiff(9400, 9400),
    "narrow.png": lambda: png_header(1, 80_000_000),
}


# --- many of them


class HostilePictures:
    """Files of every kind, out of parts that are right in themselves: the same ones every time."""

    def __init__(self) -> None:
        self.count = 0
        self._kinds: Makers = (
            self._jpeg, self._png, self._gif, self._bmp, self._tiff, self._webp, self._heif,
        )  # fmt: skip
        small = Image.radial_gradient("L").resize((48, 32))
        colours = Image.merge("RGB", (small, small.rotate(90), small.rotate(180)))
        self._samples = [encoded(colours, kind) for kind in KINDS]
        self._samples += [encoded(colours, "JPEG", progressive=True), encoded(colours, "MPO")]
        self._samples += [encoded(small.convert(mode), "TIFF") for mode in ("1", "L", "CMYK", "F")]
        more = ("tiff_lzw", "tiff_deflate", "jpeg", "packbits", "tiff_adobe_deflate")
        self._samples += [encoded(colours, "TIFF", compression=each) for each in more]
        self._samples += [encoded(small.convert("1"), "TIFF", compression="group4")]
        frames = {"save_all": True, "append_images": [colours.rotate(9), colours.rotate(30)]}
        self._samples += [encoded(colours, kind, **frames) for kind in ("GIF", "WEBP", "AVIF")]
        clear = colours.convert("RGBA")
        clear.putalpha(small)
        self._clear = [encoded(clear, kind) for kind in ("WEBP", "AVIF", "PNG", "TIFF")]
        self._samples += self._clear

    def __repr__(self) -> str:
        return f"hostile picture {self.count}"

    def next(self) -> bytes:
        """The next file."""
        self.count += 1
        self._random = Random(self.count)
        if self._chance(0.3):
            return self._damaged(self._one_of(self._samples))
        data = self._one_of(self._kinds)()
        return self._damaged(data) if self._chance(0.2) else data

    # Numbers and bytes that decoders fear.

    def _one_of(self, among: Sequence[Thing]) -> Thing:
        return self._random.choice(among)

    def _chance(self, of: float) -> bool:
        return self._random.random() < of

    def _mostly(self, usual: Thing, *others: Thing) -> Thing:
        return usual if self._chance(0.85) else self._one_of(others)

    def _side(self, largest: int = 2**32 - 1) -> int:
        """A width or height: mostly small."""
        if self._chance(0.85):
            return self._random.randint(1, 64)
        sides = (0, 1, 255, 256, 1000, 8000, 16_383, 32_767, 65_535, 2**24, 2**31 - 1, 2**32 - 1)
        return min(largest, self._one_of(sides))

    def _number(self, width: int) -> bytes:
        numbers = (0, 1, 2, 8, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 2**31 - 1, 2**32 - 1)
        number = (self._one_of(numbers) % (1 << 8 * width)).to_bytes(width, "big")
        return self._one_of((number, number[::-1]))

    def _bytes(self, most: int = 2000) -> bytes:
        length = self._random.randint(0, self._one_of((4, 64, most)))
        kinds: Makers = (
            lambda: bytes(length),
            lambda: b"\xff" * length,
            lambda: self._random.randbytes(length),
            lambda: (self._random.randbytes(3) * length)[:length],
        )
        return self._one_of(kinds)()

    def _mixed(self, parts: list[bytes]) -> bytes:
        """The parts in a row; some are left out, doubled or elsewhere."""
        while parts and self._chance(0.2):
            at = self._random.randrange(len(parts))
            how = self._random.randrange(4)
            if how == 0:
                del parts[at]
            elif how == 1:
                parts.insert(at, self._one_of(parts))
            elif how == 2:
                parts[at:at] = [parts[at]] * self._random.randint(2, 2000)
            else:
                parts.append(parts.pop(at))
        return b"".join(parts)

    def _damaged(self, data: bytes) -> bytes:
        """The file with some bytes or fields changed, left out or doubled; sums are right again."""
        out = bytearray(data)
        for _ in range(self._random.randint(1, 5)):
            if not out:
                break
            at = self._random.randrange(min(len(out), self._one_of((64, 600, len(out)))))
            how = self._random.randrange(5)
            if how == 0:
                out[at] = self._random.randrange(256)
            elif how == 1:
                number = self._number(self._one_of((1, 2, 4)))
                out[at : at + len(number)] = number
            elif how == 2:
                del out[at : at + self._random.randint(1, 40)]
            elif how == 3:
                out[at:at] = out[at : at + self._random.randint(1, 200)] * self._random.randint(
                    1, 40
                )
            else:
                del out[self._random.randrange(len(out)) :]
        return _with_sums(bytes(out))

    def _exif(self) -> bytes:
        """A TIFF of tags, with an orientation that may be anything."""
        tags = [(0x0112, self._one_of((1, 3, 4, 5, 9, 77)), self._one_of((0, 1, 9, 2**31)))]
        tags += [
            (self._random.randrange(65_536), self._random.randrange(20), self._one_of((1, 2**16)))
        ]
        order = self._one_of("<>")
        out = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(tags))
        for tag, kind, count in tags:
            out += struct.pack(f"{order}HHI", tag, kind, count) + self._number(4)
        return out + self._number(4) + self._bytes()

    # The kinds.

    def _jpeg(self) -> bytes:
        def segment(marker: int, data: bytes) -> bytes:
            length = len(data) + 2 if self._chance(0.98) else self._random.randrange(70_000)
            return bytes([0xFF, marker]) + struct.pack(">H", length % 65_536) + data

        def scanned(named: list[int]) -> bytes:
            parts = bytes([len(named)]) + b"".join(bytes([each, 0]) for each in named)
            bands = self._one_of(((0, 0), (1, 63), (1, 5))) if frame == 0xC2 else (0, 63)
            first, last = self._mostly(bands, (1, 63), (63, 0), (64, 255))
            high = self._mostly(0, 0x10, 0x21, 0xFF)
            stuffed = self._one_of((b"\xff", b"\xff\0", b"\xff\xd0"))
            data = bytes(9000) if self._chance(0.7) else self._bytes().replace(b"\xff", stuffed)
            return segment(0xDA, parts + bytes([first, last, high])) + data

        count = self._mostly(self._one_of((1, 3, 4)), 0, 2, 255)
        sampled = b"".join(
            bytes([i % 256, self._mostly(0x11, 0x22, 0x21, 0x14, 0x44, 0, 0xFF), 0])
            for i in range(count)
        )
        height, width = self._side(65_535), self._side(65_535)
        size = struct.pack(">BHHB", self._mostly(8, 12, 16), height, width, count)
        frame = self._mostly(self._one_of((0xC0, 0xC2)), 0xC1, 0xC3, 0xC5, 0xC9, 0xCA)
        shortest = bytes([1] + [0] * 15)
        tables = [
            segment(0xC4, bytes([table]) + self._mostly(shortest, bytes([0, 255] * 8)) + symbol)
            for table in (0x00, 0x10)
            for symbol in (self._mostly(b"\0", b"\xe0", b"\xf0", self._bytes(300)),)
        ]
        named = list(range(min(count, 4)))
        whole = self._chance(0.6)
        scans = [scanned(named if whole else [each]) for each in named]
        extras: Makers = (
            lambda: segment(0xE0, b"JFIF\0\1\1\0" + self._bytes(20)),
            lambda: segment(0xE1, b"Exif\0\0" + self._exif()),
            lambda: segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + self._bytes()),
            lambda: segment(0xE2, b"ICC_PROFILE\0" + self._bytes()),
            lambda: segment(0xE2, b"MPF\0" + self._exif()),
            lambda: segment(0xED, b"Photoshop 3.0\0" + b"8BIM" * self._random.randrange(9)),
            lambda: segment(0xEE, b"Adobe\0\x64\0\0\0\0" + self._number(1)),
            lambda: segment(0xDD, self._number(2)),
            lambda: segment(0xFE, self._bytes()),
            lambda: segment(0xDC, self._number(2)),
        )
        parts = [self._one_of(extras)() for _ in range(self._random.randrange(5))]
        parts += [segment(0xDB, b"\0" + bytes([1] * 64)), segment(frame, size + sampled)]
        return b"\xff\xd8" + self._mixed(parts + tables + scans) + b"\xff\xd9"

    def _png(self) -> bytes:
        width, height = self._side(), self._side()
        usual = self._one_of(((8, 2), (8, 6), (16, 6), (1, 0), (16, 0), (8, 3), (2, 3), (16, 4)))
        bits, colours = self._mostly(usual, (3, 3), (16, 3), (2, 6))
        start = struct.pack(">IIBB", width, height, bits, colours)
        start += bytes([0, 0, self._mostly(self._one_of((0, 1)), 2, 255)])
        row = 1 + width * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colours] * bits // 8
        length = min(row * height, self._mostly(4_000_000, 0, 100, 10_000))
        body = zlib.compress(bytes(length)) if self._chance(0.9) else self._bytes()
        text = zlib.compress(bytes(self._mostly(10, 900_000, 2_000_000)))
        extras: Makers = (
            lambda: chunk(b"tRNS", self._bytes(300)),
            lambda: chunk(b"PLTE", self._bytes(1000)),
            lambda: chunk(b"iCCP", b"name\0\0" + text),
            lambda: chunk(b"zTXt", b"word\0\0" + text),
            lambda: chunk(b"iTXt", b"word\0\1\0\0\0" + text),
            lambda: chunk(b"eXIf", self._exif()),
            lambda: chunk(b"acTL", self._number(4) * 2),
            lambda: chunk(
                b"fcTL", bytes(4) + struct.pack(">IIII", width, height, *self._far()) + bytes(6)
            ),
            lambda: chunk(b"fdAT", bytes(4) + body),
            lambda: chunk(b"gAMA", self._bytes(8)),
            lambda: chunk(b"abCd", self._bytes(100)),
            lambda: chunk(b"IHDR", start),
        )
        parts = [chunk(b"IHDR", start)]
        parts += [self._one_of(extras)() for _ in range(self._random.randrange(5))]
        at = self._random.randrange(len(body) + 1)
        parts += [chunk(b"IDAT", body[:at]), chunk(b"IDAT", body[at:])]
        return b"\x89PNG\r\n\x1a\n" + self._mixed(parts) + chunk(b"IEND", b"")

    def _far(self) -> tuple[int, int]:
        return self._side(), self._side()

    def _gif(self) -> bytes:
        def blocks(data: bytes) -> bytes:
            pieces = (data[at : at + 255] for at in range(0, len(data), 255))
            return b"".join(bytes([len(piece)]) + piece for piece in pieces) + b"\0"

        def frame() -> bytes:
            places = struct.pack("<HHHH", *(self._side(65_535) for _ in range(4)))
            if self._chance(0.6):
                places = struct.pack("<HHHH", 0, 0, width, height)
            flags = self._one_of((0, 0, 0x40, 0x87, 0xFF))
            colours = bytes(6 << (flags & 7)) if flags & 0x80 else b""
            data = self._mostly(b"\x04" + bytes(width * height % 9000), self._bytes(), b"\x44\1")
            least = self._mostly(2, 8, 0, 1, 11, 12, 13)
            return b"," + places + bytes([flags]) + colours + bytes([least]) + blocks(data)

        width, height = self._side(65_535), self._side(65_535)
        flags = self._one_of((0x80, 0x80, 0x00, 0xF7))
        start = self._one_of((b"GIF89a", b"GIF87a")) + struct.pack("<HH", width, height)
        start += bytes([flags, self._random.randrange(4), 0])
        start += bytes(6 << (flags & 7)) if flags & 0x80 else b""
        extras: Makers = (
            lambda: b"!\xf9\x04" + bytes([self._random.randrange(256), 0, 0, 1]) + b"\0",
            lambda: b"!\xfe" + blocks(self._bytes(20_000)),
            lambda: b"!\xff\x0bNETSCAPE2.0" + blocks(b"\1\0\0"),
            lambda: b"!" + self._number(1) + blocks(self._bytes()),
            lambda: self._bytes(20),
        )
        parts = [self._one_of(extras)() for _ in range(self._random.randrange(4))]
        return start + self._mixed([*parts, frame(), frame()]) + b";"

    def _bmp(self) -> bytes:
        width, height = self._side(2**31 - 1), self._side(2**31 - 1)
        height = -height if self._chance(0.2) else height
        usual = self._one_of(((24, 0), (8, 0), (8, 1), (4, 2), (1, 0), (32, 3), (16, 3), (32, 0)))
        bits, compression = self._mostly(usual, (0, 0), (64, 0), (2, 0), (8, 4), (4, 1), (24, 6))
        runs = (
            b"\1\5\0\0",
            b"\xff\5",
            b"\0\2\xff\xff",
            b"\0\xff",
            b"\0\1",
            b"\0\0",
            b"\2\1\0\4abcd",
        )
        data = bytes(min(width * abs(height) * 4, 9000)) if self._chance(0.8) else self._bytes()
        if compression in (1, 2):
            data = b"".join(self._one_of(runs) for _ in range(self._one_of((3, 3000))))
        length = self._mostly(40, 52, 56, 64, 108, 124, 41)
        used = self._mostly(0, 1, 256, 2**31)
        rest = struct.pack(
            "<iiHHIIiiII", width, height, 1, bits, compression, len(data), 0, 0, used, 0
        )
        rest += self._bytes(100).ljust(length, b"\0")[: length - 40]
        if self._chance(0.2):
            length, rest = 12, struct.pack("<HHHH", width % 65_536, abs(height) % 65_536, 1, bits)
        palette = bytes(4 * (1 << bits)) if bits <= 8 else b""
        offset = self._mostly(14 + length + len(palette), 0, 14, 2**31)
        start = b"BM" + struct.pack("<IHHI", self._one_of((0, 54 + len(data))), 0, 0, offset)
        return start + struct.pack("<I", length) + rest + palette + data

    def _tiff(self) -> bytes:
        big, order = self._chance(0.2), self._one_of("<>")
        wide = "Q" if big else "I"
        usual = self._one_of(
            (
                (8, 1, 1),
                (8, 3, 2),
                (8, 4, 5),
                (16, 1, 1),
                (1, 1, 0),
                (8, 1, 3),
                (32, 1, 1),
                (8, 4, 2),
            )
        )
        odd = ((12, 1, 1), (64, 1, 1), (16, 3, 2), (8, 3, 6), (8, 3, 8), (8, 2, 1), (8, 5, 32845))
        bits, samples, colours = self._mostly(usual, *odd)
        width, height = self._side(), self._side()
        rows = self._mostly(height, 1, 0, 2**32 - 1)
        compression = self._one_of(
            (
                1,
                1,
                2,
                3,
                4,
                5,
                6,
                7,
                8,
                32766,
                32773,
                32809,
                32909,
                32946,
                34676,
                34925,
                50000,
                50001,
            )
        )
        length = min(width * height * samples * bits // 8, 2_000_000)
        packed = zlib.compress(bytes(length))
        pixels = sequential(min(width, 500), min(height, 500))
        body = {1: bytes(min(length, 100_000)), 8: packed, 32946: packed, 7: pixels, 6: pixels}
        data = body.get(compression, self._bytes(20_000))
        start = 16 if big else 8
        tags: dict[int, tuple[int, list[int]]] = {
            256: (4, [width]), 257: (4, [height]), 258: (3, [bits] * self._mostly(samples, 1, 9)),
            259: (3, [compression]), 262: (3, [colours]),
            273: (4, [start]), 277: (3, [samples]), 278: (4, [rows]), 279: (4, [len(data)]),
            284: (3, [self._mostly(1, 2)]), 339: (3, [3 if bits == 32 else self._mostly(1, 2, 4)]),
        }  # fmt: skip
        more: dict[int, tuple[int, list[int]]] = {
            266: (3, [2]), 274: (3, [self._random.randrange(20)]), 281: (3, [self._side(65_535)]),
            282: (5, [1, 0] * self._one_of((1, 30))), 317: (3, [self._one_of((1, 2, 3))]),
            320: (3, [0] * self._one_of((3, 768))), 322: (4, [self._side()]),
            323: (4, [self._side()]),
            324: (4, [start] * self._one_of((1, 3))), 325: (4, [len(data)]), 330: (4, [start]),
            338: (3, [self._random.randrange(3)]), 530: (3, [self._one_of((1, 2, 4)), 2]),
            34665: (4, [start]), 700: (1, [60] * 30), 347: (7, list(pixels[:300])),
        }  # fmt: skip
        for tag in self._random.sample(sorted(more), self._random.randrange(5)):
            tags[tag] = more[tag]
        if self._chance(0.1):
            del tags[self._one_of(sorted(tags))]
        entries, far = b"", b""
        after = (
            start
            + len(data)
            + (8 if big else 2)
            + len(tags) * (20 if big else 12)
            + (8 if big else 4)
        )
        for tag, (kind, values) in sorted(tags.items()):
            form = {1: "B", 3: "H", 4: "I", 5: "I", 7: "B"}[kind]
            value = struct.pack(
                f"{order}{len(values)}{form}", *(v % 256 ** struct.calcsize(form) for v in values)
            )
            count = len(values) // (2 if kind == 5 else 1)
            if self._chance(0.03):
                count = self._one_of((0, 2, 70_000, 2**31))
            if len(value) > (8 if big else 4):
                value, far = struct.pack(f"{order}{wide}", after + len(far)), far + value
            entries += struct.pack(f"{order}HH{wide}", tag, kind, count) + value.ljust(
                8 if big else 4, b"\0"
            )
        folder = struct.pack(f"{order}{'Q' if big else 'H'}", len(tags)) + entries
        following = self._one_of((0, 0, start + len(data)))  # itself
        first = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}H", 43 if big else 42)
        first += struct.pack(
            f"{order}HHQ" if big else f"{order}I", *((8, 0) if big else ()), start + len(data)
        )
        return first + data + folder + struct.pack(f"{order}{wide}", following) + far

    def _webp(self) -> bytes:
        def part(kind: bytes, data: bytes) -> bytes:
            length = len(data) if self._chance(0.95) else self._random.randrange(2**31)
            return kind + struct.pack("<I", length) + data + b"\0" * (len(data) % 2)

        def three(number: int) -> bytes:
            return (number % 2**24).to_bytes(3, "little")

        def lossy() -> bytes:
            sides = struct.pack("<HH", width % 16_384, height % 16_384)
            return part(b"VP8 ", b"\x30\1\0\x9d\1\x2a" + sides + self._bytes())

        def lossless() -> bytes:
            sides = (
                (width - 1) % 16_384 | (height - 1) % 16_384 << 14 | self._random.randrange(2) << 28
            )
            return part(b"VP8L", b"\x2f" + struct.pack("<I", sides) + self._bytes())

        width, height = self._side(2**24), self._side(2**24)
        real = self._one_of(
            [each for each in (*self._samples, *self._clear) if each[8:12] == b"WEBP"]
        )
        extras: Makers = (
            lossy, lossless, lambda: real[12:], lambda: real[30:],
            lambda: part(b"ALPH", self._number(1) + self._bytes()),
            lambda: part(b"ANIM", bytes(6)),
            lambda: part(b"ANMF", b"".join(three(self._side()) for _ in "12345") + bytes(1)),
            lambda: part(b"EXIF", self._exif()),
            lambda: part(b"ICCP", self._bytes()),
            lambda: part(b"XMP ", self._bytes()),
        )  # fmt: skip
        flags = self._random.randrange(256)
        parts = [part(b"VP8X", bytes([flags, 0, 0, 0]) + three(width - 1) + three(height - 1))]
        parts += [self._one_of(extras)() for _ in range(self._random.randint(1, 4))]
        if self._chance(0.5):  # without the extended header
            parts = [self._one_of(extras[:3])()]
        body = self._mixed(parts)
        return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body

    def _heif(self) -> bytes:
        """An AVIF whose boxes are changed; as HEIC, the same with other names."""
        data = self._one_of([each for each in self._samples if each[4:8] == b"ftyp"])
        if self._chance(0.4):
            names = ((b"avif", b"heic"), (b"av01", b"hvc1"), (b"av1C", b"hvcC"), (b"avis", b"hevc"))
            for old, new in names:
                data = data.replace(old, new)
        out = bytearray(self._boxes(data, 0))
        while self._chance(0.4):
            name = self._one_of(
                (b"ispe", b"iloc", b"pixi", b"av1C", b"hvcC", b"ipma", b"iref", b"stsz")
            )
            if (at := out.find(name)) > 0:
                number = self._number(self._one_of((1, 2, 4)))
                at += self._random.randint(4, 24)
                out[at : at + len(number)] = number
        return bytes(out)

    def _boxes(self, data: bytes, depth: int) -> bytes:
        parts, at = [], 0
        while at + 8 <= len(data) and (length := int.from_bytes(data[at : at + 4], "big")) >= 8:
            kind, body = data[at + 4 : at + 8], data[at + 8 : at + length]
            skip = {b"meta": 4, b"iprp": 0, b"ipco": 0, b"moov": 0, b"trak": 0}.get(kind)
            if skip is not None and self._chance(0.5):
                body = body[:skip] + self._boxes(body[skip:], depth + 1)
            parts.append(struct.pack(">I", len(body) + 8) + kind + body)
            at += length
        if self._chance(0.05) and depth < 1000:
            parts.insert(0, struct.pack(">I", self._random.randrange(2**32)) + b"free")
        return self._mixed(parts) if depth or self._chance(0.2) else b"".join(parts)


def _with_sums(data: bytes) -> bytes:
    """A PNG whose chunks have the right sums again, so that the decoder goes on."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    out, at = data[:8], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if at + 12 + length > len(data):
            break
        out += chunk(data[at + 4 : at + 8], data[at + 8 : at + 8 + length])
        at += 12 + length
    return out + data[at:]
