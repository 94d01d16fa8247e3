"""The commands about graphs, as they are called: what they print where, and their exit codes."""

from pathlib import Path

import pytest

from conftest import Run


def test_share_and_verify(trained: Path, tmp_path: Path, run: Run) -> None:
    out = tmp_path / "handed on.zip"
    done = run("share", trained, out, "--intended-use", "drawn films", "--licence", "CC-BY-4.0")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{out}: {out.stat().st_size / 1e6:.1f} MB\n"
    before = sorted(tmp_path.iterdir())
    done = run("verify", out)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "labels: dark knight, snow queen",
        "digests: 10 of 10",
        "self-test: 5 of 5, worst difference 0.0000000",
    ]
    assert sorted(tmp_path.iterdir()) == before
    again = run("share", trained, out)
    assert (again.returncode, again.stdout) == (2, "")
    assert again.stderr.count("\n") == 1
    with out.open("r+b") as file:
        file.seek(out.stat().st_size // 2)
        file.write(b"changed")
    done = run("verify", out)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"tensor-guess: {out} is refused: retrained_graph.pb in it is damaged; get it again\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("share",), "Missing argument 'TF_FILES'"),
        (("share", "x"), "Missing argument 'OUT'"),
        (("share", "imagenet", "x.zip"), "imagenet is built in"),
        (("share", "/no/such/folder", "x.zip"), "no such file or folder"),
        (("share", "/", "/no/such/folder/x.zip"), "there is no folder /no/such/folder"),
        (("verify",), "Missing argument 'ZIP'"),
        (("verify", "/no/such.zip"), "there is no file /no/such.zip"),
        (("verify", "x.zip", "--licenze", "x"), "No such option '--licenze'"),
    ],
)
def test_wrong_usage_is_2(run: Run, arguments: tuple[str, ...], said: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_no_zip_is_one_sentence_and_1(tmp_path: Path, run: Run) -> None:
    (tmp_path / "x.zip").write_bytes(b"PK\3\4 and so on")
    with (tmp_path / "large.zip").open("wb") as file:
        file.truncate(3_000_000_000)
    for name in ("x.zip", "large.zip"):
        done = run("verify", tmp_path / name)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"tensor-guess: {tmp_path / name} is refused: ")
        assert done.stderr.count("\n") == 1
