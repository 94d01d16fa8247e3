"""Keywords come into a sidecar and go out of it again, and nothing else in it changes."""

import re
import tracemalloc
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml.etree import canonicalize

from tensor_guess.errors import Unreadable
from tensor_guess.tagging.xmp import (
    Keywords,
    keyword,
    says_nothing,
    with_keywords,
    without_keywords,
)

HEAD = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">\n'
    ' <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
)
TAIL = " </rdf:RDF>\n</x:xmpmeta>\n"
DARKTABLE = f"""<?xml version="1.0" encoding="UTF-8"?>
{HEAD}  <rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:darktable="http://darktable.sf.net/"
    xmp:Rating="3" darktable:xmp_version="5">
   <!-- by hand -->
   <dc:subject>
    <rdf:Bag>
     <rdf:li>mountains &amp; snow</rdf:li>
     <rdf:li>elsa</rdf:li>
    </rdf:Bag>
   </dc:subject>
   <darktable:history><rdf:Seq><rdf:li darktable:num="0"/></rdf:Seq></darktable:history>
  </rdf:Description>
{TAIL}"""
PLAIN = (
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    'rdf:about="" xmlns:digiKam="http://www.digikam.org/ns/1.0/"><digiKam:TagsList><rdf:Seq>'
    "<rdf:li>People/elsa</rdf:li></rdf:Seq></digiKam:TagsList></rdf:Description></rdf:RDF>"
)
EMPTY = f"{HEAD}{TAIL}"
KNOWN = {
    "darktable": DARKTABLE,
    "plain": PLAIN,
    "empty": EMPTY,
    "crlf": DARKTABLE.replace("\n", "\r\n"),
    "mark": f"\ufeff{DARKTABLE}",
    "packet": f'<?xpacket begin="\ufeff" id="W5"?>\n{PLAIN}\n<?xpacket end="w"?>',
    "xap": PLAIN.join(['<x:xapmeta xmlns:x="adobe:ns:meta/">', "</x:xapmeta>"]),
}


def test_a_new_sidecar_has_both_properties_and_says_nothing_without_them() -> None:
    data, added = with_keywords(None, ["darth vader", "elsa"])
    assert added == Keywords(("darth vader", "elsa"), ("darth vader", "elsa"))
    text = data.decode()
    assert re.search(r"<dc:subject[^>]*>\s*<rdf:Bag>\s*<rdf:li>darth vader</rdf:li>", text)
    assert re.search(r"<digiKam:TagsList[^>]*>\s*<rdf:Seq>\s*<rdf:li>darth vader</rdf:li>", text)
    assert not says_nothing(data)
    assert says_nothing(without_keywords(data, added))


@pytest.mark.parametrize("name", KNOWN)
def test_a_second_time_changes_nothing_and_all_else_is_kept(name: str) -> None:
    before = KNOWN[name].encode()
    data, added = with_keywords(before, ["elsa", "<new> & 'odd'"])
    assert "<new> & 'odd'" in added.subject
    assert with_keywords(data, ["elsa", "<new> & 'odd'"]) == (data, Keywords())
    # What was there is there in the same words.
    pieces = re.findall(r"[\w.]+", KNOWN[name])
    assert all(piece.encode() in data for piece in pieces)
    assert (b"\r\n" in data, data.startswith(b"\xef\xbb\xbf")) == (name == "crlf", name == "mark")
    after = without_keywords(data, added)
    assert without_keywords(after, added) == after
    if name != "empty":  # which got a description
        assert squeezed(after) == squeezed(before)


def squeezed(data: bytes) -> str:
    """As XML means it: without white space between tags, and in one order of attributes."""
    return str(canonicalize(from_file=BytesIO(data), strip_text=True, with_comments=True))


