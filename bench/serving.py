"""Measure how fast a server answers, compared with what a tutorial would have one write in Keras.

    python bench/serving.py FOLDER [--seconds N] [--clients N,N...]

FOLDER gets what is needed meanwhile. The pictures are the sample ones, 300 x 200 pixels, each made
unique. The tutorial's server is starlette and uvicorn around `model.predict` for each request, with
the same network and weights. Both servers get the same pictures from the same clients: first as
fast as they answer, by turns, then half as many as ours can answer, one after the other at even
times. A client is a thread of one process, on the same processors as the servers.
"""

import argparse
import http.client
import itertools
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sorting import PROGRAM, ROOT, SMALL, make, seconds

COUNT = 500
KERAS = f"""
import sys
sys.path[:0] = [{str(ROOT / "src")!r}, {str(ROOT / "bench")!r}]
import io, keras, numpy as np, uvicorn
from PIL import Image
from keras_lite0 import SIZE, Lite0
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
lite0 = Lite0()
model = keras.Model(lite0.pictures, keras.layers.Dense(2, activation="softmax")(lite0.bottleneck))
lite0.load()
def answer(data):
    image = Image.open(io.BytesIO(data)).convert("RGB").resize((SIZE, SIZE))
    scores = model.predict(np.asarray(image, np.float32)[None], verbose=0)[0]
    return JSONResponse(dict(zip(("dark knight", "snow queen"), scores.tolist())))
async def guess(request):
    return answer(await request.body())
async def ready(request):
    return JSONResponse("ready")
routes = [Route("/v1/guess", guess, methods=["POST"]), Route("/ready", ready)]
uvicorn.run(Starlette(routes=routes), port=int(sys.argv[1]), log_level="warning")
"""


def main() -> None:
    """Train a classifier, start both servers, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clients", default="1,2,4,8,16,32,64")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        os.environ["TENSOR_GUESS_CACHE"] = f"{folder}/cache"
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        measure(folder, given.seconds, [int(each) for each in given.clients.split(",")])


def measure(folder: Path, length: float, clients: list[int]) -> None:
    """Print the rates, and how they compare."""
    tf_files = folder / "tf_files"
    shutil.copytree(ROOT / "tf_files/data", tf_files / "data")
    train = [*PROGRAM, "train", str(tf_files), "--backbone", "efficientnet_lite0"]
    subprocess.run(train, check=True, capture_output=True)
    make(folder / "pictures", sorted((tf_files / "data").rglob("*.jpg")), COUNT, SMALL)
    pictures = [path.read_bytes() for path in sorted((folder / "pictures").iterdir())]
    one, port, other = folder / "one", free_port(), free_port()
    one.mkdir()
    shutil.copy(folder / "pictures/000000.jpg", one)
    sort = [*PROGRAM, "classify-dir", str(tf_files)]
    with (
        server([*PROGRAM, "serve", str(tf_files), "--port", str(port)], port),
        server([sys.executable, "-c", KERAS, str(other)], other),
    ):
        for each in (port, other):
            flood(each, pictures, 1, 1)  # the first answer takes longer, in Keras a second
        print("         answers a second, median and 99th percentile in ms")
        print(f"clients  {'ours':>25}   {'Keras':>25}")
        best = 0.0
        for count in clients:
            ours, theirs = (flood(each, pictures, count, length) for each in (port, other))
            best = max(best, rate(ours, length))
            print(f"{count:7}  {said(ours, length)}   {said(theirs, length)}", flush=True)
        alone = statistics.median(flood(port, pictures, 1, length))
        spaced = paced(port, pictures, best / 2, length)
        print(f"half of {best:.1f} a second: {said(spaced, length)}")
        print(f"  p99 / one client's median: {percentile(spaced, 99) / alone:.2f}", flush=True)
    whole = [seconds([*sort, str(folder / "pictures")], folder / "sorted") for _ in range(3)]
    start = [seconds([*sort, str(one)], folder / "sorted") for _ in range(3)]
    sorter = (COUNT - 1) / (statistics.median(whole) - statistics.median(start))
    print(f"the sorter: {sorter:.1f} a second; ours / the sorter's: {best / sorter:.2f}")


def flood(port: int, pictures: list[bytes], clients: int, length: float) -> list[float]:
    """Return how long each answer took that so many clients got, in seconds."""
    taken, turn = list[float](), itertools.cycle(pictures)
    end = time.perf_counter() + length

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while time.perf_counter() < end:
            taken.append(ask(connection, next(turn)))

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return taken


def paced(port: int, pictures: list[bytes], rate: float, length: float) -> list[float]:
    """Return how long each answer took, in seconds, to requests that are made at even times.

    The time runs from when a request was to be made, also if the clients are late.
    """
    taken, numbers = list[float](), itertools.count()
    start = time.perf_counter()

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while (due := start + next(numbers) / rate) < start + length:
            time.sleep(max(0, due - time.perf_counter()))
            late = time.perf_counter() - due
            taken.append(late + ask(connection, pictures[int(due * 1e6) % len(pictures)]))

    threads = [threading.Thread(target=client) for _ in range(16)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return taken


def ask(connection: http.client.HTTPConnection, picture: bytes) -> float:
    """Return how long one answer takes, in seconds."""
    began = time.perf_counter()
    connection.request("POST", "/v1/guess", picture)
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise SystemExit(f"the answer was {answer.status}")
    return time.perf_counter() - began


@contextmanager
def server(command: list[str], port: int) -> Iterator[None]:
    """Start a server, wait until it is ready, and stop it in the end."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not is_ready(port):
            if process.poll() is not None:
                raise SystemExit("a server did not start")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


def is_ready(port: int) -> bool:
    """Return whether the server answers that it is ready."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def said(taken: list[float], length: float) -> str:
    """Return the rate and two percentiles, as a row has them."""
    times = f"{1000 * percentile(taken, 50):8.1f} {1000 * percentile(taken, 99):8.1f}"
    return f"{rate(taken, length):7.1f} {times}"


def rate(taken: list[float], length: float) -> float:
    """Return how many answers there were a second."""
    return len(taken) / length


def percentile(taken: list[float], percent: int) -> float:
    """Return the time within which so many percent of the answers came."""
    return sorted(taken)[len(taken) * percent // 100]


if __name__ == "__main__":
    main()
