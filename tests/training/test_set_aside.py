"""Pictures move aside and back: whole, once, overwriting nothing, whenever it is killed."""

import errno
import json
import os
from collections.abc import Callable
from hashlib import sha256
from itertools import count
from pathlib import Path
from signal import SIGKILL

import pytest

from made.steps import bad_at, die_at, ended_of, full_from, reached
from tensor_guess.config import JOURNAL, SET_ASIDE
from tensor_guess.errors import UserError
from tensor_guess.training.set_aside import Spare, bring_back, can_move, set_aside

NAMES = ["a.jpg", "b.jpg", "deeper/c.jpg"]


def fill(tf_files: Path, names: list[str] = NAMES) -> list[Spare]:
    """Files in a category, each with bytes of its own, to be set aside."""
    spares = []
    for name in names:
        path = tf_files / "data/cat" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"bytes of " + os.fsencode(name))
        key = sha256(path.read_bytes()).digest()
        spares.append(Spare(path, Path("cat", name), key, "double"))
    return spares


def contents(folder: Path) -> dict[str, bytes]:
    return {
        os.fspath(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != JOURNAL
    }


@pytest.fixture
def tf(tmp_path: Path) -> Path:
    (tmp_path / "tf").mkdir()
    return tmp_path / "tf"


def test_what_is_moved_comes_back_as_it_was(tf: Path) -> None:
    spares = fill(tf)
    before = contents(tf)
    done = set_aside(tf, spares)
    assert (done.count, done.left) == (3, ())
    assert set(contents(tf)) == {f"{SET_ASIDE}/cat/{name}" for name in NAMES}
    done = bring_back(tf)
    assert (done.count, done.left, done.earlier) == (3, (), 0)
    assert contents(tf) == before
    with pytest.raises(UserError, match="any more"):
        bring_back(tf)


def test_runs_are_undone_one_by_one_the_last_first(tf: Path) -> None:
    spares = fill(tf)
    before = contents(tf)
    set_aside(tf, spares[:2])
    set_aside(tf, spares[2:])
    done = bring_back(tf)
    assert (done.count, done.earlier) == (1, 2)
    assert bring_back(tf).count == 2
    assert contents(tf) == before
    assert set_aside(tf, spares).count == 3
    assert bring_back(tf).count == 3


def test_nothing_to_undo_is_said(tf: Path) -> None:
    with pytest.raises(UserError, match=r"there is no set_aside\.jsonl"):
        bring_back(tf)
    assert not list(tf.iterdir())


@pytest.mark.parametrize(
    "name",
    ["new\nline.jpg", "-rf", "a'b\"c.png", "東京.jpg", "\udcff.jpg", "n" * 240, "..jpg", "x"],
)
def test_any_name_comes_back(tf: Path, name: str) -> None:
    spares = fill(tf, [name])
    before = contents(tf)
    assert set_aside(tf, spares).count == 1
    assert bring_back(tf).count == 1
    assert contents(tf) == before


def test_nothing_is_overwritten(tf: Path) -> None:
    for number in range(3):
        assert set_aside(tf, fill(tf)[:1]).count == 1
        (tf / "data/cat/a.jpg").write_bytes(b"another one %d" % number)
        assert set_aside(tf, [Spare(tf / "data/cat/a.jpg", Path("cat/a.jpg"), None, "x")]).count
    names = {name for name in contents(tf) if "/a" in name}
    assert len(names) == 6
    (tf / "data/cat/a.jpg").write_bytes(b"here now")
    done = bring_back(tf)
    assert done.count == 0
    assert "there is another" in done.left[0].reason
    assert (tf / "data/cat/a.jpg").read_bytes() == b"here now"
    assert {name for name in contents(tf) if name.startswith(SET_ASIDE)} == names


@pytest.mark.parametrize(
    ("what", "reason"), [(None, "is gone"), (b"changed", "was changed since"), ("link", "changed")]
)
def test_what_was_changed_since_is_named_and_stays(
    tf: Path, what: bytes | str | None, reason: str
) -> None:
    set_aside(tf, fill(tf))
    path = tf / SET_ASIDE / "cat/b.jpg"
    path.unlink()
    if isinstance(what, bytes):
        path.write_bytes(what)
    elif what:
        path.symlink_to(tf / JOURNAL)
    done = bring_back(tf)
    assert done.count == 2
    assert [left.path for left in done.left] == [path]
    assert reason in done.left[0].reason
    assert not (tf / "data/cat/b.jpg").exists()
    assert os.path.lexists(path) == bool(what)


def test_a_picture_that_changed_since_it_was_looked_at_is_left(tf: Path) -> None:
    spares = fill(tf)
    spares[0].path.write_bytes(b"newer")
    done = set_aside(tf, spares)
    assert done.count == 2
    assert [left.path for left in done.left] == [spares[0].path]
    assert spares[0].path.read_bytes() == b"newer"


def test_links_and_what_is_outside_are_never_moved(tf: Path, tmp_path: Path) -> None:
    outside = tmp_path / "photos"
    outside.mkdir()
    (outside / "x.jpg").write_bytes(b"mine")
    (tf / "data").mkdir()
    (tf / "data/dog").symlink_to(outside)
    fill(tf)
    (tf / "data/cat/link.jpg").symlink_to("a.jpg")
    (tf / "data/cat/out.jpg").symlink_to(outside / "x.jpg")
    for path in ("data/dog/x.jpg", "data/cat/link.jpg", "data/cat/out.jpg", "data/cat", "data/no"):
        assert not can_move(tf / path, tf)
        done = set_aside(tf, [Spare(tf / path, Path("cat/x"), None, "")])
        assert (done.count, len(done.left)) == (0, 1)
    assert can_move(tf / "data/cat/a.jpg", tf)
    assert (outside / "x.jpg").read_bytes() == b"mine"


@pytest.mark.parametrize("at", [SET_ASIDE, f"{SET_ASIDE}/cat", JOURNAL])
def test_a_strangers_link_leads_nothing_away(tf: Path, tmp_path: Path, at: str) -> None:
    spares = fill(tf)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "file").write_bytes(b"somebody's own")
    (tf / at).parent.mkdir(exist_ok=True)
    (tf / at).symlink_to(tmp_path / ("file" if at == JOURNAL else "elsewhere"))
    with pytest.raises(UserError):
        set_aside(tf, spares)
    assert not list((tmp_path / "elsewhere").iterdir())
    assert (tmp_path / "file").read_bytes() == b"somebody's own"
    assert len(contents(tf / "data")) == 3


