"""The page says what was found, loads nothing, and shows strangers' names as text."""

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from made.findings import example_of, findings_of, trained_on
from tensor_guess.evaluation.accuracy import Accuracy
from tensor_guess.images.files import LeftOut
from tensor_guess.reporting import report as reports
from tensor_guess.reporting.findings import Curves, Findings
from tensor_guess.reporting.report import is_ours, pictured, report

HOSTILE = (
    "<script>alert(1)</script>.jpg",
    "\"><img src=x onerror='alert(1)'>",
    "{{ 7 * 7 }}",
    "مرحبا بالعالم",
    "a\u202egpj.exe",
    "line\nend",
    "\udcff.jpg",
)


class Parsed(HTMLParser):
    """The elements of a page, their attributes, and its text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def drawn(findings: Findings) -> str:
    return Parsed(report(findings, lambda _: b"picture")).text


def test_the_page_says_of_itself_that_it_is_ours() -> None:
    page = report(findings_of(trained_on(0), trained_on(1)), lambda _: None)
    assert is_ours(page)
    assert not is_ours(b"<!doctype html><title>Report</title>")


def test_no_name_and_no_label_is_more_than_text() -> None:
    labels = (HOSTILE[0], HOSTILE[1])
    examples = [example_of(0, 1, name=name.replace("/", "-")) for name in HOSTILE]
    findings = findings_of(
        *examples,
        labels=labels,
        left_out=(LeftOut(Path("/data/<b>/x<i>.jpg"), "<u>is empty</u>"),),
        notice="<em>used</em> another",
        suspects=(0, 1),
        near_copies=((0, 1),),
    )
    page = Parsed(report(findings, lambda _: b"picture"))
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "img", "b", "i", "u", "em", "iframe", "object", "foreignobject"}
    for _, attributes in page.tags:
        assert not any(name.startswith("on") for name in attributes)
    for said in (
        "<script>alert(1)</script>",
        "{{ 7 * 7 }}",
        "مرحبا",
        "<u>is empty</u>",
        "<em>used",
    ):
        assert said in page.text
    assert "\u202e" not in page.text
    assert "a\\u202egpj.exe" in page.text


def test_nothing_is_loaded_from_elsewhere() -> None:
    examples = [example_of(0, 1), example_of(1, 1, name="b.jpg")]
    page = report(findings_of(*examples), lambda _: b"picture", {examples[0].path: (b"1", b"2")})
    parsed = Parsed(page)
    policy = next(each for _, each in parsed.tags if "Content-Security-Policy" in each.values())
    assert str(policy["content"]).startswith("default-src 'none'; img-src data:;")
    links = [
        value for _, each in parsed.tags for name in ("href", "src") if (value := each.get(name))
    ]
    assert len(links) > 15
    assert all(link.startswith(("#", "data:")) for link in links)
    assert not re.search(rb"url\(|@import|https?://", page)
    ids = [each["id"] for _, each in parsed.tags if "id" in each]
    assert len(ids) == len(set(ids))
    for _, each in parsed.tags:
        for name in ("href", "popovertarget", "aria-labelledby"):
            target = (each.get(name) or "").removeprefix("#")
            assert not target or target.startswith("data:") or target in ids, target


def test_each_picture_is_in_the_page_once() -> None:
    examples = [example_of(0, 1, name=f"{i}.jpg") for i in range(5)]
    findings = findings_of(*examples, suspects=(0, 1, 2), near_copies=((0, 1), (1, 2)))
    page = report(findings, lambda path: path.name.encode())
    assert page.count(b"data:image/jpeg") == 5


def test_a_number_of_the_matrix_opens_its_pictures() -> None:
    page = Parsed(report(findings_of(example_of(0, 1), example_of(1, 1)), lambda _: b"picture"))
    opens = [each["popovertarget"] for tag, each in page.tags if "cell" in str(each.get("class"))]
    assert opens == ["cell-0-1", "cell-1-1"]
    assert "cat taken for dog: 1 (100.0%)" in " ".join(page.text.split())


@pytest.mark.slow
def test_five_hundred_pictures_take_two_megabytes_at_most() -> None:
    random = np.random.default_rng(0)
    examples = [
        example_of(i % 10, int(random.integers(10)), name=f"{'long ' * 20}{i}.jpg", classes=10)
        for i in range(600)
    ]
    labels = tuple(f"label {i}" for i in range(10))
    findings = findings_of(*examples, labels=labels, suspects=tuple(range(60)))
    page = report(
        findings, lambda _: random.bytes(2500), {e.path: (b"m" * 2500,) * 2 for e in examples}
    )
    assert 1_200_000 < len(page) < 2_000_000
    assert len(pictured(findings)) == 500
    assert "500 of 600 are shown" in " ".join(Parsed(page).text.split())


def test_of_many_categories_the_worst_confusions_are_listed() -> None:
    labels = tuple(f"label {i}" for i in range(300))
    examples = [example_of(i, (i + 1) % 300, classes=300, name=f"{i}.jpg") for i in range(300)]
    page = report(findings_of(*examples, *examples[:1], labels=labels), lambda _: None)
    text = " ".join(Parsed(page).text.split())
    assert "The most frequent mistakes." in text
    assert "240 more are rarer" in text
    assert "200 categories with the lowest recall, of 300" in text
    assert text.index("label 0label 12") < text.index("label 5label 61")
    assert len(page) < 1_000_000


def test_what_is_not_known_is_said() -> None:
    nothing = findings_of(trained_on(0), trained_on(1))
    none = np.empty(0, np.float32)
    text = drawn(
        findings_of(trained_on(0), trained_on(1), curves=Curves(np.empty(0, int), *[none] * 3))
    )
    for said in ("It was not tested", "Not looked for.", "Pairs were not looked for", "Not known"):
        assert said in text
    assert "Not known" in drawn(nothing)
    assert "nan" not in text.lower().replace("finan", "")
    assert "None stands out." in drawn(findings_of(trained_on(0), trained_on(1), suspects=()))


def test_a_picture_that_cannot_be_shown_is_named() -> None:
    page = Parsed(report(findings_of(example_of(0, 1, name="gone.jpg")), lambda _: None))
    assert "picture not shown" in page.text
    assert "gone.jpg" in page.text


def test_the_same_findings_give_the_same_bytes() -> None:
    one, two = (
        report(
            findings_of(example_of(0, 1), example_of(1, 1), cross_validated=Accuracy(1, 2)),
            lambda _: b"picture",
        )
        for _ in range(2)
    )
    assert one == two


def test_every_label_of_the_mistakes_stands_beside_its_score() -> None:
    text = " ".join(drawn(findings_of(example_of(0, 1, 0.8))).split())
    assert "✗ dog 0.80 is cat 0.20" in text


def test_long_curves_are_thinned_to_their_ends() -> None:
    chosen = reports._chosen(4000, 200)
    assert (len(chosen), chosen[0], chosen[-1]) == (200, 0, 3999)
    assert reports._chosen(1, 200) == [0]
    assert reports._chosen(0, 200) == []
