"""Batches of files go out to workers, and what they found in them comes back in order.

Dask gives the task of a worker that died to another one, and gives up a task that has cost several.
"""

import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tensor_guess.config import BF16
from tensor_guess.errors import UserError, counted, shown
from tensor_guess.spreading import looking, optional, tasks, versions, worker
from tensor_guess.spreading.bisecting import bisected
from tensor_guess.spreading.machines import Machines
from tensor_guess.spreading.shared import Job
from tensor_guess.spreading.tasks import Failed, Task
from tensor_guess.spreading.worker import PATIENCE, SAID, TASKS
from tensor_guess.system import progress

if TYPE_CHECKING:
    from distributed import Client, Future

Result = TypeVar("Result")

# How many pictures a task has.
BATCH = 128
# Why the picture is left out that no worker survives.
FATAL = "each worker that looked at it died"

# How often a picture is tried alone: a worker may die of something else.
_ATTEMPTS = 2
# How often it is looked whether there are workers, and for how long there may be none.
_LOOK_SECONDS, _ALONE_SECONDS = 2.0, 60.0
_PAUSE_SECONDS = 0.05
_LOOPBACK = "127.0.0.1"


def batches(files: Iterable[Path]) -> Iterator[tuple[Path, ...]]:
    """Yield the files in tasks' worth."""
    source = iter(files)
    while batch := tuple(islice(source, BATCH)):
        yield batch


@contextmanager
def connected(machines: Machines) -> Iterator["Cluster"]:
    """Yield the workers of a scheduler, or ones that are started here and end with the block.

    Raise UserError if there is no scheduler or no worker, or if one has other versions.
    """
    optional.require()
    machines.check()
    worker.configure()
    with ExitStack() as stack:
        if machines.scheduler:
            address, security = machines.scheduler, machines.security()
        else:
            local = stack.enter_context(_local(machines.workers))
            address, security = local.scheduler_address, local.security
        client = stack.enter_context(_client(address, security))
        cluster = Cluster(client, address)
        cluster.wait_for(machines.workers or 1)
        yield cluster


