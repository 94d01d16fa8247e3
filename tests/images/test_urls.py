"""Images by URL: fetched apart from everything else, and a picture or a reason comes of each."""

from pathlib import Path

import pytest

from made.place import ROOT, Run
from tensor_guess.images import urls as image_urls

PHOTO = ROOT / "test_data/photo01.jpg"


@pytest.fixture
def site(site: tuple[Path, str]) -> tuple[Path, str]:
    """The same, with a picture and what is none."""
    (site[0] / "photo.jpg").write_bytes(PHOTO.read_bytes())
    (site[0] / "page.jpg").write_text("<html>gone</html>")
    return site


@pytest.mark.slow
def test_a_url_is_guessed_as_the_file_is(site: tuple[Path, str], trained: Path, call: Run) -> None:
    url = f"{site[1]}/photo.jpg?size=large"
    done = call("guess", trained, url)
    assert done.returncode == 0
    assert done.stdout == call("guess", trained, PHOTO).stdout
    both = call("guess", trained, PHOTO, url).stdout
    assert both.startswith(f"{PHOTO}:\n")
    assert f"\n\n{url}:\n" in both


@pytest.mark.slow
def test_what_cannot_be_fetched_is_named_and_the_rest_goes_on(
    site: tuple[Path, str], trained: Path, call: Run
) -> None:
    _, address = site
    urls = [f"{address}/missing.jpg", f"{address}/page.jpg", "ftp://127.0.0.1/photo.jpg"]
    done = call("guess", trained, *urls, PHOTO)
    assert done.returncode == 3
    for url in urls:
        assert f"left out {url}: could not be fetched" in done.stderr
    assert "404" in done.stderr
    assert "is a web page, not a picture" in done.stderr
    assert "Traceback" not in done.stderr
    assert call("guess", trained, *urls).returncode == 1


@pytest.mark.slow
def test_one_that_cannot_be_asked_for_does_not_keep_the_others(
    site: tuple[Path, str], trained: Path, call: Run
) -> None:
    """Nor is a password told: not even to whoever gave it."""
    login = site[1].replace("://", "://me:secret@")
    bad = ["--x://y", "-://", f"{login}/photo.jpg", f"{site[1]}/{'y' * 100_000}", "http://[/x.jpg"]
    done = call("guess", trained, "--", *bad, f"{site[1]}/photo.jpg")
    assert done.returncode == 3
    assert done.stdout.startswith(f"{site[1]}/photo.jpg:\n")
    assert "secret" not in done.stderr + done.stdout
    left_out = [line for line in done.stderr.splitlines() if line.startswith("left out ")]
    assert len(left_out) == len(bad)
    assert left_out[0] == "left out --x://y: could not be fetched"
    told = login.replace("me:secret", "...")
    assert left_out[2] == f"left out {told}/photo.jpg: could not be fetched"
    assert "Traceback" not in done.stderr


def test_a_picture_can_be_too_large(site: tuple[Path, str], tmp_path: Path, run: Run) -> None:
    with (site[0] / "photo.jpg").open("ab") as file:
        file.truncate(image_urls.MAX_BYTES + 1)
    done = run("fetch-images", tmp_path / "out", f"{site[1]}/photo.jpg")
    assert done.returncode == 1
    assert "50" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_nothing_is_left_behind(site: tuple[Path, str], tmp_path: Path) -> None:
    with image_urls.fetched([f"{site[1]}/photo.jpg", str(PHOTO)]) as (fetched, own):
        assert fetched.read_bytes() == PHOTO.read_bytes()
        assert own == PHOTO
    assert not fetched.exists()
    assert PHOTO.exists()


def test_where_a_launcher_has_fetched_them_nothing_is_fetched(
    site: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    url = f"{site[1]}/photo.jpg"
    assert run("fetch-images", tmp_path / "out", url).returncode == 0
    (site[0] / "photo.jpg").unlink()
    monkeypatch.setenv("TENSOR_GUESS_FETCHED", str(tmp_path / "out"))
    with image_urls.fetched([url]) as (fetched,):
        assert fetched.read_bytes() == PHOTO.read_bytes()
