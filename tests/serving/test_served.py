"""The classifier that answers, and how a changed graph takes its place."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.types_pb2 import DT_FLOAT

from made.graphs import head_for, record_for
from made.place import ROOT
from made.server import Server, started, until
from made.zips import members_of, packed
from tensor_guess.backbones.backbone import Backbone
from tensor_guess.errors import UserError
from tensor_guess.graphs.graph import serialise
from tensor_guess.graphs.network import Network
from tensor_guess.graphs.own import with_head
from tensor_guess.guessing.loading import Given
from tensor_guess.images import encoded
from tensor_guess.serving.metrics import Metrics
from tensor_guess.serving.refusal import Refused
from tensor_guess.serving.served import Asked, Keeper, Served
from tensor_guess.sharing.card import Author
from tensor_guess.sharing.share import share

PHOTO = (ROOT / "test_data/photo01.jpg").read_bytes()


@pytest.fixture(scope="module")
def other(tiny: Backbone) -> bytes:
    """The small graph with another head."""
    return serialise(with_head(tiny.graph, head_for(12, seed=1), record_for(tiny)))


def put(data: bytes, path: Path) -> None:
    """Replace the graph as training does."""
    (path.parent / "new").write_bytes(data)
    (path.parent / "new").replace(path)


def test_both_networks_give_the_same_scores(small: Path) -> None:
    served = Served(Asked(Given(small)))
    images = np.random.default_rng(1).integers(0, 256, (9, 16, 16, 3), np.uint8)
    one, several = (
        np.stack([row for _, row in network.run(enumerate(images))])
        for network in (served.network(1), served.network(9))
    )
    np.testing.assert_allclose(one, several, atol=1e-6)
    assert served.network(1) is not served.network(9)
    assert sum(served.scores(one[0])) == pytest.approx(1, abs=1e-5)


def test_if_they_do_not_one_computes_all(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Network.run

    def run(self: Network, pairs: Any) -> Any:
        for item, row in whole(self, pairs):
            yield item, row + np.float32(1e-3 * (self.at_once > 1))

    monkeypatch.setattr(Network, "run", run)
    served = Served(Asked(Given(small)))
    assert served.network(1) is served.network(9)
    assert served.network(1).batch == 1


def test_a_graph_that_is_refused_is_refused_as_by_guess(tmp_path: Path) -> None:
    (tmp_path / "x.pb").write_bytes(b"no graph")
    with pytest.raises(UserError, match="is not a frozen graph, or is damaged"):
        Served(Asked(Given(tmp_path / "x.pb")))


def test_a_graph_whose_scores_are_no_numbers_is_refused(ours: GraphDef, tmp_path: Path) -> None:
    broken = GraphDef()
    broken.CopyFrom(ours)
    for node in broken.node:
        tensor = node.attr["value"].tensor
        if tensor.dtype == DT_FLOAT and tensor.tensor_content:
            count = len(tensor.tensor_content) // 4
            tensor.tensor_content = np.full(count, np.nan, np.float32).tobytes()
    (tmp_path / "x.pb").write_bytes(serialise(broken))
    with pytest.raises(UserError, match="weights are damaged"):
        Served(Asked(Given(tmp_path / "x.pb")))


def test_as_long_as_nothing_is_loaded_nobody_gets_an_answer(small: Path) -> None:
    keeper = Keeper(Asked(Given(small)), Metrics())
    assert not keeper.is_ready
    with pytest.raises(Refused) as error:
        keeper.now()
    assert (error.value.code, error.value.again) == (503, 1)


def digest(server: Server) -> str:
    found: str = server.ask("/v1/model").json["digest"]
    return found


def test_a_new_graph_takes_the_place_of_the_old_one(
    small: Path, other: bytes, cache: Path, tmp_path: Path
) -> None:
    path = shutil.copy(small, tmp_path / "x.pb")
    with started(cache, tmp_path / "log", path) as server:
        before, first = server.ask("/v1/guess", PHOTO), digest(server)
        looked = server.ask("/v1/explain", PHOTO).json
        assert looked["model"] == first
        put(other, Path(path))
        until(lambda: digest(server) != first)
        after = server.ask("/v1/guess", PHOTO)
        assert before.json["scores"] != after.json["scores"]
        assert after.json["model"] == after.headers["tensor-guess-model"] == digest(server)
        assert server.ask("/v1/model").json["version"] == 2
        now = server.ask("/v1/explain", PHOTO).json
        assert (now["model"], now["label"]) == (digest(server), after.json["label"])
        assert now["map"] != looked["map"]
        assert server.ask("/v1/models/x/versions/1").code == 404
        assert server.count('tensor_guess_swaps_total{result="taken"}') == 1
        assert server.count(f'tensor_guess_model{{digest="{digest(server)}"}}') == 1
        assert server.count(f'tensor_guess_model{{digest="{first}"}}') == 0
        # And back.
        put(small.read_bytes(), Path(path))
        until(lambda: digest(server) == first)
        assert server.ask("/v1/guess", PHOTO).json == before.json
    assert server.said.count("a new graph answers: ") == 2


def test_a_broken_graph_is_said_and_the_old_one_goes_on(
    small: Path, other: bytes, cache: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(small, tmp_path / "x.pb"))
    with started(cache, tmp_path / "log", path) as server:
        before = server.ask("/v1/guess", PHOTO)
        put(b"no graph", path)
        until(lambda: server.ask("/v1/model").json["refused"])
        said = server.ask("/v1/model").json
        assert said["refused"].startswith(f"{path} is not a frozen graph")
        assert said["version"] == 1
        assert server.ask("/v1/guess", PHOTO).json == before.json
        assert server.ask("/v1/explain", PHOTO).json["model"] == before.json["model"]
        assert server.ask("/ready").code == 200
        assert server.count('tensor_guess_swaps_total{result="refused"}') == 1
        assert "the new graph is refused, and the one before goes on" in server.said
        path.unlink()
        put(other, path)
        until(lambda: server.ask("/v1/model").json["version"] == 2)
        assert server.ask("/v1/model").json["refused"] is None
        assert server.ask("/v1/guess", PHOTO).json != before.json


def test_the_same_graph_again_is_no_other_version(small: Path, cache: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(small, tmp_path / "x.pb"))
    with started(cache, tmp_path / "log", path) as server:
        put(b"no graph", path)
        until(lambda: server.ask("/v1/model").json["refused"])
        put(small.read_bytes(), path)
        until(lambda: server.ask("/v1/model").json["refused"] is None)
        assert server.ask("/v1/model").json["version"] == 1


def test_a_shared_zip_is_served_and_another_only_if_its_self_test_is_passed(
    shared_zip: Path, tiny: Backbone, cache: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(shared_zip, tmp_path / "x.zip"))
    new = serialise(with_head(tiny.graph, head_for(12, seed=2), record_for(tiny)))
    (tmp_path / "new.pb").write_bytes(new)
    share(tmp_path / "new.pb", tmp_path / "new.zip", Author("telling films apart", "CC-BY-4.0"))
    members = members_of(tmp_path / "new.zip")
    with started(cache, tmp_path / "log", path) as server:
        before = server.ask("/v1/guess", PHOTO)
        assert before.code == 200
        put(packed(members | {"self_test/1.png": members["self_test/2.png"]}), path)
        until(lambda: server.ask("/v1/model").json["refused"])
        assert "the self-test of " in server.ask("/v1/model").json["refused"]
        assert server.ask("/v1/guess", PHOTO).json == before.json
        put(packed(members), path)
        until(lambda: server.ask("/v1/model").json["version"] == 2)


def test_a_map_is_that_of_the_graph_that_was_there_when_it_was_asked_for(
    small: Path, other: bytes, tmp_path: Path
) -> None:
    path = Path(shutil.copy(small, tmp_path / "x.pb"))
    before = Served(Asked(Given(path)))
    assert before.maps
    picture = encoded.of_bytes(PHOTO)
    first = before.maps.of(picture, 32)
    put(other, path)
    assert (before.maps.of(picture, 32).share == first.share).all()
    after = Served(Asked(Given(path)))
    assert after.maps
    assert (after.maps.of(picture, 32, first.k).share != first.share).any()
