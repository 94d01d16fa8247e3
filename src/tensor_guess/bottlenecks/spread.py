"""Bottlenecks by many machines: each worker writes its own files into the cache's folder."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tensor_guess.bottlenecks.cache import Cache, write
from tensor_guess.bottlenecks.extractor import Extractor
from tensor_guess.bottlenecks.seen import Seen
from tensor_guess.images.files import LeftOut
from tensor_guess.spreading import cluster, looking
from tensor_guess.spreading.cluster import FATAL
from tensor_guess.spreading.looking import Found
from tensor_guess.spreading.machines import Machines
from tensor_guess.spreading.shared import Job, shared
from tensor_guess.spreading.tasks import Task
from tensor_guess.system import progress


@dataclass(frozen=True)
class Computed:
    """What a worker did with a batch: of each file, what it is or why it cannot be read; no rows.

    `name`: the file that it added to the cache; "" if nothing was new.
    """

    found: list[Found | str]
    name: str


def compute(job: Job, paths: Sequence[Path], folder: str) -> Computed:
    """Compute the bottlenecks of a batch that are not known, and add them to the cache's folder.

    On a worker. Raise UserError as `looking.look` does, and if the folder cannot be written to.
    """
    found = looking.look(job, paths)
    new = [each for each in found if isinstance(each, Found)]
    rows = {each.picture.key: each.row for each in new if each.row is not None}
    plain = [each if isinstance(each, str) else replace(each, row=None) for each in found]
    return Computed(plain, write(Path(folder), rows) if rows else "")


def fill(
    machines: Machines,
    files: Sequence[Path],
    extractor: Extractor,
    cache: Cache,
    seen: Seen,
    folder: Path,
    until: float | None = None,
) -> list[LeftOut]:
    """Have workers compute what the cache in `folder` lacks; return what no worker survives.

    What they cannot read is for the caller to look at. `until`: the time after which nothing more
    is sent out. Raise UserError if there are no workers, or if one cannot do this.
    """
    missing = [path for path in files if (key := seen.key(path)) is None or key not in cache]
    if not missing:
        return []
    left_out, count = list[LeftOut](), 0
    with (
        cluster.connected(machines) as workers,
        shared(folder, extractor.recipe(), cache.keys(), pictures=missing) as job,
    ):
        workers.check(job)
        task = Task("bottlenecks", compute, job, (str(folder.absolute()),))
        sent = progress.in_time((path.absolute() for path in missing), until)
        done = iter(missing)
        with progress.bar("Bottlenecks", len(missing)) as show:
            for batch, computed in workers.run(task, sent):
                # The paths as they were given, of which `batch` has the absolute ones.
                own = [next(done) for _ in batch]
                if computed is None:
                    left_out += [LeftOut(path, FATAL) for path in own]
                    continue
                if computed.name:
                    cache.take(computed.name)
                for path, found in zip(own, computed.found, strict=True):
                    if isinstance(found, Found):
                        seen.remember(path, found.picture)
                count += len(batch)
                show(count)
                if not progress.on_terminal():
                    progress.say(f"{count} of {len(missing)} pictures were looked at.")
    return left_out
