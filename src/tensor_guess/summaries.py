"""TensorBoard's summaries of a training run: <folder>/train and <folder>/validation."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tensor_guess.durable import make_folder
from tensor_guess.head import Look


class Summaries:
    """Event files that TensorBoard shows; nothing at all where `folder` is None.

    Runs are added to what is there: unlike `retrain.py`, the folder is never deleted.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._writers: dict[str, Any] = {}

    def __enter__(self) -> Self:
        if self._folder:
            from tensorboard.summary import Writer

            for part in ("train", "validation"):
                make_folder(self._folder / part)
                self._writers[part] = Writer(str(self._folder / part))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for writer in self._writers.values():
            writer.close()

    def add(self, at: Look) -> None:
        """Nothing comes back; the look is in the event files."""
        if self._writers:
            self._writers["train"].add_scalar("accuracy", at.train_accuracy, at.step)
            self._writers["train"].add_scalar("cross_entropy", at.cross_entropy, at.step)
            self._writers["validation"].add_scalar("accuracy", at.validation_accuracy, at.step)
