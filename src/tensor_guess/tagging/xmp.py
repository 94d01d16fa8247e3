"""Keywords in an XMP sidecar: bytes -> bytes with them, or without; all else is kept.

A sidecar may be a stranger's: size and depth are bounded, no entity is declared and nothing is
fetched. Both properties are written that programs read: Dublin Core's `subject` and digiKam's tags.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from unicodedata import normalize

from lxml import etree

from tensor_guess.errors import Unreadable
from tensor_guess.system.reading import too_large

MOST = 10_000_000  # bytes; an XMP has some thousand
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_DC = "http://purl.org/dc/elements/1.1/"
_DIGIKAM = "http://www.digikam.org/ns/1.0/"
_SUBJECT, _TAGS_LIST = f"{{{_DC}}}subject", f"{{{_DIGIKAM}}}TagsList"
_ROOT, _DESCRIPTION, _LI = f"{{{_RDF}}}RDF", f"{{{_RDF}}}Description", f"{{{_RDF}}}li"
_WRAPPERS = {"{adobe:ns:meta/}xmpmeta", "{adobe:ns:meta/}xapmeta"}
_CONTAINERS = {f"{{{_RDF}}}{name}" for name in ("Bag", "Seq", "Alt")}
_NEW = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
""".encode()
_MARK = b"\xef\xbb\xbf"  # UTF-8's byte order mark
_DECLARATION = re.compile(rb"<\?xml\s[^>]*\?>")
_OTHER_ENCODING = re.compile(rb"encoding\s*=\s*[\"'](?!utf-?8[\"'])", re.IGNORECASE)
_NOT_IN_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Keywords:
    """What is added, or to be removed: words of `dc:subject` and of `digiKam:TagsList`."""

    subject: tuple[str, ...] = ()
    tags_list: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.subject or self.tags_list)


def keyword(label: str) -> str:
    """Return the label as XML can have it, on one line."""
    return " ".join(_NOT_IN_XML.sub("_", label).split()) or "_"


def with_keywords(data: bytes | None, words: Sequence[str]) -> tuple[bytes, Keywords]:
    """Return the sidecar with these keywords, and which it did not have; None is no sidecar yet.

    If it has all, the bytes are the same. Raise Unreadable if it is no XMP, or none that is known.
    """
    packet = _Packet(_NEW if data is None else data)
    added = Keywords(
        tuple(packet.add(_SUBJECT, "Bag", {"dc": _DC}, words, nested=False)),
        tuple(packet.add(_TAGS_LIST, "Seq", {"digiKam": _DIGIKAM}, words, nested=True)),
    )
    return (packet.bytes() if added or data is None else data), added


def without_keywords(data: bytes, words: Keywords) -> bytes:
    """Return the sidecar without these keywords, each as often as it has them; the same bytes if it
    has none. Raise Unreadable as `with_keywords` does.
    """
    packet = _Packet(data)
    removed = packet.remove(_SUBJECT, words.subject), packet.remove(_TAGS_LIST, words.tags_list)
    return packet.bytes() if any(removed) else data


def says_nothing(data: bytes) -> bool:
    """Return whether the sidecar has no property at all. Raise Unreadable as the others do."""
    return _Packet(data).says_nothing()


