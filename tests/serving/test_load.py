"""A server that is busy for an hour: every answer is right, and it needs no more than at first."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count, cycle, islice
from pathlib import Path

import pytest

from made.hostile_requests import malformed
from made.place import ROOT, Run
from made.server import Server, form, started, until

_HOUR, _WARM, _SWAP = 3600, 600, 60  # seconds
_PATIENCE = 600  # seconds for a graph to be taken, at full load
_CLIENTS = 4
_PICTURES = sorted((ROOT / "test_data").iterdir())


@pytest.mark.long
def test_an_hour_of_load_takes_no_memory(
    cache: Path, trained: Path, classifier: Path, run: Run, tmp_path: Path
) -> None:
    assert run("train", classifier, "--steps", 50, "--no_report").returncode == 0
    graphs = [(each / "retrained_graph.pb").read_bytes() for each in (trained, classifier)]
    path, over = tmp_path / "x.pb", threading.Event()
    path.write_bytes(graphs[0])
    with started(cache, tmp_path / "log", path) as server, ThreadPoolExecutor(8) as pool:
        right = dict[tuple[str, int], object]()  # by graph and picture, what was answered first
        work = [pool.submit(_ask, server, right, over, number) for number in range(_CLIENTS)]
        work += [pool.submit(each, server, over) for each in (_map, _leave, _crawl, _spoil)]
        before, began = dict[str, float](), time.monotonic()
        try:
            for number in count(1):
                over.wait(_SWAP)
                (tmp_path / "new").write_bytes(graphs[number % 2])
                (tmp_path / "new").replace(path)
                until(lambda n=number: server.ask("/v1/model").json["version"] == n + 1, _PATIENCE)  # type: ignore[misc]
                for each in work:
                    if each.done():
                        each.result()
                seconds = time.monotonic() - began
                if seconds > _WARM and not before:
                    before = _needs(server)
                if seconds > _HOUR:
                    break
        finally:
            over.set()
        for each in work:
            each.result()
        until(lambda: server.count("tensor_guess_waiting_pictures") == 0)
        after = _needs(server)
        done = server.count('tensor_guess_pictures_total{result="guessed"}')
        print(f"{done:.0f} pictures")
        print(f"after {_WARM} s {before}, after {_HOUR} s {after}")
        assert len(right) == len(graphs) * len(_PICTURES)
        assert after["bytes"] - before["bytes"] < 50_000_000
        assert after["files"] - before["files"] < 20
        assert after["threads"] - before["threads"] < 10
        assert server.count('tensor_guess_pictures_total{result="failed"}') == 0
    assert len(server.said.splitlines()) == 1 + number, server.said
    assert "Traceback" not in server.said


def _needs(server: Server) -> dict[str, float]:
    """What the server has of the machine."""
    proc = Path(f"/proc/{server.process.pid}")
    return {
        "bytes": server.count("process_resident_memory_bytes"),
        "files": server.count("process_open_fds"),
        "threads": len(list((proc / "task").iterdir())),
    }


def _ask(
    server: Server, right: dict[tuple[str, int], object], over: threading.Event, first: int
) -> None:
    """Ask for one picture after the other; a graph always says the same of it."""
    for number in islice(cycle(range(len(_PICTURES))), first, None):
        if over.is_set():
            return
        found = server.ask("/v1/guess", _PICTURES[number].read_bytes())
        assert found.code == 200, (found.code, found.body)
        said = found.json
        expected = right.setdefault((said["model"], number), said["scores"])
        assert said["scores"] == pytest.approx(expected, abs=1e-6)


def _map(server: Server, over: threading.Event) -> None:
    """Ask where it looked, again and again."""
    for path in cycle(_PICTURES):
        if over.wait(1):
            return
        found = server.ask("/v1/explain", path.read_bytes())
        assert found.code == 200, (found.code, found.body)
        assert found.json["picture"].startswith("data:image/jpeg;base64,")


def _leave(server: Server, over: threading.Event) -> None:
    """Send pictures and go away, again and again."""
    body, kind = form(*[("x", _PICTURES[0].read_bytes())] * 4)
    head = (
        f"POST /v1/guess HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    while not over.wait(1):
        with server.connect() as client:
            client.sendall(head + body)


def _crawl(server: Server, over: threading.Event) -> None:
    """Send a byte a second."""
    head = b"POST /v1/guess HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 999999\r\n\r\n"
    while not over.is_set():
        with server.connect() as client:
            client.sendall(head % server.port)
            try:
                while not over.wait(1):
                    client.sendall(b"x")
            except (BrokenPipeError, ConnectionResetError):
                continue  # it had heard enough


def _spoil(server: Server, over: threading.Event) -> None:
    """Send what is wrong, ten times a second."""
    draw, photo = random.Random(0), _PICTURES[0].read_bytes()
    while not over.wait(0.1):
        said = server.raw(malformed(draw, photo, server.port))
        assert said[9:12] not in (b"500", b"501"), said
