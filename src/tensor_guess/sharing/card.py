"""The model card of a classifier: what is known about it, for those who receive it."""

import re
from dataclasses import dataclass

from tensor_guess.backbones.catalogue import CATALOGUE
from tensor_guess.config import GRAPH, ROWS, SUMS
from tensor_guess.errors import counted, shown
from tensor_guess.evaluation.story import Story
from tensor_guess.graphs.files import Record
from tensor_guess.images.dataset import Split
from tensor_guess.images.scaling import Scaling

_NOT_STATED = "not stated by its author"
_NOT_KNOWN = "not known"
# What those should know who share bottlenecks.
REVEALED = (
    "bottlenecks are no pictures, but they reveal something of them: whoever has a picture can "
    "tell whether it was among these, and a bottleneck lets one guess what its picture shows"
)
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


@dataclass(frozen=True)
class Author:
    """What only the author can say: what the classifier is for, and how others may use it."""

    intended_use: str | None = None
    licence: str | None = None


def written(record: Record, digest: str, story: Story, author: Author, rows: int = 0) -> str:
    """Return the card as Markdown, with gaps marked as not known; `digest` is the graph's.

    `rows`: of how many pictures the zip has the bottlenecks.
    """
    scaling = record.scaling
    return f"""\
# Model card

A picture classifier of {len(record.labels)} labels.

- Intended use: {_or_not_known(author.intended_use, _NOT_STATED)}
- Licence of the classifier: {_or_not_known(author.licence, _NOT_STATED)}
- Backbone: {_plain(record.backbone)}, SHA-256 {_or_not_known(record.backbone_sha256, _NOT_KNOWN)}
- Licence of the backbone: {_licence(record.backbone)}
- Made by: {f"tensor-guess {_plain(story.version)}" if story.version else _NOT_KNOWN}
- Graph: `{GRAPH}`, SHA-256 {digest}

## How good it is

- Accuracy on the testing split: {story.accuracy or _NOT_KNOWN}
- Test pictures not counted, as near copies of training pictures: \
{_NOT_KNOWN if story.near_copies is None else story.near_copies}
- Thresholds: {_thresholds(record)}

Pictures by label and split, and the labels given to the test pictures that were counted:

{_table(record, story)}

Hash of the data: {_or_not_known(story.data_sha256, _NOT_KNOWN)} \
(SHA-256 over the sorted lines `<SHA-256 of a picture>  <label>`).
{_bottlenecks(rows)}
## How to use it

Its input is RGB pictures of {scaling.size} x {scaling.size}, {_resized(scaling)}, with each \
value scaled as (value - {scaling.mean}) / {scaling.std}. It computes in {record.precision}, and \
gives a score for each label.

    sha256sum -c {SUMS}
    ./guess.sh {GRAPH} photo.jpg

`tensor-guess verify` checks the whole zip, and that the pictures of its self-test (random noise,
nobody's photos) still get the same scores.
"""


def _bottlenecks(count: int) -> str:
    """Return the paragraph about the bottlenecks in the zip; "" if there are none."""
    if not count:
        return ""
    return f"""
`{ROWS}` has the bottlenecks of {counted(count, "picture")}, so that `tensor-guess merge` can train
on them together with others. These {REVEALED}.
"""


def _table(record: Record, story: Story) -> str:
    head = ["label", *(part.value for part in Split), "tested", "right", "mistaken for"]
    rows = [head, ["---"] * len(head)]
    for k, label in enumerate(record.labels):
        row = [_plain(label)]
        row += _counts(record.categories[k], story)
        row += _confusion(k, record, story)
        rows.append(row)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _counts(category: str, story: Story) -> list[str]:
    if story.counts is None:
        return [_NOT_KNOWN] * len(Split)
    return [str(story.counts[category][part.value]) for part in Split]


def _confusion(k: int, record: Record, story: Story) -> list[str]:
    """Return how many were tested, how many were right, and the wrong ones by the label given."""
    if story.confusion is None:
        return [_NOT_KNOWN] * 3
    row = story.confusion[k]
    wrong = [
        f"{_plain(record.labels[other])} ({count})"
        for other, count in enumerate(row)
        if count and other != k
    ]
    return [str(sum(row)), str(row[k]), ", ".join(wrong)]


def _thresholds(record: Record) -> str:
    each = (f"{_plain(name)}: {value}" for name, value in sorted(record.thresholds.items()))
    return ", ".join(each) or "none set"


def _licence(backbone: str) -> str:
    if backbone not in CATALOGUE:
        return _NOT_KNOWN
    return f"{CATALOGUE[backbone].licence} (of the backbone of that name)"


def _or_not_known(text: str | None, otherwise: str) -> str:
    return _plain(" ".join(text.split())) if text and text.strip() else otherwise


def _resized(scaling: Scaling) -> str:
    if scaling.classic:
        return "resized as `retrain.py` did (TensorFlow 1's resize_bilinear, no antialias)"
    fit = f"{scaling.how} and " if scaling.how else ""
    return f"{fit}resized by antialiased bilinear interpolation"


def _plain(text: str) -> str:
    """Return Markdown that shows the text as it is: no HTML, links, cells or escapes."""
    safe = "".join(_HTML.get(c, c) for c in shown(text))
    # GitHub turns bare addresses into links too (its specification, section 6.9).
    return re.sub(r"[\\`*_\[\]|~@#]|(?<=www)\.|:(?=//)", r"\\\g<0>", safe, flags=re.IGNORECASE)
