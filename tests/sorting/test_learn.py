"""What was corrected comes to data/, each picture once, and nothing there is lost."""

import os
import shutil
from pathlib import Path

import pytest

from made.place import ROOT, Run
from made.sorting import sort_files, tree
from tensor_guess.config import FOLDERS, GRAPH, MANIFEST, SYMLINK
from tensor_guess.errors import UserError, WrongUsage
from tensor_guess.evaluation.accuracy import Accuracy
from tensor_guess.sorting.learn import Learned, accuracy_of, learn
from tensor_guess.sorting.plan import Way

PHOTO = (ROOT / "test_data" / "photo01.jpg").read_bytes()


@pytest.fixture
def tf(tmp_path: Path) -> Path:
    """A classifier's folder with the categories by which `dest` was sorted."""
    for category in ("elsa", "darth_vader", "review"):
        (tmp_path / "tf/data" / category).mkdir(parents=True)
        (tmp_path / "tf/data" / category / "photo0.jpg").write_bytes(PHOTO + category.encode())
    return tmp_path / "tf"


def sorted_by(tmp_path: Path, way: Way) -> Path:
    for number in range(30):
        path = tmp_path / "in" / f"photo{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(PHOTO + bytes([number]))
        path.chmod(0o640)
        os.utime(path, ns=(10**18, 10**18 + number))
    (tmp_path / "out").mkdir()
    sort_files(tmp_path / "in", tmp_path / "out", way)
    return tmp_path / "out"


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return sorted_by(tmp_path, Way(layout=FOLDERS))


def drag(dest: Path, category: str, to: str, name: str = "", number: int = 0) -> Path:
    path = sorted((dest / category).iterdir())[number]
    (dest / to).mkdir(exist_ok=True)
    return path.rename(dest / to / (name or path.name))


def data(tf: Path) -> dict[str, bytes]:
    files = (path for path in (tf / "data").rglob("*") if path.is_file())
    return {os.fspath(path.relative_to(tf / "data")): path.read_bytes() for path in files}


def test_corrected_pictures_are_copied_as_they_are_and_once(tf: Path, dest: Path) -> None:
    first = drag(dest, "elsa", "darth_vader", "photo0.jpg")  # a name that is taken there
    second = drag(dest, "elsa", "anna")
    before, sorted_before = data(tf), tree(dest)
    done = learn(tf, dest)
    assert done == Learned({"darth_vader": 1, "anna": 1}, {"anna"})  # type: ignore[arg-type]
    added = {
        "darth_vader/photo0-2.jpg": first.read_bytes(),
        f"anna/{second.name}": second.read_bytes(),
    }
    assert data(tf) == before | added
    assert tree(dest) == sorted_before
    for name, path in (("darth_vader/photo0-2.jpg", first), (f"anna/{second.name}", second)):
        ours, theirs = (tf / "data" / name).stat(), path.stat()
        assert (ours.st_mode, ours.st_mtime_ns) == (theirs.st_mode, theirs.st_mtime_ns)
    after = tree(tf, left=True)
    assert learn(tf, dest) == Learned(known=2)
    assert tree(tf, left=True) == after


def test_what_another_category_has_is_for_a_person_to_decide(tf: Path, dest: Path) -> None:
    path = drag(dest, "elsa", "darth_vader")
    there = tf / "data/elsa/mine.jpg"
    shutil.copy(path, there)
    before = data(tf)
    done = learn(tf, dest)
    assert (done.counts, data(tf)) == ({}, before)
    (left,) = done.left_out
    said = f"is also {there}; remove it there, and it is learned as darth_vader"
    assert (left.path, left.reason) == (path, said)
    there.unlink()
    assert learn(tf, dest).counts == {"darth_vader": 1}


