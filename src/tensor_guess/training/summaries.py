"""Write TensorBoard's summaries of a training run: <folder>/train and <folder>/validation."""

import os
import secrets
import time
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from tensor_guess.errors import UserError, reason_of, shown
from tensor_guess.system.durable import make_folder
from tensor_guess.training.head import Look


class Summaries:
    """Event files that TensorBoard shows; none if `folder` is None.

    Each run adds its own files: unlike `retrain.py`, it never deletes the folder.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._files: dict[str, BinaryIO] = {}

    def __enter__(self) -> Self:
        if self._folder:
            # TensorBoard reads every file with `tfevents` in its name, in the order of names.
            name = f"events.out.tfevents.{int(time.time())}.{os.getpid()}.{secrets.token_hex(4)}"
            for part in ("train", "validation"):
                make_folder(self._folder / part)
                path = self._folder / part / name
                try:
                    self._files[part] = open(path, "xb")  # closed by __exit__
                except OSError as error:
                    raise UserError(f"could not write {shown(path)}: {reason_of(error)}") from error
                self._write(part, file_version="brain.Event:2")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for file in self._files.values():
            file.close()

    def add(self, at: Look) -> None:
        """Add the accuracies and the cross entropy to the event files."""
        if self._files:
            self._scalar("train", "accuracy", at.train_accuracy, at.step)
            self._scalar("train", "cross_entropy", at.cross_entropy, at.step)
            self._scalar("validation", "accuracy", at.validation_accuracy, at.step)

    def _scalar(self, part: str, tag: str, value: float, step: int) -> None:
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb

        self._write(part, summary=scalar_pb(tag, value), step=step)

    def _write(self, part: str, **event: Any) -> None:
        # Not tensorboard.summary.Writer, because it imports all of TensorFlow.
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        file = self._files[part]
        try:
            data = Event(wall_time=time.time(), **event).SerializeToString()
            RecordWriter(file).write(data)
            file.flush()
        except OSError as error:
            raise UserError(f"could not write {shown(file.name)}: {reason_of(error)}") from error
