"""Shots of a burst are sorted as one; everything else is as without bursts."""

import itertools
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from made.exif import text_of, timed
from made.place import ROOT, Run
from made.sorting import tree
from tensor_guess.config import DATA, FOLDERS, MANIFEST, MOVE
from tensor_guess.guessing.guess import Guess, guess
from tensor_guess.guessing.ready import Ready
from tensor_guess.images.encoded import Picture
from tensor_guess.sorting.apply import Applying
from tensor_guess.sorting.bursts import MOST, Bursts, Chains, is_soon, pooled
from tensor_guess.sorting.manifest import Manifest
from tensor_guess.sorting.plan import Way
from tensor_guess.sorting.sort import sort

PHOTOS = ROOT / "test_data"
NOON = datetime(2021, 6, 5, 12)
MINUTE = Fraction(60)


@st.composite
def scores(draw: st.DrawFn) -> NDArray[np.float32]:
    """The scores [N, K] of a few pictures, as a network gives them."""
    count, classes = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    logits = draw(arrays(np.float64, (count, classes), elements=st.floats(-90, 90)))
    found = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float32] = (found / found.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


@given(scores())
def test_pooled_scores_are_scores(rows: NDArray[np.float32]) -> None:
    found = pooled(rows)
    assert found.dtype == np.float32
    assert (found >= 0).all()
    assert found.sum() == pytest.approx(1, abs=1e-5)


@given(scores(), st.integers(1, 9))
def test_the_same_picture_again_makes_nothing_surer(rows: NDArray[np.float32], times: int) -> None:
    assert pooled(np.repeat(rows[:1], times, axis=0)) == pytest.approx(rows[0], abs=1e-5)


@given(scores(), st.randoms())
def test_the_order_does_not_matter(rows: NDArray[np.float32], random: Any) -> None:
    order = list(range(len(rows)))
    random.shuffle(order)
    assert pooled(rows[order]) == pytest.approx(pooled(rows), abs=1e-6)


@given(scores())
def test_what_all_agree_on_is_the_decision(rows: NDArray[np.float32]) -> None:
    best = set(rows.argmax(axis=1).tolist())
    assume(len(best) == 1)
    found = pooled(rows)
    assert found[best.pop()] == pytest.approx(found.max(), abs=1e-6)


def test_the_geometric_mean_of_two_is_what_it_is() -> None:
    found = pooled(np.array([[0.9, 0.1], [0.2, 0.8]], np.float32))
    assert found == pytest.approx([0.6, 0.4], abs=1e-6)  # sqrt(.9 * .2) : sqrt(.1 * .8) = 3 : 2
    assert pooled(np.array([[1, 0], [0.4, 0.6]], np.float32))[1] > 0  # nobody rules a label out


seconds = st.integers(0, 10_000)


@given(st.lists(st.tuples(st.sampled_from("ab"), seconds), max_size=40), st.integers(1, 500))
def test_a_burst_is_what_follows_in_the_same_folder_soon(
    files: list[tuple[str, int]], within: int
) -> None:
    chains = Chains(timedelta(seconds=within))
    numbers = [chains.next(Path(a), NOON + timedelta(seconds=s)) for a, s in files]
    assert numbers == sorted(numbers)
    for i in range(1, len(files)):
        (folder, before), (same, now) = files[i - 1 : i + 1]
        joined = folder == same and abs(now - before) <= within
        assert (numbers[i] == numbers[i - 1]) == joined


def test_a_time_lapse_that_never_pauses_is_cut() -> None:
    chains = Chains(timedelta(seconds=1))
    numbers = [chains.next(Path("a"), NOON) for _ in range(2 * MOST + 1)]
    assert [numbers.count(each) for each in (1, 2, 3)] == [MOST, MOST, 1]


def test_zones_count_if_both_times_have_one() -> None:
    there = timezone(timedelta(hours=2))
    minute = timedelta(minutes=1)
    assert is_soon(NOON.replace(tzinfo=UTC), NOON.replace(hour=14, tzinfo=there), minute)
    assert not is_soon(NOON.replace(tzinfo=UTC), NOON.replace(tzinfo=there), minute)
    assert is_soon(NOON, NOON.replace(tzinfo=there), minute)


@pytest.fixture
def source(trained: Path, tmp_path: Path) -> Path:
    """A burst of an odd one among four, a shot an hour later, and one without a time."""
    by_label: dict[str, list[Path]] = {}
    for each in guess(trained, sorted(PHOTOS.glob("photo*"))):
        assert isinstance(each, Guess)
        by_label.setdefault(each.label, []).append(each.path)
    knights, queens = by_label["dark knight"], by_label["snow queen"]
    folder = tmp_path / "in"
    folder.mkdir()
    for number, path in enumerate([*knights[:2], queens[0], knights[2], *queens[1:3]]):
        when = NOON + timedelta(seconds=50 * number, hours=number == 4)
        texts = [text_of(when)] if number < 5 else []
        (folder / f"{number}.jpg").write_bytes(timed(path.read_bytes(), *texts))
    return folder


def lines(dest: Path) -> Iterator[dict[str, Any]]:
    yield from map(json.loads, (dest / MANIFEST).read_text().splitlines())


def pictures(dest: Path) -> dict[str, dict[str, Any]]:
    return {line["image"]: line for line in lines(dest) if "scores" in line and "image" in line}


def test_the_odd_one_goes_with_the_others_and_keeps_its_own_scores(
    trained: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sort(trained, source, tmp_path / "alone")
    done = sort(trained, source, tmp_path / "out", way=Way(layout=FOLDERS), burst=MINUTE)
    assert capsys.readouterr().err.endswith(
        "1 burst, of 4 pictures in all; 1 without a time in EXIF\n"
    )
    assert done.counts == {("dark_knight", False): 4, ("snow_queen", False): 2}
    alone, told = pictures(tmp_path / "alone"), pictures(tmp_path / "out")
    for image, line in told.items():
        assert (line["label"], line["scores"]) == (alone[image]["label"], alone[image]["scores"])
    assert told["2.jpg"]["label"] == "snow queen"
    assert told["2.jpg"]["copied_to"] == "dark_knight/2.jpg"
    (burst,) = (line for line in lines(tmp_path / "out") if "of" in line)
    assert burst["of"] == [told[f"{number}.jpg"]["sha256"] for number in range(4)]
    rows = np.array(
        [[told[f"{n}.jpg"]["scores"][label] for label in burst["scores"]] for n in range(4)]
    )
    assert list(burst["scores"].values()) == pytest.approx(pooled(rows), abs=1e-6)
    for number in range(4):
        line = told[f"{number}.jpg"]
        decided = {"label": "dark knight", "score": burst["scores"]["dark knight"]}
        assert (line["burst"], line["decided"]) == ("0.jpg", decided)
    assert not {"burst", "decided"} & (told["4.jpg"].keys() | told["5.jpg"].keys())


def test_min_score_asks_for_the_pooled_one(trained: Path, source: Path, tmp_path: Path) -> None:
    sort(trained, source, tmp_path / "out", burst=MINUTE)
    score = pictures(tmp_path / "out")["0.jpg"]["decided"]["score"]
    own = [pictures(tmp_path / "out")[f"{n}.jpg"]["scores"]["dark knight"] for n in (0, 1, 3)]
    assert score < min(own)
    least = [(None, (score + min(own)) / 2)]
    flat = sort(trained, source, tmp_path / "strict", min_scores=least, burst=MINUTE)
    assert flat.counts["dark_knight", True] == 4
    assert {p.name for p in (tmp_path / "strict/review").glob("dark*")} == {
        f"dark_knight-{score:.5f}{end}.jpg" for end in ("", "-2", "-3", "-4")
    }


def test_what_a_person_labelled_is_never_smoothed(
    classifier: Path, source: Path, tmp_path: Path
) -> None:
    """Nor does it count in what the others are."""
    shutil.copy(source / "2.jpg", classifier / DATA / "snow_queen/corrected.jpg")
    sort(classifier, source, tmp_path / "out", way=Way(layout=FOLDERS), burst=MINUTE)
    told = pictures(tmp_path / "out")
    assert told["2.jpg"]["copied_to"] == "snow_queen/2.jpg"
    assert "burst" not in told["2.jpg"]
    (burst,) = (line for line in lines(tmp_path / "out") if "of" in line)
    assert burst["of"] == [told[f"{number}.jpg"]["sha256"] for number in (0, 1, 3)]


@pytest.mark.parametrize("way", ["copy", "move"])
@pytest.mark.parametrize("stop", [1, 2, 3])
def test_killed_in_a_burst_it_goes_on_as_if_never_killed(
    trained: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    way: str, stop: int,
) -> None:  # fmt: skip
    whole = Path(shutil.copytree(source, tmp_path / "whole"))
    sort(trained, whole, tmp_path / "expected", way=Way(way), burst=MINUTE)
    add, left = Applying.add, iter(range(99))

    def some(self: Applying, *arguments: Any, **more: Any) -> None:
        if next(left) == stop:
            raise KeyboardInterrupt
        add(self, *arguments, **more)

    monkeypatch.setattr(Applying, "add", some)
    with pytest.raises(KeyboardInterrupt):
        sort(trained, source, tmp_path / "out", way=Way(way), burst=MINUTE)
    monkeypatch.undo()
    assert len(list((tmp_path / "out").glob("*.jpg"))) == stop
    assert len(list(source.iterdir())) == (6 - stop if way == MOVE else 6)
    sort(trained, source, tmp_path / "out", way=Way(way), burst=MINUTE)
    assert tree(tmp_path / "out") == tree(tmp_path / "expected")
    told, expected = pictures(tmp_path / "out"), pictures(tmp_path / "expected")
    for image, line in told.items():
        assert line.get("decided") == expected[image].get("decided")


def test_an_endless_burst_waits_for_no_more_than_its_bound(trained: Path, tmp_path: Path) -> None:
    ready = Ready(trained, few=False)
    ready.network()
    row, data = np.array([0.75, 0.25], np.float32), timed((PHOTOS / "photo01.jpg").read_bytes())
    status, given = PHOTOS.stat(), 0
    with Manifest(tmp_path, tmp_path, "") as manifest:
        bursts = Bursts(MINUTE, manifest, None)

        def endless() -> Iterator[tuple[tuple[Path, Picture], NDArray[np.float32]]]:
            nonlocal given
            for given in itertools.count(1):
                path, key = tmp_path / f"{given}.jpg", given.to_bytes(32)
                shot = timed(data, text_of(NOON + timedelta(seconds=given % 60)))
                bursts.looked_at(path, Picture(shot, "JPEG", key, status))
                bursts.seen(path, Picture(b"", "JPEG", key, status), known=False)
                yield (path, Picture(b"", "JPEG", key, status)), row

        decided = bursts.decided(endless(), ready, {})
        for number in range(1, 3 * MOST, MOST // 2):
            for _ in itertools.islice(decided, MOST // 2):
                pass
            assert given <= number + 2 * MOST


def test_a_picture_that_comes_later_is_no_part_of_what_is_sorted(
    trained: Path, source: Path, tmp_path: Path
) -> None:
    late = (source / "2.jpg").rename(tmp_path / "late.jpg")
    sort(trained, source, tmp_path / "out", way=Way(layout=FOLDERS), burst=MINUTE)
    before = tree(tmp_path / "out")
    late.rename(source / "2.jpg")
    done = sort(trained, source, tmp_path / "out", way=Way(layout=FOLDERS), burst=MINUTE)
    assert done.counts == {("snow_queen", False): 1}
    now = tree(tmp_path / "out")
    assert {name: now[name] for name in before} == before | {"snow_queen": now["snow_queen"]}


@pytest.mark.slow
def test_the_program_sorts_bursts_and_a_dry_run_says_the_same(
    run: Run, call: Run, trained: Path, source: Path, tmp_path: Path
) -> None:
    how = trained, source, tmp_path / "out", "--burst", "1m"
    plan = call("classify-dir", *how, "--dry-run")
    assert plan.returncode == 0, plan.stderr
    assert not (tmp_path / "out").exists()
    done = run("classify-dir", *how)
    assert done.returncode == 0, done.stderr
    said = dict(line.split(" -> ") for line in plan.stdout.splitlines() if " -> " in line)
    there = {
        str(source / line["image"]): str(tmp_path / "out" / line["copied_to"])
        for line in pictures(tmp_path / "out").values()
    }
    assert said == there
    wrong = call("classify-dir", *how[:-1], "60")
    assert (wrong.returncode, "is no time such as" in wrong.stderr) == (2, True)
