"""Streams that are closed, full or unread: the work is done, or one sentence says why not."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from made.place import ROOT
from tensor_guess.system.streams import Stream

PHOTO = ROOT / "test_data/photo01.jpg"
FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
CLOSED = "tensor-guess: could not write to stdout: it is closed\n"
NO_SPACE = "tensor-guess: could not write to stdout: no space left on device\n"


def redirected(
    cache: Path, streams: str, *arguments: object, keep: tuple[int, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """How the program ended, its streams being as a shell was told."""
    command = [sys.executable, "-I", "-u", "-X", "utf8", str(ROOT / "src"), *map(str, arguments)]
    return subprocess.run(
        ["bash", "-c", f'exec "$@" {streams}', "bash", *command],
        env={"TENSOR_GUESS_CACHE": str(cache), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, timeout=300, check=False, pass_fds=keep,
    )  # fmt: skip


@pytest.fixture(scope="module")
def missing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture that is not there."""
    return tmp_path_factory.mktemp("empty") / "missing.jpg"


@pytest.fixture(scope="module")
def usual(cache: Path, trained: Path, missing: Path) -> str:
    """What a guess prints of two pictures, of which one is missing."""
    printed = redirected(cache, "", "guess", trained, PHOTO, missing).stdout
    assert printed.startswith(f"{PHOTO}:\ndark knight (score = 0.9")
    return printed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("streams", "code", "printed", "said"),
    [
        ("<&-", 3, True, "left out {}: no such file or directory\n"),
        ("2>&-", 3, True, ""),
        ("<&- 2>&-", 3, True, ""),
        (">&-", 1, False, CLOSED),
        ("<&- >&-", 1, False, CLOSED),
        ("<&- >&- 2>&-", 1, False, ""),
        pytest.param(">/dev/full", 1, False, NO_SPACE, marks=FULL),
        pytest.param("2>/dev/full", 3, True, "", marks=FULL),
        pytest.param(">/dev/full 2>&1", 1, False, "", marks=FULL),
    ],
)
def test_a_guess_whatever_its_streams_are(
    cache: Path, trained: Path, missing: Path, usual: str,
    streams: str, code: int, printed: bool, said: str,
) -> None:  # fmt: skip
    done = redirected(cache, streams, "guess", trained, PHOTO, missing)
    assert (done.returncode, done.stdout) == (code, usual if printed else "")
    assert done.stderr == said.format(missing)


@FULL
def test_help_that_cannot_be_printed_is_one_sentence(cache: Path) -> None:
    done = redirected(cache, ">/dev/full", "guess", "--help")
    assert (done.returncode, done.stderr) == (1, NO_SPACE)


@pytest.mark.slow
@FULL
def test_a_classifier_is_there_although_its_accuracy_cannot_be_printed(
    cache: Path, classifier: Path
) -> None:
    (classifier / "retrained_graph.pb").unlink()
    done = redirected(cache, ">/dev/full", "train", classifier, "--steps", "5",
                      "--backbone", "efficientnet_lite0")  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.endswith(f"wrote {classifier}/retrained_graph.pb\n{NO_SPACE}")
    assert redirected(cache, "", "guess", classifier, PHOTO).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("streams", ["", "2>&1"])
def test_a_pipe_that_nobody_reads_ends_it_without_a_word(
    cache: Path, trained: Path, streams: str
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    streams = f">&{writing} {streams}"
    done = redirected(cache, streams, "guess", trained, PHOTO, keep=(writing,))
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_all_that_is_written_arrives_though_the_pipe_is_full_again_and_again() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    data = os.urandom(1_000_000)

    def write() -> None:
        with Stream(writing, "wb") as stream:
            assert stream.write(data) == len(data)

    writer = threading.Thread(target=write)
    writer.start()
    with open(reading, "rb") as file:
        assert file.read() == data
    writer.join()
