"""`python -I src` runs the program from a clone: only the packages in the lock file are needed."""

import signal
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType

from tensor_guess.system import streams

if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing has begun yet that could go on
streams.prepare()  # before a file is opened that could get the number of a closed stream

# `import openvino` also imports its converter if it can, which would double the time.
sys.modules["openvino.tools.ovc"] = None  # type: ignore[assignment]

# These other parts of openvino are run only on first use, which is rare.
_SELDOM = {"experimental", "frontend", "helpers", "op", "properties"}
_SELDOM |= {f"opset{number}" for number in range(1, 18)}


class _Lazily(MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, module = name.partition(".")
        if package != "openvino" or module not in _SELDOM:
            return None
        spec = PathFinder.find_spec(name, path)
        if spec and spec.loader:
            spec.loader = LazyLoader(spec.loader)
        return spec


sys.meta_path.insert(0, _Lazily())

from tensor_guess.commands.main import program  # noqa: E402

if __name__ == "__main__":  # a process that fetches a backbone imports this file
    program()
