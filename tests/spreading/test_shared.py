"""A worker computes only if it sees what the client sees, and finds what is known."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from made.rows import photos
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.bottlenecks.extractor import Extractor
from tensor_guess.config import CROP
from tensor_guess.errors import UserError
from tensor_guess.graphs.network import Recipe
from tensor_guess.spreading import shared as sharing
from tensor_guess.spreading.shared import Job, Known, shared


@pytest.fixture
def recipe(tiny: Backbone) -> Recipe:
    return Extractor(tiny.fitted(CROP)).recipe()


def test_a_worker_gets_the_same_network_and_what_is_known(tmp_path: Path, recipe: Recipe) -> None:
    known = [sha256(bytes([n])).digest() for n in range(50)]
    with shared(tmp_path / "new", recipe, known) as job:
        network, found = sharing.read(Job.of_plain(job.plain()))
        assert all(each in found for each in known)
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    ((_, own),), ((_, theirs),) = (
        list(each.run([(0, image)])) for each in (recipe.network(), network)
    )
    np.testing.assert_array_equal(own, theirs)
    assert list((tmp_path / "new").iterdir()) == []


@given(st.lists(st.binary(min_size=32, max_size=32)), st.binary(min_size=32, max_size=32))
def test_known_is_what_was_said_to_be(keys: list[bytes], other: bytes) -> None:
    found = Known(b"\x77" * 32 + b"".join(sorted(keys)))
    assert all(each in found for each in keys)
    assert (other in found) == (other in keys)
    assert (b"\x77" * 32 in found) == (b"\x77" * 32 in keys)  # the nonce is no key


@pytest.mark.parametrize("surrogate", ["plain", "caf\udce9"])
def test_a_job_survives_json_with_any_name(tmp_path: Path, recipe: Recipe, surrogate: str) -> None:
    (picture,) = photos(tmp_path / surrogate, 1)
    some = [tmp_path / "none", picture]
    with shared(tmp_path, recipe, [], pictures=some, inside=picture.parent, faces="haar") as job:
        assert job.witness
        assert job.witness[0] == picture
        assert Job.of_plain(job.plain()) == job


@pytest.mark.parametrize("spoil", ["gone", "another graph", "another run", "no picture", "another"])
def test_what_another_machine_sees_differently_is_said(
    tmp_path: Path, recipe: Recipe, spoil: str
) -> None:
    pictures = photos(tmp_path / "pictures", 2)
    with shared(tmp_path / "out", recipe, [], pictures=pictures) as job:
        if spoil == "gone":
            job.graph[0].unlink()
        elif spoil == "another graph":
            job.graph[0].write_bytes(b"other")
        elif spoil == "another run":
            job.known[0].write_bytes(bytes(32))
        elif spoil == "no picture":
            pictures[0].unlink()
        else:
            pictures[0].write_bytes(pictures[1].read_bytes())
        folder = "pictures" if "picture" in spoil or spoil == "another" else "out"
        with pytest.raises(UserError, match=f"does not see .*/{folder} as this machine does"):
            sharing.read(job)


def test_what_a_killed_run_left_is_removed_and_pictures_are_never_written_to(
    tmp_path: Path, recipe: Recipe
) -> None:
    pictures = photos(tmp_path / "pictures", 1)

    def stopped() -> None:
        with shared(tmp_path / "o", recipe, [], pictures=pictures):
            assert list((tmp_path / "pictures").iterdir()) == pictures
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert list((tmp_path / "o").iterdir()) == []
