"""A scheduler and workers as processes of their own, as users start them."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from made.place import ROOT

_PATIENCE = 120  # seconds


@dataclass
class Cluster:
    """A scheduler on a free port of this machine, and its workers; all end with the block."""

    folder: Path
    cache: Path
    environ: dict[str, str] = field(default_factory=dict)
    processes: list[subprocess.Popen[str]] = field(default_factory=list)
    scheduler: subprocess.Popen[str] | None = None
    address: str = ""
    tls: Path | None = None
    before: tuple[str, ...] = ()  # what runs the scheduler and the program

    def start(self, host: str = "127.0.0.1") -> str:
        """Start the scheduler, as `dask scheduler` does; return its address."""
        said = self.folder / f"scheduler-{len(self.processes)}.json"
        command = [
            sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", host,
            "--port", "0", "--no-dashboard", "--dashboard-address", "127.0.0.1:0",
            "--scheduler-file", str(said),
        ]  # fmt: skip
        if self.tls:
            command += ["--protocol", "tls", "--tls-ca-file", str(self.tls / "ca.pem")]
            command += ["--tls-cert", str(self.tls / "cert.pem"), "--tls-key"]
            command += [str(self.tls / "key.pem")]
        self.scheduler = self._process([*self.before, *command])
        until(lambda: said.exists() and said.stat().st_size)
        self.address = json.loads(said.read_text())["address"]
        return self.address

    def worker(
        self, *folders: Path, source: Path = ROOT / "src", before: tuple[str, ...] = ()
    ) -> subprocess.Popen[str]:
        """Start a worker, and return when it is ready."""
        program = [sys.executable, "-I", "-u", "-X", "utf8", str(source)]
        tls = ["--tls", str(self.tls)] if self.tls else []
        command = [*before, *program, "worker", *tls, self.address, *map(str, folders)]
        process = self._process(command)
        assert process.stderr
        line = process.stderr.readline()
        if line.startswith("whoever reaches "):
            line = process.stderr.readline()
        assert line.startswith("ready for what "), line
        return process

    def run(self, *command: object, address: str = "") -> subprocess.Popen[str]:
        """Start the program, which has its work done by the workers."""
        tls = ["--tls", str(self.tls)] if self.tls else []
        return self.program(*command, "--scheduler", address or self.address, *tls)

    def program(self, *command: object) -> subprocess.Popen[str]:
        """Start the program."""
        words = [*self.before, sys.executable, "-I", "-u", "-X", "utf8", ROOT / "src", *command]
        return self._process(list(map(str, words)))

    def _process(self, command: list[str]) -> subprocess.Popen[str]:
        environ = {
            "TENSOR_GUESS_CACHE": str(self.cache),
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        } | self.environ
        process = subprocess.Popen(
            command,
            env=environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process


@contextmanager
def cluster(
    folder: Path,
    cache: Path,
    workers: int = 1,
    *,
    tls: Path | None = None,
    environ: dict[str, str] | None = None,
) -> Iterator[Cluster]:
    """Yield a scheduler with so many workers."""
    made = Cluster(folder, cache, environ or {}, tls=tls)
    try:
        made.start()
        for _ in range(workers):
            made.worker()
        yield made
    finally:
        for process in made.processes:
            with suppress(ProcessLookupError):
                process.kill()
            process.communicate(timeout=_PATIENCE)


def until(reached: Callable[[], object], process: subprocess.Popen[str] | None = None) -> None:
    """Return once it is so; fail if it never is, or if the process ends before."""
    end = time.monotonic() + _PATIENCE
    while not reached():
        assert time.monotonic() < end
        assert not process or process.poll() is None, process.communicate()
        time.sleep(0.01)


def children_of(process: subprocess.Popen[str]) -> list[int]:
    """The processes that it has started, in the order of their start."""
    tasks = Path(f"/proc/{process.pid}/task")
    with suppress(OSError):
        found = [
            each for task in tasks.iterdir() for each in (task / "children").read_text().split()
        ]
        return sorted(map(int, found))
    return []


def at_work(process: subprocess.Popen[str]) -> int:
    """The process of a worker that does its tasks, and is started again if it dies."""
    for child in children_of(process):
        with suppress(OSError):
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                return child
    return 0


def kill(process: subprocess.Popen[str]) -> bool:
    """Kill what does the tasks of a worker; return whether there was anything to kill."""
    child = at_work(process)
    with suppress(ProcessLookupError):
        if child:
            os.kill(child, signal.SIGKILL)
    return bool(child)


class Link:
    """A way to an address that can be cut: nothing comes through, or connections break."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition("/")[2].rpartition(":")
        self._to, self._whole = (host, int(port)), threading.Event()
        self._whole.set()
        self._open: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Let nothing through from now on."""
        self._whole.clear()

    def mend(self) -> None:
        """Let all through that was held back, and what comes."""
        self._whole.set()

    def tear(self) -> None:
        """Break all connections; new ones are let through."""
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def _accept(self) -> None:
        while True:
            one, _ = self._server.accept()
            other = socket.create_connection(self._to)
            self._open += [one, other]
            for ends in ((one, other), (other, one)):
                threading.Thread(target=self._pass, args=ends, daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                self._whole.wait()
                other.sendall(data)
        for each in (one, other):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
