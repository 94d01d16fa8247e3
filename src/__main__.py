"""`python -I src` runs the program from a clone: nothing has to be installed but the lock file."""

import sys

from tensor_guess.system import streams

streams.prepare()  # before anything is opened that could be taken for one of them

# `import openvino` brings its converter along where it can, which takes as long again.
sys.modules["openvino.tools.ovc"] = None  # type: ignore[assignment]

from tensor_guess.commands.main import main  # noqa: E402

if __name__ == "__main__":  # a process that fetches a backbone imports this file too
    main()