@pytest.mark.parametrize(
    ("path", "to"),
    [
        ("/etc/passwd", "set_aside/x"),
        ("../x", "set_aside/x"),
        ("data/../../x", "set_aside/x"),
        ("data/x", "data/y"),
        ("data/x", "set_aside/../../y"),
        ("set_aside/y", "set_aside/x"),
        ("data/x\0", "set_aside/x"),
        ("", ""),
    ],
)
def test_a_strangers_journal_moves_nothing_outside(
    tf: Path, tmp_path: Path, path: str, to: str
) -> None:
    (tf / SET_ASIDE).mkdir()
    (tf / SET_ASIDE / "x").write_bytes(b"x")
    line = {"from": path, "to": to, "sha256": sha256(b"x").hexdigest()}
    noise = b'[1]\n{"a": 1}\nno\n{"from": ["x"]}\n'
    (tf / JOURNAL).write_bytes(b'{"fix": "0"}\n' + noise + json.dumps(line).encode() + b"\n")
    with pytest.raises(UserError, match="any more"):
        bring_back(tf)
    assert contents(tmp_path) == {f"tf/{SET_ASIDE}/x": b"x"}


def test_a_folder_that_became_a_link_is_not_written_through(tf: Path, tmp_path: Path) -> None:
    set_aside(tf, fill(tf))
    (tmp_path / "elsewhere").mkdir()
    (tf / "data/cat/deeper").rmdir()
    (tf / "data/cat").rmdir()
    (tf / "data/cat").symlink_to(tmp_path / "elsewhere")
    done = bring_back(tf)
    assert (done.count, len(done.left)) == (0, 3)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_another_disk_is_said(tf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    spares = fill(tf)
    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(UserError, match="could not write"):
        set_aside(tf, spares)
    assert len(contents(tf / "data")) == 3


def test_without_hard_links_it_works_too(tf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    spares = fill(tf)
    before = contents(tf)
    monkeypatch.setattr(os, "link", refuse)
    assert set_aside(tf, spares).count == 3
    assert bring_back(tf).count == 3
    assert contents(tf) == before


# --- killed, on a full disk, on a bad one


def whole(tf: Path, wanted: dict[str, bytes]) -> None:
    """Each picture is there whole, where it was or where the journal says."""
    there = contents(tf)
    assert set(there.values()) == set(wanted.values())
    for line in (tf / JOURNAL).read_bytes().split(b"\n") if (tf / JOURNAL).exists() else []:
        try:
            told = json.loads(line)
        except ValueError:
            continue
        if "from" in told:
            found = {there.get(told["from"]), there.get(told["to"])}
            assert any(each and sha256(each).hexdigest() == told["sha256"] for each in found)


def undone(tf: Path) -> None:
    """Undo all that can be undone."""
    while True:
        try:
            assert not bring_back(tf).left
        except UserError:
            return


@pytest.mark.slow
@pytest.mark.parametrize(
    "how", [die_at, *(pytest.param(how, marks=pytest.mark.long) for how in (full_from, bad_at))]
)
@pytest.mark.parametrize("work", ["fix", "undo"])
@pytest.mark.parametrize("then", ["again", "undo"])
def test_interrupted_at_any_step_nothing_is_lost_and_it_goes_on(
    tmp_path: Path,
    how: Callable[[int], None],
    work: str,
    then: str,
) -> None:
    for nth in count(1):
        tf = tmp_path / f"{nth}"
        spares = fill(tf)
        before = contents(tf)
        if work == "undo":
            set_aside(tf, spares)

        def run(tf: Path = tf, spares: list[Spare] = spares, nth: int = nth) -> None:
            how(nth)
            set_aside(tf, spares) if work == "fix" else bring_back(tf)

        ended = ended_of(run)
        whole(tf, before)
        if not reached():
            assert ended == 0
            assert nth > 10
            break
        assert ended in ((-SIGKILL,) if how is die_at else (0, 1))
        if then == "again":
            set_aside(tf, [each for each in spares if each.path.exists()])
            whole(tf, before)
            assert not contents(tf / "data")
        undone(tf)
        assert contents(tf) == before
