"""`python -I src` runs the program from a clone: nothing has to be installed but the lock file."""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType

from tensor_guess.system import streams

streams.prepare()  # before anything is opened that could be taken for one of them

# `import openvino` brings its converter along where it can, which takes as long again.
sys.modules["openvino.tools.ovc"] = None  # type: ignore[assignment]

# Of what else it brings, this is run when something of it is used, which is seldom.
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

from tensor_guess.commands.main import main  # noqa: E402

if __name__ == "__main__":  # a process that fetches a backbone imports this file too
    main()