def test_what_was_killed_on_the_way_is_completed(
    tf: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each picture, before it has its name: a Ctrl-C, and then another run."""
    from tensor_guess.system.durable import Staged

    wanted = {drag(dest, "elsa", "darth_vader").read_bytes() for _ in range(4)}
    before, commit = data(tf), Staged.commit
    for stop in (0, 1, 2):
        calls = iter(range(9))

        def some(
            self: Staged, *, replace: bool = True, calls: object = calls, stop: int = stop
        ) -> None:
            if next(calls) == stop:  # type: ignore[call-overload]
                raise KeyboardInterrupt
            commit(self, replace=replace)

        monkeypatch.setattr(Staged, "commit", some)
        with pytest.raises(KeyboardInterrupt):
            learn(tf, dest)
    monkeypatch.undo()
    learn(tf, dest)
    added = [value for name, value in data(tf).items() if name not in before]
    assert (len(added), set(added)) == (4, wanted)
    assert not list(tf.rglob(".tensor-guess-*"))


def test_links_are_learned_as_the_pictures_that_they_lead_to(tf: Path, tmp_path: Path) -> None:
    dest = sorted_by(tmp_path, Way(SYMLINK, FOLDERS))
    path = drag(dest, "elsa", "darth_vader")
    gone, changed = drag(dest, "elsa", "darth_vader"), drag(dest, "elsa", "darth_vader")
    gone.resolve().unlink()
    changed.resolve().write_bytes(PHOTO + b"private")
    done = learn(tf, dest)
    copied = tf / "data/darth_vader" / path.name
    assert not copied.is_symlink()
    assert copied.read_bytes() == path.read_bytes()
    assert done.counts == {"darth_vader": 1}
    reasons = {each.path.name: each.reason for each in done.left_out}
    assert reasons == {
        gone.name: "no such file or directory",
        changed.name: "was changed while it was looked at",
    }


def test_a_folder_whose_name_makes_no_label_is_named(tf: Path, dest: Path) -> None:
    drag(dest, "elsa", "!!!")
    done = learn(tf, dest)
    assert "'!!!'" not in done.left_out[0].reason
    assert "!!! has no letter or digit in its name" in done.left_out[0].reason
    assert not (tf / "data/!!!").exists()


def test_nothing_is_written_outside_of_the_classifier(tf: Path, dest: Path, tmp_path: Path) -> None:
    drag(dest, "elsa", "darth_vader")
    elsewhere = tmp_path / "elsewhere"
    (tf / "data/darth_vader").rename(elsewhere)
    (tf / "data/darth_vader").symlink_to(elsewhere)
    before = tree(elsewhere)
    with pytest.raises(WrongUsage, match=r"darth_vader is a link that leaves .*make it a folder"):
        learn(tf, dest)
    assert tree(elsewhere) == before
    (tf / "data").rename(tmp_path / "moved")
    (tf / "data").symlink_to(tmp_path / "moved")
    with pytest.raises(WrongUsage, match="data is a link that leaves"):
        learn(tf, dest)


def test_folders_that_make_no_sense_are_refused(tf: Path, dest: Path, tmp_path: Path) -> None:
    for wrong in (tf, tf / "data", tf / "data/elsa"):
        with pytest.raises(WrongUsage, match="are one inside the other"):
            learn(tf, wrong)
    with pytest.raises(WrongUsage, match="there is no folder"):
        learn(tmp_path / "none", dest)
    (dest / MANIFEST).unlink()
    with pytest.raises(UserError, match="nothing was sorted into"):
        learn(tf, dest)


def test_accuracy_before_is_what_the_classifier_says(trained: Path, tmp_path: Path) -> None:
    found = accuracy_of(trained / GRAPH)
    assert isinstance(found, Accuracy)
    assert found.count > 0
    assert accuracy_of(tmp_path / GRAPH) is None
    shutil.copy(trained / "model.json", tmp_path)
    (tmp_path / GRAPH).write_bytes(b"damaged")
    assert accuracy_of(tmp_path / GRAPH) is None


@pytest.mark.slow
def test_corrections_are_learned_and_stay_where_they_are(
    run: Run, call: Run, classifier: Path, tmp_path: Path
) -> None:
    """The whole way: sort, drag, learn, sort again."""
    dest, photos = tmp_path / "out", ROOT / "test_data"
    sort = "classify-dir", classifier, photos, dest, "--layout", "folders"
    assert call(*sort).returncode == 0
    dragged = drag(dest, "dark_knight", "snow_queen")
    drag(dest, "dark_knight", "alien")
    drag(dest, "snow_queen", "alien", number=1)
    (dest / "snow_queen/mine.jpg").write_bytes(PHOTO + b"mine")
    before = tree(dest)
    done = run("train", classifier, "--learn", dest, "--backbone", "efficientnet_lite0")
    assert done.returncode == 0, done.stderr
    *told, last = done.stdout.splitlines()
    assert told[:-1] == [
        f"3 pictures learned from {dest}",
        "alien +2 (new category)",
        "snow_queen +1",
        "not learned: 1 picture of snow_queen that no run of classify-dir brought there",
    ]
    assert told[-1].startswith("accuracy before, without these pictures = ")
    assert last.startswith("Final test accuracy = ")
    assert "bottlenecks: 3 computed, 80 from the cache" in done.stderr
    copied = classifier / "data/snow_queen" / dragged.name
    assert copied.read_bytes() == dragged.read_bytes()
    again = call(*sort)
    assert again.stdout == f"0 copied to {dest}, 12 known already\n"
    assert tree(dest) == before
    graph = (classifier / GRAPH).read_bytes()
    done = call("train", classifier, "--learn", dest)
    assert done.stdout.startswith(f"nothing new to learn from {dest}, 3 known already\nnot learned")
    assert "bottlenecks: 0 computed, 83 from the cache" in done.stderr
    assert (classifier / GRAPH).read_bytes() == graph


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--image-dir", "."), "--learn copies pictures into TF_FILES/data, which --image-dir"),
        ((), "was sorted without folders"),
    ],
)
def test_what_cannot_be_learned_is_2_and_changes_nothing(
    call: Run, tf: Path, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    dest = sorted_by(tmp_path, Way())
    before = tree(tmp_path)
    done = call("train", tf, "--learn", dest, *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in " ".join(done.stderr.split())
    assert tree(tmp_path) == before
