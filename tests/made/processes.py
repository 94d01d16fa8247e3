"""Processes that a test has started."""

import os
from pathlib import Path


def children() -> set[int]:
    """The processes that this one started and that are not gone, dead ones too."""
    return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))
