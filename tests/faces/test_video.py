"""The frames of videos: upright, at their times, within limits; up to where the file breaks."""

import os
import socket
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from made.faces import Pixels, face, scene, write_video
from made.processes import children
from tensor_guess.errors import Unreadable, UserError
from tensor_guess.faces import face as faces
from tensor_guess.faces import video
from tensor_guess.faces.video import Frame
from tensor_guess.system import limited

needs_fork = pytest.mark.skipif(not limited.CAN_FORK, reason="no process is forked here")


def moving(count: int) -> list[Pixels]:
    """A face that moves to the right, 4 pixels a frame."""
    return [scene((face(120), 40 + 4 * i, 60), size=(320, 240)) for i in range(count)]


def read(path: Path, every: Fraction | None = None) -> tuple[list[Frame], str]:
    """Return the frames of a video, and why there are no more; "" at its end."""
    found: list[Frame] = []
    try:
        found.extend(video.frames(path, every))
    except Unreadable as error:
        # What extend had taken before is kept.
        return found, str(error)
    return found, ""


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Two seconds and a half of a face, with its index in front."""
    return write_video(tmp_path / "clip.mp4", moving(25), options={"movflags": "faststart"})


def test_every_frame_comes_with_its_time_and_pixels(clip: Path) -> None:
    found, why = read(clip)
    assert why == ""
    assert [frame.seconds for frame in found] == [Fraction(i, 10) for i in range(25)]
    for frame, image in zip(found, moving(25), strict=True):
        assert frame.image.shape == image.shape
        assert np.abs(frame.image.astype(int) - image).mean() < 8


def test_times_are_those_of_the_frames_not_of_a_rate(tmp_path: Path) -> None:
    times = [Fraction(ms, 1000) for ms in (0, 33, 500, 517, 2000, 2001, 3999)]
    path = write_video(tmp_path / "uneven.mkv", moving(7), times)
    assert [frame.seconds for frame in read(path)[0]] == times
    assert [frame.seconds for frame in read(path, Fraction(1, 2))[0]] == [
        Fraction(ms, 1000) for ms in (0, 500, 2000, 3999)
    ]


def test_every_names_the_first_frame_of_each_such_time(clip: Path) -> None:
    assert [video.clock(frame.seconds) for frame in read(clip, Fraction(1))[0]] == [
        "0:00.000", "0:01.000", "0:02.000",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0:00.000"), (Fraction(1), "0:01.000"), (Fraction(100, 3), "0:33.333"),
     (Fraction("59.9996"), "1:00.000"), (Fraction("3723.5"), "1:02:03.500")],
)  # fmt: skip
def test_times_are_shown_as_a_player_does(seconds: Fraction, shown: str) -> None:
    assert video.clock(Fraction(seconds)) == shown


@pytest.mark.parametrize(("rotation", "turns"), [(-90, 1), (90, -1), (180, 2)])
def test_what_a_phone_recorded_on_its_side_is_upright(
    tmp_path: Path, rotation: int, turns: int
) -> None:
    upright = scene((face(120), 40, 60), size=(320, 240))
    path = write_video(tmp_path / "phone.mp4", [np.rot90(upright, turns)] * 2, rotation=rotation)
    found, _ = read(path)
    assert found[0].image.shape == upright.shape
    assert len(faces.find(found[0].image)) == 1


def test_the_matrix_of_a_phone_held_upright_turns_clockwise(tmp_path: Path) -> None:
    path = write_video(tmp_path / "phone.mp4", moving(1), rotation=-90)
    data = path.read_bytes()
    start = data.index(b"tkhd") + 4 + 40  # ISO/IEC 14496-12, 8.3.2: the matrix {a, b, u, c, d, ...}
    matrix = np.frombuffer(data, ">i4", 5, start) / 65536
    # (x, y) is shown at (-y, x): what was at the left is at the top.
    assert matrix.tolist() == [0, 1, 0, -1, 0]


def test_large_frames_are_made_smaller(tmp_path: Path) -> None:
    path = write_video(tmp_path / "large.mp4", [scene(size=(1920, 1080))])
    assert read(path)[0][0].image.shape == (720, 1280, 3)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_video_that_is_cut_off_gives_what_is_there_and_says_so(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / name, moving(40), options={"movflags": "faststart"})
    whole, _ = read(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 5])
    found, why = read(path)
    assert 3 < len(found) < 35
    assert all(np.array_equal(a.image, b.image) for a, b in zip(found[:-1], whole, strict=False))
    assert why == f"ends early: at {video.clock(found[-1].seconds)} of 0:04.000"


def test_a_video_without_its_index_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", moving(10))  # its index is at the end
    path.write_bytes(path.read_bytes()[:-400])
    assert read(path) == ([], "is no video, or its index is missing: end of file")


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh\n", bytes(5000), b"\x1a\x45\xdf\xa3" * 99])
def test_what_is_no_video_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(data)
    found, why = read(path)
    assert not found
    assert why.startswith("is no video, or its index is missing")


@pytest.mark.slow
def test_damage_is_survived_anywhere(tmp_path: Path, clip: Path) -> None:
    data, random = clip.read_bytes(), np.random.default_rng(1)
    path = tmp_path / "damaged.mp4"
    for _ in range(20):
        spoilt = bytearray(data)
        for at in random.integers(0, len(data), 30):
            spoilt[at] = random.integers(256)
        path.write_bytes(spoilt)
        found, why = read(path)
        assert 23 < len(found) <= 25 or why


def test_a_list_of_other_files_is_no_video(tmp_path: Path, clip: Path) -> None:
    """It would let a stranger's file choose what else is read."""
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{clip}\n#EXT-X-ENDLIST\n"
    for name, text in (("a.m3u8", playlist), ("a.ffconcat", f"ffconcat version 1.0\nfile {clip}")):
        (tmp_path / name).write_text(text)
        assert read(tmp_path / name)[0] == []


