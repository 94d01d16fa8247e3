"""A worker: a process that does a scheduler's tasks, and one that starts it again if it dies."""

import asyncio
import logging
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tensor_guess.errors import UserError, shown
from tensor_guess.spreading import optional, versions
from tensor_guess.spreading.machines import Machines
from tensor_guess.system import progress

if TYPE_CHECKING:
    from distributed import Nanny, Worker

# Seconds within which a scheduler must answer.
PATIENCE = 20
# The network computes one batch while another is decoded.
TASKS = 2
# Under this name, a worker says its versions to all.
SAID = "tensor_guess"
_ENDING_SECONDS = 5


def serve(machines: Machines) -> int:
    """Do the scheduler's tasks until it is stopped; return the exit code.

    Raise UserError if the scheduler does not answer, has other versions, or goes away.
    """
    machines.check()
    if not (machines.is_loopback or machines.is_encrypted):
        progress.warn(
            f"whoever reaches {shown(machines.scheduler)} can run programs here as this user; "
            "outside of a network of your own, use tls:// and certificates"
        )
    optional.require()
    return asyncio.run(_served(machines))


def nanny_of(address: str, security: Any, host: str) -> "Nanny":
    """Return what starts a worker, and starts it again if it dies; it runs in an event loop.

    It and its worker can be reached at `host` only.
    """
    optional.require()
    from distributed import Nanny

    configure()
    return Nanny(address, **nanny_options(security, host))


def nanny_options(security: Any, host: str) -> dict[str, Any]:
    """Return the options of such a Nanny."""
    return {
        "nthreads": TASKS,
        "resources": {versions.mark(versions.own()): TASKS},
        "memory_limit": 0,  # pictures are bounded already, and there is nothing else to spill
        "security": security,
        "host": host,
        "dashboard": False,
        "startup_information": {SAID: _said},
        "death_timeout": PATIENCE,
        "silence_logs": logging.CRITICAL,
    }


def configure() -> None:
    """Set what Dask takes from its configuration only."""
    import dask

    dask.config.set(
        {
            # A worker starts processes of its own, in which graphs are converted.
            "distributed.worker.daemon": False,
            # Nobody is told anything over HTTP.
            "distributed.worker.http.routes": [],
        }
    )


def check_scheduler(address: str, packages: "dict[str, Any]") -> None:
    """Raise UserError if the scheduler has other versions of what is on the wire."""
    python = ".".join(str(packages.get("python")).split(".")[:2])
    theirs = {**packages, "Python": python}
    mine = {name: versions.own()[name] for name in ("dask", "distributed", "Python")}
    if other := versions.difference(mine, theirs):
        raise UserError(
            f"the scheduler at {shown(address)} {other}; install the same on all machines"
        )


def no_scheduler(address: str) -> UserError:
    """Return the error to raise if no scheduler answers."""
    return UserError(
        f"no scheduler answers at {shown(address)} within {PATIENCE} seconds; start one "
        "(`dask scheduler`), or check the address and the certificates"
    )


def _said(worker: "Worker") -> dict[str, str]:
    # In the worker's process, where __main__ is not the program's: half of `import openvino`.
    import sys

    sys.modules.setdefault("openvino.tools.ovc", None)  # type: ignore[arg-type]
    return versions.with_processor()


async def _served(machines: Machines) -> int:
    from distributed.comm import get_address_host
    from distributed.core import rpc
    from distributed.utils import get_ip

    address, security = machines.scheduler, machines.security()
    arguments = security.get_connection_args("worker") if security else None
    try:
        async with rpc(address, connection_args=arguments, timeout=PATIENCE) as scheduler:
            said = await asyncio.wait_for(scheduler.versions(packages=[]), PATIENCE)
        host = get_ip(get_address_host(address))
    except (OSError, TimeoutError) as error:
        raise no_scheduler(address) from error
    check_scheduler(address, said["packages"])
    stopped: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopped.put_nowait, number)
    nanny = nanny_of(address, security, host)
    try:
        await nanny
    except Exception as error:
        raise UserError(f"no worker could be started for {shown(address)}: {error}") from error
    progress.say(f"ready for what {shown(address)} has to do; Ctrl-C ends it")
    ended, stop = asyncio.create_task(nanny.finished()), asyncio.create_task(stopped.get())
    await asyncio.wait({ended, stop}, return_when=asyncio.FIRST_COMPLETED)
    if not stop.done():
        raise UserError(f"the scheduler at {shown(address)} is gone; start it, and then this again")
    with suppress(TimeoutError):
        await nanny.close(timeout=_ENDING_SECONDS)
    return 128 + stop.result()
