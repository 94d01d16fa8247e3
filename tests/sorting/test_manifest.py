"""The manifest remembers what was sorted, whatever became of the run that wrote it."""

import contextlib
import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from made.steps import ended_of, full_from
from tensor_guess.config import MANIFEST
from tensor_guess.errors import UserError
from tensor_guess.sorting.manifest import Burst, Entry, Manifest, Told, read
from tensor_guess.sorting.plan import Way
from tensor_guess.system.durable import Journal

SCORES = {"elsa": 0.75, "darth vader": 0.25}
KEY, OTHER = "ab" * 32, "cd" * 32


def entry(image: str, name: str, key: str = KEY, way: str = "copy") -> Entry:
    return Entry(image, name, way, key)


def test_each_line_is_there_as_it_happens(tmp_path: Path) -> None:
    with Manifest(tmp_path, Path("/photos"), "digest") as manifest:
        manifest.sorted(entry("a/b.jpg", "elsa-0.75000.jpg", KEY), SCORES)
        manifest.left_out(Path("/photos/c.jpg"), "is empty")
        header, image, left_out = _lines(tmp_path)  # not only after the run
    assert header["classifier"] == "digest"
    assert (header["source"], header["destination"]) == ("/photos", str(tmp_path))
    assert image["image"] == "a/b.jpg"
    assert image["copied_to"] == "elsa-0.75000.jpg"
    assert (image["label"], image["scores"], image["sha256"]) == ("elsa", SCORES, KEY)
    assert left_out == {"image": "c.jpg", "left_out": "is empty", "by": header["run"]}
    assert image["by"] == header["run"]


def test_runs_have_ids_of_their_own_and_know_what_came_before(tmp_path: Path) -> None:
    with Manifest(tmp_path, Path("/photos"), "digest") as manifest:
        manifest.sorted(entry("b.jpg", "elsa-0.75000.jpg", KEY), SCORES)
    with Manifest(tmp_path, Path("/other"), "digest") as manifest:
        assert manifest.known == {KEY: "elsa-0.75000.jpg"}
    headers = [line for line in _lines(tmp_path) if "run" in line]
    assert len({header["run"] for header in headers}) == 2


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_run_killed_in_the_middle_of_a_line_spoils_nothing(tmp_path: Path, cut: int) -> None:
    with Manifest(tmp_path, Path("/photos"), "digest") as manifest:
        manifest.sorted(entry("a.jpg", "elsa-0.75000.jpg", KEY), SCORES)
        manifest.sorted(entry("b.jpg", "elsa-0.75000-2.jpg", "cd" * 32), SCORES)
    path = tmp_path / MANIFEST
    path.write_bytes(path.read_bytes()[:-cut])
    with Manifest(tmp_path, Path("/photos"), "digest") as manifest:
        assert KEY in manifest.known
        manifest.sorted(entry("c.jpg", "elsa-0.75000-3.jpg", "ef" * 32), SCORES)
    with Manifest(tmp_path, Path("/photos"), "digest") as manifest:
        assert {KEY, "ef" * 32} <= manifest.known.keys()


def header(folder: Path) -> dict[str, object]:
    return [line for line in _lines(folder) if "run" in line][-1]


def test_a_run_that_did_not_end_is_continued_by_one_like_it(tmp_path: Path) -> None:
    """Wherever its two folders are now; and it is one run for `undo`."""
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()

    def run(place: str, *, way: Way, source: str = "in", digest: str = "a", end: bool) -> object:
        folder = tmp_path / place / "out"
        folder.mkdir(exist_ok=True)
        manifest = Manifest(folder, tmp_path / place / source, digest, way)
        with contextlib.suppress(KeyboardInterrupt), manifest:
            if not end:
                raise KeyboardInterrupt
        return header(folder)["run"]

    first = run("here", way=Way(), end=False)
    assert run("here", way=Way(), end=False) == first
    others = [
        run("here", way=Way("move"), end=True),
        run("here", way=Way(layout="folders"), end=True),
        run("here", way=Way(keep_tree=True), end=True),
        run("here", way=Way(), source="other", end=True),
        run("here", way=Way(), digest="b", end=True),
    ]
    assert first not in others
    (tmp_path / "here/out").rename(tmp_path / "there/out")
    assert run("there", way=Way(), end=True) == first
    assert run("there", way=Way(), end=True) != first


def test_the_manifest_of_the_version_before_is_read_and_extended(tmp_path: Path) -> None:
    """Its headers say no way, its lines no run, and nothing tells that a run has ended."""
    old = {"run": "0" * 16, "classifier": "digest", "source": "/in", "destination": str(tmp_path)}
    line = {"image": "a.jpg", "copied_to": "review/a-0.5.jpg", "sha256": KEY, "label": "a"}
    lines = [old, line | {"scores": {"a": 0.5}}, {"image": "b", "left_out": "is empty"}]
    text = "".join(json.dumps(each) + "\n" for each in lines)
    (tmp_path / MANIFEST).write_text(text)
    with Manifest(tmp_path, Path("/in"), "digest") as manifest:
        assert manifest.known == {KEY: "review/a-0.5.jpg"}
        manifest.sorted(entry("c.jpg", "c-0.5.jpg", "cd" * 32), SCORES)
    assert (tmp_path / MANIFEST).read_text().startswith(text)
    with Journal(tmp_path / MANIFEST) as journal:
        told = [event for event in read(journal) if isinstance(event, Told)]
    assert [(e.run, e.entry.image, e.entry.way) for e in told] == [
        ("0" * 16, "a.jpg", "copy"),
        (manifest.run, "c.jpg", "copy"),
    ]


