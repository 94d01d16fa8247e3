"""A long run that is disturbed all the time, here and between two machines with a bad link."""

import os
import subprocess
import time
from collections.abc import Iterator
from hashlib import sha256
from itertools import cycle
from pathlib import Path

import pytest

from made.cluster import Cluster, cluster, kill, until
from made.rows import photos
from made.sorting import tree
from tensor_guess.sorting.sort import sort

pytestmark = pytest.mark.long


def keys(folder: Path) -> list[str]:
    """The SHA-256 of each picture there, sorted."""
    return sorted(sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.bmp"))


def test_ten_thousand_pictures_with_a_kill_every_two_seconds(
    cache: Path, classifier: Path, tmp_path: Path
) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    photos(source, 10_000)
    kills = 0
    with cluster(tmp_path, cache, 3) as made:
        workers = cycle(made.processes[1:])
        process = made.run("classify-dir", classifier, source, out)
        while process.poll() is None:
            time.sleep(2)
            kills += kill(next(workers))
        _, err = process.communicate()
        assert (process.returncode, err) == (0, "")
    assert kills > 2
    assert keys(out) == keys(source)


# Two machines: network namespaces, with a cable between them that loses packets.
_SPACES = """
ip netns add {one}; ip netns add {two}
ip link add {one} netns {one} type veth peer name {two} netns {two}
ip -n {one} addr add 10.77.0.1/24 dev {one}; ip -n {two} addr add 10.77.0.2/24 dev {two}
ip -n {one} link set {one} up; ip -n {two} link set {two} up
ip -n {one} link set lo up; ip -n {two} link set lo up
"""
_LOSS = (
    "ip netns exec {space} iptables --append INPUT --in-interface {space} "
    "--match statistic --mode random --probability 0.02 --jump DROP"
)


@pytest.fixture
def spaces() -> Iterator[tuple[str, str]]:
    """The names of the namespaces, which are those of the cable's ends too."""
    one, two = (f"tg{os.getpid() % 10000}{end}" for end in "ab")
    lines = _SPACES.format(one=one, two=two).replace(";", "\n").split("\n")
    try:
        for line in filter(None, map(str.strip, lines)):
            if subprocess.run(line.split(), capture_output=True, check=False).returncode:
                pytest.skip(f"this user cannot: {line}")
        yield one, two
    finally:
        for name in (one, two):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def lossy(space: str) -> bool:
    """Drop one packet in fifty that comes to a namespace; return whether that can be done."""
    command = _LOSS.format(space=space).split()
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_two_machines_with_a_link_that_loses_packets_and_is_cut(
    cache: Path, classifier: Path, tmp_path: Path, spaces: tuple[str, str]
) -> None:
    one, two = spaces
    source, out = tmp_path / "in", tmp_path / "out"
    photos(source, 3_000)
    assert sort(classifier, source, tmp_path / "alone").sorted == 3_000
    if not all(map(lossy, spaces)):
        pytest.skip("this system cannot lose packets")
    enter = ("ip", "netns", "exec")
    made = Cluster(tmp_path, cache)
    try:
        made.before = (*enter, one)
        made.start(host="10.77.0.1")
        for _ in range(2):
            made.worker(before=(*enter, two))
        process = made.run("classify-dir", classifier, source, out)
        until(lambda: len(list(out.glob("*.bmp"))) > 200, process)
        subprocess.run(["ip", "-n", two, "link", "set", two, "down"], check=True)
        time.sleep(10)
        subprocess.run(["ip", "-n", two, "link", "set", two, "up"], check=True)
        _, err = process.communicate(timeout=300)
        assert (process.returncode, err) == (0, "")
    finally:
        for each in made.processes:
            each.kill()
            each.communicate()
    assert tree(out, left=True) == tree(tmp_path / "alone")
