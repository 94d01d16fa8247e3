"""A Python environment in which there is no TensorFlow, for tests that are to do without it."""

import atexit
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path

# What costs seconds and half a gigabyte to import.
TENSORFLOW = {"tensorflow", "keras", "tf_keras", "tensorflow_hub"}


def hide() -> None:
    """Make TensorFlow impossible to import here and in every Python started from here.

    `sys.executable` becomes that of an environment that links to all packages but these, so that
    no process gets round it, whatever its options and its variables.
    """
    environment = Path(tempfile.mkdtemp(prefix="without-tensorflow-"))
    atexit.register(shutil.rmtree, environment)
    shutil.copy(Path(sys.prefix, "pyvenv.cfg"), environment)
    for packages in {Path(sysconfig.get_path(kind)) for kind in ("purelib", "platlib")}:
        links = environment / packages.relative_to(sys.prefix)
        links.mkdir(parents=True)
        for each in packages.iterdir():
            if each.name not in TENSORFLOW:
                (links / each.name).symlink_to(each)
        sys.path[:] = [str(links) if path == str(packages) else path for path in sys.path]
    python = environment / Path(sys.executable).relative_to(sys.prefix)
    python.parent.mkdir()
    python.symlink_to(Path(sys.executable).resolve())
    sys.executable = str(python)


def hide_from_worker() -> None:
    """Do the same in a process that pytest-xdist started by that Python, with its old path."""
    own = sysconfig.get_path("purelib")
    sys.path[:] = [own if Path(path).name == "site-packages" else path for path in sys.path]
