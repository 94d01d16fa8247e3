"""Dask is found in a folder of its own; without it there is a sentence."""

import logging

import pytest

from tensor_guess.errors import UserError
from tensor_guess.spreading import optional


def test_where_it_is_installed_it_is_quiet() -> None:
    optional.require()
    assert not logging.getLogger("distributed.client").isEnabledFor(logging.ERROR)


def test_where_it_is_not_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optional, "_PACKAGES", ("dask", "nobodys_package"))
    with pytest.raises(UserError, match=r"many machines need Dask, which .* --build-arg MANY=1"):
        optional.require()
