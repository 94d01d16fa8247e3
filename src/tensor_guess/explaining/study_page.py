"""The page of a study: findings first, then the pictures; one file that loads nothing."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from tensor_guess.errors import shown
from tensor_guess.images.thumbnails import jpeg

MARK = b'<meta name="generator" content="tensor-guess study">'
HEAD = 256  # the mark is within so many bytes
_STYLE = """
:root { color-scheme: light dark;
  --ground: #fff; --text: #1b1d21; --soft: #50555e; --line: #c9ccd3; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #15171b; --text: #e9eaee; --soft: #b3b8c2; --line: #474d58; }
}
body { margin: 0 auto; max-width: 70rem; padding: 0 1rem 2rem; background: var(--ground);
  color: var(--text); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.2; }
h2 { font-size: 1.2rem; margin-top: 2rem; padding-top: .6rem; border-top: 1px solid var(--line); }
p, li { max-width: 44rem; }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; flex: 0 1 16rem; min-width: 0; }
figure.small { flex-basis: 9rem; }
img { display: block; max-width: 100%; height: auto; }
figcaption { color: var(--soft); font-size: .875rem; margin-top: .3rem; }
@media print { figure { break-inside: avoid; } }
"""


@dataclass(frozen=True)
class Figure:
    """A picture [H, W, 3] with its caption; `alt` says the same to those who do not see it."""

    image: NDArray[np.uint8]
    caption: str
    alt: str
    small: bool = False


@dataclass(frozen=True)
class Section:
    """Some paragraphs, and the pictures that they are about."""

    title: str
    paragraphs: Sequence[str]
    figures: Sequence[Figure]


def page(title: str, findings: Sequence[str], sections: Sequence[Section]) -> bytes:
    """Return the page as HTML. Every text is escaped, so that names can be anything."""
    found = "".join(f"<li>{_text(each)}</li>\n" for each in findings)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
{MARK.decode()}
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{_text(title)}</title>
<link rel="icon" href="data:,">
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{_text(title)}</h1>
<ul>
{found}</ul>
{"".join(map(_section, sections))}</main>
</body>
</html>
""".encode()


def is_ours(start: bytes) -> bool:
    """Return whether a file that starts like this was made by `page`."""
    return MARK in start[:HEAD]


def _section(section: Section) -> str:
    paragraphs = "".join(f"<p>{_text(each)}</p>\n" for each in section.paragraphs)
    figures = "".join(map(_figure, section.figures))
    pictures = f'<div class="pictures">\n{figures}</div>\n' if figures else ""
    return f"<section>\n<h2>{_text(section.title)}</h2>\n{paragraphs}{pictures}</section>\n"


def _figure(figure: Figure) -> str:
    height, width = figure.image.shape[:2]
    data = base64.b64encode(jpeg(figure.image)).decode()
    kind = ' class="small"' if figure.small else ""
    return (
        f'<figure{kind}><img src="data:image/jpeg;base64,{data}" width="{width}" '
        f'height="{height}" alt="{_text(figure.alt)}">'
        f"<figcaption>{_text(figure.caption)}</figcaption></figure>\n"
    )


def _text(text: str) -> str:
    return escape(shown(text))
