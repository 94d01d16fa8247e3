"""The tables of Camtrap DP 1.0.2, as its schemas describe them: tests use no internet.

A line for each field: its name, its type, whether it is required (`!`) and unique (`!!`), and what
its values must be.
"""

from typing import Any

TABLES = {
    "deployments": """
        deploymentID string !!
        locationID string
        locationName string
        latitude number ! -90..90
        longitude number ! -180..180
        coordinateUncertainty integer 1..
        deploymentStart datetime !
        deploymentEnd datetime !
        setupBy string
        cameraID string
        cameraModel string
        cameraDelay integer 0..
        cameraHeight number 0..
        cameraDepth number 0..
        cameraTilt integer -90..90
        cameraHeading integer 0..360
        detectionDistance number 0..
        timestampIssues boolean
        baitUse boolean
        featureType string
        habitat string
        deploymentGroups string
        deploymentTags string
        deploymentComments string
    """,
    "media": r"""
        mediaID string !!
        deploymentID string !
        captureMethod string activityDetection|timeLapse
        timestamp datetime !
        filePath string ! ^(?=^[^./~])(^((?!\.{2}).)*$).*$
        filePublic boolean !
        fileName string
        fileMediatype string ! ^(image|video|audio)/.*$
        exifData any
        favorite boolean
        mediaComments string
    """,
    "observations": """
        observationID string !!
        deploymentID string !
        mediaID string
        eventID string
        eventStart datetime !
        eventEnd datetime !
        observationLevel string ! media|event
        observationType string ! animal|human|vehicle|blank|unknown|unclassified
        cameraSetupType string setup|calibration
        scientificName string
        count integer 1..
        lifeStage string adult|subadult|juvenile
        sex string female|male
        behavior string
        individualID string
        individualPositionRadius number 0..
        individualPositionAngle number -90..90
        individualSpeed number 0..
        bboxX number 0..1
        bboxY number 0..1
        bboxWidth number 0..1
        bboxHeight number 0..1
        classificationMethod string human|machine
        classifiedBy string
        classificationTimestamp datetime
        classificationProbability number 0..1
        observationTags string
        observationComments string
    """,
}
_KEYS = {
    "media": [("deploymentID", "deployments")],
    "observations": [("deploymentID", "deployments"), ("mediaID", "media")],
}
# Of datapackage.json and of its `project`.
REQUIRED = (
    "resources", "profile", "created", "contributors", "project", "spatial", "temporal",
    "taxonomic",
)  # fmt: skip
PROJECT = {
    "title": None,
    "samplingDesign": {
        "simpleRandom", "systematicRandom", "clusteredRandom", "experimental", "targeted",
        "opportunistic",
    },
    "captureMethod": {"activityDetection", "timeLapse"},
    "individualAnimals": {True, False},
    "observationLevel": {"media", "event"},
}  # fmt: skip


def schema(table: str) -> dict[str, Any]:
    """The table's schema, in the form that frictionless reads."""
    return {
        "fields": [_field(*line.split(maxsplit=2)) for line in TABLES[table].strip().splitlines()],
        "missingValues": ["", "NA", "NaN", "nan"],
        "primaryKey": TABLES[table].split()[0],
        "foreignKeys": [
            {"fields": name, "reference": {"resource": other, "fields": name}}
            for name, other in _KEYS.get(table, ())
        ],
    }


def _field(name: str, kind: str, rest: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "type": kind}
    if kind == "datetime":
        found["format"] = "%Y-%m-%dT%H:%M:%S%z"
    constraints: dict[str, Any] = {}
    for word in rest.split():
        low, dots, high = word.partition("..")
        if word.startswith("!"):
            constraints |= {"required": True} | ({"unique": True} if word == "!!" else {})
        elif word.startswith("^"):
            constraints["pattern"] = word
        elif dots:
            constraints |= {"minimum": float(low)} | ({"maximum": float(high)} if high else {})
        else:
            constraints["enum"] = word.split("|")
    return found | ({"constraints": constraints} if constraints else {})
