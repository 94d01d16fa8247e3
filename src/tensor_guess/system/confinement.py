"""Deny this process the internet, and every file but a few, before a stranger's code runs.

Linux only: seccomp for sockets, Landlock for files (kernel 5.13 and newer).

System call numbers and structures are from linux/landlock.h, linux/seccomp.h, linux/filter.h and
linux/prctl.h.
"""

import ctypes
import errno
import os
import platform
import resource
import signal
import struct
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tensor_guess.config import SOURCE
from tensor_guess.errors import UserError

_PARENT_DEATH_SIGNAL, _NO_NEW_PRIVS, _SET_SECCOMP, _FILTER_MODE = 1, 38, 22, 2
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EACCES
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_IO_URING_SETUP = 425  # it can open sockets too
_FILTER_ALL_THREADS = 1
# machine -> its number in seccomp's data, and of socket(), connect() and seccomp()
_MACHINES = {"x86_64": (0xC000003E, 41, 42, 317), "aarch64": (0xC00000B7, 198, 203, 277)}
# Whether the internet can be put out of reach here.
CAN_HIDE = sys.platform == "linux" and platform.machine() in _MACHINES
_X32 = 0x40000000  # x86-64's second table of system calls

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PATH_BENEATH = 1
_EXECUTE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 2, 1 << 3
_ALL_OF_ABI_1 = (1 << 13) - 1

CPU_SECONDS = 300
ADDRESS_SPACE = 16 << 30
# The variable that names the process which started this one, if this one is to end with it.
STARTED_BY = "TENSOR_GUESS_STARTED_BY"
# When memory runs out, this process is killed first (proc(5)).
_FIRST_TO_GO = "1000"


def end_with(parent: int) -> None:
    """Have this process killed when `parent`, which started it, ends; at once if it has ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def confine(
    readable: Sequence[Path], writable: Path | None = None, *, internet: bool = False
) -> None:
    """Let this process see only the system, `readable` and `writable`; the internet only if asked.

    It can write only in the folder `writable`, its time and memory are bounded, and it ends with
    the process that STARTED_BY names. Call it before any thread is started. Raise UserError if the
    system cannot do that.
    """
    if STARTED_BY in os.environ:
        end_with(int(os.environ[STARTED_BY]))
    _at_most(resource.RLIMIT_CPU, CPU_SECONDS)
    _at_most(resource.RLIMIT_AS, ADDRESS_SPACE)
    _at_most(resource.RLIMIT_CORE, 0)
    if writable is None:
        _at_most(resource.RLIMIT_FSIZE, 0)  # holds without Landlock too
        # TensorFlow asks for the temporary folder when it is imported, but puts nothing there.
        tempfile.tempdir = os.devnull
    if not CAN_HIDE:
        raise UserError("a stranger's module is only loaded on Linux, or in a container")
    Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)
    hide(readable, writable, internet=internet)


def see_only(folder: Path) -> None:
    """Let this process see only the system and `folder`, where it may write; not the internet.

    It ends with the process that STARTED_BY names. Call it before any thread is started. Where the
    system cannot hide files and the internet, they stay in sight: for the program's own code only.
    """
    if STARTED_BY in os.environ:
        end_with(int(os.environ[STARTED_BY]))
    if CAN_HIDE:
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)
        hide([], folder)


def hide(readable: Sequence[Path], writable: Path | None = None, *, internet: bool = False) -> None:
    """Put out of reach what `confine` does, of this thread and those that it starts.

    Linux only. Raise UserError if the system cannot do that.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    _checked(libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0))
    _leave_only(libc, [*_system(), *readable], writable)
    if not internet:
        _refuse_sockets(libc)


def refuse_connections() -> bool:
    """Have this process, and those it starts, never connect to anybody; return whether that holds.

    Who connects to a socket that is open already is still answered. It holds for all threads.
    """
    if not CAN_HIDE:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    machine, socket, connect, seccomp = _MACHINES[platform.machine()]
    libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    # A connection could be dissolved and connected again elsewhere.
    with _filter(machine, (socket, connect, _IO_URING_SETUP)) as address:
        return not libc.syscall(seccomp, 1, _FILTER_ALL_THREADS, address)


def _at_most(resource_: int, limit: int) -> None:
    """Set the limit, unless a lower one is in force."""
    _, already = resource.getrlimit(resource_)
    most = limit if already == resource.RLIM_INFINITY else min(limit, already)
    resource.setrlimit(resource_, (most, most))


def _system() -> list[Path]:
    """Return the folders that Python and its packages are read from."""
    folders = ["/usr", "/lib", "/lib64", "/etc", "/proc", "/sys", sys.prefix]
    folders += [os.devnull, "/dev/urandom"]
    return [*map(Path, folders), Path(sys.base_prefix), Path(sys.executable).resolve(), SOURCE]


def _leave_only(libc: ctypes.CDLL, readable: Sequence[Path], writable: Path | None) -> None:
    """Put all other files out of reach, if the kernel has Landlock."""
    attributes = struct.pack("Q", _ALL_OF_ABI_1)
    ruleset = libc.syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        return  # an old kernel: there is still no internet, and little to see in a container
    for path in [*filter(Path.exists, readable), *([writable] if writable else [])]:
        access = _READ_FILE | _EXECUTE | (_READ_DIR if path.is_dir() else 0)
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = struct.pack("=Qi", _ALL_OF_ABI_1 if path == writable else access, handle)
        _checked(libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0))
        os.close(handle)
    _checked(libc.syscall(_RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)


def _refuse_sockets(libc: ctypes.CDLL) -> None:
    machine, socket, *_ = _MACHINES[platform.machine()]
    with _filter(machine, (socket, _IO_URING_SETUP)) as address:
        _checked(libc.prctl(_SET_SECCOMP, _FILTER_MODE, address, 0, 0))


@contextmanager
def _filter(machine: int, calls: Sequence[int]) -> Iterator[bytes]:
    """Yield seccomp's filter that refuses these system calls."""
    count = len(calls)
    # code, jump if true, jump if false, operand; the last two steps are allow and refuse
    program = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 0, count + 3, machine),
        (_LOAD, 0, 0, 0),
        (_AT_LEAST, count + 1, 0, _X32),
        *((_EQUAL, count - k, 0, call) for k, call in enumerate(calls)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    yield struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))


def _checked(result: int) -> None:
    if result < 0:
        reason = os.strerror(ctypes.get_errno())
        raise UserError(f"a stranger's module cannot be confined here: {reason}; use a container")