@needs_fork
def test_the_decoder_sees_neither_files_nor_the_internet(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def peek(file: object, every: object) -> Iterator[Frame]:
        tried: dict[str, Callable[[], object]] = {
            "file": lambda: (tmp_path / "secret").read_text(),
            "internet": socket.socket,
            "write": lambda: os.mkdir(tmp_path / "x"),
        }
        reached = []
        for name, attempt in tried.items():
            try:
                attempt()
                reached.append(name)
            except OSError:
                pass
        raise Unreadable(f"reached {reached}")
        yield

    (tmp_path / "secret").write_text("secret")
    monkeypatch.setattr(video, "_decoded", peek)
    assert read(clip)[1] in ("reached []", "reached ['file', 'write']")  # a kernel without Landlock


@needs_fork
def test_a_reader_who_leaves_ends_the_decoder(clip: Path) -> None:
    before = children()
    found = video.frames(clip)
    next(found)
    assert len(children()) == len(before) + 1
    found.close()  # type: ignore[attr-defined]
    assert children() == before


def test_frames_larger_than_a_camera_makes_are_refused(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "MAX_PIXELS", 320 * 240 - 1)
    assert read(clip) == ([], "has 0 megapixels a frame; at most 0 fit")


def test_without_a_fork_the_frames_are_the_same(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart, _ = read(clip)
    monkeypatch.setattr(limited, "CAN_FORK", False)
    here, _ = read(clip)
    assert [frame.seconds for frame in here] == [frame.seconds for frame in apart]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(here, apart, strict=True))


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.webm", "a.avi", "a.flv", "a.ts"])
def test_videos_are_known_by_their_content(tmp_path: Path, name: str) -> None:
    codec = {".webm": "libvpx", ".flv": "flv1", ".ts": "libx264"}.get(name[1:], "mpeg4")
    path = write_video(tmp_path / name, moving(3), codec=codec)
    assert video.is_video(path.rename(tmp_path / "photo.jpg"))
    assert len(read(tmp_path / "photo.jpg")[0]) == 3


def test_pictures_and_what_is_not_there_are_no_videos(tmp_path: Path) -> None:
    for path in (*(Path(__file__).parents[2] / "test_data").iterdir(), tmp_path, tmp_path / "x"):
        assert not video.is_video(path)


@pytest.mark.parametrize("device", ["/dev/null", "/dev/video9"])
def test_a_device_that_is_no_camera_is_said(device: str) -> None:
    with pytest.raises(UserError, match=f"could not use the camera {device}: .*; check that"):
        next(video.camera(Path(device)))


def test_a_camera_gives_its_frames_until_its_time_is_over(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import av

    opened = av.open

    def camera(name: str, format: str) -> object:
        assert (name, format) == ("/dev/video0", "video4linux2")
        return opened(str(clip))

    monkeypatch.setattr(av, "open", camera)
    assert len(list(video.camera(Path("/dev/video0")))) == 25
    monkeypatch.setattr(video, "_CAMERA_SECONDS", 0)
    assert len(list(video.camera(Path("/dev/video0")))) == 1
