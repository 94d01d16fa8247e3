"""What kills is found, nothing else is lost, and order is kept."""

from collections.abc import Sequence
from math import ceil, log2

from hypothesis import given
from hypothesis import strategies as st

from tensor_guess.spreading.bisecting import bisected


@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))))
def test_exactly_what_kills_has_no_result(case: tuple[int, set[int]]) -> None:
    count, fatal = case
    attempts = list[Sequence[int]]()

    def attempt(part: Sequence[int]) -> list[int] | None:
        attempts.append(part)
        return None if fatal & set(part) else [2 * each for each in part]

    parts = list(bisected(range(count), attempt))
    assert [each for part, _ in parts for each in part] == list(range(count))
    assert {part[0] for part, result in parts if result is None} == fatal
    assert all(len(part) == 1 for part, result in parts if result is None)
    assert all(result == [2 * n for n in part] for part, result in parts if result is not None)
    assert len(attempts) <= 1 + 2 * len(fatal) * ceil(log2(count) if count > 1 else 0)


def test_what_killed_by_chance_is_not_divided_further() -> None:
    """A part that survives the second time is done."""
    assert list(bisected("abcd", lambda part: part)) == [("abcd", "abcd")]
