"""A sorted folder is a valid Camtrap DP package: frictionless says so, by the standard's rules."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from frictionless import Package

from made.camtrap_dp import PROJECT, REQUIRED, TABLES, schema
from made.exif import timed
from made.place import ROOT, Run
from made.sorting import sort_files
from tensor_guess.config import DATAPACKAGE, FOLDERS, MANIFEST
from tensor_guess.results.camtrap_dp import NAMES, Location, package
from tensor_guess.results.present import Present, write
from tensor_guess.sorting.plan import Way
from tensor_guess.system.durable import Journal

PHOTO = (ROOT / "test_data/photo01.jpg").read_bytes()
HERE = Location(50.9413, -6.9583)


def problems(folder: Path) -> list[str]:
    """What is wrong with a package, by the standard's schemas."""
    descriptor = json.loads((folder / DATAPACKAGE).read_text("utf-8"))
    found = [f"no {key}" for key in REQUIRED if key not in descriptor]
    for key, allowed in PROJECT.items():
        value = descriptor["project"][key]
        values = value if isinstance(value, list) else [value]
        found += [f"{key} is {each}" for each in values if allowed and each not in allowed]
    assert descriptor.pop("profile").endswith("/1.0.2/camtrap-dp-profile.json")
    for resource in descriptor["resources"]:
        assert resource["schema"].endswith(f"/1.0.2/{resource['name']}-table-schema.json")
        resource["schema"] = schema(resource["name"])
    report = Package(descriptor, basepath=str(folder)).validate()
    return found + [str(each) for each in report.flatten(["title", "fieldName", "note"])]


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    """Ten shots with times, and one without; sorted into folders."""
    source = tmp_path / "trap é"
    source.mkdir()
    for number in range(10):
        when = f"2021:06:05 12:{59 - number:02}:00", "", "+02:00"
        (source / f"IMG_{number}.JPG").write_bytes(timed(PHOTO, *when) + bytes([number]))
    (source / "no time.jpg").write_bytes(PHOTO)
    (tmp_path / "out").mkdir()
    sort_files(source, tmp_path / "out", Way(layout=FOLDERS))
    return tmp_path / "out"


def written(dest: Path) -> list[str]:
    """Write the package; return the reasons why pictures are not in it."""
    source = dest.with_name("trap é")
    found = package(Present(dest, source, ""), source, HERE)
    write(dest, "x", found.files)
    return [f"{each.path.name} {each.reason}" for each in found.left_out]


