"""Merging gives what training on everybody's pictures would have given, and nothing else."""

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from made.place import ROOT, Run
from made.taught import Pictures, handed_on, taught
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.config import (
    AUGMENT,
    CROP,
    DATA,
    GRAPH,
    LABELS,
    RECORD,
    REPORT,
    Training,
)
from tensor_guess.errors import UserError, WrongUsage
from tensor_guess.sharing.card import Author
from tensor_guess.sharing.merge import merge
from tensor_guess.sharing.share import share
from tensor_guess.training.train import Job, train

MADE = (GRAPH, LABELS, RECORD, REPORT)
UNIONS: dict[str, Sequence[Pictures]] = {
    "the same categories": ({"cat": range(4), "dog": range(10, 14)},
                            {"cat": range(4, 8), "dog": range(14, 18)}),
    "other categories": ({"cat": range(4), "dog": range(10, 14)},
                         {"ant": range(20, 24), "Eel 2": range(30, 34)}),
    "one in common": ({"cat": range(4), "dog": range(10, 14)},
                      {"dog": range(20, 24), "eel": range(30, 34)}),
    "pictures in common": ({"cat": range(4), "dog": range(10, 14)},
                           {"cat": range(2, 6), "dog": range(10, 14)}),
    "pictures in other categories": ({"cat": range(4), "dog": range(10, 14)},
                                     {"cat": [10, 5, 6], "dog": [0, 15, 16]}),
    "pictures in two categories of one": ({"cat": [0, 1, 2, 3], "dog": [0, 11, 12]},
                                          {"cat": [0, 5, 6], "dog": [11, 15, 16]}),
    "three people": ({"cat": range(4), "dog": range(10, 14)},
                     {"cat": range(4, 6), "eel": range(20, 24)},
                     {"dog": range(14, 16), "eel": range(22, 26)}),
    "many pictures": ({"cat": range(25), "dog": range(100, 125)},
                      {"cat": range(20, 50), "dog": range(115, 150)}),
}  # fmt: skip


def of_all(pictures: Sequence[Pictures]) -> Pictures:
    names = {name for each in pictures for name in each}
    return {name: [s for each in pictures for s in each.get(name, ())] for name in names}


@pytest.mark.slow
@pytest.mark.parametrize("pictures", UNIONS.values(), ids=UNIONS)
def test_the_graph_is_the_one_of_training_on_the_pictures_of_all(
    tiny: Backbone, tmp_path: Path, pictures: Sequence[Pictures]
) -> None:
    zips = [handed_on(tmp_path / str(number), tiny, own) for number, own in enumerate(pictures)]
    union = taught(tmp_path / "union", tiny, of_all(pictures))
    merged = merge(zips, tmp_path / "merged")
    for name in (GRAPH, LABELS):
        assert (tmp_path / "merged" / name).read_bytes() == (union / name).read_bytes()
    one, other = (json.loads((each / RECORD).read_text()) for each in (tmp_path / "merged", union))
    assert one.pop("notice").endswith("; this classifier has the default options")
    assert other.pop("notice") == ""
    assert one == other
    assert len(merged.left_out) == one["left_out"]
    assert sorted(each.name for each in (tmp_path / "merged").iterdir()) == sorted(MADE)