def test_what_a_killed_run_decided_for_a_burst_is_known_to_the_run_that_continues(
    tmp_path: Path,
) -> None:
    burst = Burst("", "a.jpg", [KEY, OTHER], {"elsa": 0.75, "other": 0.25}, True, ("elsa", "other"))
    with (
        contextlib.suppress(KeyboardInterrupt),
        Manifest(tmp_path, Path("/in"), "digest") as first,
    ):
        first.deciding(replace(burst, run=first.run))
        first.sorted(entry("a.jpg", "unknown-0.75000.jpg", KEY), SCORES)
        raise KeyboardInterrupt
    with Manifest(tmp_path, Path("/in"), "another") as other:
        assert (other.run != first.run, other.bursts) == (True, {})
    with Manifest(tmp_path, Path("/in"), "digest") as again:
        assert again.bursts == {OTHER: replace(burst, run=first.run)}
        again.sorted(entry("b.jpg", "unknown-0.75000-2.jpg", OTHER), SCORES)
    with Manifest(tmp_path, Path("/in"), "digest") as last:
        assert (last.bursts, len(last.known)) == ({}, 2)


def test_what_is_undone_is_not_known(tmp_path: Path) -> None:
    with Manifest(tmp_path, Path("/in"), "") as manifest:
        for name, key in (("a.jpg", KEY), ("b.jpg", "cd" * 32), ("c.jpg", "ef" * 32)):
            manifest.sorted(entry(name, name, key), SCORES)
    with Journal(tmp_path / MANIFEST) as journal:
        journal.add(by=manifest.run, undoing={"a.jpg": KEY})
        journal.add(by=manifest.run, undone={"b.jpg": "cd" * 32, "c.jpg": "00" * 32})
    with Manifest(tmp_path, Path("/in"), "") as manifest:
        assert manifest.known == {"ef" * 32: "c.jpg"}


def test_names_that_are_no_utf8_come_back(tmp_path: Path) -> None:
    name = b"latin1_\xe9\n.jpg".decode(errors="surrogateescape")
    with Manifest(tmp_path, Path("/photos"), "digest") as manifest:
        manifest.sorted(entry(name, "elsa-0.75000.jpg"), SCORES)
    assert _lines(tmp_path)[1]["image"] == name


def test_a_manifest_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).mkdir()
    with pytest.raises(UserError, match="is a directory"):
        Manifest(tmp_path, Path("/photos"), "digest").__enter__()


@pytest.mark.parametrize("link", ["symbolic", "hard"])
def test_a_photo_that_has_the_manifests_name_is_left_alone(tmp_path: Path, link: str) -> None:
    photo, path = tmp_path / "photo.jpg", tmp_path / MANIFEST
    photo.write_bytes(b"\xff\xd8\xff a photo")
    if link == "symbolic":
        path.symlink_to(photo)
    else:
        path.hardlink_to(photo)
    with pytest.raises(UserError, match=MANIFEST):
        Manifest(tmp_path, Path("/photos"), "digest").__enter__()
    assert photo.read_bytes() == b"\xff\xd8\xff a photo"


