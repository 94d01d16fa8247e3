"""The labels of a folder's pictures, for other programs to read."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from made.place import ROOT
from made.sorting import tree
from tensor_guess.errors import UserError, WrongUsage
from tensor_guess.sorting.plan import Way
from tensor_guess.sorting.sort import sort
from tensor_guess.tagging.tag import tag
from tensor_guess.tagging.untag import undo

PHOTOS = ROOT / "test_data"
XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4" rdf:about=""><dc:subject>'
    "<rdf:Bag><rdf:li>holiday</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF>"
    '</x:xmpmeta>\n<?xpacket end="w"?>'
)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Pictures, one with a sidecar, and what is none."""
    source = Path(shutil.copytree(PHOTOS, tmp_path / "photos"))
    (source / "photo01.xmp").write_text(XMP)
    (source / "photo02.mov").write_bytes(b"no picture, and nobody's")
    return source


def exiftool(path: Path) -> dict[str, Any]:
    """What another program reads in a sidecar."""
    if not shutil.which("exiftool"):
        pytest.skip("exiftool is not installed (Debian: libimage-exiftool-perl)")
    command = ["exiftool", "-json", "-struct", "-XMP:all", os.fspath(path)]
    (found,) = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    lists = {
        key: [found[key]] for key in ("Subject", "TagsList") if isinstance(found.get(key), str)
    }
    return dict(found) | lists


def test_exiftool_reads_the_labels_beside_what_was_there(trained: Path, photos: Path) -> None:
    before = tree(photos)
    done = tag(trained, photos)
    assert (done.counts, done.known, done.unsure) == ({"dark knight": 6, "snow queen": 6}, 0, 0)
    assert [each.path.name for each in done.left_out] == ["photo02.mov"]
    for path in photos.rglob("*.xmp"):
        found = exiftool(path)
        (label,) = found["TagsList"]
        assert label in done.counts
        if path.name == "photo01.xmp":
            assert (found["Subject"], found["Rating"]) == (["holiday", label], 4)
        else:
            assert found["Subject"] == [label]
    undo(photos)
    assert {n: e for n, e in tree(photos).items() if n != "photo01.xmp"} == {
        n: e for n, e in before.items() if n != "photo01.xmp"
    }
    found = exiftool(photos / "photo01.xmp")
    assert (found["Subject"], found["Rating"]) == (["holiday"], 4)
    assert "TagsList" not in found


def test_a_second_run_changes_nothing_and_looks_at_nothing_again(
    trained: Path, photos: Path
) -> None:
    tag(trained, photos)
    before = tree(photos)
    again = tag(trained, photos)
    assert (again.counts.total(), again.known) == (0, 12)
    assert tree(photos) == before


def test_the_unsure_get_no_tag(trained: Path, photos: Path) -> None:
    done = tag(trained, photos, min_scores=((None, 0.99),))
    assert (done.counts.total() + done.unsure, done.unsure > 0) == (12, True)
    tagged = [path for path in photos.glob("*.xmp") if "TagsList" in path.read_text()]
    assert len(tagged) == done.counts.total()


def test_a_dry_run_touches_nothing(trained: Path, photos: Path) -> None:
    before, said = tree(photos, left=True), list[tuple[str, str]]()
    tag(trained, photos, show=lambda image, sidecar, _: said.append((image.name, sidecar.name)))
    assert tree(photos, left=True) == before
    assert ("photo01.jpg", "photo01.xmp") in said
    assert ("photo02.png", "photo02.png.xmp") in said


def test_tags_go_with_their_pictures_when_they_are_sorted(
    trained: Path, photos: Path, tmp_path: Path
) -> None:
    tag(trained, photos)
    out = tmp_path / "sorted"
    done = sort(trained, photos, out, way=Way("move", "folders"))
    assert (done.sorted, done.companions) == (12, 12)
    assert not list(photos.glob("*.xmp"))
    # A sorted folder can be tagged too; its manifest is no picture.
    again = tag(trained, out)
    assert (again.counts.total(), again.known, again.left_out) == (0, 12, [])


@pytest.mark.parametrize("damage", ["laughs", "cut", "link"])
def test_a_hostile_sidecar_costs_only_its_picture(trained: Path, photos: Path, damage: str) -> None:
    path = photos / "photo01.xmp"
    text = XMP[:-60] if damage == "cut" else f'<!DOCTYPE x [<!ENTITY a "ha">]>{XMP}'
    path.write_text(text)
    if damage == "link":
        path.unlink()
        path.symlink_to(photos.with_name("elsewhere"))
        photos.with_name("elsewhere").write_text(XMP)
    done = tag(trained, photos)
    assert done.counts.total() == 11
    assert "photo01.jpg" in {each.path.name for each in done.left_out}
    if damage == "link":
        assert photos.with_name("elsewhere").read_text() == XMP
    else:
        assert path.read_text() == text


def test_what_cannot_be_tagged_is_said(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(WrongUsage, match="is not a folder of pictures to tag"):
        tag(trained, tmp_path / "nowhere")
    with pytest.raises(UserError, match="no classifier"):
        tag(tmp_path, tmp_path)
    assert not list(tmp_path.iterdir())