@pytest.mark.slow
def test_real_pictures_shared_by_two_are_what_one_would_have_trained(
    trained: Path, tmp_path: Path, run: Run
) -> None:
    for category in ("dark_knight", "snow_queen"):
        for number, path in enumerate(sorted((trained / DATA / category).iterdir())):
            # The first five pictures have both.
            for who in ("me", "you"):
                if number < 5 or number % 2 == (who == "me"):
                    (tmp_path / who / DATA / category).mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, tmp_path / who / DATA / category)
    for who in ("me", "you"):
        assert run("train", tmp_path / who, "--backbone", "efficientnet_lite0").returncode == 0
        done = run("share", tmp_path / who, tmp_path / f"{who}.zip", "--with-bottlenecks")
        assert done.returncode == 0
        assert f"{who}.zip has the bottlenecks of " in done.stderr
        assert "they reveal something of them" in done.stderr
    shutil.rmtree(tmp_path / "me")
    shutil.rmtree(tmp_path / "you")
    out = tmp_path / "both"
    done = run("merge", tmp_path / "me.zip", tmp_path / "you.zip", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Final test accuracy = ")
    assert "me.zip: " in done.stderr
    for name in (GRAPH, LABELS):
        assert (out / name).read_bytes() == (trained / name).read_bytes()
    assert run("guess", out, ROOT / "test_data/photo01.jpg").returncode == 0


@pytest.fixture(scope="module")
def zips(tiny: Backbone, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two people's zips; not to be written to."""
    tmp_path = tmp_path_factory.mktemp("zips")
    return [
        handed_on(tmp_path / "a", tiny, {"cat": range(3), "dog": range(10, 13)}),
        handed_on(tmp_path / "b", tiny, {"cat": range(3, 6), "Dog": range(13, 16)}),
    ]


@pytest.mark.slow
def test_folders_with_the_same_label_are_joined_under_the_first_name(
    zips: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    merge(zips, tmp_path / "c")
    said = f"Dog in {zips[1]} joins dog: the label of both is dog\n"
    assert said in capsys.readouterr().err
    model = json.loads((tmp_path / "c" / RECORD).read_text())
    assert (model["categories"], model["labels"]) == (["cat", "dog"], ["cat", "dog"])
    assert sum(model["counts"]["dog"].values()) == 6


@pytest.mark.slow
def test_merging_again_replaces_the_result_and_gives_the_same_bytes(
    zips: list[Path], tmp_path: Path
) -> None:
    merge(zips, tmp_path / "c/d")
    first = {name: (tmp_path / "c/d" / name).read_bytes() for name in MADE}
    merge(zips, tmp_path / "c/d")
    assert {name: (tmp_path / "c/d" / name).read_bytes() for name in MADE} == first


@pytest.mark.slow
def test_options_that_are_not_used_are_said(
    tiny: Backbone, zips: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = {"cat": [20, 21], "dog": [30, 31]}
    options = Training(seed=3, testing_percentage=20, augmentation=replace(AUGMENT, versions=1))
    taught(tmp_path / "a", tiny, mine, options)
    share(tmp_path / "a", tmp_path / "a.zip", Author(), with_bottlenecks=True)
    yours = handed_on(tmp_path / "b", tiny, {"cat": [22, 23], "dog": [32, 33]})
    merge([tmp_path / "a.zip", yours], tmp_path / "c")
    # That nothing was held out of so few pictures is no option.
    said = (
        f"{tmp_path / 'a.zip'} was trained with other options (augmentation, seed); "
        f"{yours} was trained with other options (steps); "
        "this classifier has the default options"
    )
    assert capsys.readouterr().err.splitlines()[-1] == said
    model = json.loads((tmp_path / "c" / RECORD).read_text())
    assert (model["notice"], model["training"]["augmentation"]) == (said, None)


@pytest.mark.slow
def test_a_fit_that_all_have_is_kept(tiny: Backbone, tmp_path: Path) -> None:
    cropped = tiny.fitted(CROP)
    mine, yours = {"cat": range(3), "dog": range(10, 13)}, {"cat": [7, 8], "dog": [17, 18]}
    zips = [
        handed_on(tmp_path / "a", cropped, mine),
        handed_on(tmp_path / "b", cropped, yours),
    ]
    union = taught(tmp_path / "union", cropped, of_all([mine, yours]))
    merge(zips, tmp_path / "c")
    assert (tmp_path / "c" / GRAPH).read_bytes() == (union / GRAPH).read_bytes()


def other_backbone(tiny: Backbone) -> Backbone:
    graph = type(tiny.graph)()
    graph.CopyFrom(tiny.graph)
    (kernel,) = (node for node in graph.node if node.name == "kernel")
    data = bytearray(kernel.attr["value"].tensor.tensor_content)
    data[0] ^= 1
    kernel.attr["value"].tensor.tensor_content = bytes(data)
    return replace(tiny, graph=graph)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (other_backbone, r"different backbones \(tiny, SHA-256 [0-9a-f]{64} and tiny, SHA-256 "),
        (lambda tiny: tiny.fitted(CROP), r"different fits \(squeeze and crop\)"),
        (
            lambda tiny: replace(tiny, scaling=replace(tiny.scaling, mean=3.0)),
            r"different scalings \(.*127\.5.* and .*3\.0",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(
    tiny: Backbone, tmp_path: Path, change: object, said: str
) -> None:
    pictures = {"cat": range(3), "dog": range(10, 13)}
    assert callable(change)
    zips = [
        handed_on(tmp_path / "a", tiny, pictures),
        handed_on(tmp_path / "b", change(tiny), pictures),
    ]
    with pytest.raises(UserError, match=f"a.zip and .*b.zip cannot be merged.* {said}") as raised:
        merge(zips, tmp_path / "c")
    assert raised.value.exit_code == 1
    assert str(raised.value).isprintable()
    assert not (tmp_path / "c").exists()


def test_a_category_of_which_everything_contradicts_itself_is_said_and_nothing_written(
    tiny: Backbone, tmp_path: Path
) -> None:
    zips = [
        handed_on(tmp_path / "a", tiny, {"cat": range(3), "dog": range(10, 13)}),
        handed_on(tmp_path / "b", tiny, {"cat": [20], "eel": range(3)}),
    ]
    with pytest.raises(UserError, match="no picture in category eel can be used; the first of"):
        merge(zips, tmp_path / "c")
    assert not (tmp_path / "c").exists()


@pytest.mark.slow
def test_pictures_of_two_categories_are_named_and_the_exit_code_is_3(
    tiny: Backbone, tmp_path: Path, call: Run
) -> None:
    zips = [
        handed_on(tmp_path / "a", tiny, {"cat": range(3), "dog": range(10, 13)}),
        handed_on(tmp_path / "b", tiny, {"cat": range(3, 6), "dog": [0, 17]}),
    ]
    done = call("merge", *zips, tmp_path / "c")
    assert done.returncode == 3
    left_out = [line for line in done.stderr.splitlines() if line.startswith("left out ")]
    assert len(left_out) == 2
    for line, (path, category) in zip(left_out, ((zips[0], "cat"), (zips[1], "dog")), strict=True):
        assert line.startswith(f"left out {path}/{category}/")
        assert line.endswith(": the same picture is in cat and dog")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("merge",), 2, "Missing argument 'ZIP...'"),
        (("merge", "a.zip"), 2, "Missing argument 'ZIP...'"),
        (("merge", "a.zip", "c"), 2, "merge takes two or more zips, and then OUT"),
        (("merge", "a.zip", "b.zip"), 2, "merge takes two or more zips, and then OUT"),
        (("merge", "a.zip", "b.zip", "plain.zip"), 2, "plain.zip is not a folder, and the last"),
        (("merge", "a.zip", "none.zip", "c"), 2, "there is no file none.zip"),
        (("merge", "a.zip", "a", "c"), 1, "could not read a: is not a regular file"),
        (("merge", "a.zip", "plain.zip", "c"), 1, "plain.zip has no bottlenecks; its author can"),
        (("merge", "a.zip", "b.zip", "a"), 2, "a has pictures of its own (data); choose"),
        (("merge", "a.zip", "b.zip", "full"), 2, "is not a frozen graph, and nothing else is"),
        (("merge", "a.zip", "b.zip", "/proc/c"), 1, "cannot write to /proc: "),
    ],
)
def test_what_cannot_be_merged_is_one_sentence_and_nothing_is_written(
    zips: list[Path],
    tmp_path: Path,
    call: Run,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    for path in zips:
        shutil.copy(path, tmp_path)
    (tmp_path / "a/data").mkdir(parents=True)
    share(zips[0].with_name("a"), tmp_path / "plain.zip", Author())
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / GRAPH).write_bytes(b"mine")
    monkeypatch.chdir(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    done = call(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert done.stderr.splitlines()[-1].startswith(("tensor-guess: ", "Error: "))
    assert "Traceback" not in done.stderr
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before
    assert not os.path.lexists("c")


def test_a_merged_classifier_has_no_pictures_to_share_with_bottlenecks(
    zips: list[Path], tmp_path: Path
) -> None:
    merge(zips, tmp_path / "c")
    share(tmp_path / "c", tmp_path / "c.zip", Author())
    with pytest.raises(UserError, match="has no folder data; put pictures into"):
        share(tmp_path / "c", tmp_path / "d.zip", Author(), with_bottlenecks=True)
    with pytest.raises(UserError, match="has no folder data"):
        train(Job(tmp_path / "c", Training()))
    with pytest.raises(WrongUsage):
        merge(zips[:1], tmp_path / "e")
