"""DEST in a store: what a folder gets, each object once and none overwritten, whatever happens."""

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from made.place import ROOT, Run
from made.server import until
from made.sorting import tree
from made.store import KEY, SECRET, Store

PHOTOS = ROOT / "test_data"
_MANIFEST = "manifest.jsonl/"


def sorted_in(store: Store, prefix: str = "sorted/") -> dict[str, bytes]:
    """What is in DEST, but for the manifest."""
    found = store.objects(prefix)
    return {
        key.removeprefix(prefix): data
        for key, data in found.items()
        if not key.startswith(prefix + _MANIFEST)
    }


def in_folder(folder: Path) -> dict[str, object]:
    return {name: found[2] for name, found in tree(folder).items() if found[0] == "file"}


def pictures(folder: Path, count: int) -> dict[str, bytes]:
    """So many small pictures, all different, by their SHA-256."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(count):
        shades = random.integers(0, 255, (8, 8, 3), np.uint8)
        Image.fromarray(shades).save(folder / f"{number:04}.png")
    return {sha256(path.read_bytes()).hexdigest(): path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    "how", [(), ("--layout", "folders"), ("--keep-tree",), ("--min-score", "0.6")]
)
def test_a_store_gets_what_a_folder_gets(
    call: Run, small: Path, store: Store, tmp_path: Path, how: Sequence[str]
) -> None:
    store.take(PHOTOS, "photos/deep")
    store.take(PHOTOS, "photos")  # the same bytes, once more
    (tmp_path / "photos").mkdir()
    for key, data in store.objects("photos/").items():
        (tmp_path / key).parent.mkdir(exist_ok=True)
        (tmp_path / key).write_bytes(data)
    plain = call("classify-dir", small, tmp_path / "photos", tmp_path / "plain", *how)
    csv = tmp_path / "table.csv"
    to = f"{store.url}/sorted"
    done = call("classify-dir", small, f"{store.url}/photos", to, *how, "--csv", csv)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.match(rf"12 copied to {to}(, 1 of them into review)?, 12 known already", done.stdout)
    assert done.stdout.splitlines()[1:-1] == plain.stdout.splitlines()[1:-1]
    assert sorted_in(store) == in_folder(tmp_path / "plain")
    assert len(csv.read_text().splitlines()) == 13
    again = call("classify-dir", small, tmp_path / "photos", to, *how)
    assert again.stdout.startswith(f"0 copied to {to}, 24 known already")
    assert sorted_in(store) == in_folder(tmp_path / "plain")
    pieces = [key for key in store.objects("sorted/") if _MANIFEST in key]
    assert pieces[0] == "sorted/manifest.jsonl/00000001.jsonl"
    assert len(pieces) == 5  # a header, what begins, what is told; and the second run's two


def test_a_copy_has_its_kind_and_its_time(
    call: Run, small: Path, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes((PHOTOS / "photo01.jpg").read_bytes())
    os.utime(tmp_path / "in" / "a.jpg", ns=(0, 1_500_000_000_123_456_789))
    assert call("classify-dir", small, tmp_path / "in", store.url).returncode == 0
    (key,) = sorted_in(store, "")
    found = store.client.head_object(Bucket=store.bucket, Key=key)
    assert found["ContentType"] == "image/jpeg"
    assert found["Metadata"] == {"mtime": "1500000000.123456789"}


def test_a_name_that_is_taken_stays_whoever_took_it_when(
    call: Run, small: Path, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    data = (PHOTOS / "photo01.jpg").read_bytes()
    (tmp_path / "in" / "a.jpg").write_bytes(data)
    assert call("classify-dir", small, tmp_path / "in", f"{store.url}/look").returncode == 0
    (name,) = sorted_in(store, "look/")
    stem = name.removesuffix(".jpg")
    store.put({f"sorted/{name}": b"mine"})
    store.fail(f"PUT /{store.bucket}/sorted/{stem}-2.jpg", "taken")
    assert call("classify-dir", small, tmp_path / "in", f"{store.url}/sorted").returncode == 0
    assert sorted_in(store) == {name: b"mine", f"{stem}-2.jpg": b"another's", f"{stem}-3.jpg": data}
    # One with the same bytes is the copy itself.
    store.put({f"other/{name}": data})
    done = call("classify-dir", small, tmp_path / "in", f"{store.url}/other")
    assert done.stdout.startswith("1 copied to")
    assert sorted_in(store, "other/") == {name: data}


def test_a_unit_comes_as_a_whole_under_one_name(
    call: Run, small: Path, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    files = {"a.jpg": (PHOTOS / "photo01.jpg").read_bytes(), "a.mov": b"video", "a.xmp": b"<x/>"}
    for name, data in files.items():
        (tmp_path / "in" / name).write_bytes(data)
    store.fail(rf"PUT /{store.bucket}/sorted/[^/]*\.xmp", "taken")
    done = call("classify-dir", small, tmp_path / "in", f"{store.url}/sorted")
    assert (done.returncode, done.stderr) == (0, "")
    found = sorted_in(store)
    (taken,) = (name for name, data in found.items() if data == b"another's")
    stem = taken.removesuffix(".xmp")
    assert found == {
        taken: b"another's",
        **{f"{stem}-2.{name[2:]}": data for name, data in files.items()},
    }


@pytest.mark.parametrize("what", ["sorted/[^/]*[.]jpg", "sorted/manifest"])
def test_what_was_written_though_the_answer_got_lost_is_there_once(
    call: Run, small: Path, store: Store, what: str
) -> None:
    store.fail(f"PUT /{store.bucket}/{what}", "lost", 2)
    done = call("classify-dir", small, PHOTOS, f"{store.url}/sorted")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("12 copied to")
    originals = Counter(path.read_bytes() for path in PHOTOS.iterdir())
    assert Counter(sorted_in(store).values()) == originals


def test_a_store_that_overwrites_gets_no_picture(call: Run, small: Path, store: Store) -> None:
    store.fail(f"PUT /{store.bucket}", "blind", 9)
    done = call("classify-dir", small, PHOTOS, f"{store.url}/sorted")
    assert (done.returncode, done.stdout) == (1, "")
    assert "overwrites what is there (it does not know If-None-Match); use another" in done.stderr
    assert sorted_in(store) == {}


@pytest.mark.parametrize(
    ("what", "how", "said"),
    [
        ("PUT /{}/sorted/manifest", "403 AccessDenied", "access denied by the store"),
        ("PUT /{}/sorted/[^/]*[.]jpg", "403 AccessDenied", "access denied by the store"),
        ("PUT /{}/sorted/[^/]*[.]jpg", "418 Teapot", "refused a request (Teapot); run it again"),
        (r"GET /{}\?list.*sorted", "403 AccessDenied", "access denied by the store"),
    ],
)
def test_a_store_that_refuses_is_gone_on_with_later(
    call: Run, small: Path, store: Store, what: str, how: str, said: str
) -> None:
    store.fail(what.format(store.bucket), how)
    done = call("classify-dir", small, PHOTOS, f"{store.url}/sorted")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert call("classify-dir", small, PHOTOS, f"{store.url}/sorted").returncode == 0
    originals = Counter(path.read_bytes() for path in PHOTOS.iterdir())
    assert Counter(sorted_in(store).values()) == originals


def test_a_name_that_is_too_long_for_the_store_is_left_out(
    call: Run, small: Path, store: Store
) -> None:
    store.fail(f"PUT /{store.bucket}/sorted/[^/]*[.]jpg", "400 KeyTooLongError")
    done = call("classify-dir", small, PHOTOS, f"{store.url}/sorted")
    assert done.returncode == 3
    assert "can have no such name in DEST: name too long" in done.stderr
    assert len(sorted_in(store)) == 11


def test_two_folders_of_one_store_must_not_be_in_each_other(
    call: Run, small: Path, store: Store
) -> None:
    store.take(PHOTOS, "photos")
    for destination in ("/photos", "/photos/sorted"):
        done = call("classify-dir", small, f"{store.url}/photos", store.url + destination)
        assert done.returncode == 2
        assert "choose a folder outside it" in done.stderr
    assert len(store.objects()) == 12


def start(store: Store, cache: Path, *arguments: Any) -> "subprocess.Popen[bytes]":
    words = [sys.executable, "-I", "-u", "-X", "utf8", ROOT / "src", *arguments]
    return subprocess.Popen(
        list(map(str, words)),
        env={"TENSOR_GUESS_CACHE": str(cache), "PATH": "/usr/bin:/bin"} | store.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "after"),
    [
        pytest.param("manifest", 0, marks=pytest.mark.long),  # the header is there
        ("manifest", 2),  # the first batch is announced
        pytest.param("[^/]*[.]png", 0, marks=pytest.mark.long),  # its first picture is there
        ("[^/]*[.]png", 60),
        pytest.param("manifest", 3, marks=pytest.mark.long),  # its lines are, and the next batch
        pytest.param("[^/]*[.]png", 140, marks=pytest.mark.long),
        ("manifest", 4),  # the end
    ],
)
def test_a_killed_run_is_completed_with_nothing_missing_and_nothing_twice(
    run: Run, small: Path, store: Store, cache: Path, tmp_path: Path, what: str, after: int
) -> None:
    originals = pictures(tmp_path / "in", 150)
    arguments = ("classify-dir", small, tmp_path / "in", f"{store.url}/sorted")
    store.fail(f"PUT /{store.bucket}/sorted/{what}", "hang", 1, after)
    store.requests()
    process = start(store, cache, *arguments)
    until(lambda: "hangs" in store.requests())
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = run(*arguments, environ=store.environ)
    assert done.returncode == 0, done.stderr
    found = sorted_in(store)
    assert Counter(sha256(data).hexdigest() for data in found.values()) == Counter(list(originals))
    again = run(*arguments, environ=store.environ)
    assert f"0 copied to {store.url}/sorted, 150 known already" in again.stdout
    assert sorted_in(store) == found
    pieces = [key for key in store.objects("sorted/") if _MANIFEST in key]
    assert len(pieces) < 12  # not one for each picture


@pytest.mark.slow
def test_nobody_is_told_the_secret(
    run: Run, small: Path, store: Store, cache: Path, tmp_path: Path
) -> None:
    store.take(PHOTOS, "photos")
    said = ""
    for environ in (
        store.environ,
        store.environ | {"AWS_ENDPOINT_URL": f"http://me:{SECRET}@127.0.0.1:9"},
        store.environ | {"AWS_ENDPOINT_URL": f"http://me:{SECRET}@127.0.0.1:{store.port}"},
        store.environ | {"AWS_ENDPOINT_URL": SECRET},
        store.environ | {"AWS_SESSION_TOKEN": SECRET, "AWS_PROFILE": SECRET},
    ):
        source, to = f"{store.url}/photos", f"{store.url}/sorted"
        done = run("classify-dir", small, source, to, "--verbose", environ=environ)
        said += done.stdout + done.stderr
        assert "Traceback" not in done.stderr
    assert "12 copied to" in said
    assert re.search(r"does not answer|is no address", said)
    written = [*store.objects("sorted/").values(), said.encode()]
    written += [path.read_bytes() for path in cache.rglob("*") if path.is_file()]
    for data in written:
        assert SECRET.encode() not in data
        assert KEY.encode() not in data
