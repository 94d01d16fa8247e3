"""A classifier by its address: fetched once, kept, pinned, and trusted as little as any."""

import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from made import strangers
from made.place import ROOT, Run
from made.zips import members_of, packed
from tensor_guess.config import GRAPH, MODEL_CARD, SUMS
from tensor_guess.errors import UserError, WrongUsage
from tensor_guess.graphs.graph import serialise
from tensor_guess.received import addresses

PHOTO = ROOT / "test_data/photo01.jpg"
Site = tuple[Path, str]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own, with the session's backbones."""
    own = tmp_path / "cache"
    own.mkdir()
    (own / "backbones").symlink_to(cache / "backbones")
    monkeypatch.setenv("TENSOR_GUESS_CACHE", str(own))
    return own


@pytest.fixture
def site(site: Site, shared_zip: Path, ours: object) -> Site:
    """The same, with a small classifier: its zip and its graph alone."""
    shutil.copy(shared_zip, site[0] / "films.zip")
    (site[0] / "films.pb").write_bytes(members_of(shared_zip)[GRAPH])
    return site


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def kept(cache: Path) -> list[Path]:
    return [path for path in cache.glob("classifiers/**/*") if path.is_file()]


@pytest.mark.parametrize("name", ["films.zip", "films.pb", "films.zip?version=2", "download?id=7"])
def test_a_classifier_is_fetched_once_and_guesses_as_the_file_does(
    site: Site, own_cache: Path, call: Run, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder, address = site
    shutil.copy(folder / "films.pb", folder / "download")
    url, file = f"{address}/{name}", folder / name.partition("?")[0]
    first = call("guess", url, PHOTO)
    assert first.returncode == 0
    assert first.stdout == call("guess", file, PHOTO).stdout
    pin = f"#sha256={digest(file)}"
    assert first.stderr.endswith(f"{url} is kept; to use this very file only, add {pin}\n")
    assert [path.read_bytes() for path in kept(own_cache)] == [file.read_bytes()]
    shutil.rmtree(folder)
    for again in (call("guess", url, PHOTO), call("guess", url + pin, PHOTO, "--offline")):
        assert (again.returncode, again.stdout, again.stderr) == (0, first.stdout, "")


def test_every_command_that_takes_a_classifier_takes_an_address(
    site: Site, tmp_path: Path, call: Run
) -> None:
    url = f"{site[1]}/films.zip"
    (tmp_path / "labelled/elsa").mkdir(parents=True)
    shutil.copy(PHOTO, tmp_path / "labelled/elsa")
    for arguments in (
        ("inspect", url),
        ("inspect", url, "--layers"),
        ("evaluate", url, tmp_path / "labelled"),
        ("classify-dir", url, ROOT / "test_data", tmp_path / "sorted"),
        ("guess", "--graph", url, PHOTO),
        ("share", url, tmp_path / "again.zip"),
        ("export", url, tmp_path / "ir", "--format", "openvino", "--pictures", ROOT / "test_data"),
        ("study", url, PHOTO, tmp_path / "study.html"),
    ):
        done = call(*arguments)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    again, first = members_of(tmp_path / "again.zip"), members_of(site[0] / "films.zip")
    assert {name for name in first if again[name] != first[name]} == {MODEL_CARD, SUMS}


def test_what_is_pinned_is_what_is_used(site: Site, own_cache: Path, call: Run) -> None:
    folder, address = site
    url, right = f"{address}/films.zip", digest(folder / "films.zip")
    wrong = call("guess", f"{url}#sha256={'0' * 64}", PHOTO)
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert f"its digest is sha256:{right}, not sha256:{'0' * 64}" in wrong.stderr
    assert kept(own_cache) == []
    assert call("guess", f"{url}#sha256={right}", PHOTO).returncode == 0
    # What others did to the cache is noticed.
    (path,) = kept(own_cache)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    again = call("guess", f"{url}#sha256={right}", PHOTO)
    assert (again.returncode, "downloading" in again.stderr) == (0, True)
    assert [digest(each) for each in kept(own_cache)] == [right]


def test_another_one_comes_only_where_that_is_asked_for(
    site: Site, own_cache: Path, call: Run
) -> None:
    folder, address = site
    url = f"{address}/films.zip"
    call("guess", url, PHOTO)
    members = members_of(folder / "films.zip")
    (folder / "films.zip").write_bytes(packed(members | {MODEL_CARD: b"a new edition\n"}))
    assert "downloading" not in call("guess", url, PHOTO).stderr
    new = digest(folder / "films.zip")
    assert call("fetch-classifier", url).stdout == f"{url} {new}\n"
    assert [path.stem for path in kept(own_cache)] == [new]
    # One that is damaged does not take its place.
    (folder / "films.zip").write_bytes(b"PK\3\4 and so on")
    assert call("fetch-classifier", url).returncode == 1
    assert [path.stem for path in kept(own_cache)] == [new]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html>sign in</html>", "is not a frozen graph"),
        (b"", "is not a frozen graph"),
        (b"PK\3\4", "is refused: it is not a zip, is cut short"),
    ],
)
def test_what_is_no_classifier_is_not_kept(
    site: Site, own_cache: Path, call: Run, content: bytes, said: str
) -> None:
    (site[0] / "x.zip").write_bytes(content)
    done = call("guess", f"{site[1]}/x.zip", PHOTO)
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert kept(own_cache) == []


