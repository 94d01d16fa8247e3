"""What is measured of a process is its own memory, however large who started it was."""

import sys
from pathlib import Path

import pytest

from peak import growth, peak, ran

LARGE = 400_000_000
MINE = f"import sys; sys.path.insert(0, {str(Path(peak.__code__.co_filename).parent)!r})\n"


@pytest.fixture
def _large() -> None:
    """This process has had a lot of memory."""
    assert any(bytearray(LARGE)) is False


def take(count: int) -> None:
    assert any(bytearray(count)) is False


@pytest.mark.slow
@pytest.mark.usefixtures("_large")
def test_a_programs_peak_is_its_own() -> None:
    code = MINE + "from peak import peak; print(peak())"
    small = ran([sys.executable, "-c", code])
    assert 5_000_000 < int(small.out) < LARGE / 4
    assert 5_000_000 < small.peak < LARGE / 4
    large = ran([sys.executable, "-c", f"any(bytearray({LARGE})); raise SystemExit(3)"])
    assert large.peak > LARGE
    assert large.code == 3


@pytest.mark.slow
@pytest.mark.usefixtures("_large")
def test_what_code_takes_is_measured_in_a_process_that_never_had_it() -> None:
    assert LARGE / 4 < growth(take, LARGE // 2) < LARGE
    with pytest.raises(ValueError, match="negative count"):
        growth(take, -1)
