"""Pictures of many requests: together, apart from each other, and not too many."""

import asyncio
import io
import threading
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from made.server import until
from tensor_guess.errors import Unreadable, UserError
from tensor_guess.serving.metrics import Metrics
from tensor_guess.serving.queueing import Outcome, Queue, Turns
from tensor_guess.serving.refusal import Refused
from tensor_guess.serving.served import Asked, Served


class Network:
    """The mean of each picture; it computes only while it is let, and not if a picture is red."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.let.set()
        self.begun, self.together = 0, list[int]()
        self._now = 0

    def run(self, pairs: Iterable[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
        ((item, image),) = pairs
        self._now += 1
        self.together.append(self._now)
        self.begun += 1
        assert self.let.wait(60)
        self._now -= 1
        if image[0, 0, 0] == 255:
            raise UserError("it gives scores that are no numbers")
        yield item, np.array([image.mean()], np.float32)


class Stub(Served):
    """A classifier with that network, which is warm already."""

    at_once = 1

    def __init__(self, served: Served, network: Network) -> None:
        self._ready, self.asked, self._network = served._ready, served.asked, network
        self.counts = list[int]()

    def network(self, count: int) -> Any:
        self.counts.append(count)
        return self._network


@pytest.fixture(scope="module")
def small_served(small: Path, cache: Path) -> Served:
    from tensor_guess.guessing.loading import Given

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TENSOR_GUESS_CACHE", str(cache))
        return Served(Asked(Given(small)))


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def served(small_served: Served, network: Network) -> Stub:
    return Stub(small_served, network)


def grey(level: int, red: int | None = None) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (level if red is None else red, level, level)).save(file, "PNG")
    return file.getvalue()


def levels(outcomes: list[Outcome]) -> list[float]:
    return [float(each[0]) for each in outcomes if isinstance(each, np.ndarray)]


def test_each_request_gets_its_own_pictures(served: Served) -> None:
    async def ask() -> list[list[Outcome]]:
        queue = Queue(Metrics())
        requests = ([grey(10 * i + k) for k in range(i % 3 + 1)] for i in range(12))
        try:
            return await asyncio.gather(*(queue.rows(served, each) for each in requests))
        finally:
            queue.end()

    for i, found in enumerate(asyncio.run(ask())):
        assert levels(found) == [10 * i + k for k in range(i % 3 + 1)]


def test_as_many_are_computed_together_as_can_be(served: Stub, network: Network) -> None:
    served.at_once = 2
    metrics = Metrics()

    async def ask() -> None:
        queue = Queue(metrics)
        network.let.clear()
        asked = [asyncio.ensure_future(queue.rows(served, [grey(i)])) for i in range(40)]
        await asyncio.to_thread(until, lambda: len(queue._decoded) == 38)
        assert network.begun == 2
        network.let.set()
        await asyncio.gather(*asked)
        queue.end()

    asyncio.run(ask())
    assert network.begun == 40
    assert max(network.together) == 2
    assert b"tensor_guess_batch_size_count 40.0" in metrics.text()


def test_a_request_at_rest_is_computed_by_all_cores(served: Stub) -> None:
    async def ask() -> None:
        queue = Queue(Metrics())
        for _ in range(5):
            await queue.rows(served, [grey(1)])
        await queue.rows(served, [grey(1)] * 2)
        queue.end()

    asyncio.run(ask())
    assert served.counts[:6] == [1] * 5 + [2]


def test_one_that_fails_costs_the_others_nothing(served: Served, network: Network) -> None:
    async def ask() -> list[Outcome]:
        queue = Queue(Metrics())
        network.let.clear()
        first = asyncio.ensure_future(queue.rows(served, [grey(1)]))
        await asyncio.to_thread(until, lambda: network.begun == 1)
        pictures = [grey(1), b"x", grey(2), grey(3, red=255), grey(4)]
        others = asyncio.ensure_future(queue.rows(served, pictures))
        await asyncio.to_thread(until, lambda: len(queue._decoded) == 4)
        network.let.set()
        await first
        try:
            return await others
        finally:
            queue.end()

    found = asyncio.run(ask())
    assert levels(found) == [1, 2, 4]
    assert isinstance(found[1], Unreadable)
    assert isinstance(found[3], UserError)


def test_who_has_gone_is_passed_over(served: Served, network: Network) -> None:
    metrics = Metrics()

    async def ask() -> None:
        queue = Queue(metrics)
        network.let.clear()
        first = asyncio.ensure_future(queue.rows(served, [grey(1)]))
        await asyncio.to_thread(until, lambda: network.begun == 1)
        gone = asyncio.ensure_future(queue.rows(served, [grey(2)] * 5))
        await asyncio.to_thread(until, lambda: len(queue._decoded) == 5)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        last = asyncio.ensure_future(queue.rows(served, [grey(3)]))
        await asyncio.to_thread(until, lambda: len(queue._decoded) == 6)
        network.let.set()
        await asyncio.gather(first, last)
        assert queue.pending == 0
        queue.end()

    asyncio.run(ask())
    assert network.begun == 2
    assert b'tensor_guess_pictures_total{result="left"} 5.0' in metrics.text()


def test_too_many_are_refused_until_there_is_room(served: Served, network: Network) -> None:
    async def ask() -> None:
        queue = Queue(Metrics(), queue=4)
        network.let.clear()
        three = asyncio.ensure_future(queue.rows(served, [grey(1)] * 3))
        await asyncio.sleep(0)
        with pytest.raises(Refused) as error:
            await queue.rows(served, [grey(1)] * 2)
        assert error.value.code == 429
        assert 1 <= error.value.again <= 60
        one = asyncio.ensure_future(queue.rows(served, [grey(1)]))
        network.let.set()
        await asyncio.gather(three, one)
        assert len(await queue.rows(served, [grey(1)] * 4)) == 4
        queue.end()

    asyncio.run(ask())


def test_each_picture_is_computed_by_the_classifier_that_it_came_for(
    small_served: Served, network: Network
) -> None:
    other = Network()
    one, two = Stub(small_served, network), Stub(small_served, other)

    async def ask() -> None:
        queue = Queue(Metrics())
        network.let.clear()
        first = asyncio.ensure_future(queue.rows(one, [grey(1)]))
        await asyncio.to_thread(until, lambda: network.begun == 1)
        others = []
        for served in (one, one, two, two, two, one):
            others.append(asyncio.ensure_future(queue.rows(served, [grey(1)])))
            await asyncio.to_thread(until, lambda: len(queue._decoded) == len(others))
        network.let.set()
        await asyncio.gather(first, *others)
        queue.end()

    asyncio.run(ask())
    assert (network.begun, other.begun) == (4, 3)


def test_work_is_done_in_turn_and_not_too_much_of_it_waits() -> None:
    turns, let, began = Turns(queue=3), threading.Event(), list[int]()

    def work(i: int) -> int:
        began.append(i)
        assert let.wait(60)
        return i

    async def ask() -> None:
        tasks = [asyncio.ensure_future(turns.take(partial(work, i))) for i in range(3)]
        await asyncio.to_thread(until, lambda: began)
        with pytest.raises(Refused) as error:
            await turns.take(lambda: work(3))
        assert (error.value.code, error.value.again) == (429, 1)
        assert (began, turns.pending) == ([0], 3)
        tasks[1].cancel()  # its client has gone
        await asyncio.gather(tasks[1], return_exceptions=True)
        tasks.append(asyncio.ensure_future(turns.take(lambda: work(4))))
        let.set()
        del tasks[1]
        assert await asyncio.gather(*tasks) == [0, 2, 4]
        assert began == [0, 2, 4]
        await asyncio.sleep(0)
        assert turns.pending == 0
        turns.end()

    asyncio.run(ask())


def test_a_mistake_in_such_work_is_printed_and_the_next_is_done(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def mistaken() -> None:
        raise KeyError("our mistake")

    def unreadable() -> None:
        raise Unreadable("is no picture")

    async def ask() -> None:
        turns = Turns()
        with pytest.raises(UserError, match="made a mistake, which it prints"):
            await turns.take(mistaken)
        with pytest.raises(Unreadable, match="no picture"):
            await turns.take(unreadable)
        assert await turns.take(lambda: 7) == 7
        turns.end()

    asyncio.run(ask())
    assert "KeyError: 'our mistake'" in capsys.readouterr().err
