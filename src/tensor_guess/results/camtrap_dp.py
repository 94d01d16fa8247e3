"""The results as a Camera Trap Data Package (Camtrap DP 1.0.2, a standard of TDWG).

https://camtrap-dp.tdwg.org: datapackage.json and three tables. DEST is the package: the pictures
are part of it.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tensor_guess import __version__
from tensor_guess.config import DATAPACKAGE
from tensor_guess.errors import Unreadable, counted, shown
from tensor_guess.images import decoding, encoded
from tensor_guess.images.files import LeftOut
from tensor_guess.results.present import ANIMAL, Present, Shown
from tensor_guess.system import progress
from tensor_guess.system.durable import Data

_STANDARD = "https://raw.githubusercontent.com/tdwg/camtrap-dp/1.0.2"
# The columns of the standard's tables, all of them in their order, as validators want them.
_COLUMNS = {
    "deployments": (
        "deploymentID locationID locationName latitude longitude coordinateUncertainty "
        "deploymentStart deploymentEnd setupBy cameraID cameraModel cameraDelay cameraHeight "
        "cameraDepth cameraTilt cameraHeading detectionDistance timestampIssues baitUse "
        "featureType habitat deploymentGroups deploymentTags deploymentComments"
    ),
    "media": (
        "mediaID deploymentID captureMethod timestamp filePath filePublic fileName fileMediatype "
        "exifData favorite mediaComments"
    ),
    "observations": (
        "observationID deploymentID mediaID eventID eventStart eventEnd observationLevel "
        "observationType cameraSetupType scientificName count lifeStage sex behavior individualID "
        "individualPositionRadius individualPositionAngle individualSpeed bboxX bboxY bboxWidth "
        "bboxHeight classificationMethod classifiedBy classificationTimestamp "
        "classificationProbability observationTags observationComments"
    ),
}
NAMES = (*(f"{table}.csv" for table in _COLUMNS), DATAPACKAGE)
# What a path in the package must be, by the standard.
_PATH = re.compile(r"^(?=^[^./~])(^((?!\.{2}).)*$).*$")
_SCIENTIFIC = re.compile(r"[A-Z][a-z]+(?:[ _][a-z-]+){1,2}")
_TYPES = {"HEIF": "heic"}


@dataclass(frozen=True)
class Location:
    """Where the camera stood, in degrees (WGS84)."""

    latitude: float
    longitude: float


@dataclass
class Package:
    """The files of the package, by name, and the pictures that are not in it, with the reason.

    There are no files if there is no picture.
    """

    files: Mapping[str, Data]
    left_out: list[LeftOut]


@dataclass(frozen=True)
class _Row:
    shown: Shown
    when: datetime
    kind: str


def package(present: Present, source: Path, location: Location) -> Package:
    """Return the package of the pictures from SRC: one deployment of a camera at that location.

    A picture without a time in its EXIF is left out, since the standard wants one, and said to be.
    """
    left_out = list[LeftOut]()
    rows = sorted(
        _rows(present, left_out), key=lambda row: (_instant(row.when), row.shown.told.entry.name)
    )
    if left_out:
        first = shown(left_out[0].path)
        progress.warn(
            f"{counted(len(left_out), 'picture')} not in the package, e.g. {first}: "
            f"{left_out[0].reason}"
        )
    if not rows:
        progress.warn("no package is written: it would have no picture")
        return Package({}, left_out)
    name = source.name or "camera"
    tables = {
        "deployments": [_deployment(name, location, rows)],
        "media": (_media(name, row) for row in rows),
        "observations": (_observation(name, row) for row in rows),
    }
    files: dict[str, Data] = {f"{table}.csv": _table(table, tables[table]) for table in tables}
    files[DATAPACKAGE] = _descriptor(name, location, rows)
    return Package(files, left_out)


def _rows(present: Present, left_out: list[LeftOut]) -> Iterator[_Row]:
    pictures = (each for each in present.pictures() if isinstance(each, Shown))
    keys = set[str]()

    def look(each: Shown) -> _Row:
        entry = each.told.entry
        if not _PATH.match(entry.name) or not entry.name.isprintable():
            raise Unreadable("has a name that no path in a package may have")
        picture = encoded.read(present.destination / entry.name)
        when = decoding.taken_at(picture)
        if when is None:
            raise Unreadable("has no time in its EXIF")
        return _Row(each, when, _TYPES.get(picture.kind, picture.kind.lower()))

    for each, row in encoded.ahead(look, pictures):
        entry = each.told.entry
        if isinstance(row, Unreadable):
            left_out.append(LeftOut(present.destination / entry.name, str(row)))
        elif entry.sha256 not in keys:
            keys.add(entry.sha256)
            yield row


def _deployment(name: str, location: Location, rows: list[_Row]) -> dict[str, object]:
    return {
        "deploymentID": name,
        "latitude": location.latitude,
        "longitude": location.longitude,
        "deploymentStart": _time(rows[0].when),
        "deploymentEnd": _time(rows[-1].when),
        # A clock without a zone is written as UTC.
        "timestampIssues": _bool(any(row.when.tzinfo is None for row in rows)),
    }


def _media(name: str, row: _Row) -> dict[str, object]:
    entry = row.shown.told.entry
    return {
        "mediaID": entry.sha256,
        "deploymentID": name,
        "timestamp": _time(row.when),
        "filePath": entry.name,
        "filePublic": _bool(False),
        "fileName": Path(entry.image).name,
        "fileMediatype": f"image/{row.kind}",
        "mediaComments": f"{entry.image} in the folder that was sorted",
    }


def _observation(name: str, row: _Row) -> dict[str, object]:
    told = row.shown.told
    species = _SCIENTIFIC.fullmatch(row.shown.category) if row.shown.kind == ANIMAL else None
    return {
        "observationID": told.entry.sha256,
        "deploymentID": name,
        "mediaID": told.entry.sha256,
        "eventStart": _time(row.when),
        "eventEnd": _time(row.when),
        "observationLevel": "media",
        "observationType": row.shown.kind,
        "scientificName": species[0].replace("_", " ") if species else "",
        "classificationMethod": "machine",
        "classifiedBy": f"tensor-guess {__version__}, classifier {row.shown.classifier[:12]}",
        "classificationProbability": round(told.score, 5),
        "observationTags": f"label:{told.label}",
    }


def _table(table: str, rows: Iterable[dict[str, object]]) -> Iterator[bytes]:
    """Yield the lines of a CSV file."""
    columns = _COLUMNS[table].split()
    yield _line(columns)
    for row in rows:
        yield _line([row.get(column, "") for column in columns])


def _line(values: Iterable[object]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerow(values)
    return text.getvalue().encode("utf-8", "replace")


def _descriptor(name: str, location: Location, rows: list[_Row]) -> bytes:
    names = {_observation(name, row)["scientificName"] for row in rows} - {""}
    found: dict[str, Any] = {
        "resources": [
            {
                "name": table,
                "path": f"{table}.csv",
                "profile": "tabular-data-resource",
                "format": "csv",
                "mediatype": "text/csv",
                "encoding": "utf-8",
                "schema": f"{_STANDARD}/{table}-table-schema.json",
            }
            for table in _COLUMNS
        ],
        "profile": f"{_STANDARD}/camtrap-dp-profile.json",
        "created": _time(datetime.now(UTC)),
        "title": name,
        "contributors": [{"title": f"tensor-guess {__version__}", "role": "contributor"}],
        # The least that can be said of a project that is not known.
        "project": {
            "title": name,
            "samplingDesign": "opportunistic",
            "captureMethod": ["activityDetection"],
            "individualAnimals": False,
            "observationLevel": ["media"],
        },
        "spatial": {"type": "Point", "coordinates": [location.longitude, location.latitude]},
        "temporal": {"start": _time(rows[0].when)[:10], "end": _time(rows[-1].when)[:10]},
        "taxonomic": [{"scientificName": each} for each in sorted(map(str, names))],
    }
    return (json.dumps(found, indent=2) + "\n").encode()


def _instant(when: datetime) -> datetime:
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _time(when: datetime) -> str:
    """Return the time as the standard wants it: ISO 8601 to the second, with a zone."""
    return _instant(when).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def _bool(value: bool) -> str:
    return str(value).lower()
