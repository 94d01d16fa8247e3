"""A task as it travels: the name of a function of ours, and JSON.

So a scheduler needs nothing of ours, and nothing of ours is pickled on the way to a worker.
"""

import importlib
import json
import operator
import pkgutil
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from tensor_guess.errors import UserError
from tensor_guess.spreading.shared import Job
from tensor_guess.stores.paths import location

Result = TypeVar("Result", covariant=True)


@dataclass(frozen=True)
class Task(Generic[Result]):
    """What a worker is to do with a batch of files: call `work(job, paths, *more)`.

    `name`: what Dask's dashboard calls it. `more`: plain values.
    """

    name: str
    work: Callable[..., Result]
    job: Job
    more: tuple[str, ...] = ()

    def plain(self, batch: Sequence[Path]) -> tuple[Any, ...]:
        """Return the task for a batch as Dask takes it; every Python has all that it names."""
        said = {
            "work": f"{self.work.__module__}:{self.work.__name__}",
            "job": self.job.plain(),
            "paths": list(map(str, batch)),
            "more": self.more,
        }
        done = f"{do.__module__}:{do.__name__}"
        return operator.call, (pkgutil.resolve_name, done), json.dumps(said).encode()


@dataclass(frozen=True)
class Failed:
    """Why a task has no result. Errors do not travel: one that Dask cannot read would be lost."""

    said: str
    is_users: bool

    def error(self) -> Exception:
        """Return the error to raise."""
        return UserError(self.said) if self.is_users else RuntimeError(self.said)


def do(said: bytes) -> Any:
    """Return what the task makes of its files, or Failed."""
    try:
        values = json.loads(said)
        module, _, name = values["work"].partition(":")
        work = getattr(importlib.import_module(module), name)
        paths = list(map(location, values["paths"]))
        return work(Job.of_plain(values["job"]), paths, *values["more"])
    except UserError as error:
        return Failed(str(error), True)
    except Exception:
        return Failed(traceback.format_exc(), False)