def rows(dest: Path, table: str) -> list[dict[str, str]]:
    with (dest / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_package_is_valid_and_says_what_was_sorted(dest: Path) -> None:
    assert written(dest) == ["no time.jpg has no time in its EXIF"]
    assert problems(dest) == []
    (deployment,) = rows(dest, "deployments")
    assert {key: value for key, value in deployment.items() if value} == {
        "deploymentID": "trap é",
        "latitude": "50.9413",
        "longitude": "-6.9583",
        "deploymentStart": "2021-06-05T12:50:00+02:00",
        "deploymentEnd": "2021-06-05T12:59:00+02:00",
        "timestampIssues": "false",
    }
    media, observations = rows(dest, "media"), rows(dest, "observations")
    assert len(media) == len(observations) == 10
    assert [row["timestamp"] for row in media] == sorted(row["timestamp"] for row in media)
    for row, seen in zip(media, observations, strict=True):
        assert (dest / row["filePath"]).is_file()
        assert (row["fileMediatype"], row["filePublic"]) == ("image/jpeg", "false")
        assert seen["mediaID"] == row["mediaID"]
        doubtful = row["filePath"].startswith("review/")
        assert seen["observationType"] == ("unknown" if doubtful else "animal")
        assert (seen["classificationProbability"], seen["scientificName"]) == ("0.5", "")
    assert json.loads((dest / DATAPACKAGE).read_text())["taxonomic"] == []


def test_the_validator_finds_what_is_wrong(dest: Path) -> None:
    written(dest)
    for name, old, new in (
        ("media.csv", "image/jpeg", "jpeg"),
        ("media.csv", "2021-06-05T12:55:00+02:00", "yesterday"),
        ("deployments.csv", "50.9413", "91"),
        ("deployments.csv", "trap é", "another"),
        ("observations.csv", "machine", "dog"),
        ("observations.csv", "eventStart", "start"),
    ):
        text = (dest / name).read_text("utf-8")
        (dest / name).write_text(text.replace(old, new), "utf-8")
        assert problems(dest), (name, new)
        (dest / name).write_text(text, "utf-8")
    assert problems(dest) == []


def test_the_columns_are_those_of_the_standard(dest: Path) -> None:
    written(dest)
    for table, fields in TABLES.items():
        header = (dest / f"{table}.csv").read_text().splitlines()[0]
        assert header.split(",") == [line.split()[0] for line in fields.strip().splitlines()]


def test_a_clock_without_a_zone_is_utc_and_said_to_be_doubtful(tmp_path: Path) -> None:
    source = tmp_path / "trap é"
    source.mkdir()
    (source / "a.jpg").write_bytes(timed(PHOTO, "2021:06:05 12:00:00", "75"))
    (tmp_path / "out").mkdir()
    sort_files(source, tmp_path / "out", Way())
    written(tmp_path / "out")
    assert problems(tmp_path / "out") == []
    assert rows(tmp_path / "out", "media")[0]["timestamp"] == "2021-06-05T12:00:00Z"
    assert rows(tmp_path / "out", "deployments")[0]["timestampIssues"] == "true"


@pytest.mark.parametrize(
    ("category", "label", "kind", "scientific"),
    [
        ("Vulpes_vulpes", "vulpes vulpes", "animal", "Vulpes vulpes"),
        ("Canis lupus familiaris", "canis lupus familiaris", "animal", "Canis lupus familiaris"),
        ("red_fox", "red fox", "animal", ""),
        ("Empty", "empty", "blank", ""),
        ("Homo_sapiens", "homo sapiens", "human", ""),
        ("car", "car", "vehicle", ""),
        ("unknown", "red fox", "unknown", ""),
    ],
)
def test_labels_say_what_was_observed(
    tmp_path: Path, category: str, label: str, kind: str, scientific: str
) -> None:
    source, dest = tmp_path / "trap é", tmp_path / "out"
    for folder in (source, dest / category):
        folder.mkdir(parents=True)
    data = timed(PHOTO, "2021:06:05 12:00:00")
    (dest / category / "a.jpg").write_bytes(data)
    tell(dest, source, {f"{category}/a.jpg": data}, label)
    written(dest)
    assert problems(dest) == []
    (row,) = rows(dest, "observations")
    assert (row["observationType"], row["scientificName"]) == (kind, scientific)
    assert row["observationTags"] == f"label:{label}"


def tell(dest: Path, source: Path, files: dict[str, bytes], label: str) -> None:
    """Write a manifest of files that were sorted into folders."""
    from hashlib import sha256

    run: dict[str, Any] = {"run": "x", "classifier": "c" * 64, "source": str(source)}
    with Journal(dest / MANIFEST) as journal:
        journal.add(**run, destination=str(dest), way="copy", layout="folders", keep_tree=False)
        for name, data in files.items():
            told: dict[str, Any] = {"image": Path(name).name, "copied_to": name, "label": label}
            told |= {"sha256": sha256(data).hexdigest(), "scores": {label: 0.9}, "by": "x"}
            journal.add(**told)


def test_pictures_without_any_time_make_no_package(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, dest = tmp_path / "trap é", tmp_path / "out"
    source.mkdir()
    dest.mkdir()
    (source / "a.jpg").write_bytes(PHOTO)
    sort_files(source, dest, Way())
    found = package(Present(dest, source, ""), source, HERE)
    assert (found.files, len(found.left_out)) == ({}, 1)
    said = capsys.readouterr().err
    assert "1 picture not in the package, e.g. " in said
    assert said.endswith("no package is written: it would have no picture\n")


def test_what_was_moved_or_changed_in_dest_is_left_out(dest: Path) -> None:
    first, second = sorted((dest / "elsa").iterdir())[:2]
    first.rename(dest / "moved.jpg")
    second.write_bytes(b"no picture any more")
    reasons = {reason.partition(" ")[0] for reason in written(dest)}
    assert reasons == {first.name, second.name, "no"}
    assert problems(dest) == []


@pytest.mark.slow
def test_the_program_writes_a_valid_package_and_replaces_only_its_own(
    run: Run, call: Run, trained: Path, tmp_path: Path
) -> None:
    source, out = tmp_path / "trap", tmp_path / "out"
    source.mkdir()
    for number in range(3):
        data = PHOTO + bytes([number])
        (source / f"{number}.jpg").write_bytes(timed(data, f"2021:06:05 12:0{number}:00"))
    sort = "classify-dir", trained, source, out
    how = *sort, "--results", "camtrap-dp", "--location", "50.9413,6.9583"
    done = run(*how, "--results", "timelapse")
    assert done.returncode == 0, done.stderr
    assert problems(out) == []
    assert {each.name for each in out.iterdir() if each.suffix != ".jpg"} == {
        *NAMES, MANIFEST, "timelapse.json",
    }  # fmt: skip
    (source / "more.jpg").write_bytes(PHOTO)
    again = call(*how)
    assert again.returncode == 3, again.stderr
    assert "1 picture not in the package" in again.stderr
    assert (problems(out), len(rows(out, "media"))) == ([], 3)
    edited = (out / "deployments.csv").read_text().replace("50.9413", "50.9")
    (out / "deployments.csv").write_text(edited)
    refused = call(*how)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "deployments.csv was not written by classify-dir, or was changed since" in refused.stderr
    assert (out / "deployments.csv").read_text() == edited
