"""The JSON is in MegaDetector's format: a validator of what its documentation asks for."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from made.place import ROOT
from made.sorting import sort_files
from tensor_guess.config import FOLDERS, MANIFEST
from tensor_guess.results.present import Present
from tensor_guess.results.timelapse import written
from tensor_guess.sorting.plan import Way
from tensor_guess.system.durable import Journal

PHOTO = (ROOT / "test_data/photo01.jpg").read_bytes()


def checked(data: bytes) -> dict[str, Any]:
    """The file, if it is as https://lila.science/megadetector-output-format says."""
    found: dict[str, Any] = json.loads(data)
    assert isinstance(found["info"]["format_version"], str)
    assert 1.4 <= float(found["info"]["format_version"]) < 2
    for key in ("detection_categories", "classification_categories"):
        assert all(re.fullmatch("[0-9]+", number) for number in found[key])
        assert all(isinstance(name, str) and name for name in found[key].values())
    assert len({image["file"] for image in found["images"]}) == len(found["images"])
    for image in found["images"]:
        assert not image["file"].startswith("/")
        assert "\\" not in image["file"]
        if "failure" in image:
            assert isinstance(image["failure"], str)
            assert image["detections"] is None
            continue
        for detection in image["detections"]:
            assert detection["category"] in found["detection_categories"]
            assert 0 <= detection["conf"] <= 1
            x, y, width, height = detection["bbox"]
            assert 0 <= x < x + width <= 1
            assert 0 <= y < y + height <= 1
            scores = [score for _, score in detection["classifications"]]
            assert scores == sorted(scores, reverse=True)
            numbers = {number for number, _ in detection["classifications"]}
            assert numbers <= found["classification_categories"].keys()
    return found


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for number in range(12):
        path = tmp_path / "in" / f"dir é {number % 2}" / f"IMG_{number}.JPG"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PHOTO + bytes([number]))
    (tmp_path / "out").mkdir()
    return tmp_path / "in"


@pytest.mark.parametrize("layout", ["flat", FOLDERS])
def test_each_picture_is_there_by_its_path_in_src(source: Path, layout: str) -> None:
    dest = source.with_name("out")
    sort_files(source, dest, Way(layout=layout))
    found = checked(b"".join(written(Present(dest, source, ""), False)))
    files = {each["file"] for each in found["images"]}
    assert files == {str(p.relative_to(source)) for p in source.rglob("*.JPG")}
    labels = found["classification_categories"]
    for image in found["images"]:
        ((number, score), _) = image["detections"][0]["classifications"]
        assert (labels[number] in ("elsa", "darth_vader", "review", "review_"), score) == (
            True,
            0.5,
        )
        assert image["detections"][0]["conf"] == 0.5


def test_moved_pictures_are_there_by_their_path_in_dest(source: Path) -> None:
    dest = source.with_name("out")
    sort_files(source, dest, Way("move", FOLDERS))
    found = checked(b"".join(written(Present(dest, source, ""), True)))
    assert len(found["images"]) == 12
    assert all((dest / each["file"]).is_file() for each in found["images"])


def test_what_was_left_out_says_why_and_blanks_have_no_detection(tmp_path: Path) -> None:
    with Journal(tmp_path / MANIFEST) as journal:
        way: Any = {"way": "copy", "layout": FOLDERS}
        journal.add(run="x", classifier="", source="/in", destination=str(tmp_path), **way)
        journal.add(run="y", classifier="", source="/other", destination=str(tmp_path), **way)
        for number, (label, scores) in enumerate({
            "blank": {"blank": 0.9, "fox": 0.1},
            "person": {"person": 0.6, "blank": 0.4},
            "fox": {"fox": 0.008, "cat": 0.005},
            "": {},
        }.items()):  # fmt: skip
            told: Any = {"image": f"{number}.jpg", "copied_to": f"{label}/{number}.jpg"}
            told |= {"sha256": f"{number:064}", "scores": scores} | (
                {"label": label} if label else {}
            )
            told["copied_to"] = told["copied_to"].removeprefix("/")
            journal.add(**told, by="x")
            journal.add(**told | {"copied_to": f"other/{number}.jpg"}, by="y")
        journal.add(image="broken.jpg", left_out="is damaged", by="x")
        journal.add(image="older.jpg", left_out="is damaged", by="y")
    found = checked(b"".join(written(Present(tmp_path, Path("/in"), "x"), False)))
    assert found["classification_categories"] == {
        "0": "blank", "1": "cat", "2": "fox", "3": "person",
    }  # fmt: skip
    assert [(each["file"], each["detections"]) for each in found["images"]] == [
        ("0.jpg", []),
        ("1.jpg", [{"category": "2", "conf": 0.6, "bbox": [0, 0, 1, 1],
                    "classifications": [["3", 0.6], ["0", 0.4]]}]),
        ("2.jpg", [{"category": "1", "conf": 0.008, "bbox": [0, 0, 1, 1],
                    "classifications": [["2", 0.008]]}]),
        ("broken.jpg", None),
    ]  # fmt: skip


def test_nothing_sorted_is_an_empty_list(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).touch()
    assert checked(b"".join(written(Present(tmp_path, Path("/in"), ""), False)))["images"] == []
