"""Tagging without a network: what a picture shows is its name."""

import os
from hashlib import sha256
from pathlib import Path

from tensor_guess.images.files import Files
from tensor_guess.sorting.companions import units
from tensor_guess.tagging import sidecars
from tensor_guess.tagging.adding import AddingTags
from tensor_guess.tagging.tags import Tags

XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" rdf:about=""><dc:subject>'
    "<rdf:Bag><rdf:li>holiday</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"
)


def pictures(folder: Path) -> None:
    """Two pictures without a sidecar, two with: one of each with the words that it will get."""
    (folder / "2017").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg", "2017/a.jpg", "2017/c.png"):
        (folder / name).write_bytes(os.fsencode(name))
    (folder / "b.xmp").write_text(XMP)
    (folder / "b.xmp").chmod(0o640)
    (folder / "2017/c.png.xmp").write_text(XMP.replace("holiday", "c"))


def tag_files(folder: Path, classifier: str = "digest") -> AddingTags:
    """Tag all files as pictures with their stems, as `tag` does; return what was done."""
    with Tags(folder, classifier) as tags, AddingTags(tags) as adding:
        for path, _, names in Files(folder).units(units):
            key = sha256(path.read_bytes()).hexdigest()
            sidecar = path.with_name(sidecars.name_of(path.name, names))
            if tags.known.get(tags.relative(sidecar)) == key:
                adding.there += 1
            else:
                adding.add(path, key, sidecar, [path.stem, "all"], {path.stem: 0.5, "other": 0.25})
    return adding