def test_a_zip_is_used_only_if_its_self_test_holds(site: Site, call: Run) -> None:
    folder, address = site
    members = members_of(folder / "films.zip")
    swapped = {"self_test/1.png": members["self_test/2.png"]}
    (folder / "films.zip").write_bytes(packed(members | swapped))
    for given in (f"{address}/films.zip", folder / "films.zip"):
        done = call("guess", given, PHOTO)
        assert (done.returncode, done.stdout) == (1, "")
        assert "the self-test of" in done.stderr


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("ftp://127.0.0.1/x.zip", "cannot be downloaded: give an address like https://host/file"),
        ("http://me:secret@127.0.0.1/x.zip", "http://...@127.0.0.1/x.zip cannot be downloaded"),
        ("http://[/x.zip", "cannot be downloaded"),
        ("http://127.0.0.1/x.zip#md5=0", "what follows # can only be sha256= and 64 hexadecimal"),
        ("http://127.0.0.1/x.zip#sha256=ABC", "what follows # can only be sha256="),
    ],
)
def test_an_address_of_no_use_is_wrong_usage(
    own_cache: Path, call: Run, tmp_path: Path, address: str, said: str
) -> None:
    for command in (("guess", address, PHOTO), ("train", tmp_path, "--from", address)):
        done = call(*command)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
        assert "secret" not in done.stderr
    with pytest.raises(WrongUsage):
        addresses.parsed(address)


def test_what_is_not_there_is_said_once(site: Site, own_cache: Path, call: Run) -> None:
    done = call("guess", f"{site[1]}/missing.zip", PHOTO)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = (line for line in done.stderr.splitlines() if not line.startswith("127.0.0.1 - -"))
    assert "the answer was 404" in line
    offline = call("guess", f"{site[1]}/films.zip", PHOTO, "--offline")
    assert offline.returncode == 1
    assert "is not on this machine, and --offline was given" in offline.stderr
    assert kept(own_cache) == []


def test_a_graph_of_another_program_needs_its_labels_too(
    site: Site, tmp_path: Path, call: Run
) -> None:
    folder, address = site
    graph, labels = serialise(strangers.made("hub")), tmp_path / "labels.txt"
    (folder / "theirs.pb").write_bytes(graph)
    (folder / "retrained_labels.txt").write_text("x\n")
    labels.write_text("\n".join(strangers.LABELS))
    url = f"{address}/theirs.pb"
    done = call("guess", url, PHOTO)
    assert done.returncode == 1
    assert done.stderr.endswith(
        f"{url} has no labels inside, as another program's graph; get its labels file too, and "
        "name it by --labels\n"
    )
    assert call("guess", url, PHOTO, "--labels", labels).returncode == 0


@pytest.mark.slow
def test_training_starts_from_the_backbone_at_an_address(
    trained: Path, site: Site, tmp_path: Path, call: Run
) -> None:
    folder, address = site
    assert call("share", trained, folder / "whole.zip").returncode == 0
    shutil.copytree(ROOT / "tf_files/data", tmp_path / "tf/data")
    made = []
    for start in (trained / GRAPH, folder / "whole.zip", f"{address}/whole.zip"):
        done = call("train", tmp_path / "tf", "--from", start, "--steps", 20, "--no-report")
        assert done.returncode == 0
        made.append((tmp_path / "tf" / GRAPH).read_bytes())
        (tmp_path / "tf" / GRAPH).unlink()
    assert made[0] == made[1] == made[2]
    with pytest.raises(UserError, match="--offline"):
        addresses.brought(addresses.parsed(f"{address}/other.zip"), offline=True)


def test_an_address_says_by_its_end_what_could_be_a_module_too() -> None:
    ends = ("/x.pb", "/x.zip", "/x.zip?a=b.tar.gz", "/x.zip#sha256=0")
    assert all(addresses.is_classifier(f"https://h{end}") for end in ends)
    others = ("https://h/x/1", "https://h/x.tar.gz", "x.zip", "/x/y.pb", "https://h/x?y=.zip")
    assert not any(map(addresses.is_classifier, others))
