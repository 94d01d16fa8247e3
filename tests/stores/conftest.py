"""A server for all tests of stores, and a bucket for each."""

import secrets
from collections.abc import Iterator

import pytest

from made import store as servers
from made.store import Store
from tensor_guess.stores import s3


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of an S3 server."""
    with servers.started(tmp_path_factory.mktemp("server") / "log") as port:
        yield port


@pytest.fixture
def store(server: int, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A bucket, which this process can use too."""
    made = servers.with_bucket(server, f"bucket-{secrets.token_hex(6)}")
    for name, value in made.environ.items():
        monkeypatch.setenv(name, value)
    s3._system.cache_clear()
    return made
