"""A TIFF's tags are found in any order of bytes and any width; what they say is not believed."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensor_guess.errors import Unreadable
from tensor_guess.images.tiff import HEIGHT, MAKER, WIDTH, Tiff

BYTE, TEXT, SHORT, LONG, FRACTION = 1, 2, 3, 4, 5


def written(
    *tags: tuple[int, int, int, bytes], order: str = "<", big: bool = False, after: int = 0
) -> bytes:
    """A TIFF of one folder: of each tag its number, kind, count and the bytes of its values."""
    wide, narrow = ("Q", 8) if big else ("I", 4)
    start = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}H", 43 if big else 42)
    start += struct.pack(f"{order}HHQ", 8, 0, 16) if big else struct.pack(f"{order}I", 8)
    out = struct.pack(f"{order}{'Q' if big else 'H'}", len(tags))
    far, at = b"", len(start) + len(out) + len(tags) * (4 + 2 * narrow) + narrow
    for number, kind, count, value in tags:
        out += struct.pack(f"{order}HH{wide}", number, kind, count)
        if len(value) > narrow:
            value, far = struct.pack(f"{order}{wide}", at + len(far)), far + value
        out += value.ljust(narrow, b"\0")
    return start + out + struct.pack(f"{order}{wide}", after) + far


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", "<>")
def test_tags_are_read_in_every_form(order: str, big: bool) -> None:
    data = written(
        (WIDTH, SHORT, 1, struct.pack(f"{order}H", 40)),
        (HEIGHT, LONG, 3, struct.pack(f"{order}III", 7, 8, 9)),
        (MAKER, TEXT, 9, b"Somebody\0"),
        (5, FRACTION, 1, struct.pack(f"{order}II", 1, 2)),
        order=order,
        big=big,
    )
    file = Tiff(data)
    (tags,) = file.folders()
    assert file.numbers(tags[WIDTH]) == [40]
    assert file.numbers(tags[HEIGHT]) == [7, 8, 9]
    assert file.numbers(tags[HEIGHT], 2) == [7, 8]
    assert file.numbers(tags[5]) == []
    assert file.numbers(None) == []
    assert file.text(tags[MAKER]) == "Somebody\0"
    file.check()


def test_folders_in_a_circle_are_seen_once() -> None:
    assert len(list(Tiff(written((WIDTH, SHORT, 1, b"\1\0"), after=8)).folders())) == 1


TOO_MUCH = {
    "many tags": (
        written(*((number, BYTE, 1, b"\0") for number in range(1200))),
        "has more than 1000 tags",
    ),
    "many numbers": (
        written((258, SHORT, 1_500_000, bytes(3_000_000))),
        "has a tag of 1500000 numbers; at most 1000000 are read",
    ),
    "many fractions": (
        written((282, FRACTION, 20_000, bytes(160_000))),
        "has a tag of 20000 numbers; at most 10000 are read",
    ),
    "the same bytes many times": (
        struct.pack("<2sHIH", b"II", 42, 8, 900)
        + b"".join(struct.pack("<HHII", 1000 + number, 7, 40_000, 9000) for number in range(900))
        + bytes(50_000),
        "has tags that say more than it has",
    ),
}


@pytest.mark.parametrize(("data", "said"), TOO_MUCH.values(), ids=TOO_MUCH.keys())
def test_what_would_become_much_is_refused_unread(data: bytes, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        Tiff(data).check()


def test_what_is_not_in_the_file_does_no_harm() -> None:
    Tiff(written((258, SHORT, 2**31, b"\xff\xff\xff\xff"))).check()


@given(st.binary(max_size=300), st.sampled_from([b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"]))
def test_any_bytes_are_read_or_not(data: bytes, start: bytes) -> None:
    file = Tiff(start + data)
    for tags in file.folders():
        for tag in tags.values():
            file.numbers(tag)
            file.text(tag)
    with suppress(Unreadable):
        file.check()
