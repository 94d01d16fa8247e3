"""What `serve` refuses before it serves anything, and how it ends."""

from pathlib import Path

import pytest

from made.place import Run
from made.server import PATIENCE, started


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ((), 2, "there is no classifier"),
        (("--port", "0"), 2, "0 is not in the range 1<=x<=65535"),
        (("--port", "65536"), 2, "is not in the range"),
        (("--port", "http"), 2, "is not a valid integer"),
        (("--host", "photos.home"), 2, "'photos.home' is no address such as 192.168.1.5"),
        (("--host", "127.0.0.1:80"), 2, "is no address such as"),
        (("--token", "secret"), 2, "No such option"),
        (("--only", "elsa", "--both"), 2, "--only is for one thing in a picture"),
    ],
)
def test_what_makes_no_sense(
    call: Run, tmp_path: Path, options: tuple[str, ...], code: int, said: str
) -> None:
    done = call("serve", tmp_path / "nowhere", *options)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "fd00::5"])
def test_whom_others_can_reach_needs_a_token(call: Run, tmp_path: Path, host: str) -> None:
    done = call("serve", tmp_path, "--host", host)
    assert done.returncode == 2
    assert f"others can reach {host}, so it needs a token" in done.stderr


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "no such file or directory"),
        (b"", "must be one word of 16 characters or more"),
        (b"too short\n", "must be one word of 16"),
        (b"fifteen--------", "must be one word of 16"),
        (b"two words of more than 16", "must be one word of 16"),
        (b"two-lines-of-more\nthan-16-characters", "must be one word of 16"),
        ("ein-schönes-langes-Wort".encode(), "it is not ASCII"),
        (b"x" * 5000, "is larger than"),
    ],
)
def test_a_token_that_is_none(
    call: Run, tmp_path: Path, small: Path, data: bytes | None, said: str
) -> None:
    if data is not None:
        (tmp_path / "token").write_bytes(data)
    done = call("serve", small, "--token-file", tmp_path / "token")
    assert done.returncode == 1
    assert said in done.stderr
    if data and len(data) < 100:
        assert data.decode().strip() not in done.stderr


def test_underscores_do_too_and_it_ends_by_ctrl_c(small: Path, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("correct-horse-battery-staple")
    options = ("--token_file", tmp_path / "token", "--host", "localhost")
    with started(cache, tmp_path / "log", small, *options) as server:
        assert (
            server.said == f"{small} answers at http://localhost:{server.port}/ (Ctrl-C stops it)\n"
        )
        server.process.send_signal(2)
        assert server.process.wait(PATIENCE) == 130
