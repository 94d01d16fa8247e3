"""Find what no worker survives: a batch that killed them is halved until one item is left."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def bisected(
    items: Sequence[Item], attempt: Callable[[Sequence[Item]], Result | None]
) -> Iterator[tuple[Sequence[Item], Result | None]]:
    """Yield the items in parts, in order, each with its result; None for one item that has none.

    `attempt` returns the result of a part, or None if no worker survives it. Each item is in
    exactly one part. Only what was attempted alone, and failed, has no result.
    """
    result = attempt(items)
    if result is not None or len(items) == 1:
        yield items, result
        return
    middle = len(items) // 2
    yield from bisected(items[:middle], attempt)
    yield from bisected(items[middle:], attempt)
