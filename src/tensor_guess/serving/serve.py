"""Answer guesses over HTTP: a classifier and a port -> a server, until it is stopped."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import uvicorn

from tensor_guess.config import HOST, PORT
from tensor_guess.errors import Unreadable, UserError, WrongUsage, reason_of, shown
from tensor_guess.guessing import loading
from tensor_guess.guessing.loading import Given, Imagenet
from tensor_guess.serving.connections import Connection
from tensor_guess.serving.guard import Guard
from tensor_guess.serving.hosts import Names, in_url, is_loopback
from tensor_guess.serving.metrics import Metrics
from tensor_guess.serving.routes import Api
from tensor_guess.serving.served import Asked, Keeper, Served
from tensor_guess.system import confinement, container, progress, reading

# What was accepted is answered within so many seconds of a stop: engines kill after 10.
STOP_SECONDS = 8.0
_CHECK_SECONDS = 1.0
# Of a token: as many as a person cannot guess, and as a header holds.
_SHORTEST, _LONGEST = 16, 4096
_MOST_HEAD_BYTES = 16_384

Result = TypeVar("Result")


@dataclass(frozen=True)
class Where:
    """The address and the port to listen at, the names it may be called by, and its token."""

    host: str = HOST
    port: int = PORT
    names: tuple[str, ...] = ()
    token: str | None = None

    @property
    def url(self) -> str:
        """Return where it answers."""
        return f"http://{in_url(self.host)}:{self.port}/"


def token_in(path: Path) -> str:
    """Return the token in a file: its only line. Raise UserError if there is no good one."""
    try:
        said = reading.read(path, _LONGEST).decode("ascii").strip()
    except (Unreadable, UnicodeDecodeError) as error:
        why = error if isinstance(error, Unreadable) else "it is not ASCII"
        raise UserError(f"could not read the token in {shown(path)}: {why}") from error
    if len(said) < _SHORTEST or not said.isprintable() or " " in said:
        raise UserError(
            f"the token in {shown(path)} must be one word of {_SHORTEST} characters or more; "
            "`openssl rand -hex 32` makes one"
        )
    return said


def serve(asked: Asked, where: Where) -> int:
    """Answer requests until SIGINT or SIGTERM; return the number of that signal.

    Raise WrongUsage if others could reach it without a token; UserError if the port cannot be had,
    or if the classifier cannot be used, as `guess` does.
    """
    if not is_loopback(where.host) and not where.token:
        raise WrongUsage(
            f"others can reach {where.host}, so it needs a token; give --token-file a file with one"
        )
    if isinstance(asked.which, Given):
        loading.graph_path(asked.which.path)  # whether there is one
    with _listening(where) as listening:
        # It may be downloaded, which is not possible afterwards.
        served = Served(asked) if isinstance(asked.which, Imagenet) else None
        if not confinement.refuse_connections():
            progress.warn("this system cannot forbid the server to connect to others")
        return asyncio.run(_Serving(asked, where, served).run(listening))


def _listening(where: Where) -> socket.socket:
    """Return a socket that is bound to the address. Raise UserError if that is not possible."""
    host = container.listening(where.host)
    host = HOST if host == "localhost" else host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends at once, without waiting for more, only if it is told that this is TCP.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, where.port))
        listening.listen()
    except OSError as error:
        listening.close()
        raise UserError(
            f"cannot listen at {in_url(where.host)}:{where.port}: {reason_of(error)}; "
            "choose another --port, or end the program that has it"
        ) from error
    return listening


class _Server(uvicorn.Server):
    """uvicorn, whose signals are handled elsewhere."""

    def capture_signals(self) -> Any:
        return nullcontext()


class _Serving:
    """One server, from its start to its end."""

    def __init__(self, asked: Asked, where: Where, served: Served | None) -> None:
        metrics = Metrics()
        self._where = where
        self._name = "imagenet" if isinstance(asked.which, Imagenet) else str(asked.which)
        self._keeper = Keeper(asked, metrics, served)
        self._api = Api(self._keeper, metrics)
        names = Names(where.host, where.port, where.names)
        paths = {route.endpoint: route.path for route in self._api.routes()}
        app = Guard(self._api.application(), names, where.token, metrics, paths)
        self._server = _Server(
            uvicorn.Config(
                app,
                http=Connection,
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                log_level="error",
                server_header=False,
                h11_max_incomplete_event_size=_MOST_HEAD_BYTES,
            )
        )
        self._loader = ThreadPoolExecutor(1, "loader")
        self._signal = 0

    async def run(self, listening: socket.socket) -> int:
        """Answer until a signal comes; return its number."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop, number)
        answering = asyncio.ensure_future(self._server.serve([listening]))
        others = [asyncio.ensure_future(each) for each in (self._keep(), self._check())]
        await asyncio.wait([answering, *others], return_when=asyncio.FIRST_COMPLETED)
        for each in others:
            if each.done():  # only because of an error
                self._server.should_exit = True
                await answering
                each.result()
        await answering
        for each in others:
            each.cancel()
        self._api.end()
        return self._signal

    def _stop(self, number: int) -> None:
        """Answer what was accepted, and end; at once if it is said twice."""
        if self._signal:
            os._exit(128 + number)
        self._signal = number
        self._api.is_stopping = self._server.should_exit = True
        self._api.bodies.hurry()
        count = self._api.pending
        progress.say(
            f"stopping; {count} accepted pictures are still answered" if count else "stopping"
        )
        loop = asyncio.get_running_loop()
        loop.call_later(STOP_SECONDS, os._exit, 128 + number)

    async def _keep(self) -> None:
        await self._keeper.load(self._in_thread)
        progress.say(f"{self._name} answers at {self._where.url} (Ctrl-C stops it)")
        await self._keeper.watch(self._in_thread)
        await asyncio.Event().wait()

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._loader, work)

    async def _check(self) -> None:
        """Look again and again for clients that are too slow."""
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            for connection in list(self._server.server_state.connections):
                if isinstance(connection, Connection):
                    connection.check()
