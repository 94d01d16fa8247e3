"""The contact sheet of a heap: its groups as small pictures, in one page that loads nothing."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from tensor_guess.errors import shown
from tensor_guess.images.thumbnails import thumbnails

MARK = b'<meta name="generator" content="tensor-guess heap">'
HEAD = 256  # the mark is within so many bytes

# The most pictures of a page; up to so many, the longer side of each has so many pixels.
_SIZES = ((150, 160), (400, 112), (800, 96))
_MOST = _SIZES[-1][0]
_MOST_LEFT_OUT = 200


@dataclass(frozen=True)
class Shown:
    """A picture in DEST: `source` is its file in SRC, `name` its new name.

    `copy_of`: the name of what it is a near copy of, or "". `chosen`: whether to label it first.
    """

    source: Path
    name: str
    copy_of: str = ""
    chosen: bool = False


def page(
    title: str,
    groups: Mapping[str, Sequence[Shown]],
    outliers: Sequence[Shown],
    left_out: Sequence[str],
) -> bytes:
    """Return the page as HTML; the same pictures give the same bytes.

    `groups`: the pictures of each, by its folder's name. If there are many, each group has its
    share of what is shown, the first ones. `left_out`: a sentence for each file that was.
    """
    wanted = _some([*groups.values(), outliers])
    size = next(size for most, size in _SIZES if len(wanted) <= most)
    small = thumbnails([each.source for each in wanted], size)
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["shown"] = shown
    template = environment.from_string(
        Path(__file__).with_name("contact_sheet.html").read_text("utf-8")
    )
    text = template.render(
        mark=MARK.decode(),
        title=title,
        groups=groups,
        outliers=outliers,
        visible=set(wanted),
        pictures={path: b64encode(data).decode() for path, data in small.items()},
        chosen=[each for own in groups.values() for each in own if each.chosen],
        left_out=left_out,
        most_left_out=_MOST_LEFT_OUT,
    )
    return text.encode("utf-8", "backslashreplace")


def is_ours(start: bytes) -> bool:
    """Return whether a file that starts like this was made by `page`."""
    return MARK in start[:HEAD]


def _some(lists: Sequence[Sequence[Shown]]) -> list[Shown]:
    """Return what is shown: those to label first, then by turns the first of each list."""
    chosen = [each for own in lists for each in own if each.chosen]
    turns = [each for turn in zip_longest(*lists) for each in turn if each]
    return list(dict.fromkeys([*chosen, *turns]))[:_MOST]
