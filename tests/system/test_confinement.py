"""What a stranger's program can reach, once it is confined: tried for real, in a process."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from made.place import ROOT

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"),
    reason="seccomp and Landlock are Linux's",
)

START = f"""
import sys; sys.path.insert(0, {str(ROOT / "src")!r})
from pathlib import Path
from tensor_guess.system.confinement import confine
given, scratch, other = map(Path, sys.argv[1:4])
{{first}}
confine([given], {{how}})
"""
ATTEMPTS = {
    "read what was given": ("(given / 'a').read_text()", True),
    "throw away": ("open('/dev/null', 'rb').read()", True),
    "ask where temporary files go": ("import tempfile; tempfile.gettempdir()", True),
    "make a temporary file": ("import tempfile; tempfile.mkstemp()", False),
    "write in the scratch folder": ("(scratch / 'b').write_text('x')", False),
    "read a device": ("open('/dev/full', 'rb').read(1)", False),
    "grow a file that is open": ("import os; os.write(int(sys.argv[4]), b'x')", False),
    "run Python's own library": ("import json, ctypes, decimal", True),
    "write what was given": ("(given / 'a').write_text('x')", False),
    "remove what was given": ("(given / 'a').unlink()", False),
    "read another file": ("(other / 'secret').read_text()", False),
    "list another folder": ("list(other.iterdir())", False),
    "write elsewhere": ("(other / 'new').touch()", False),
    "open a socket": ("import socket; socket.socket()", False),
    "open a local socket": ("import socket; socket.socket(socket.AF_UNIX)", False),
    "open an io_uring": (
        "import ctypes, os; c = ctypes.CDLL(None, use_errno=True)\n"
        "if c.syscall(425, 8, ctypes.create_string_buffer(120)) < 0: raise OSError",
        False,
    ),
    "a child's socket": (
        "import subprocess; subprocess.run([sys.executable, '-Ic',"
        " 'import socket; socket.socket()'], check=True)",
        False,
    ),
}


@pytest.mark.parametrize(("code", "allowed"), ATTEMPTS.values(), ids=ATTEMPTS.keys())
def test_what_can_be_reached(tmp_path: Path, code: str, allowed: bool) -> None:
    assert (_run(tmp_path, code).returncode == 0) is allowed


def test_a_fetcher_has_the_network_and_one_folder(tmp_path: Path) -> None:
    how = "scratch, internet=True"
    assert _run(tmp_path, "import socket; socket.socket()", how).returncode == 0
    assert _run(tmp_path, "(scratch / 'b').write_text('x')", how).returncode == 0
    assert _run(tmp_path, "(other / 'secret').read_text()", how).returncode != 0
    assert _run(tmp_path, "(other / 'new').touch()", how).returncode != 0


def test_memory_and_time_are_bounded(tmp_path: Path) -> None:
    done = _run(tmp_path, "bytearray(17 << 30)")
    assert "MemoryError" in done.stderr
    done = _run(tmp_path, "import resource; print(resource.getrlimit(resource.RLIMIT_CPU))")
    assert done.stdout == "(300, 300)\n"


def test_lower_limits_stay_as_they_are(tmp_path: Path) -> None:
    code = "import resource as r\nr.setrlimit(r.RLIMIT_AS, (1 << 33, 1 << 33))"
    done = _run(tmp_path, "print(r.getrlimit(r.RLIMIT_AS))", first=code)
    assert done.stdout == f"({1 << 33}, {1 << 33})\n"


def _run(
    tmp_path: Path, code: str, how: str = "", first: str = ""
) -> subprocess.CompletedProcess[str]:
    folders = [tmp_path / name for name in ("given", "scratch", "other")]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    (folders[0] / "a").write_text("a")
    (folders[2] / "secret").write_text("secret")
    with (folders[2] / "open").open("wb") as file:
        handle = file.fileno()
        return subprocess.run(
            [sys.executable, "-I", "-c", START.format(how=how, first=first) + code,
             *folders, str(handle)],
            pass_fds=[handle],
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip


SERVER = f"""
import socket, sys, threading; sys.path.insert(0, {str(ROOT / "src")!r})
from tensor_guess.system.confinement import refuse_connections
listening = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listening.getsockname())
go, outcome = threading.Event(), []
def other():
    go.wait()
    try:
        {{code}}
        outcome.append(True)
    except OSError as error:
        outcome.append(error)
thread = threading.Thread(target=other)
thread.start()
assert refuse_connections()
go.set()
thread.join()
print(outcome[0])
"""
SERVES = {
    "answer who connects": ("listening.accept()[0].sendall(b'x'); client.recv(1)", True),
    "talk to itself": ("socket.socketpair()", True),
    "open a socket": ("socket.socket()", False),
    "connect elsewhere": ("client.connect(('127.0.0.1', 1))", False),
    "look up a name": ("socket.getaddrinfo('example.org', 80)", False),
}


@pytest.mark.parametrize(("code", "allowed"), SERVES.values(), ids=SERVES.keys())
def test_a_server_answers_and_connects_to_nobody_in_any_thread(code: str, allowed: bool) -> None:
    program = SERVER.format(code=code)
    done = subprocess.run(
        [sys.executable, "-I", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert (done.stdout == "True\n") is allowed, done.stdout


def test_a_connection_cannot_be_turned_elsewhere() -> None:
    """connect(2) with AF_UNSPEC dissolves a connection, and the socket could then be used again."""
    dissolve = "import ctypes; c = ctypes.CDLL(None, use_errno=True)\n        if c.connect("
    dissolve += "client.fileno(), bytes(16), 16) < 0: raise OSError(ctypes.get_errno(), 'refused')"
    done = subprocess.run(
        [sys.executable, "-I", "-c", SERVER.format(code=dissolve)],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == "[Errno 13] refused\n"