def test_a_fifo_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / MANIFEST)
    with pytest.raises(UserError, match="is not a regular file"):
        Manifest(tmp_path, Path("/photos"), "digest").__enter__()


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 200_000,
        b'{"copied_to": "x.jpg"}',
        b'{"copied_to": "x.jpg", "sha256": "short"}',
        b'{"copied_to": "x.jpg", "sha256": ["a"]}',
        b'{"copied_to": "../x.jpg", "sha256": "' + KEY.encode() + b'"}',
        b'{"copied_to": "..", "sha256": "' + KEY.encode() + b'"}',
        b'{"copied_to": "/x.jpg", "sha256": "' + KEY.encode() + b'"}',
        b'{"copied_to": "review/", "sha256": "' + KEY.encode() + b'"}',
        b'{"copied_to": "review/..", "sha256": "' + KEY.encode() + b'"}',
        b'{"copied_to": "review/../x.jpg", "sha256": "' + KEY.encode() + b'"}',
        b'{"copied_to": ".hidden/x.jpg", "sha256": "' + KEY.encode() + b'"}',
        b'{"image": "../x", "copied_to": "x.jpg", "sha256": "' + KEY.encode() + b'"}',
        b'{"image": "x", "copied_to": "x.jpg", "moved_to": "x", "sha256": "' + KEY.encode() + b'"}',
        b'{"image": "x", "symlinked_to": "x.jpg", "sha256": "' + KEY.encode() + b'"}',
        b'{"begun": [{"image": "x"}]}',
        b'{"begun": 5}',
        b'{"image": "x", "copied_to": "x", "label": "a", "scores": {"a": NaN}, "sha256": "'
        + OTHER.encode()
        + b'"}',
        b'{"burst": "x", "of": ["b"], "label": "a", "scores": {"a": 1}, "unknown": 0, "both": []}',
        b'{"burst": "../x", "of": [], "label": "a", "scores": {"a": 1}, "unknown": 0, "both": []}',
        b'{"burst": "x", "of": [], "label": "b", "scores": {"a": 1}, "unknown": 0, "both": []}',
        b'{"burst": "x", "of": []}',
        b'{"results": {"../x": "' + KEY.encode() + b'"}}',
        b'{"undone": ["x"]}',
        b'{"undoing": {"../x": "' + KEY.encode() + b'"}}',
        b'{"made": "../x"}',
        b'{"run": "1", "classifier": "", "source": "photos", "destination": "/x"}',
        b'{"run": 5}',
        b'{"copied_to": 5, "sha256": "' + KEY.encode() + b'"}',
        b"\xff\xfe",
        b"5",
        b'{"scores": "' + b"x" * 9_000_000,
    ],
    ids=lambda line: repr(line[:40]),
)
def test_a_line_that_is_damaged_is_passed_over_and_told(
    tmp_path: Path, line: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    with Manifest(tmp_path, Path("/photos"), "digest") as manifest:
        manifest.sorted(entry("a.jpg", "elsa-0.75000.jpg", KEY), SCORES)
    with (tmp_path / MANIFEST).open("ab") as file:
        file.write(line)
    with Manifest(tmp_path, Path("/photos"), "digest") as manifest:
        assert manifest.known == {KEY: "elsa-0.75000.jpg"}
    assert "damaged lines passed over" in capfd.readouterr().err


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_full_disk_is_one_sentence(tmp_path: Path, at: int) -> None:
    def fill() -> None:
        full_from(at + 1)  # the first step makes the file
        with (
            pytest.raises(UserError, match=r"could not write .*: no space left on device"),
            Manifest(tmp_path, Path("/photos"), "digest") as manifest,
        ):
            manifest.left_out(Path("/photos/a.jpg"), "is empty")

    assert ended_of(fill) == 0


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("step", ["open", "dup", "fstat", "write", "fsync", "close"])
def test_an_error_at_any_step_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    real, said = getattr(os, step), set()
    for nth in range(1, 5):
        (tmp_path / MANIFEST).write_bytes(b'{"run": "was killed in the middle of a li')
        calls = 0

        def fail(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == nth:  # noqa: B023 # called in this round only
                raise OSError(number, os.strerror(number))
            return real(*arguments, **options)

        monkeypatch.setattr(os, step, fail)
        try:
            with Manifest(tmp_path, Path("/photos"), "digest") as manifest:
                manifest.left_out(Path("/photos/a.jpg"), "is empty")
        except UserError as error:
            said.add(str(error).partition(MANIFEST)[2])
        monkeypatch.undo()
    assert said == {f": {os.strerror(number).lower()}"}


def in_parts(size: int, *, full_after: int | None = None) -> Callable[[int, Any], int]:
    """An os.write that takes `size` bytes at a time; the disk is full once, after so many calls."""
    real, calls = os.write, 0

    def write(handle: int, data: Any) -> int:
        nonlocal calls
        calls += 1
        if calls - 1 == full_after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(handle, memoryview(data)[:size])

    return write


def test_a_line_that_is_taken_in_parts_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "write", in_parts(5))
    with Manifest(tmp_path, Path("/photos"), "digest") as manifest:
        manifest.sorted(entry("a.jpg", "elsa-0.75000.jpg", KEY), SCORES)
    assert [line.get("copied_to") for line in _lines(tmp_path)] == [None, "elsa-0.75000.jpg", None]


def test_a_line_after_half_a_line_is_known_to_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Manifest(tmp_path, Path("/photos"), "digest") as manifest:
        monkeypatch.setattr(os, "write", in_parts(20, full_after=1))
        with pytest.raises(UserError, match="no space left on device"):
            manifest.left_out(Path("/photos/a.jpg"), "is empty")
        monkeypatch.undo()
        # Another thread's line, once there is room again.
        manifest.sorted(entry("b.jpg", "elsa-0.75000.jpg", KEY), SCORES)
    with Manifest(tmp_path, Path("/photos"), "digest") as manifest:
        assert manifest.known == {KEY: "elsa-0.75000.jpg"}


def test_two_runs_that_end_the_same_half_line_leave_no_damage(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    header = b'{"run": "%d", "classifier": "", "source": "/in", "destination": "/out"}\n'
    (tmp_path / MANIFEST).write_bytes(header % 1 + b"\n" + header % 2)
    with Manifest(tmp_path, Path("/photos"), "digest"):
        assert capfd.readouterr().err == ""


def _lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / MANIFEST).read_text().splitlines()]
