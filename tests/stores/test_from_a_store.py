"""Jobs whose pictures are in a store do what they do with a folder."""

import time
from pathlib import Path

import pytest

from made.place import ROOT, Run
from made.server import until
from made.sorting import tree
from made.store import KEY, SECRET, Store

PHOTOS, DATA = ROOT / "test_data", ROOT / "tf_files" / "data"


def outcome(folder: Path) -> dict[str, object]:
    """The bytes of what is in DEST."""
    return {name: found[2] for name, found in tree(folder).items() if found[0] == "file"}


def test_a_bucket_is_sorted_as_a_folder_is(
    call: Run, small: Path, store: Store, tmp_path: Path
) -> None:
    store.take(PHOTOS, "photos")
    plain = call("classify-dir", small, PHOTOS, tmp_path / "plain")
    done = call("classify-dir", small, f"{store.url}/photos", tmp_path / "sorted")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1:-1] == plain.stdout.splitlines()[1:-1]
    assert outcome(tmp_path / "sorted") == outcome(tmp_path / "plain")
    manifest = (tmp_path / "sorted" / "manifest.jsonl").read_text()
    assert f'"source": "{store.url}/photos"' in manifest
    store.requests()
    again = call("classify-dir", small, f"{store.url}/photos/", tmp_path / "sorted")
    assert again.stdout.startswith(f"0 copied to {tmp_path / 'sorted'}, 12 known already")
    planned = call("classify-dir", small, f"{store.url}/photos", tmp_path / "other", "--dry-run")
    assert f"{store.url}/photos/photo01.jpg -> {tmp_path / 'other'}/" in planned.stdout
    assert not {each[:3] for each in store.requests()} - {"GET", "HEA"}


def test_companions_come_along(call: Run, small: Path, store: Store, tmp_path: Path) -> None:
    photo = (PHOTOS / "photo01.jpg").read_bytes()
    store.put({"in/a.jpg": photo, "in/a.mov": b"video", "in/a.xmp": b"<x/>", "in/b.txt": b"no"})
    done = call("classify-dir", small, f"{store.url}/in", tmp_path / "sorted")
    assert done.returncode == 3
    assert f"left out {store.url}/in/b.txt: is no picture of a known kind" in done.stderr
    found = outcome(tmp_path / "sorted")
    assert sorted(name.rpartition(".")[2] for name in found) == ["jpg", "mov", "xmp"]
    assert set(found.values()) == {photo, b"video", b"<x/>"}


def test_one_that_vanishes_is_left_out_and_a_store_that_fails_ends_the_run(
    call: Run, small: Path, store: Store, tmp_path: Path
) -> None:
    store.take(PHOTOS, "photos")
    where = f"GET /{store.bucket}/photos/photo05"
    store.fail(where, "404 NoSuchKey")
    done = call("classify-dir", small, f"{store.url}/photos", tmp_path / "one")
    assert done.returncode == 3
    assert "photo05.jpg: is not there (any more)" in done.stderr
    store.fail(where, "418 Teapot")
    done = call("classify-dir", small, f"{store.url}/photos", tmp_path / "two")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "refused a request (Teapot); run it again to go on" in done.stderr
    again = call("classify-dir", small, f"{store.url}/photos", tmp_path / "two")
    assert again.returncode == 0
    assert call("classify-dir", small, PHOTOS, tmp_path / "plain").returncode == 0
    assert outcome(tmp_path / "two") == outcome(tmp_path / "plain")


@pytest.mark.slow
def test_a_classifier_is_trained_from_a_bucket_and_nothing_is_downloaded_twice(
    run: Run, store: Store, tmp_path: Path
) -> None:
    store.take(DATA, "data")
    put = time.time()
    how = ("--backbone", "efficientnet_lite0", "--steps", "50", "--no-report")
    trained = {}
    until(lambda: time.time() > put + 3)  # younger ones may change again in the same second
    for name, image_dir in (("plain", str(DATA)), ("store", f"{store.url}/data")):
        folder = tmp_path / name
        folder.mkdir()
        done = run("train", folder, "--image_dir", image_dir, *how, environ=store.environ)
        assert done.returncode == 0, done.stderr
        trained[name] = (folder / "retrained_graph.pb").read_bytes()
    assert trained["store"] == trained["plain"]
    assert f"GET /{store.bucket}/data/" in str(store.requests())
    done = run("train", folder, "--image_dir", f"{store.url}/data", *how, environ=store.environ)
    assert done.returncode == 0, done.stderr
    asked = store.requests()
    assert not [each for each in asked if "?list-type=2" not in each]
    assert 3 <= len(asked) < 25
    assert all("?list-type=2" in each for each in asked)
    for path in folder.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        assert SECRET.encode() not in data, path
        assert KEY.encode() not in data, path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("classify-dir", "x.pb", "s3://b12/x", "out", "--move"), "--move is for folders of this"),
        (("classify-dir", "x.pb", "s3://b12/x", "out", "--link"), "--link is for folders of this"),
        (("classify-dir", "x.pb", "s3://b12/x", "out", "--symlink"), "--symlink is for folders"),
        (("classify-dir", "x.pb", "s3://b12/x", "out", "--watch"), "--watch is for folders of"),
        (("classify-dir", "x.pb", "s3://b12/x", "--tag"), "--tag is for folders of this machine"),
        (
            ("classify-dir", "x.pb", "s3://b12/x", "out", "--results", "timelapse"),
            "--results is for folders of this machine",
        ),
        (("classify-dir", "x.pb", "gs://b12/x", "out"), "gs:// is not known here"),
        (("classify-dir", "x.pb", f"s3://me:{SECRET}@b12/x", "out"), "a URL with a user"),
        (("classify-dir", "x.pb", f"s3://b12/x?Signature={SECRET}", "out"), "a URL with a user"),
        (("classify-dir", "x.pb", "in", "out", "--csv", "s3://b12/x"), "URL is taken only for"),
        (("train", "s3://b12/x"), "URL is taken only for"),
        (("train", "x", "--learn", "s3://b12/x"), "URL is taken only for"),
        (("train", "x", "--bottleneck_dir", "s3://b12/x"), "URL is taken only for"),
        (("train", "x", "--image_dir", f"s3://{SECRET[:6]}@b12/x"), "a URL with a user"),
        (("heap", f"s3://b12/x?{SECRET}", "out"), "URL is taken only for"),
        (("undo", "s3://b12/x"), "URL is taken only for"),
        (("evaluate", "x.pb", "s3://b12/x"), "URL is taken only for"),
        (("doctor", "s3://b12/x"), "URL is taken only for"),
        (("collect-faces", "x", "a", "s3://b12/x"), "URL is taken only for"),
    ],
)
def test_what_is_for_folders_only_is_wrong_usage(
    call: Run, arguments: tuple[str, ...], said: str
) -> None:
    done = call(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in " ".join(done.stderr.split())
    assert SECRET[:6] not in done.stderr


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("/nothing", "is not a folder of pictures to sort"),
        ("/photos/photo01.jpg", "is not a folder of pictures to sort"),
        ("-that-is-none", "there is no bucket s3://"),
    ],
)
def test_what_is_no_folder_in_a_store_is_said(
    call: Run, small: Path, store: Store, tmp_path: Path, source: str, said: str
) -> None:
    store.take(PHOTOS, "photos")
    done = call("classify-dir", small, store.url + source, tmp_path / "sorted")
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert not (tmp_path / "sorted").exists()
