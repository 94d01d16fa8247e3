"""What goes with a picture: which names of one folder are one unit, and how they end elsewhere.

A live photo has a video beside it, a camera writes a RAW file too, and programs keep what they know
in sidecars. Extensions are compared without case, all else exactly. Nothing here touches a file.
"""

import os
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import groupby

from tensor_guess.images import camera_raw

# A smaller number is likelier to be the picture that others with the same stem belong to.
_RANKS = dict.fromkeys(("heic", "heif", "hif"), 0) | dict.fromkeys(("jpg", "jpeg", "jpe"), 1)
_WITH_RAW = 1
_RANKS |= dict.fromkeys(("png", "gif", "bmp", "webp", "tif", "tiff", "avif"), 2)
_RANKS |= dict.fromkeys(camera_raw.EXTENSIONS, 3)
_ANY = 3
# What belongs to `a.jpg` if it is called `a.jpg.xmp`, and if it is called `a.xmp`: the latter to a
# picture of at most this rank.
_WHOLE = frozenset({"xmp", "json", "pp3"})
_STEM = {"mov": _WITH_RAW, "mp4": _WITH_RAW, "xmp": _ANY, "aae": _ANY, "thm": _ANY}
_STEM |= dict.fromkeys(camera_raw.EXTENSIONS, _WITH_RAW)


def units(names: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the names of one folder, which are sorted: each with its companions, in that order.

    Each name comes once. A name that is nobody's companion has none, or some.
    """
    for head, block in groupby(names, key=lambda name: name.partition(".")[0]):
        # What may go together begins alike up to the first dot, and so is together, but for a name
        # without a dot: `a`, `a 2.jpg`, `a.xmp`.
        own = list(block)
        if own == [head]:
            dotted = _from(names, f"{head}.")
            found = _of_block([head, *dotted]) if dotted else iter([(head, ())])
            yield next(each for each in found if each[0] == head)
        elif own[0] != head and _has(names, head):
            yield from (each for each in _of_block([head, *own]) if each[0] != head)
        else:
            yield from _of_block(own)


def may_be(name: str) -> bool:
    """Return whether a file of this name may go with a picture."""
    return _extension(name) in _STEM or _extension(name) in _WHOLE


def ending(picture: str, companion: str, suffix: str) -> str:
    """Return how a companion's name ends after the stem, where the picture's ends with `suffix`.

    `a.jpg`, `a.jpg.xmp`, `.png` -> `.png.xmp`.
    """
    if companion.startswith(f"{picture}."):
        return suffix + companion[len(picture) :]
    return companion[len(os.path.splitext(picture)[0]) :]


def _of_block(names: Sequence[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    if len(names) == 1:
        yield names[0], ()
        return
    there, stems = frozenset(names), dict[str, list[str]]()
    for name in names:
        if _extension(name) in _RANKS:
            stems.setdefault(os.path.splitext(name)[0], []).append(name)
    found = dict[str, list[str]]()
    endings = set[tuple[str, str]]()
    for name in names:
        picture = name
        while owner := _owner(picture, there, stems):
            picture = owner
        # Two that differ in case only can be one name elsewhere.
        like = picture, ending(picture, name, "/").casefold()
        if picture == name or like in endings:
            found.setdefault(name, [])
        else:
            endings.add(like)
            found.setdefault(picture, []).append(name)
    for name in names:
        if name in found:
            yield name, tuple(found[name])


def _owner(name: str, there: frozenset[str], stems: dict[str, list[str]]) -> str | None:
    """Return the name that this one belongs to directly."""
    stem, extension = os.path.splitext(name)[0], _extension(name)
    if extension in _WHOLE and stem in there:
        return stem
    rank = _STEM.get(extension)
    if rank is None:
        return None
    own = [(_RANKS[_extension(each)], each) for each in stems.get(stem, []) if each != name]
    return next((each for found, each in sorted(own) if found <= rank), None)


def _extension(name: str) -> str:
    return os.path.splitext(name)[1][1:].lower()


def _has(names: Sequence[str], name: str) -> bool:
    at = bisect_left(names, name)
    return at < len(names) and names[at] == name


def _from(names: Sequence[str], start: str) -> list[str]:
    """Return all that begin so."""
    at, found = bisect_left(names, start), list[str]()
    while at < len(names) and names[at].startswith(start):
        found.append(names[at])
        at += 1
    return found
