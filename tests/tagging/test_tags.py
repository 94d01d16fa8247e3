"""The journal of a tagged folder remembers what was added, whoever wrote in it."""

import contextlib
import json
from pathlib import Path

import pytest

from tensor_guess.config import TAGS
from tensor_guess.errors import UserError
from tensor_guess.system.durable import Journal
from tensor_guess.tagging.tags import Adding, Change, Removed, Tags, read
from tensor_guess.tagging.xmp import Keywords

KEY = "ab" * 32
WORDS = Keywords(("elsa", "kai"), ("elsa",))


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / TAGS).read_text().splitlines()]


def test_what_is_added_is_said_before_and_what_is_tagged_is_known(tmp_path: Path) -> None:
    with Tags(tmp_path, "digest") as tags:
        tags.adding([Change("a.xmp", WORDS, True)])
        assert lines(tmp_path)[-1]["adding"] == [
            {"sidecar": "a.xmp", "subject": ["elsa", "kai"], "tags_list": ["elsa"], "made": True}
        ]
        tags.tagged(tmp_path / "a.jpg", tmp_path / "a.xmp", KEY, {"elsa": 0.5})
    with Tags(tmp_path, "digest") as tags:
        assert tags.known == {"a.xmp": KEY}
    with Tags(tmp_path, "another") as tags:
        assert tags.known == {}
    with Journal(tmp_path / TAGS) as journal:
        assert Adding(tags.run, []) not in list(read(journal))
        journal.add(by="x", removed=["a.xmp"])
    with Tags(tmp_path, "digest") as tags:
        assert tags.known == {}


def test_a_run_that_did_not_end_is_continued(tmp_path: Path) -> None:
    with contextlib.suppress(KeyboardInterrupt), Tags(tmp_path, "digest") as first:
        raise KeyboardInterrupt
    with Tags(tmp_path, "another") as other:
        assert (other.continued, other.run != first.run) == (False, True)
    with Tags(tmp_path, "digest") as again:
        assert (again.continued, again.run) == (True, first.run)
    with Tags(tmp_path, "digest") as next_:
        assert (next_.continued, next_.run != first.run) == (False, True)


def test_a_dry_run_makes_no_journal(tmp_path: Path) -> None:
    with Tags(tmp_path, "digest", dry=True) as tags:
        tags.left_out(tmp_path / "x", "is empty")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "line",
    [
        {"adding": [{"sidecar": "../a.xmp", "subject": [], "tags_list": [], "made": True}]},
        {"adding": [{"sidecar": "a.jpg", "subject": ["x"], "tags_list": [], "made": True}]},
        {"adding": [{"sidecar": ".hidden.xmp", "subject": [], "tags_list": [], "made": True}]},
        {"adding": [{"sidecar": "a.xmp", "subject": [5], "tags_list": [], "made": True}]},
        {"adding": 5},
        {"removed": ["/etc/a.xmp"]},
        {"tagged": "a.jpg", "sidecar": "a.xmp", "sha256": "short"},
        {"run": 5},
    ],
)
def test_a_line_that_cannot_be_true_is_passed_over_and_told(
    tmp_path: Path, line: dict[str, object], capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / TAGS).write_text(json.dumps({"by": "x"} | line) + "\n")
    with Journal(tmp_path / TAGS) as journal:
        assert list(read(journal)) == []
    assert "1 damaged lines passed over" in capfd.readouterr().err
    with Journal(tmp_path / TAGS) as journal:
        journal.add(by="x", removed=["a/b.xmp"])
    with Journal(tmp_path / TAGS) as journal:
        assert list(read(journal, quiet=True)) == [Removed("x", ["a/b.xmp"])]


def test_a_journal_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"a photo")
    (tmp_path / TAGS).symlink_to("photo.jpg")
    with pytest.raises(UserError, match=TAGS):
        Tags(tmp_path, "digest").__enter__()
    assert (tmp_path / "photo.jpg").read_bytes() == b"a photo"
