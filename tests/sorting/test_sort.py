"""Sorted copies: every picture once, nothing overwritten, nothing outside DEST."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from made.faces import face, scene
from made.hostile_pictures import LEFT_OUT
from made.place import ROOT, Run
from made.raw_pictures import RAW
from made.sorting import tree
from tensor_guess.config import MANIFEST, WAYS
from tensor_guess.errors import UserError, WrongUsage
from tensor_guess.guessing.guess import Guess, guess
from tensor_guess.images import encoded
from tensor_guess.images.encoded import Picture
from tensor_guess.sorting import sort as sorting
from tensor_guess.sorting.plan import Way
from tensor_guess.sorting.sort import sort
from tensor_guess.sorting.undo import undo

PHOTOS = ROOT / "test_data"
HOSTILE_NAMES = (
    b"new\nline.jpg",
    b"-rf.jpg",
    b"quote'\".jpg",
    b"latin1_\xe9.jpg",
    b"\x1b[31mred.jpg",
    b" leading and trailing .jpg",
    b"n" * 251 + b".jpg",
    "東京 é.jpg".encode(),
    b"no_extension",
    b"comma,semi;colon&$(touch x).jpg",
)


def test_every_picture_is_copied_byte_for_byte(trained: Path, tmp_path: Path) -> None:
    done = sort(trained, PHOTOS, tmp_path / "new" / "sorted")
    assert (done.sorted, done.left_out) == (12, [])
    assert _digests(tmp_path / "new" / "sorted") == _digests(PHOTOS)


def test_names_say_category_score_and_true_kind(trained: Path, tmp_path: Path) -> None:
    sort(trained, PHOTOS, tmp_path / "sorted")
    lines = _copied(tmp_path / "sorted")
    for line in lines:
        best = max(line["scores"].values())
        stem, _, extension = line["copied_to"].rpartition(".")
        assert stem.startswith(f"{line['label'].replace(' ', '_')}-{best:.5f}")
        with Image.open(tmp_path / "sorted" / line["copied_to"]) as image:
            assert image.format in {"jpg": ("JPEG",), "webp": ("WEBP",)}.get(
                extension, (extension.upper(),)
            )
    assert next(x for x in lines if x["image"] == "photo09.jpg")["copied_to"].endswith(".png")


@pytest.mark.slow
def test_running_again_copies_nothing_twice_whatever_the_name(
    trained: Path, tmp_path: Path
) -> None:
    source = Path(shutil.copytree(PHOTOS, tmp_path / "photos"))
    sort(trained, source, tmp_path / "sorted")
    before = _state(tmp_path / "sorted")
    (source / "photo01.jpg").rename(source / "renamed.jpg")
    shutil.copy(source / "photo02.png", source / "copy.png")
    done = sort(trained, source, tmp_path / "sorted")
    assert (done.sorted, done.known) == (0, 13)
    assert _state(tmp_path / "sorted") == before


@pytest.mark.slow
def test_nothing_is_ever_overwritten(trained: Path, tmp_path: Path) -> None:
    sort(trained, PHOTOS, tmp_path / "first")
    (tmp_path / "sorted").mkdir()
    for path in _files(tmp_path / "first"):
        (tmp_path / "sorted" / path.name).write_bytes(b"somebody's own")
    done = sort(trained, PHOTOS, tmp_path / "sorted")
    assert done.sorted == 12
    own = [p for p in _files(tmp_path / "sorted") if p.read_bytes() == b"somebody's own"]
    assert len(own) == 12
    assert all("-2." in line["copied_to"] for line in _copied(tmp_path / "sorted"))


@pytest.mark.slow
def test_hostile_names_stay_inside(trained: Path, tmp_path: Path, run: Run) -> None:
    source = tmp_path / "photos"
    source.mkdir()
    data = (PHOTOS / "photo01.jpg").read_bytes()
    for number, name in enumerate(HOSTILE_NAMES):
        # Trailing bytes make each a picture of its own.
        Path(os.fsdecode(bytes(source) + b"/" + name)).write_bytes(data + bytes([number]))
    Path(os.fsdecode(bytes(source) + b"/bad\x1b[31m\xff.jpg")).write_bytes(b"no picture")
    done = run("classify-dir", trained, source, tmp_path / "sorted")
    assert done.returncode == 3
    assert "\x1b" not in done.stdout + done.stderr
    assert len(_copied(tmp_path / "sorted")) == len(HOSTILE_NAMES)
    pictures = {hashlib.sha256(data + bytes([number])).hexdigest() for number in range(10)}
    assert _digests(tmp_path / "sorted") == pictures
    assert sorted(p.name for p in tmp_path.iterdir()) == ["photos", "sorted"]
    names = {line["image"] for line in _copied(tmp_path / "sorted")}
    assert names == {os.fsdecode(name) for name in HOSTILE_NAMES}


def test_what_is_no_picture_is_named_and_the_rest_goes_on(trained: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(PHOTOS, tmp_path / "photos"))
    (source / "notes.txt").write_text("not a picture")
    (source / "empty.jpg").touch()
    os.mkfifo(source / "pipe.jpg")
    (source / "leaves.jpg").symlink_to(ROOT / "tf_files/data/snow_queen/snow_queen_01.jpg")
    (source / ".DS_Store").touch()
    done = sort(trained, source, tmp_path / "sorted")
    assert (done.sorted, done.hidden) == (12, 1)
    reasons = {each.path.name: each.reason for each in done.left_out}
    assert reasons.keys() == {"notes.txt", "empty.jpg", "pipe.jpg", "leaves.jpg"}
    assert reasons["pipe.jpg"] == "is not a regular file"
    assert reasons["leaves.jpg"] == "is a link that leaves the folder"
    lines = [json.loads(x) for x in (tmp_path / "sorted" / MANIFEST).read_text().splitlines()]
    assert {x["image"]: x["left_out"] for x in lines if "left_out" in x} == reasons


@pytest.mark.slow
def test_the_nasty_pictures_are_sorted_or_named(
    trained: Path, shared: Path, tmp_path: Path
) -> None:
    source = shared / "nasty"
    before = {path: path.stat().st_mtime_ns for path in source.rglob("*")}
    done = sort(trained, source, tmp_path / "sorted")
    left_out = {each.path for each in done.left_out}
    assert len(left_out) == len(done.left_out)
    digests = {
        hashlib.sha256(path.read_bytes()).hexdigest()
        for path in before
        if path.is_file() and path.resolve() not in left_out and path not in left_out
        if not any(part.startswith(".") for part in path.relative_to(source).parts)
    }
    assert _digests(tmp_path / "sorted") == digests
    assert (done.sorted, done.sorted > 50) == (len(digests), True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sorted"]
    assert {path: path.stat().st_mtime_ns for path in source.rglob("*")} == before


@pytest.mark.slow
@pytest.mark.parametrize("name", [*LEFT_OUT, "raw.tif"])
def test_one_hostile_picture_costs_only_itself(trained: Path, tmp_path: Path, name: str) -> None:
    source = Path(shutil.copytree(PHOTOS, tmp_path / "photos"))
    (source / name).write_bytes(RAW["DNG"] if name == "raw.tif" else LEFT_OUT[name]())
    done = sort(trained, source, tmp_path / "sorted")
    assert done.sorted == 12
    assert [each.path.name for each in done.left_out] == [name]


def test_a_large_file_that_changes_meanwhile_is_left_out(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sorting, "_LARGE", 0)
    source = Path(shutil.copytree(PHOTOS, tmp_path / "photos"))
    looked = encoded.let_go

    def changes(picture: Picture) -> Picture:
        if picture.key == digest:
            (source / "photo01.jpg").write_bytes(b"something else")
        return looked(picture)

    digest = encoded.read(source / "photo01.jpg").key
    monkeypatch.setattr(encoded, "let_go", changes)
    done = sort(trained, source, tmp_path / "sorted")
    assert done.sorted == 11
    reasons = {each.path.name: each.reason for each in done.left_out}
    assert reasons == {"photo01.jpg": "was changed while it was looked at"}
    assert len(_files(tmp_path / "sorted")) == 11


@pytest.mark.parametrize("change", ["gone", "other bytes, same size and time"])
@pytest.mark.parametrize("way", WAYS)
def test_what_changes_mid_run_is_left_out_or_sorted_as_it_was_seen(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, change: str
) -> None:
    source, out = Path(shutil.copytree(PHOTOS, tmp_path / "photos")), tmp_path / "sorted"
    seen, real = _digests(source), encoded.read

    def read(path: Path, **options: Path) -> Picture:
        picture = real(path, **options)
        if path.name == "photo02.png":
            path.unlink()
            if change != "gone":
                path.write_bytes(picture.data[::-1])
                os.utime(path, ns=(1, picture.status.st_mtime_ns))
        return picture

    monkeypatch.setattr(encoded, "read", read)
    done = sort(trained, source, out, way=Way(way))
    told = [json.loads(line) for line in (out / MANIFEST).read_text().splitlines()]
    key = {"copy": "copied_to", "move": "moved_to", "link": "linked_to"}.get(way, "symlinked_to")
    for line in told:
        if key in line:
            assert hashlib.sha256((out / line[key]).read_bytes()).hexdigest() == line["sha256"]
    assert _digests(out) <= seen
    assert done.sorted + len(done.left_out) == 12
    assert done.sorted == (12 if way == "copy" or (way, change) == ("move", "gone") else 11)
    if change != "gone":
        assert (source / "photo02.png").exists()


def test_the_time_a_photo_was_taken_is_kept(trained: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(PHOTOS, tmp_path / "photos"))
    os.utime(source / "photo01.jpg", ns=(1, 1_234_567_890_000_000_000))
    sort(trained, source, tmp_path / "sorted")
    copied = {line["image"]: line["copied_to"] for line in _copied(tmp_path / "sorted")}
    copy = tmp_path / "sorted" / copied["photo01.jpg"]
    assert copy.stat().st_mtime_ns == 1_234_567_890_000_000_000


@pytest.mark.parametrize(
    ("source", "destination", "said"),
    [
        ("photos", "photos", "the same folder as"),
        ("photos", "photos/sorted", "inside"),
        ("photos", "link/sorted", "inside"),
        ("photos", "photos/photo01.jpg", "not a folder to copy to"),
        ("nothing", "sorted", "not a folder of pictures"),
        ("photos/photo01.jpg", "sorted", "not a folder of pictures"),
    ],
)
def test_folders_that_contradict_each_other(
    trained: Path, tmp_path: Path, source: str, destination: str, said: str
) -> None:
    shutil.copytree(PHOTOS, tmp_path / "photos")
    (tmp_path / "link").symlink_to(tmp_path / "photos")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(WrongUsage, match=said):
        sort(trained, tmp_path / source, tmp_path / destination)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_bad_classifier_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no classifier"):
        sort(tmp_path, PHOTOS, tmp_path / "sorted")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_with_faces_only_pictures_with_one_are_sorted_whole(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for name, image in (("face", scene((face(), 40, 40))), ("none", scene())):
        Image.fromarray(image).save(tmp_path / "photos" / f"{name}.png")
    done = sort(trained, tmp_path / "photos", tmp_path / "sorted", faces="haar")
    assert (done.sorted, [each.reason for each in done.left_out]) == (1, ["no face found"])
    (copy,) = _files(tmp_path / "sorted")
    assert copy.read_bytes() == (tmp_path / "photos" / "face.png").read_bytes()
    # The score is that of the face alone.
    (whole,) = guess(trained, [copy])
    (alone,) = guess(trained, [copy], faces="haar")
    assert isinstance(whole, Guess)
    assert isinstance(alone, Guess)
    assert copy.stem.endswith(f"-{alone.score:.5f}")
    assert alone.scores != whole.scores


@pytest.mark.slow
@pytest.mark.parametrize("kills", [4, pytest.param(100, marks=pytest.mark.long)])
def test_a_killed_run_is_finished_by_the_next(
    trained: Path, tmp_path: Path, cache: Path, kills: int
) -> None:
    source = tmp_path / "photos"
    source.mkdir()
    data = (PHOTOS / "photo01.jpg").read_bytes()
    for number in range(kills * 4):
        (source / f"{number}.jpg").write_bytes(data + number.to_bytes(2, "big"))
    command: list[str | Path] = [sys.executable, "-I", "-u", ROOT / "src"]
    command += ["classify-dir", trained, source, tmp_path / "sorted"]
    for killed in range(kills):
        run = subprocess.Popen(command, env={"TENSOR_GUESS_CACHE": str(cache)})
        # Killed as soon as it has copied a few more: in the midst of its work.
        while run.poll() is None and len(_files(tmp_path / "sorted")) < killed * 3 + 1:
            pass
        run.send_signal(signal.SIGKILL)
        run.wait()
    sort(trained, source, tmp_path / "sorted")
    assert _digests(tmp_path / "sorted") == _digests(source)
    assert len(_files(tmp_path / "sorted")) == kills * 4


@pytest.mark.slow
def test_real_photos_come_under_their_category(
    shared: Path, vader_elsa: Path, tmp_path: Path
) -> None:
    sort(vader_elsa, shared / "vader_elsa/test", tmp_path / "sorted")
    assert _digests(tmp_path / "sorted") == _digests(shared / "vader_elsa/test")
    lines = _copied(tmp_path / "sorted")
    right = [x for x in lines if x["image"].startswith("s") == (x["label"] == "darth vader")]
    assert len(lines) == 25
    assert len(right) >= 24


def test_what_is_below_its_min_score_goes_into_review(trained: Path, tmp_path: Path) -> None:
    asked = (("dark_knight", 0.9999), ("snow_queen", 0.99))
    out = tmp_path / "sorted"
    done = sort(trained, PHOTOS, out, min_scores=asked)
    assert done.sorted == 12
    lines = _copied(out)
    for line in lines:
        least = dict(asked)[line["label"].replace(" ", "_")]
        unsure = max(line["scores"].values()) < least
        assert line["copied_to"].startswith("review/") == unsure
        assert (out / line["copied_to"]).read_bytes() == (PHOTOS / line["image"]).read_bytes()
    assert 0 < done.reviewed == len(list((out / "review").iterdir())) < 12
    again = sort(trained, PHOTOS, out, min_scores=asked)
    assert (again.sorted, again.known) == (0, 12)


@pytest.mark.slow
def test_nothing_in_review_is_overwritten_and_a_lost_line_is_written_again(
    trained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "sorted"
    sort(trained, PHOTOS, out, min_scores=((None, 1),))
    names = sorted(path.name for path in (out / "review").iterdir())
    assert len(names) == 12
    (out / MANIFEST).unlink()
    (out / "review" / names[0]).write_bytes(b"somebody's own")
    done = sort(trained, PHOTOS, out, min_scores=((None, 1),))
    assert done.sorted == 12
    assert (out / "review" / names[0]).read_bytes() == b"somebody's own"
    assert len(list((out / "review").iterdir())) == 13


@pytest.mark.parametrize("how", ["link", "file"])
def test_a_review_that_is_not_a_folder_is_left_alone(
    trained: Path, tmp_path: Path, how: str
) -> None:
    out, other = tmp_path / "sorted", tmp_path / "other"
    out.mkdir()
    other.mkdir()
    if how == "link":
        (out / "review").symlink_to(other)
    else:
        (out / "review").write_bytes(b"somebody's own")
    with pytest.raises(UserError, match="review is not a folder of its own; move it away"):
        sort(trained, PHOTOS, out, min_scores=((None, 1),))
    assert list(other.iterdir()) == []


def _files(folder: Path) -> list[Path]:
    """The pictures there, without the manifest and what is being written."""
    if not folder.is_dir():
        return []
    return [p for p in folder.rglob("*") if p.name != MANIFEST and not p.name.startswith(".")]


def _digests(folder: Path) -> set[str]:
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in _files(folder)}


def _state(folder: Path) -> dict[str, tuple[int, int]]:
    return {p.name: (p.stat().st_ino, p.stat().st_mtime_ns) for p in _files(folder)}


def _copied(folder: Path) -> list[dict[str, Any]]:
    lines = map(json.loads, (folder / MANIFEST).read_text().splitlines())
    return [line for line in lines if "copied_to" in line]


@pytest.mark.slow
def test_the_unknown_get_their_own_name_and_two_things_are_reviewed(
    call: Run, trained: Path, tmp_path: Path
) -> None:
    source, destination = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    random = np.random.default_rng(4)
    Image.fromarray(random.integers(0, 256, (200, 300, 3), np.uint8)).save(source / "noise.png")
    folder, whole = ROOT / "tf_files" / "data", Image.new("RGB", (600, 300))
    for i, name in enumerate(("dark_knight/dark_knight_40.jpg", "snow_queen/snow_queen_40.jpg")):
        with Image.open(folder / name) as image:
            whole.paste(image.convert("RGB").resize((300, 300)), (300 * i, 0))
    whole.save(source / "pair.png")
    shutil.copy(folder / "snow_queen/snow_queen_40.jpg", source)
    done = call("classify-dir", trained, source, destination, "--unknown", "--both")
    assert done.returncode == 0, done.stderr
    names = [str(path.relative_to(destination)) for path in destination.rglob("*.*g")]
    assert sum(name.startswith("unknown-0.") for name in names) == 1
    assert sum(name.startswith("review/") for name in names) == 1
    assert sum(name.startswith("snow_queen-0.") for name in names) == 1
    again = call("classify-dir", trained, source, destination, "--unknown", "--both")
    assert "3 known already" in again.stdout


@pytest.mark.slow
@pytest.mark.parametrize("keep_tree", [False, True])
def test_folders_keep_the_names_and_numbers_the_taken_ones(
    trained: Path, tmp_path: Path, keep_tree: bool
) -> None:
    source, out = tmp_path / "photos", tmp_path / "sorted"
    photos = sorted(PHOTOS.iterdir())
    names = ["IMG 1.jpg", "2017/IMG 1.jpg", "2017/-may/IMG 1.jpg", "2018/b.PNG"]
    for name, photo in zip(names, photos, strict=False):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, source / name)
    way = Way(layout="folders", keep_tree=keep_tree)
    sort(trained, source, out, way=way)
    found = {line["image"]: line["copied_to"] for line in _copied(out)}
    assert found.keys() == set(names)
    for name, to in found.items():
        assert (out / to).read_bytes() == (source / name).read_bytes()
        category, _, rest = to.partition("/")
        assert category in ("dark_knight", "snow_queen")
        if keep_tree:
            assert rest == name
        else:
            assert re.fullmatch(r"IMG 1(-2)?\.jpg|b\.PNG", rest)
    assert sort(trained, source, out, way=way).known == 4
    assert sort(trained, source, out).known == 4  # whatever the layout


def test_copies_keep_time_and_permissions(trained: Path, tmp_path: Path) -> None:
    source = tmp_path / "photos"
    source.mkdir()
    for mode, photo in zip((0o400, 0o644, 0o755), sorted(PHOTOS.iterdir()), strict=False):
        shutil.copy(photo, source)
        (source / photo.name).chmod(mode)
        os.utime(source / photo.name, ns=(1, 1_234_567_890_123_456_789 + mode))
    sort(trained, source, tmp_path / "sorted")
    for line in _copied(tmp_path / "sorted"):
        one, other = source / line["image"], tmp_path / "sorted" / line["copied_to"]
        assert one.stat().st_mode == other.stat().st_mode
        assert one.stat().st_mtime_ns == other.stat().st_mtime_ns


@pytest.mark.parametrize(
    ("source", "way", "refused"),
    [
        ("out/photos", Way(), False),
        ("out/photos", Way(layout="folders"), True),
        ("out/photos", Way(keep_tree=True), True),
        ("out/review", Way(), True),
        ("out/review/a", Way(), True),
    ],
)
def test_src_inside_dest_is_refused_if_its_folders_are_written_to(
    trained: Path, tmp_path: Path, source: str, way: Way, refused: bool
) -> None:
    (tmp_path / source).mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    if refused:
        with pytest.raises(WrongUsage, match="whose folders are written to; choose another DEST"):
            sort(trained, tmp_path / source, tmp_path / "out", way=way)
        assert sorted(tmp_path.rglob("*")) == before
    else:
        assert sort(trained, tmp_path / source, tmp_path / "out", way=way).sorted == 0


@pytest.mark.slow
def test_any_name_of_a_photo_is_kept_in_folders(trained: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "photos", tmp_path / "sorted"
    source.mkdir()
    data = (PHOTOS / "photo01.jpg").read_bytes()
    for number, name in enumerate(HOSTILE_NAMES):
        Path(os.fsdecode(bytes(source) + b"/" + name)).write_bytes(data + bytes([number]))
    done = sort(trained, source, out, way=Way(layout="folders"))
    assert done.sorted == len(HOSTILE_NAMES)
    names = {os.fsencode(Path(line["copied_to"]).name) for line in _copied(out)}
    assert names == set(HOSTILE_NAMES)


@pytest.mark.parametrize("way", ["move", "link"])
def test_links_in_src_are_neither_moved_nor_linked(trained: Path, tmp_path: Path, way: str) -> None:
    source = tmp_path / "photos"
    source.mkdir()
    shutil.copy(PHOTOS / "photo01.jpg", source / "b.jpg")
    (source / "a.jpg").symlink_to("b.jpg")
    done = sort(trained, source, tmp_path / "sorted", way=Way(way))
    reasons = [(each.path.name, each.reason[:9]) for each in done.left_out]
    assert (done.sorted, reasons) == (1, [("a.jpg", "is a link")])
    assert (source / "a.jpg").is_symlink()


def test_a_picture_that_is_in_dest_already_stays_in_src(trained: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "photos", tmp_path / "sorted"
    source.mkdir()
    for name in ("a.jpg", "b.jpg"):
        shutil.copy(PHOTOS / "photo01.jpg", source / name)
    done = sort(trained, source, out, way=Way("move"))
    assert (done.sorted, done.known) == (1, 1)
    assert [path.name for path in source.iterdir()] == ["b.jpg"]
    assert sort(trained, source, out, way=Way("move")).known == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_move_out_of_a_folder_that_is_read_only_is_refused(trained: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(PHOTOS, tmp_path / "photos"))
    source.chmod(0o555)
    with pytest.raises(UserError, match=r"cannot write to .*photos"):
        sort(trained, source, tmp_path / "sorted", way=Way("move"))
    assert len(list(source.iterdir())) == 12
    source.chmod(0o755)


def test_hard_links_to_another_disk_are_refused_before_the_work(
    trained: Path, tmp_path: Path
) -> None:
    try:
        folder = tempfile.TemporaryDirectory(dir="/dev/shm")
    except OSError:
        pytest.skip("there is no /dev/shm")
    with folder as place:
        if os.stat(place).st_dev == tmp_path.stat().st_dev:
            pytest.skip("there is only one disk")
        with pytest.raises(WrongUsage, match="are on different disks, and --link needs one"):
            sort(trained, PHOTOS, Path(place, "new/out"), way=Way("link"))
        assert not list(Path(place).iterdir())


# --- companions


def live(source: Path, *names: str) -> None:
    """A photo with companions, and one without."""
    source.mkdir()
    shutil.copy(PHOTOS / "photo01.jpg", source / "IMG_1.JPG")
    shutil.copy(PHOTOS / "photo02.png", source / "b.png")
    for name in names:
        (source / name).write_bytes(b"bytes of " + name.encode())


BESIDE = ("IMG_1.MOV", "IMG_1.JPG.xmp", "IMG_1.cr2", "IMG_1.aae")


@pytest.mark.parametrize("way", [*WAYS, "folders"])
def test_what_goes_with_a_picture_goes_with_it(trained: Path, tmp_path: Path, way: str) -> None:
    source, out = tmp_path / "photos", tmp_path / "sorted"
    live(source, *BESIDE)
    (source / "notes.txt").write_bytes(b"nobody's")
    before, layout = tree(source), Way(layout="folders") if way == "folders" else Way(way)
    done = sort(trained, source, out, way=layout)
    assert (done.sorted, done.companions) == (2, 4)
    assert [each.path.name for each in done.left_out] == ["notes.txt"]
    (picture,) = (path for path in _files(out) if path.suffix in (".jpg", ".JPG"))
    ends = (".MOV", f"{picture.suffix}.xmp", ".cr2", ".aae")
    for name, end in zip(BESIDE, ends, strict=True):
        path = picture.with_name(f"{picture.stem}{end}")
        assert path.read_bytes() == b"bytes of " + name.encode()
        assert path.is_symlink() == (way == "symlink")
    assert (set(tree(source)) == {"notes.txt"}) == (way == "move")
    again = sort(trained, source, out, way=layout)
    assert (again.sorted, again.companions) == (0, 0)
    taken = undo(out, source)
    assert (taken.count, taken.companions, taken.left) == (2, 4, ())
    assert tree(source) == before
    assert not [path for path in _files(out) if path.is_file()]


UNWANTED: dict[str, tuple[Callable[[Path], object], str]] = {
    "link": (lambda path: path.symlink_to("/etc/passwd"), "is a link"),
    "broken": (lambda path: path.symlink_to("nowhere"), "is a link"),
    "fifo": (os.mkfifo, "is not a regular file"),
}


@pytest.mark.parametrize("unwanted", UNWANTED)
@pytest.mark.parametrize("way", WAYS)
def test_a_unit_with_a_file_that_cannot_come_is_left_out_whole(
    trained: Path, tmp_path: Path, way: str, unwanted: str
) -> None:
    source, out = tmp_path / "photos", tmp_path / "sorted"
    live(source, "IMG_1.MOV")
    UNWANTED[unwanted][0](source / "IMG_1.xmp")
    before = tree(source)
    done = sort(trained, source, out, way=Way(way))
    assert (done.sorted, done.companions) == (1, 0)
    (left,) = done.left_out
    reason = f"its companion IMG_1.xmp {UNWANTED[unwanted][1]}"
    assert (left.path.name, left.reason) == ("IMG_1.JPG", reason)
    assert [path.suffix for path in _files(out)] == [".png"]
    assert before.items() - {("b.png", before["b.png"])} <= tree(source).items()


@pytest.mark.parametrize("becomes", ["gone", "other", "link"])
@pytest.mark.parametrize("way", ["copy", "move", "link"])
def test_a_unit_whose_video_changes_meanwhile_is_left_out_whole(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str, becomes: str
) -> None:
    source, out = tmp_path / "photos", tmp_path / "sorted"
    live(source, "IMG_1.MOV", "IMG_1.aae")
    looked, video = encoded.any_file, source / "IMG_1.MOV"

    def changes(path: Path, **how: Any) -> Picture:
        found = looked(path, **how)
        if path == video:
            video.unlink()
            if becomes == "other":
                video.write_bytes(b"bytes of IMG_1.MO?")
            elif becomes == "link":
                video.symlink_to("IMG_1.aae")
        return found

    monkeypatch.setattr(encoded, "any_file", changes)
    done = sort(trained, source, out, way=Way(way))
    assert (done.sorted, done.companions, len(done.left_out)) == (1, 0, 1)
    assert done.left_out[0].path.name == "IMG_1.JPG"
    assert done.left_out[0].reason.startswith("its companion IMG_1.MOV ")
    assert [path.suffix for path in _files(out)] == [".png"]
    assert (source / "IMG_1.JPG").exists()
    assert (source / "IMG_1.aae").exists()
    assert not list(out.glob(".tensor-guess-*"))


def test_the_video_of_a_picture_that_cannot_be_read_is_not_named_too(
    trained: Path, tmp_path: Path
) -> None:
    source = tmp_path / "photos"
    live(source, "IMG_2.HEIC", "IMG_2.MOV", "IMG_3.CR2", "IMG_3.xmp")
    (source / "a.jpg").mkdir()
    (source / "a.xmp").touch()
    done = sort(trained, source, tmp_path / "sorted")
    assert {each.path.name for each in done.left_out} == {"IMG_2.HEIC", "IMG_3.CR2", "a.xmp"}
    assert done.sorted == 2


def test_units_of_one_name_get_one_number_each(trained: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "photos", tmp_path / "sorted"
    source.mkdir()
    data = (PHOTOS / "photo01.jpg").read_bytes()
    for number, name in enumerate("abc"):
        (source / name).mkdir()
        (source / name / "IMG_1.jpg").write_bytes(data + bytes([number]))
        if name != "a":
            (source / name / "IMG_1.mov").write_bytes(name.encode())
        (source / name / "IMG_1.xmp").write_bytes(b"the same")
    assert sort(trained, source, out, way=Way(layout="folders")).companions == 5
    (folder,) = (path for path in out.iterdir() if path.is_dir())
    found = {path.name: path.read_bytes()[-1:] for path in folder.iterdir()}
    assert found == {
        "IMG_1.jpg": b"\0", "IMG_1.xmp": b"e",
        "IMG_1-2.jpg": b"\1", "IMG_1-2.mov": b"b", "IMG_1-2.xmp": b"e",
        "IMG_1-3.jpg": b"\2", "IMG_1-3.mov": b"c", "IMG_1-3.xmp": b"e",
    }  # fmt: skip


def test_a_video_is_never_in_memory(trained: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "photos", tmp_path / "sorted"
    live(source)
    with (source / "IMG_1.MOV").open("wb") as file:
        file.truncate(300_000_000)
    tracemalloc.start()
    try:
        assert sort(trained, source, out).companions == 1
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()
    assert next(out.glob("*.MOV")).stat().st_size == 300_000_000
