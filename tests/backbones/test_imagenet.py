"""ImageNet's 1000 classes: guessing and sorting with no training at all."""

import json
import re
from pathlib import Path

import pytest

from made.place import ROOT, Run
from tensor_guess.backbones.imagenet import labels

PHOTO = ROOT / "test_data/photo01.jpg"
LITE = ("--backbone", "efficientnet_lite0")
SEEN = {"parrot.jpg": "macaw", "hot_dog.jpg": "hotdog", "dragonfly.bmp": "dragonfly"}


def test_labels_are_a_thousand_different_ones_in_the_order_of_the_classes() -> None:
    found = labels()
    assert len(found) == len(set(found)) == 1000
    known = {0: "tench", 88: "macaw", 134: "crane", 319: "dragonfly", 517: "construction crane",
             639: "tank suit", 934: "hotdog", 999: "toilet tissue"}  # fmt: skip
    assert {number: found[number] for number in known} == known
    assert all(label.isprintable() and "/" not in label for label in found)


def test_labels_are_the_first_names_of_the_classes(shared: Path) -> None:
    lines = (shared / "sample_images/imagenet_labels.txt").read_text().splitlines()[1:]
    first = [line.partition(",")[0] for line in lines]
    assert [i for i, (a, b) in enumerate(zip(labels(), first, strict=True)) if a != b] == [517, 639]


@pytest.mark.slow
@pytest.mark.parametrize(("photo", "label"), SEEN.items())
def test_what_is_in_a_photo_is_known(call: Run, shared: Path, photo: str, label: str) -> None:
    done = call("guess", "imagenet", shared / "sample_images" / photo, *LITE)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(rf"{label} \(score = 0\.\d{{5}}\)\n(.+ \(score = .*\)\n){{4}}", done.stdout)


@pytest.mark.slow
def test_photos_are_sorted_by_what_is_in_them(call: Run, shared: Path, tmp_path: Path) -> None:
    source, sorted_ = tmp_path / "photos", tmp_path / "sorted"
    source.mkdir()
    for photo in SEEN:
        (source / photo).write_bytes((shared / "sample_images" / photo).read_bytes())
    done = call("classify-dir", "imagenet", source, sorted_, *LITE)
    assert (done.returncode, done.stderr) == (0, "")
    copies = sorted(path.name.partition("-")[0] for path in sorted_.iterdir())
    assert copies == ["dragonfly", "hotdog", "macaw", "manifest.jsonl"]
    _, *lines = map(json.loads, (sorted_ / "manifest.jsonl").read_text().splitlines())
    assert [len(line["scores"]) for line in lines if "scores" in line] == [5, 5, 5]


@pytest.mark.slow
def test_as_many_labels_as_wished(call: Run, trained: Path) -> None:
    assert len(call("guess", "imagenet", PHOTO, "--top", "7", *LITE).stdout.splitlines()) == 7
    assert len(call("guess", "imagenet", PHOTO, "--top", "5000", *LITE).stdout.splitlines()) == 1000
    assert len(call("guess", trained, PHOTO, "--top=1").stdout.splitlines()) == 1
    scores = json.loads(call("guess", "imagenet", PHOTO, "--json", *LITE).stdout)["scores"]
    assert len(scores) == 5


@pytest.mark.slow
def test_without_the_network_the_fallback_is_used_and_said(call: Run) -> None:
    done = call("guess", "imagenet", PHOTO, "--offline")
    assert done.returncode == 0
    assert done.stderr.startswith("using efficientnet_lite0, not inception_v3: ")
    assert done.stdout == call("guess", "imagenet", PHOTO, *LITE).stdout
    asked = call("guess", "imagenet", PHOTO, "--offline", "--backbone", "vgg16")
    assert (asked.returncode, asked.stdout) == (1, "")
    assert "vgg16 is not on this machine" in asked.stderr


@pytest.mark.slow
def test_a_folder_of_that_name_is_a_path(
    call: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "there is no classifier imagenet" in call("guess", "./imagenet", PHOTO).stderr
    (tmp_path / "imagenet").mkdir()
    assert "no classifier in imagenet" in call("guess", "./imagenet", PHOTO).stderr
    assert call("guess", "imagenet", PHOTO, *LITE).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("guess", "imagenet", PHOTO, "--backbone", "vgg61"), "did you mean vgg16?"),
        (
            ("classify-dir", "imagenet", ROOT / "docs", "/nowhere/x", "--backbone", "vgg61"),
            "did you mean vgg16?",
        ),
        (("train", "/nowhere", "--backbone", "vgg61"), "did you mean vgg16?"),
        (("fetch", "efficientnet_lite0", "vgg61"), "did you mean vgg16?"),
        (("guess", "x", PHOTO, "--backbone", "vgg16"), "--backbone is for imagenet"),
        (("guess", "imagenet", PHOTO, "--top", "0"), "Invalid value for '--top'"),
    ],
)
def test_wrong_usage_is_said_before_any_work(
    call: Run, arguments: tuple[object, ...], said: str
) -> None:
    done = call(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_the_list_of_backbones(run: Run) -> None:
    done = run("backbones")
    assert (done.returncode, done.stderr) == (0, "")
    head, *table = done.stdout.splitlines()
    assert head.split() == ["name", "pixels", "bottleneck", "download", "licence", "here"]
    rows = {line.split()[0]: line.split()[1:] for line in table}
    assert rows["efficientnet_lite0"] == ["224", "1280", "17", "MB", "Apache-2.0", "yes"]
    assert rows["vgg16"] == ["224", "4096", "553", "MB", "CC-BY-4.0", "no"]
    assert len({len(line.rstrip()) - len(line.split()[-1]) for line in table}) == 1
    lines = [json.loads(line) for line in run("backbones", "--json").stdout.splitlines()]
    assert [each["name"] for each in lines] == list(rows)
