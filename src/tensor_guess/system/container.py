"""What the program does only if the launcher started it in a container."""

import os
import signal
from collections.abc import Mapping

from tensor_guess.errors import UserError, shown

# The launcher's variables (src/launcher/container.bash): paths on the host, its umask.
_SEEN = "TENSOR_GUESS_SEEN_"
_UMASK = "TENSOR_GUESS_UMASK"
_PUBLISHED = "TENSOR_GUESS_PUBLISHED"  # set if the engine publishes the port


class EngineTrouble(UserError):
    """The container engine, not the program or its user, prevents the work."""

    exit_code = 125


def enter(environ: Mapping[str, str] = os.environ) -> None:
    """Prepare this process for life in a container; outside of one, do nothing.

    Files get the modes that they would get on the host. Raise EngineTrouble if the engine does not
    see the folders that the launcher sees.
    """
    if os.getpid() == 1:
        _be_init()
    if _UMASK in environ:
        os.umask(int(environ[_UMASK], 8))
    for name in sorted(environ):
        if name.startswith(_SEEN) and not _is_there(environ[name]):
            raise EngineTrouble(
                f"the container engine does not see {shown(os.path.dirname(environ[name]))} as "
                "this machine does: it runs elsewhere, or shares only some folders (Docker "
                "Desktop: Settings, Resources, File sharing); add the folder there, or set "
                "TENSOR_GUESS_LAUNCHER=local"
            )


def listening(host: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return the address to listen at for what is published at the host's address.

    An engine brings what comes to that one into the container, to an address that only it knows.
    """
    return "0.0.0.0" if _PUBLISHED in environ else host


def _is_there(path: str) -> bool:
    """Return whether the path exists and, if it ends with a /, is not empty; True if unknown."""
    try:
        os.lstat(path)
        return not path.endswith("/") or any(True for _ in os.scandir(path))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def _be_init() -> None:
    """Return only in a new child process; this one forwards signals to it and reaps orphans.

    The kernel ignores SIGTERM for process 1, and orphans end up as its children. Engines have an
    init for that (`--init`), but not all of them.
    """
    child = os.fork()
    if child == 0:
        return
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: os.kill(child, received))
    while True:
        ended, status = os.wait()
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)