class _Packet:
    def __init__(self, data: bytes) -> None:
        if len(data) > MOST:
            raise too_large(MOST)
        self._before = data
        data = data.removeprefix(_MARK)
        found = _DECLARATION.match(data)
        self._declaration = found[0] if found else b""
        try:
            data.decode()
        except UnicodeDecodeError:
            self._declaration = b"encoding='?'"
        if _OTHER_ENCODING.search(self._declaration):
            raise Unreadable("is not in UTF-8")
        # In UTF-8 without declarations, there is no entity to expand.
        if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
            raise Unreadable("has a document type, which no XMP has")
        parser = etree.XMLParser(
            encoding="utf-8",
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            strip_cdata=False,
        )
        try:
            self._tree = etree.fromstring(data, parser).getroottree()
        except etree.XMLSyntaxError as error:
            raise Unreadable(f"is no XMP: no XML from line {error.lineno} on") from error
        root = self._tree.getroot()
        found_rdf = root.find(_ROOT) if root.tag in _WRAPPERS else root
        if found_rdf is None or found_rdf.tag != _ROOT:
            raise Unreadable("is no XMP")
        self._rdf = found_rdf

    def add(
        self, tag: str, container: str, names: dict[str, str], words: Sequence[str], *, nested: bool
    ) -> Iterator[str]:
        """Add the words that a property does not have, and yield them.

        `nested`: `People/Elsa` is Elsa too.
        """
        containers = self._containers(tag)
        there = {_text(item) for each in containers for item in each.findall(_LI)}
        if nested:
            there |= {word.rpartition("/")[2] for word in there}
        for word in dict.fromkeys(words):
            if normalize("NFC", word) in there:
                continue
            if not containers:
                property_ = etree.Element(tag, nsmap=names)
                _append(self._description(), property_)
                _append(property_, etree.Element(f"{{{_RDF}}}{container}"))
                containers.append(property_[0])
            item = etree.Element(_LI)
            item.text = word
            _append(containers[0], item)
            yield word

    def remove(self, tag: str, words: Sequence[str]) -> bool:
        """Remove words of a property, and the property if it has no other; return if any was."""
        wanted, removed = {normalize("NFC", word) for word in words}, False
        for container in self._containers(tag) if wanted else ():
            for item in container.findall(_LI):
                if _text(item) in wanted:
                    _drop(item)
                    removed = True
            if removed and not len(container):
                _drop(container.getparent())
        return removed

    def says_nothing(self) -> bool:
        about = {f"{{{_RDF}}}about"}
        return all(
            each.tag == _DESCRIPTION and not len(each) and set(each.attrib) <= about
            for each in self._rdf
        )

    def bytes(self) -> bytes:
        """Return it as it is now, with the line ends that it had."""
        root = self._tree.getroot()
        # Comments and instructions around it, each on a line of its own.
        around = [*reversed(list(root.itersiblings(preceding=True))), root, *root.itersiblings()]
        parts = [self._declaration] if self._declaration else []
        parts += [etree.tostring(each, encoding="utf-8", with_tail=False) for each in around]
        mark = _MARK if self._before.startswith(_MARK) else b""
        text = mark + b"\n".join(parts) + b"\n" * self._before.endswith(b"\n")
        return text.replace(b"\n", b"\r\n") if b"\r\n" in self._before else text

    def _containers(self, tag: str) -> list[Any]:
        found = []
        for description in self._rdf.findall(_DESCRIPTION):
            if tag in description.attrib:
                raise Unreadable("has its keywords in a form that is not known")
            for each in description.findall(tag):
                own = [child for child in each if isinstance(child.tag, str)]
                if len(own) != 1 or own[0].tag not in _CONTAINERS:
                    raise Unreadable("has its keywords in a form that is not known")
                found.append(own[0])
        return found

    def _description(self) -> Any:
        found = self._rdf.find(_DESCRIPTION)
        if found is None:
            found = etree.Element(_DESCRIPTION, {f"{{{_RDF}}}about": ""})
            _append(self._rdf, found)
        return found


def _text(item: Any) -> str:
    return normalize("NFC", "".join(item.itertext()).strip())


def _append(parent: Any, child: Any) -> None:
    """Add a child, on a line of its own if its siblings or its parent are."""
    if len(parent):
        child.tail, parent[-1].tail = parent[-1].tail, parent.text
    else:
        depth = sum(1 for _ in parent.iterancestors()) + 1
        child.tail, parent.text = "\n" + " " * (depth - 1), "\n" + " " * depth
    parent.append(child)


def _drop(child: Any) -> None:
    """Remove a child, so that the parent is as it was before the child was added."""
    parent, before = child.getparent(), child.getprevious()
    if child.getnext() is None:
        if before is None:
            parent.text = None
        else:
            before.tail = child.tail
    parent.remove(child)