def test_keywords_that_were_there_stay() -> None:
    _, added = with_keywords(DARKTABLE.encode(), ["elsa"])
    assert added == Keywords((), ("elsa",))
    _, added = with_keywords(PLAIN.encode(), ["elsa"])
    assert added == Keywords(("elsa",), ())  # People/elsa is a tag of digiKam's already


def test_a_keyword_that_was_removed_meanwhile_is_no_problem() -> None:
    data, added = with_keywords(DARKTABLE.encode(), ["kai"])
    person = data.replace(b"<rdf:li>kai</rdf:li>", b"<rdf:li>mine</rdf:li>", 1)
    after = without_keywords(person, added)
    assert b"mine" in after
    assert b"kai" not in after
    assert b"TagsList" not in after


words = st.lists(st.text(min_size=1, max_size=20).map(keyword), max_size=4, unique=True)


@given(st.sampled_from([None, *KNOWN]), words, words)
def test_any_words_come_and_go_in_any_order(
    name: str | None, one: list[str], other: list[str]
) -> None:
    data, first = with_keywords(KNOWN[name].encode() if name else None, one)
    both, second = with_keywords(data, other)
    assert with_keywords(both, one + other)[1] == Keywords()
    assert not set(first.subject) & set(second.subject)
    for order in ((first, second), (second, first)):
        rest = both
        for each in order:
            rest = without_keywords(rest, each)
        left = with_keywords(rest, first.subject + second.subject)[1].subject
        assert left == first.subject + second.subject


HOSTILE = {
    "laughs": '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>' + PLAIN,
    "laughs in an attribute": f'<!DOCTYPE x [<!ENTITY a "{"ha" * 1000}">]><x y="{"&a;" * 1000}"/>',
    "outside": '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>',
    "unknown entity": PLAIN.replace("People", "&people;"),
    "deep": "<a>" * 5000 + "</a>" * 5000,
    "cut": DARKTABLE[:-40],
    "nothing": "",
    "zeros": "\0" * 100,
    "text": "no XML at all",
    "html": "<html><body>elsa</body></html>",
    "svg": '<svg xmlns="http://www.w3.org/2000/svg"/>',
    "no rdf": '<x:xmpmeta xmlns:x="adobe:ns:meta/"/>',
    "attribute": PLAIN.replace(
        'rdf:about=""', 'rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:subject="x"'
    ),
    "no container": PLAIN.replace("<rdf:Seq>", "").replace("</rdf:Seq>", ""),
    "latin-1": '<?xml version="1.0" encoding="ISO-8859-1"?>' + PLAIN,
    "utf-7": '<?xml version="1.0" encoding="utf-7"?>' + PLAIN,
    "large": PLAIN + " " * 10_000_001,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_xmp_is_refused_at_once(name: str) -> None:
    data = HOSTILE[name].encode()
    tracemalloc.start()
    try:
        with pytest.raises(Unreadable) as error:
            with_keywords(data, ["elsa"])
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()
    assert str(error.value).isprintable()
    assert "passwd" not in str(error.value)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_other_encodings_are_refused(encoding: str) -> None:
    data = ('<!DOCTYPE x [<!ENTITY a "é">]>' + PLAIN).encode(encoding)
    with pytest.raises(Unreadable):
        with_keywords(data, ["elsa"])


@given(st.binary(max_size=200), st.integers(0, len(DARKTABLE)), st.integers(0, 50))
def test_damaged_bytes_are_refused_or_read(noise: bytes, at: int, cut: int) -> None:
    data = DARKTABLE.encode()
    data = data[:at] + noise + data[at + cut :]
    try:
        found, added = with_keywords(data, ["elsa"])
    except Unreadable:
        return
    assert with_keywords(found, ["elsa"])[1] == Keywords()
    without_keywords(found, added)


@given(st.text())
def test_any_label_is_a_keyword(label: str) -> None:
    data, added = with_keywords(None, [keyword(label)])
    assert with_keywords(data, [keyword(label)]) == (data, Keywords())
    assert says_nothing(without_keywords(data, added))
