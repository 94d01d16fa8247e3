"""Servers that several tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from made.server import Server, started


@pytest.fixture(scope="module")
def server(cache: Path, small: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the small graph, which must have printed nothing but where it answers."""
    log = tmp_path_factory.mktemp("server") / "log"
    with started(cache, log, small) as found:
        yield found
        assert found.process.poll() is None, found.said
        assert len(found.said.splitlines()) == 1, found.said
