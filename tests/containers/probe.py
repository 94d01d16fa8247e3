"""Runs in the program's place and prints, as JSON, what a container lets it see and do."""

import json
import os
import socket
import sys
from pathlib import Path

_TRIED = ("/", "/etc", "/home", "/opt", "/root", "/run", "/tmp", "/usr", "/usr/local", "/var")


def writable(folder: str) -> bool:
    """Whether a file can be made there; it stays, to show whose it is."""
    try:
        Path(folder, "probe-was-here").touch()
    except OSError:
        return False
    return True


def reaches(address: tuple[str, int]) -> bool:
    """Whether there is a way to that address; nobody has to answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as talk:
        try:
            talk.connect(address)
        except OSError:
            return False
    return True


def first(*paths: str) -> str:
    """The text of the first of these files that is there: cgroups have two layouts."""
    return next((Path(p).read_text().strip() for p in paths if Path(p).exists()), "")


def main() -> None:
    """Prints the facts; `eat-memory` among the arguments eats more than there is."""
    if any("eat-memory" in each for each in sys.argv):
        kept: list[bytes] = []
        while len(kept) < 6000:
            kept.append(b"x" * 2**20)
    status = dict(
        line.split(":\t") for line in Path("/proc/self/status").read_text().splitlines()
        if ":\t" in line
    )  # fmt: skip
    paths = [each for each in sys.argv[2:] if not each.startswith("-")]
    facts = {
        "arguments": sys.argv[1:],
        "there": [each for each in paths if os.path.exists(each)],
        "cwd": os.getcwd(),
        "uid": os.getuid(),
        "gid": os.getgid(),
        "groups": sorted(os.getgroups()),
        "seen": [os.path.lexists(v) for k, v in os.environ.items() if "_SEEN_" in k],
        "capabilities": [status["CapEff"], status["CapBnd"]],
        "no_new_privileges": status["NoNewPrivs"],
        "init": Path("/proc/1/cmdline").read_bytes().split(b"\0")[0].decode(),
        "writable": [each for each in _TRIED if writable(each)],
        "written_in_arguments": [each for each in paths if os.path.isdir(each) and writable(each)],
        "network": reaches(("192.0.2.1", 9)),
        "interfaces": sorted(name for _, name in socket.if_nameindex()),
        "memory": first("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        "pids": first("/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max"),
        "home": os.path.expanduser("~"),
    }
    print(json.dumps(facts))


main()
