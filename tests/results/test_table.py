"""The table has what is in DEST, and what this run left out."""

from pathlib import Path

from tensor_guess.config import MANIFEST
from tensor_guess.results.table import rows
from tensor_guess.sorting.manifest import Entry, Manifest
from tensor_guess.system.durable import Journal

HEADING = b"image,sorted_to,way,label,score,sha256,left_out,companion_of\r\n"


def test_each_picture_that_is_not_undone_is_a_line(tmp_path: Path) -> None:
    keys = [f"{number:064x}" for number in range(3)]
    for run in range(2):
        with Manifest(tmp_path, Path("/in"), "") as manifest:
            for number in range(3):
                way = ("copy", "move", "link")[number]
                entry = Entry(f"{number},{run}.jpg", f"{number}.jpg", way, keys[number])
                manifest.sorted(entry, {"elsa": 0.5, "other": 0.25})
            manifest.left_out(Path(f"/in/bad{run}.jpg"), "is empty")
    with Journal(tmp_path / MANIFEST) as journal:
        journal.add(by="x", undone={"1.jpg": keys[1]})
    assert list(rows(tmp_path, manifest.run)) == [
        HEADING,
        f'"0,0.jpg",0.jpg,copy,elsa,0.50000,{keys[0]},,\r\n'.encode(),
        f'"2,0.jpg",2.jpg,link,elsa,0.50000,{keys[2]},,\r\n'.encode(),
        b"bad1.jpg,,,,,,is empty,\r\n",
    ]


def test_a_companion_is_a_line_without_a_score(tmp_path: Path) -> None:
    with Manifest(tmp_path, Path("/in"), "") as manifest:
        manifest.accompanied(Entry("a.MOV", "x.MOV", "copy", "ab" * 32, companion_of="x.jpg"))
        manifest.sorted(Entry("a.jpg", "x.jpg", "copy", "cd" * 32), {"elsa": 0.5})
    assert list(rows(tmp_path, manifest.run))[1:] == [
        f"a.MOV,x.MOV,copy,,,{'ab' * 32},,x.jpg\r\n".encode(),
        f"a.jpg,x.jpg,copy,elsa,0.50000,{'cd' * 32},,\r\n".encode(),
    ]
