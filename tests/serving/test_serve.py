"""A server from its start to its end, and all that strangers send to it."""

import json
import random
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from made import hostile_pictures
from made.hostile_requests import malformed
from made.place import ROOT, Run
from made.server import PATIENCE, Server, form, free_port, rest, started, until
from tensor_guess.serving.queueing import QUEUE
from tensor_guess.serving.serve import STOP_SECONDS

PHOTO = (ROOT / "test_data/photo01.jpg").read_bytes()


# --- start


def test_a_port_that_is_in_use_is_a_sentence(server: Server, small: Path, run: Run) -> None:
    done = run("serve", small, "--port", server.port)
    assert done.returncode == 1
    assert done.stderr == (
        f"tensor-guess: cannot listen at 127.0.0.1:{server.port}: address already in use; "
        "choose another --port, or end the program that has it\n"
    )


def test_a_graph_that_is_refused_is_a_sentence(tmp_path: Path, run: Run) -> None:
    (tmp_path / "x.pb").write_bytes(b"no graph")
    done = run("serve", tmp_path / "x.pb", "--port", free_port())
    same = run("guess", tmp_path / "x.pb", ROOT / "test_data/photo01.jpg")
    assert (done.returncode, done.stderr) == (same.returncode, same.stderr)
    assert same.returncode == 1


def test_until_it_is_warm_it_is_not_ready(cache: Path, trained: Path, tmp_path: Path) -> None:
    """It listens before it has loaded anything."""
    with started(cache, tmp_path / "log", trained, wait=False) as server:
        codes = set[int]()

        def is_ready() -> bool:
            try:
                codes.add(server.ask("/ready").code)
            except ConnectionRefusedError:
                return False
            if 200 not in codes:
                found = server.ask("/v1/guess", PHOTO)
                assert found.code in (200, 503)
                assert found.code == 200 or found.headers["retry-after"] == "1"
            return 200 in codes

        until(is_ready)
        assert server.ask("/v1/guess", PHOTO).code == 200
    assert codes == {200, 503}