@contextmanager
def _client(address: str, security: Any) -> Iterator["Client"]:
    from distributed import Client

    try:
        client = Client(address, timeout=PATIENCE, security=security, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise worker.no_scheduler(address) from error
    try:
        said = client.sync(client.scheduler.versions, packages=[])
        worker.check_scheduler(address, said["packages"])
        with client.as_current():
            yield client
    finally:
        with suppress(Exception):  # what is done is done; the other end may be gone
            client.close(timeout=_LOOK_SECONDS)


@contextmanager
def _local(count: int) -> Iterator[Any]:
    """Yield a scheduler and workers on this machine, out of reach of its other users."""
    import dask
    from distributed import Nanny, Scheduler, Security, SpecCluster

    # What killed one worker is divided at once (`Cluster.run`).
    own = {"http.routes": [], "allowed-failures": 0}
    dask.config.set({f"distributed.scheduler.{name}": value for name, value in own.items()})
    # Who may connect may run programs: a port of this machine is open to all its users.
    security = Security.temporary()
    options = worker.nanny_options(security, _LOOPBACK)
    how = {"host": _LOOPBACK, "port": 0, "protocol": "tls://", "dashboard": False}
    progress.say(f"starting {counted(count, 'worker')}")
    try:
        cluster = SpecCluster(
            scheduler={"cls": Scheduler, "options": {**how, "security": security}},
            workers={number: {"cls": Nanny, "options": options} for number in range(count)},
            security=security,
            name="tensor-guess",
        )
    except (OSError, RuntimeError, TimeoutError) as error:
        raise UserError(f"no workers could be started on this machine: {error}") from error
    try:
        yield cluster
    finally:
        with suppress(Exception):
            cluster.close(timeout=PATIENCE)


class Cluster:
    """The workers of one scheduler that have the versions of this machine."""

    def __init__(self, client: "Client", address: str) -> None:
        self._client, self._address = client, address
        self._mark = versions.mark(versions.own())
        self._run, self._count = secrets.token_hex(4), 0
        self._looked, self._seen = 0.0, time.monotonic()
        self._workers: dict[str, dict[str, str]] = {}

    def wait_for(self, count: int) -> None:
        """Return once there are so many workers. Raise UserError if none comes, or a strange one.

        A worker is strange if it has other versions; what is not a worker of ours is passed over.
        """
        end = time.monotonic() + PATIENCE
        while len(self._look()) < count:
            if time.monotonic() > end:
                raise UserError(
                    f"no worker of tensor-guess is at {shown(self._address)}; start some there by "
                    f"`tensor-guess worker {shown(self._address)}`"
                )
            time.sleep(_PAUSE_SECONDS)
        for address, said in self._workers.items():
            if other := versions.difference(versions.own(), said):
                raise UserError(
                    f"the worker at {address} {other}; install the same on all machines"
                )

    def check(self, job: Job) -> None:
        """Have every worker prepare for the job. Raise UserError if one cannot.

        Whoever comes later is checked before its first task.
        """
        if job.precision == BF16:
            for address, said in self._workers.items():
                if said.get(versions.BF16) != "yes":
                    raise UserError(
                        f"the worker at {address} does not compute in {BF16}; take it out, or use "
                        "--precision float32"
                    )
        processors = {said.get(versions.PROCESSOR, "") for said in self._workers.values()}
        if len(processors) > 1:
            progress.warn(
                "the workers have different processors, so the last digits may depend on who "
                f"computes: {', '.join(map(shown, sorted(processors)))}"
            )
        where = list(self._workers)
        sent = [self._prepare(job, address) for address in where]
        for each, address in zip(sent, where, strict=True):
            self._settle(each, partial(self._prepare, job, address))

    def _prepare(self, job: Job, address: str) -> "Future":
        task = tasks.Task("prepare", looking.prepare, job)
        # It may die first, and then another one does it.
        return self._send(task, (), workers=[address], allow_other_workers=True)

    def run(
        self, task: Task[Result], files: Iterable[Path]
    ) -> Iterator[tuple[Sequence[Path], Result | None]]:
        """Yield the files in batches, each with what the task made of it on a worker, in order.

        A batch that no worker survives comes in parts, and the file that is the reason alone, with
        None. At most twice as many batches are away as there are workers. Raise UserError as the
        task does, and if scheduler or workers are gone.
        """
        away: deque[tuple[Sequence[Path], Future]] = deque()
        source = batches(files)
        send = partial(self._send, task)

        def result_of(batch: Sequence[Path], future: "Future") -> Result | None:
            found: Result | None = self._settle(future, partial(send, batch))
            return found

        def alone(part: Sequence[Path]) -> Result | None:
            for _ in range(_ATTEMPTS if len(part) == 1 else 1):
                if (found := result_of(part, send(part))) is not None:
                    return found
            return None

        def send_more() -> None:
            while len(away) < self._most() and (new := next(source, None)) is not None:
                away.append((new, send(new)))

        try:
            while True:
                send_more()
                if not away:
                    return
                batch, future = away.popleft()
                self._wait([future])
                # Its worker is busy again while the result comes, and while the caller uses it.
                send_more()
                result = result_of(batch, future)
                if result is not None:
                    yield batch, result
                    continue
                # Whoever is with a batch when it kills is suspected too. So nothing else is away
                # while it is looked for.
                self._wait([each for _, each in away])
                yield from bisected(batch, alone)
        finally:
            if away:
                with suppress(Exception):
                    self._client.cancel([each for _, each in away], force=True)

    def _send(self, task: Task[Any], batch: Sequence[Path], **where: Any) -> "Future":
        self._count += 1
        key = f"{task.name}-{self._run}-{self._count}"
        graph = {key: task.plain(batch)}
        while True:
            try:
                return self._client.get(graph, key, sync=False, resources={self._mark: 1}, **where)
            except Exception:  # Dask has several for a connection that is closed
                if self._client.status == "running":
                    raise
                self._wait_for_scheduler()

    def _settle(self, future: "Future", again: Callable[[], "Future"]) -> Any:
        """Return the result, None if no worker survives; send it again if the scheduler was away.

        Raise what the task raises, and UserError if the scheduler or all workers stay away.
        """
        from distributed import KilledWorker

        while True:
            self._wait([future])
            if future.status == "error":
                error = future.exception()
                if isinstance(error, KilledWorker):
                    return None
                raise error
            if future.status == "finished":
                # It is fetched from its worker, which may just have died, as may the scheduler.
                with suppress(TimeoutError, CancelledError, OSError):
                    found = future.result(timeout=PATIENCE)
                    if isinstance(found, Failed):
                        raise found.error()
                    return found
                time.sleep(_PAUSE_SECONDS)
            else:  # the connection was lost, and with it all that was on its way
                self._wait_for_scheduler()
                future = again()

    def _wait(self, futures: "Sequence[Future]") -> None:
        """Return when all are done or lost. Raise UserError if all workers stay away."""
        from distributed import wait

        while any(each.status == "pending" for each in futures):
            with suppress(TimeoutError, CancelledError):
                wait(futures, timeout=_LOOK_SECONDS)
                return
            self._check_workers()

    def _wait_for_scheduler(self) -> None:
        """Return when Dask has connected again. Raise UserError if it gives up."""
        while self._client.status == "connecting":
            time.sleep(_PAUSE_SECONDS)
        if self._client.status != "running":
            raise self._gone()

    def _gone(self) -> UserError:
        return UserError(
            f"the scheduler at {shown(self._address)} is gone; what is done is kept: start it and "
            "its workers, and run this again to go on"
        )

    def _check_workers(self) -> None:
        if self._look():
            self._seen = time.monotonic()
        elif time.monotonic() - self._seen > _ALONE_SECONDS:
            raise UserError(
                f"no worker is left at {shown(self._address)}; what is done is kept: start some "
                "and run this again to go on"
            )

    def _most(self) -> int:
        if time.monotonic() - self._looked > _LOOK_SECONDS:
            self._look()
        return max(1, TASKS * len(self._workers))

    def _look(self) -> dict[str, dict[str, str]]:
        """Return the versions of the workers that are there now and are ours."""
        self._looked = time.monotonic()
        try:
            found = self._client.scheduler_info()["workers"]
        except (OSError, TimeoutError):
            return self._workers
        self._workers = {at: said[SAID] for at, said in found.items() if SAID in said}
        return self._workers