def test_the_server_can_connect_to_nobody(server: Server) -> None:
    """`system/test_confinement` shows what the system refuses; this, that it was asked to."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    assert "Seccomp:\t2" in status
    for each in Path(f"/proc/{server.process.pid}/task").iterdir():
        assert "Seccomp:\t2" in (each / "status").read_text()


def test_it_has_no_other_port(server: Server) -> None:
    inodes = {
        str(each.readlink())[8:-1]
        for each in Path(f"/proc/{server.process.pid}/fd").iterdir()
        if str(each.readlink()).startswith("socket:")
    }
    listening = list[str]()
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in inodes and fields[3] in ("0A", "07"):
                listening.append(fields[1])
    assert listening == [f"0100007F:{server.port:04X}"]


# --- end


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_was_accepted_is_answered_before_it_ends(
    cache: Path, trained: Path, tmp_path: Path, number: signal.Signals
) -> None:
    with started(cache, tmp_path / "log", trained) as server, ThreadPoolExecutor(4) as pool:
        body, kind = form(*[("x", PHOTO)] * 16)
        asked = [pool.submit(server.ask, "/v1/guess", body, content_type=kind) for _ in range(4)]
        until(lambda: server.count("tensor_guess_waiting_pictures") >= 40)
        server.process.send_signal(number)
        answers = [each.result() for each in asked]
        assert {each.code for each in answers} == {200}
        assert {len(each.json["guesses"]) for each in answers} == {16}
        assert server.process.wait(STOP_SECONDS + 5) == 128 + number
        with pytest.raises(ConnectionRefusedError):
            server.ask("/health")
    assert "stopping; " in server.said
    assert "Traceback" not in server.said


def test_it_ends_at_once_if_nobody_waits(cache: Path, small: Path, tmp_path: Path) -> None:
    with started(cache, tmp_path / "log", small) as server, server.connect() as idle:
        assert server.ask("/health").code == 200
        server.process.terminate()
        assert rest(idle) == b""
        assert server.process.wait(PATIENCE) == 143


def test_a_body_that_is_on_its_way_does_not_keep_it(
    cache: Path, small: Path, tmp_path: Path
) -> None:
    head = b"POST /v1/guess HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 1000\r\n\r\nx"
    with started(cache, tmp_path / "log", small) as server, server.connect() as slow:
        slow.sendall(head % server.port)
        until(lambda: server.count("process_open_fds") > 0)
        server.process.terminate()
        assert server.process.wait(STOP_SECONDS) == 143
        assert rest(slow).startswith(b"HTTP/1.1 408 ")


def test_while_it_loads_it_can_be_ended(cache: Path, trained: Path, tmp_path: Path) -> None:
    with started(cache, tmp_path / "log", trained, wait=False) as server:
        until(lambda: _answers(server))
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(STOP_SECONDS + 5) == 130
    assert "Traceback" not in server.said


def _answers(server: Server) -> bool:
    try:
        return server.ask("/health").code == 200
    except ConnectionRefusedError:
        return False


# --- at work


def test_if_too_much_waits_it_says_when_to_come_again(
    cache: Path, trained: Path, tmp_path: Path
) -> None:
    with started(cache, tmp_path / "log", trained) as server, ThreadPoolExecutor(12) as pool:
        body, kind = form(*[("x", PHOTO)] * 32)
        asked = [pool.submit(server.ask, "/v1/guess", body, content_type=kind) for _ in range(12)]
        answers = [each.result() for each in asked]
        codes = [each.code for each in answers]
        assert set(codes) == {200, 429}
        assert codes.count(200) >= QUEUE // 32
        for each in answers:
            assert each.code == 200 or 1 <= int(each.headers["retry-after"]) <= 60
        assert server.ask("/v1/guess", PHOTO).code == 200


def test_who_leaves_is_passed_over(cache: Path, trained: Path, tmp_path: Path) -> None:
    with started(cache, tmp_path / "log", trained) as server:
        body, kind = form(*[("x", PHOTO)] * 32)
        head = (
            f"POST /v1/guess HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        for _ in range(3):
            with server.connect() as client:
                client.sendall(head + body)
                until(lambda: server.count("tensor_guess_waiting_pictures") > 0)
        until(lambda: server.count("tensor_guess_waiting_pictures") == 0)
        assert server.count('tensor_guess_pictures_total{result="left"}') > 32
        assert server.ask("/v1/guess", PHOTO).code == 200
    assert "Traceback" not in server.said


@pytest.mark.slow
def test_a_graph_that_changes_under_load_is_never_mixed_with_the_one_before(
    cache: Path, trained: Path, small: Path, tmp_path: Path
) -> None:
    path = tmp_path / "x.pb"
    graphs = [small.read_bytes(), (trained / "retrained_graph.pb").read_bytes()]
    path.write_bytes(graphs[0])
    labels: dict[str, set[frozenset[str]]] = {}
    over = threading.Event()
    with started(cache, tmp_path / "log", path) as server:
        body, kind = form(*[("x", PHOTO)] * 8)

        def ask() -> None:
            while not over.is_set():
                found = server.ask("/v1/guess", body, content_type=kind)
                assert found.code == 200, found.body
                said = found.json
                assert said["model"] == found.headers["tensor-guess-model"]
                names = labels.setdefault(said["model"], set())
                names.update(frozenset(each["scores"]) for each in said["guesses"])

        with ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(ask) for _ in range(4)]
            for version in (2, 3, 4):
                (tmp_path / "new").write_bytes(graphs[(version - 1) % 2])
                (tmp_path / "new").replace(path)
                until(lambda v=version: server.ask("/v1/model").json["version"] == v)  # type: ignore[misc]
            over.set()
            for each in asking:
                each.result()
    assert len(labels) == 2
    assert all(len(names) == 1 for names in labels.values())


HOSTILE: dict[str, Callable[[], bytes]] = {
    "a PNG that is a bomb": lambda: hostile_pictures.large_png(20_000, 20_000),
    "a JPEG that is a bomb": lambda: hostile_pictures.progressive(20_000, 20_000, 90),
    "a PNG that has only a head": lambda: hostile_pictures.png_header(60_000, 60_000),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_picture_costs_that_request(server: Server, name: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        bad = pool.submit(server.ask, "/v1/guess", HOSTILE[name]())
        assert server.ask("/v1/guess", PHOTO).code == 200
        found = bad.result()
    assert found.code in (200, 422), found.body
    assert server.ask("/v1/guess", PHOTO).code == 200


# --- malformed requests


def send(server: Server, count: int) -> None:
    """Send so many, four at a time; each is answered, refused or hung up on."""

    def some(seed: int) -> None:
        draw = random.Random(seed)
        for _ in range(count // 4):
            data = malformed(draw, PHOTO, server.port)
            try:
                said = server.raw(data)
            except TimeoutError:
                pytest.fail(f"no answer to {data!r}")
            assert said[:7] in (b"HTTP/1.", b""), (data, said)
            assert said[9:12] not in (b"500", b"501"), (data, said)

    with ThreadPoolExecutor(4) as pool:
        for each in [pool.submit(some, seed) for seed in range(4)]:
            each.result()


@pytest.mark.slow
def test_300_malformed_requests_and_it_still_answers(server: Server) -> None:
    send(server, 300)
    assert server.ask("/v1/guess", PHOTO).code == 200
    until(lambda: server.count("tensor_guess_waiting_pictures") == 0)


@pytest.mark.long
def test_10000_malformed_requests_take_no_memory(server: Server) -> None:
    send(server, 1000)
    before = server.count("process_resident_memory_bytes"), server.count("process_open_fds")
    send(server, 10_000)
    assert server.ask("/v1/guess", PHOTO).code == 200
    until(lambda: server.count("tensor_guess_waiting_pictures") == 0)
    after = server.count("process_resident_memory_bytes"), server.count("process_open_fds")
    assert after[0] - before[0] < 30_000_000
    assert after[1] - before[1] < 20


def test_it_says_nothing_of_what_it_was_sent(server: Server) -> None:
    """Nothing is printed for a request: see the fixture."""
    secret = json.dumps({"instances": [{"b64": "secret"}]}).encode()
    assert server.ask("/v1/models/secret:predict", secret).code in (400, 422)
    assert "secret" not in server.said
